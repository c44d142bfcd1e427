"""Gymnasium's ways to look at an environment and to drive in it by hand."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pygame
import pytest
from gymnasium.utils.play import play
from gymnasium.vector import AutoresetMode

import drivesim
from drivesim import Action

HIGHWAY = "drivesim/Highway-v1"

SEED = 0  # of a level where the ego begins with a lane on either side


@pytest.mark.parametrize("render_mode", ["rgb_array_list", "ansi_list"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_lists_of_pictures_are_those_of_gymnasiums_own_vector_environment(mode, render_mode) -> None:
    options = {"num_envs": 3, "max_episode_steps": 4, "render_mode": render_mode, "render_size": 64}
    ours = gym.make_vec(HIGHWAY, autoreset_mode=mode, **options)
    theirs = gym.make_vec(HIGHWAY, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **options)
    assert ours.render_mode == render_mode
    ours.reset(seed=5), theirs.reset(seed=5)
    rng = np.random.default_rng(0)
    lengths = set()
    for step in range(24):
        actions = rng.integers(5, size=3)
        answers = ours.step(actions)
        ended = answers[2] | answers[3]
        theirs.step(actions)
        if mode is AutoresetMode.DISABLED and ended.any():
            ours.reset(options={"reset_mask": ended}), theirs.reset(options={"reset_mask": ended})
        if step % 3 == 2:
            for frames, expected in zip(ours.render(), theirs.render(), strict=True):
                assert isinstance(frames, list)
                lengths.add(len(frames))
                assert len(frames) == len(expected)
                assert all(np.array_equal(frame, other) for frame, other in zip(frames, expected, strict=True))
    assert ours.render() == ([], [], [])
    assert len(lengths) > 1


def test_lists_of_pictures_are_refused_where_a_window_is_shared() -> None:
    with pytest.raises(ValueError, match="render_mode"):
        drivesim.parallel_vec_env(HIGHWAY, 1, 2, render_mode="rgb_array_list")


def drive(monkeypatch: pytest.MonkeyPatch, env: gym.Env, *held: tuple[int, ...]) -> list[int]:
    """The actions that `play` takes, one tick with each combination of keys."""

    def event(kind: int, key: int) -> pygame.event.Event:
        return pygame.event.Event(kind, key=key)

    events = [[]]
    for keys in held:
        events[-1] += [event(pygame.KEYDOWN, key) for key in keys]
        events.append([event(pygame.KEYUP, key) for key in keys])
    events[-1] += [pygame.event.Event(pygame.QUIT)]
    waiting = iter(events)
    monkeypatch.setattr(pygame.event, "get", lambda: next(waiting))
    taken: list[int] = []
    play(env, fps=1000, seed=SEED, callback=lambda *answer: taken.append(answer[2]))
    return taken


def test_gymnasiums_play_works_without_arguments_and_no_key_steers_by_itself(monkeypatch) -> None:
    env = gym.make(HIGHWAY, render_mode="rgb_array", render_size=64, num_vehicles=0)
    up, down, left, right = pygame.K_UP, pygame.K_DOWN, pygame.K_LEFT, pygame.K_RIGHT
    held = [(), (up,), (pygame.K_w, up), (left, up), (right,), (left, right), (down, up), (pygame.K_a,), (pygame.K_q,)]
    names = [Action(action).name for action in drive(monkeypatch, env, *held)]
    assert names == ["IDLE", "FASTER", "FASTER", "LEFT", "RIGHT", "IDLE", "IDLE", "LEFT", "IDLE"]


def test_where_there_is_no_idle_action_no_key_brakes(monkeypatch) -> None:
    env = gym.make("drivesim/Autodrive-v1", render_mode="rgb_array", render_size=64)
    names = [env.unwrapped.action_names[action] for action in drive(monkeypatch, env, (), (pygame.K_LEFT,))]
    assert names == ["SLOWER", "LEFT"]
