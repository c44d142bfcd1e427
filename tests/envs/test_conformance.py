"""Every registered environment is what Gymnasium's interface promises."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from env_tools import AUTODRIVE, GENERATED, HIGHWAY, IDS, MODES, OBSERVATIONS, PARKING, draw_actions
from gymnasium.utils.env_checker import check_env
from scenario_facts import FACTS

from drivesim import Action
from drivesim.core.world import DRIVING, TOP_SPEED
from drivesim.registration import check_scenario
from drivesim.registry import ENTRIES, entry_of, scenario_of


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", IDS)
def test_gymnasiums_checker_accepts_every_environment_without_a_warning(env_id, observation) -> None:
    env = gym.make(env_id, observation=observation)
    is_default = observation == env.unwrapped.config.scenario_class.observation
    check_env(env.unwrapped, skip_render_check=not is_default)  # warnings are errors here
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", IDS)
def test_observations_speeds_and_masks_stay_in_range_over_long_rollouts(env_id, observation) -> None:
    envs = gym.make_vec(env_id, num_envs=64, observation=observation, num_threads=1)
    rng = np.random.default_rng(1)
    obs, _ = envs.reset(seed=1)
    num_ends = 0
    for step in range(250):
        assert obs in envs.observation_space
        if step % 10 == 0:
            vehicles = envs.unwrapped.get_state()["world"]["vehicles"]
            speeds = vehicles["speed"][vehicles["status"] == DRIVING]
            assert speeds.min() >= (-1 if env_id == PARKING else 0)
            assert speeds.max() <= TOP_SPEED
            masks = envs.unwrapped.action_masks()
            assert masks.dtype == np.bool_
            assert masks.shape == (64, envs.single_action_space.n)
            assert masks.any(axis=1).all()
        obs, rewards, terminations, truncations, _ = envs.step(draw_actions(rng, envs.single_action_space.n, 64))
        assert rewards.dtype == np.float64
        assert terminations.dtype == truncations.dtype == np.bool_
        assert np.isfinite(rewards).all()
        num_ends += int((terminations | truncations).sum())
    assert num_ends > 64


@pytest.mark.parametrize("env_id", IDS)
def test_a_single_step_returns_pythons_own_types(env_id) -> None:
    env = gym.make(env_id).unwrapped
    env.reset(seed=0)
    obs, reward, terminated, truncated, info = env.step(2)
    assert obs.dtype == env.observation_space.dtype
    assert obs.shape == env.observation_space.shape
    assert type(reward) is float
    assert type(terminated) is type(truncated) is bool
    types = {key: type(value) for key, value in info.items()}
    assert {types[key] for key in ("success", "collision", "timeout")} == {bool}
    assert {types[key] for key in ("episode_length", "level_seed")} == {int}
    assert {types[key] for key in ("episode_return", "mean_speed")} == {float}
    assert info["action_mask"].dtype == np.bool_


def test_infos_name_the_outcome_of_an_episode() -> None:
    names = {
        *("success", "collision", "at_fault", "pedestrian_hit", "off_road", "red_light", "ran_stop"),
        *("wrong_way", "failed_to_yield", "cut_in", "timeout", "num_lane_changes", "ticks_standing"),
        *("route_completion", "mean_lane_offset", "mean_speed", "mean_abs_jerk"),
        *("episode_length", "episode_return", "level_seed"),
    }
    env = gym.make(HIGHWAY)
    _, info = env.reset(seed=0)
    assert names | {"is_success", "reward_terms", "action_mask"} == info.keys()
    envs = gym.make_vec(HIGHWAY, num_envs=2, max_episode_steps=1)
    assert envs.reset(seed=0)[1] == {}
    infos = envs.step(np.array([1, 1]))[4]
    assert {name for name in infos if not name.startswith("_")} == names
    assert {name[1:] for name in infos if name.startswith("_")} == names


def test_actions_are_numbered_as_highway_envs_meta_actions() -> None:
    assert [(action.name, int(action)) for action in Action] == [
        *(("LEFT", 0), ("IDLE", 1), ("RIGHT", 2), ("FASTER", 3), ("SLOWER", 4)),
    ]
    assert gym.make(HIGHWAY).action_space == gym.spaces.Discrete(5)
    env = gym.make(AUTODRIVE)
    assert env.action_space == gym.spaces.Discrete(4)
    assert env.unwrapped.config.scenario_class.actions == ("LEFT", "RIGHT", "FASTER", "SLOWER")
    env = gym.make(HIGHWAY)
    env.reset(seed=0)
    env.step(Action.SLOWER)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_registry_and_the_scenario_agree(entry) -> None:
    check_scenario(scenario_of(entry.name), entry.max_episode_steps)
    spec = gym.spec(entry.id)
    assert spec.max_episode_steps == entry.max_episode_steps
    assert spec.reward_threshold == entry.reward_threshold
    assert entry_of(entry.name) is entry


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if entry.id in GENERATED and entry.name in FACTS], ids=str
)
def test_the_speed_limit_that_a_scenario_states_is_its_roads(entry, monkeypatch) -> None:
    for speed_limit in (scenario_of(entry.name).speed_limit, 4):
        monkeypatch.setattr(scenario_of(entry.name), "speed_limit", speed_limit)
        env = gym.make(entry.id, **FACTS[entry.name].empty).unwrapped
        env.reset(seed=0)
        assert env._engine.map_of(0)["speed_limit"] == speed_limit


def test_a_map_with_more_reservations_than_its_record_has_room_for_is_refused(monkeypatch) -> None:
    road = scenario_of("Roundabout")
    monkeypatch.setattr(road, "num_slots", road.num_slots - 1)
    with pytest.raises(ValueError, match=rf"Roundabout.num_slots must be at least {road.num_slots + 1}"):
        gym.make("drivesim/Roundabout-v1")


@pytest.mark.parametrize("mode", MODES)
def test_a_vector_environment_says_its_mode_in_both_places(mode) -> None:
    for given in (mode, mode.value, mode.name):
        envs = gym.make_vec(HIGHWAY, num_envs=2, autoreset_mode=given)
        assert envs.unwrapped.autoreset_mode is mode
        assert envs.metadata["autoreset_mode"] is mode


def test_rendering_gives_one_frame_or_text_per_world_in_every_declared_mode() -> None:
    for mode, kind in (("rgb_array", np.ndarray), ("ansi", str)):
        env = gym.make(HIGHWAY, render_mode=mode)
        envs = gym.make_vec(HIGHWAY, num_envs=3, render_mode=mode)
        for each in (env, envs):
            assert mode in each.metadata["render_modes"]
            with pytest.raises(gym.error.ResetNeeded):
                each.render()
            each.reset(seed=0)
        frame = env.render()
        frames = envs.render()
        assert isinstance(frame, kind)
        assert isinstance(frames, tuple)
        assert len(frames) == len(envs.call("render")) == 3
        assert np.array_equal(frames[0], frame)
        before = envs.unwrapped.get_state()
        envs.render()
        assert (envs.unwrapped.get_state() == before).all()


def test_rendering_without_a_mode_warns_and_gives_nothing() -> None:
    for env in (gym.make(HIGHWAY).unwrapped, gym.make_vec(HIGHWAY)):
        env.reset(seed=0)
        with pytest.warns(UserWarning, match="render_mode"):
            assert env.render() is None


def test_next_step_is_the_default_mode() -> None:
    assert gym.make_vec(HIGHWAY).unwrapped.autoreset_mode is gym.vector.AutoresetMode.NEXT_STEP


def test_the_spaces_of_a_batch_are_batched_single_spaces() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=3)
    env = gym.make(HIGHWAY)
    assert envs.single_observation_space == env.observation_space
    assert envs.single_action_space == env.action_space
    assert envs.observation_space == gym.vector.utils.batch_space(env.observation_space, 3)
    assert envs.action_space == gym.spaces.MultiDiscrete([5, 5, 5])


def test_call_and_get_attr_answer_once_per_env() -> None:
    envs = gym.make_vec(HIGHWAY, num_envs=3).unwrapped
    obs, _ = envs.reset(seed=0)
    assert envs.get_attr("render_mode") == (None,) * 3
    assert envs.call("num_envs") == (3, 3, 3)
    for one, other in zip(envs.call("observe"), obs, strict=True):
        assert (one == other).all()
    assert np.array_equal(np.stack(envs.call("action_masks")), envs.action_masks())
    with pytest.raises(AttributeError):
        envs.call("no_such_thing")
    with pytest.raises(AttributeError, match="call"):
        envs.call("step")


def test_success_has_the_name_that_stable_baselines3_reads() -> None:
    env = gym.make(AUTODRIVE, difficulty="easy")
    rng = np.random.default_rng(0)
    seen = set()
    env.reset(seed=0)
    while len(seen) < 2:
        action = int(rng.choice(np.flatnonzero(env.unwrapped.action_masks())))
        *_, terminated, truncated, info = env.step(action)
        assert info["is_success"] is info["success"]
        if terminated or truncated:
            seen.add(info["is_success"])
            env.reset()
