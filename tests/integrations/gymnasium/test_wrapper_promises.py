"""What Gymnasium's wrappers of single environments promise beside observations and rewards, on ours."""

from __future__ import annotations

import importlib.util

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from wrapped_drives import FRAMES, ID, LIMIT, SEED, draw_actions, drive, make

NOISES = {
    "AddWhiteNoise": lambda env: wrappers.AddWhiteNoise(env, probability_of_noise_per_pixel=0.3),
    "ObstructView": lambda env: wrappers.ObstructView(env, obstructed_pixels_ratio=0.3, obstruction_width=8),
}


def test_a_time_limit_ends_an_episode_after_so_many_steps_and_not_before() -> None:
    rows = drive(wrappers.TimeLimit(make().unwrapped, 4), draw_actions())
    assert {row.age for row in rows if row.truncated} == {4}
    assert all(row.truncated for row in rows if row.age == 4)


def test_order_enforcing_wants_a_reset_first() -> None:
    env = wrappers.OrderEnforcing(make(render_mode="rgb_array").unwrapped)
    for call in (lambda: env.step(1), env.render):
        with pytest.raises(gym.error.ResetNeeded):
            call()


def test_episode_statistics_are_sums_over_the_episode_and_those_of_the_simulator() -> None:
    rows = drive(wrappers.RecordEpisodeStatistics(make()), draw_actions())
    total = 0.0
    for row in rows:
        total = 0.0 if row.age == 0 else total + row.reward
        assert ("episode" in row.info) == (row.terminated or row.truncated)
        if "episode" in row.info:
            assert row.info["episode"]["r"] == pytest.approx(total)
            assert row.info["episode"]["r"] == pytest.approx(row.info["episode_return"])
            assert row.info["episode"]["l"] == row.age == row.info["episode_length"]


@pytest.mark.parametrize("name", NOISES)
def test_noise_hides_about_the_share_of_the_picture_that_was_asked_for_and_nothing_of_the_state(name) -> None:
    env = NOISES[name](make(**FRAMES))
    env.reset(seed=SEED)
    for action in draw_actions(4):
        env.step(action)
        clean = env.unwrapped.render()
        seen = env.render()
        assert seen.shape == clean.shape
        hidden = (seen != clean).any(axis=-1).mean()
        assert 0.15 < hidden < 0.32  # patches overlap; each pixel of noise is as it was with a chance of 1 in 255**3
    assert np.array_equal(env.unwrapped.render(), clean)


def test_a_collection_holds_every_picture_since_the_last_look() -> None:
    env = wrappers.RenderCollection(make(**FRAMES))
    assert env.render_mode == "rgb_array_list"
    env.reset(seed=SEED)
    pictures_of_all = [env.unwrapped.render()]
    for action in (1, 3, 3):
        env.step(action)
        pictures_of_all.append(env.unwrapped.render())
    assert np.array_equal(np.stack(env.render()), np.stack(pictures_of_all))
    assert env.render() == []


def test_repeat_and_skip_take_so_many_steps_unless_the_episode_ends() -> None:
    for wrap in (
        lambda env: wrappers.RepeatAction(env, num_repeats=3),
        lambda env: wrappers.MaxAndSkipObservation(env, skip=3),
    ):
        env, bare = wrap(make()), make()
        seen = []  # the last two of three observations, which the wrapper keeps across episodes
        obs, _ = env.reset(seed=SEED)
        assert np.array_equal(obs, bare.reset(seed=SEED)[0])
        buffer = [np.zeros_like(obs), np.zeros_like(obs)]
        for action in draw_actions(60):
            total = 0.0
            for part in range(3):
                expected, reward, terminated, truncated, _ = bare.step(action)
                total += reward
                if part > 0:
                    buffer[part - 1] = expected
                if terminated or truncated:
                    break
            obs, reward, *ends, _ = env.step(action)
            assert reward == pytest.approx(total)
            assert ends == [terminated, truncated]
            if isinstance(env, wrappers.MaxAndSkipObservation):
                expected = np.maximum(*buffer)
            assert np.array_equal(obs, expected)
            assert obs in env.observation_space
            seen.append(terminated or truncated)
            if terminated or truncated:
                env.reset()
                bare.reset()
        assert sum(seen) > 5


def test_sticky_actions_repeat_the_last_one_as_the_seed_says() -> None:
    env, bare = wrappers.StickyAction(make(), repeat_action_probability=0.4), make()
    rng = gym.utils.seeding.np_random(SEED)[0]  # the environment itself draws nothing from it
    num_repeats, last, seed = 0, None, SEED
    for action in draw_actions():
        if last is None:
            assert np.array_equal(env.reset(seed=seed)[0], bare.reset(seed=seed)[0])
            seed = None
        executed = last if last is not None and rng.uniform() < 0.4 else action
        num_repeats += executed != action
        obs, reward, terminated, truncated, _ = env.step(action)
        expected = bare.step(executed)
        assert np.array_equal(obs, expected[0])
        assert [reward, terminated, truncated] == list(expected[1:4])
        last = None if terminated or truncated else executed
    assert num_repeats > 20


def test_autoreset_behaves_as_one_env_under_next_step() -> None:
    env = wrappers.Autoreset(make())
    envs = gym.make_vec(ID, num_envs=1, observation="features", max_episode_steps=LIMIT)
    obs, _ = env.reset(seed=SEED)
    assert np.array_equal(obs, envs.reset(seed=SEED)[0][0])
    num_ends = 0
    for action in draw_actions():
        obs, reward, terminated, truncated, _ = env.step(action)
        batch_obs, rewards, terminations, truncations, _ = envs.step(np.array([action]))
        assert np.array_equal(obs, batch_obs[0])
        assert [reward, terminated, truncated] == [rewards[0], terminations[0], truncations[0]]
        num_ends += terminated or truncated
    assert num_ends > 10


def test_human_rendering_shows_the_picture_of_the_world(monkeypatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    env = wrappers.HumanRendering(make(**FRAMES))
    env.metadata = {**env.metadata, "render_fps": 100_000}  # no waiting
    env.reset(seed=SEED)
    num_ends = 0
    for action in draw_actions():
        _, _, terminated, truncated, _ = env.step(action)
        shown = pygame.surfarray.array3d(env.window).transpose(1, 0, 2)
        assert np.array_equal(shown, env.unwrapped.render())
        if terminated or truncated:
            env.reset()
            num_ends += 1
    env.close()
    assert num_ends > 10


@pytest.mark.skipif(importlib.util.find_spec("moviepy") is None, reason="needs moviepy")
def test_record_video_writes_one_film_per_episode_with_all_its_pictures(tmp_path) -> None:
    from moviepy.video.io.VideoFileClip import VideoFileClip

    env = wrappers.RecordVideo(make(**FRAMES), str(tmp_path / "films"), episode_trigger=lambda n: n < 2, fps=10)
    rows = drive(env, draw_actions())
    env.close()
    lengths = [row.age + 1 for row in rows if row.terminated or row.truncated]
    films = sorted((tmp_path / "films").glob("*.mp4"))
    assert [film.name for film in films] == ["rl-video-episode-0.mp4", "rl-video-episode-1.mp4"]
    for film, length in zip(films, lengths, strict=False):
        with VideoFileClip(str(film)) as clip:
            assert clip.n_frames == length
