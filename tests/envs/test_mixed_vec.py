"""A mixed batch is the single environments of its ids, one after the other, to the last byte."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from env_tools import (
    AUTODRIVE,
    CUSTOM,
    HIGHWAY,
    INTERSECTION,
    LANE_KEEP,
    MODES,
    assert_refused,
    assert_same,
    assert_same_future,
)
from gymnasium.vector import AutoresetMode

import drivesim
from drivesim.observations.features import NUM_FEATURES
from drivesim.observations.grid import PLANES

COUNTS = {HIGHWAY: 2, AUTODRIVE: {"num_envs": 3, "num_obstacles": 20}, INTERSECTION: 1, LANE_KEEP: 2}
LIMIT = 9  # steps: episodes are short, so that several follow each other


def alone(envs: Any, i: int, options: dict[str, Any]) -> Any:
    """The single environment that env i of a mixed batch is."""
    env_id = envs.env_ids[envs.env_index[i]]
    own = {"num_obstacles": 20} if env_id == AUTODRIVE else {}
    return gym.make(env_id, max_episode_steps=LIMIT, all_actions=True, **options, **own)


@pytest.mark.parametrize("observation", ["features", "grid", "entities"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_every_env_is_the_single_environment_of_its_id_over_many_episodes(mode, observation) -> None:
    envs = drivesim.make_mixed_vec(
        COUNTS, observation=observation, autoreset_mode=mode, max_episode_steps=LIMIT, reward="cost"
    )
    options: dict[str, Any] = {"observation": observation, "reward": "cost"}
    if observation == "grid":
        options |= {"all_planes": True, "window": (12, 10, 6)}
    elif observation == "entities":
        options["num_entities"] = envs.single_observation_space.shape[0]
    singles = [alone(envs, i, options) for i in range(envs.num_envs)]
    obs, infos = envs.reset(seed=40)
    told = [single.reset(seed=40 + i) for i, single in enumerate(singles)]
    assert_same(obs, np.stack([first for first, _ in told]))
    assert infos == {}
    rng = np.random.default_rng(1)
    ended = np.zeros(envs.num_envs, np.bool_)
    num_episodes = 0
    for _ in range(5 * LIMIT):
        masks = [single.unwrapped.action_masks() for single in singles]
        assert_same(envs.action_masks(), np.stack(masks))
        actions = rng.integers(5, size=envs.num_envs)
        obs, rewards, terminations, truncations, infos = envs.step(actions)
        assert_same(infos["_cost"], np.ones(envs.num_envs, np.bool_))
        begun = ended if mode is AutoresetMode.NEXT_STEP else np.zeros_like(ended)
        ended = terminations | truncations
        for i, single in enumerate(singles):
            if begun[i]:
                assert_same(obs[i], single.reset()[0])
                assert (rewards[i], ended[i], infos["cost"][i]) == (0.0, False, 0.0)
                continue
            last, reward, terminated, truncated, info = single.step(int(actions[i]))
            assert (reward, terminated, truncated) == (rewards[i], terminations[i], truncations[i])
            assert infos["cost"][i] == info["cost"]
            summary = infos
            if mode is AutoresetMode.SAME_STEP and (terminated or truncated):
                assert infos["_final_obs"][i]
                assert infos["_final_info"][i]
                assert_same(infos["final_obs"][i], last)
                summary = infos["final_info"]
                last, _ = single.reset()
            assert_same(obs[i], last)
            for key in ("success", "episode_return", "level_seed", "timeout") if terminated or truncated else ():
                assert summary[f"_{key}"][i]
                assert summary[key][i] == info[key]
        if ended.any():
            summary = infos["final_info"] if mode is AutoresetMode.SAME_STEP else infos
            assert_same(summary["_success"], ended)
            assert not summary["episode_return"][~ended].any()
        num_episodes += int(ended.sum())
        if mode is AutoresetMode.DISABLED and ended.any():
            again = envs.reset(options={"reset_mask": ended})[0]
            for i in np.flatnonzero(ended):
                assert_same(again[i], singles[i].reset()[0])
            assert_same(again[~ended], obs[~ended])
            ended[:] = False
    assert num_episodes >= 4 * envs.num_envs


def test_spaces_and_infos_have_the_form_of_every_vector_environment() -> None:
    envs = drivesim.make_mixed_vec(COUNTS, autoreset_mode="SameStep", max_episode_steps=3)
    assert envs.single_action_space == gym.spaces.Discrete(5)
    assert envs.observation_space.shape == (8, NUM_FEATURES)
    assert envs.env_ids == tuple(COUNTS)
    assert envs.env_index.tolist() == [0, 0, 1, 1, 1, 2, 3, 3]
    twin = gym.make_vec(HIGHWAY, num_envs=8, observation="features", autoreset_mode="SameStep", max_episode_steps=3)
    for both in (envs, twin):
        both.reset(seed=0)
    for _ in range(3):
        infos, plain = envs.step(np.ones(8, int))[4], twin.step(np.ones(8, int))[4]
    assert infos.keys() == plain.keys()
    assert infos["final_info"].keys() == plain["final_info"].keys()
    for key, column in plain["final_info"].items():
        assert (infos["final_info"][key].dtype, infos["final_info"][key].shape) == (column.dtype, column.shape)
    grid = drivesim.make_mixed_vec(COUNTS, observation="grid")
    assert grid.single_observation_space.shape == (len(PLANES), 12 + 1 + 10, 2 * 6 + 1)
    small = drivesim.make_mixed_vec(COUNTS, observation="grid", window=(3, 1, 2))
    assert small.single_observation_space.shape == (len(PLANES), 5, 5)


def test_idle_holds_the_speed_where_an_id_lacks_it_and_is_masked() -> None:
    envs = drivesim.make_mixed_vec({AUTODRIVE: {"num_envs": 1, "num_obstacles": 0, "crossing_cars": 0}, HIGHWAY: 1})
    envs.reset(seed=3)
    assert envs.action_masks()[:, drivesim.Action.IDLE].tolist() == [False, True]
    envs.step(np.full(2, drivesim.Action.FASTER))
    before = envs.get_state()[0]["world"]["vehicles"]["speed"][0, 0]
    envs.step(np.full(2, drivesim.Action.IDLE))
    assert envs.get_state()[0]["world"]["vehicles"]["speed"][0, 0] == before == 1
    envs.step(np.array([drivesim.Action.SLOWER, 1]))
    assert envs.action_masks()[0].tolist() == [True, False, True, True, True]  # SLOWER stays open: it is what waits


def test_actions_numbered_alike_everywhere_do_what_they_do_where_idle_is_left_out() -> None:
    one, other = gym.make(AUTODRIVE), gym.make(AUTODRIVE, all_actions=True)
    rng = np.random.default_rng(0)
    for seed in range(20):
        assert_same(one.reset(seed=seed)[0], other.reset(seed=seed)[0])
        has_ended = False
        while not has_ended:
            name = one.unwrapped.action_names[rng.choice(4, p=(0.1, 0.1, 0.5, 0.3))]
            answers = one.step(one.unwrapped.action_names.index(name)), other.step(drivesim.Action[name])
            assert_same(answers[0][:4], answers[1][:4])
            masks = [answer[4].pop("action_mask").tolist() for answer in answers]
            assert masks[1] == [masks[0][0], False, *masks[0][1:]]
            assert_same(answers[0][4], answers[1][4])
            has_ended = answers[0][2] or answers[0][3]


def test_seeds_masks_and_levels_reach_the_envs_that_they_are_meant_for() -> None:
    envs = drivesim.make_mixed_vec(COUNTS)
    twin = drivesim.make_mixed_vec(COUNTS)
    envs.reset(seed=5)
    twin.reset(seed=[5, 6, 7, 8, 9, 10, 11, 12])
    assert_same_future(envs, twin, 5)
    mask = np.array([False, True, False, False, True, True, False, False])
    options = {"reset_mask": mask, "level_seed": 77}
    before = [world["world"]["episode"].copy() for world in envs.get_state()]
    envs.reset(seed=[None, None, 1, 2, 3, None, 4, 5], options=options)
    assert options == {"reset_mask": mask, "level_seed": 77}
    worlds = [state["world"] for state in envs.get_state()]
    assert np.concatenate([world["episode"] for world in worlds])[mask].tolist() == [
        before[0][1] + 1,
        0,  # seeded anew
        before[2][0] + 1,
    ]
    assert (np.concatenate([world["level_seed"] for world in worlds])[mask] == 77).all()
    assert worlds[3]["episode"].tolist() == before[3].tolist()


def test_a_state_is_a_tuple_and_restores_the_batch_exactly_or_not_at_all() -> None:
    for mode in MODES:
        envs = drivesim.make_mixed_vec(COUNTS, autoreset_mode=mode, max_episode_steps=LIMIT)
        envs.reset(seed=2)
        for _ in range(4):
            envs.step(np.ones(8, int))
        state, obs = envs.get_state(), envs.observe()
        twin = drivesim.make_mixed_vec(COUNTS, autoreset_mode=mode, max_episode_steps=LIMIT)
        twin.set_state(state)
        assert_same(twin.observe(), obs)
        assert_same_future(envs, twin, 12)
    now = envs.get_state()
    bad = copy.deepcopy(state)
    bad[2]["world"]["vehicles"]["cell"][0, 0] = 10**6
    assert_refused(lambda: envs.set_state(bad), INTERSECTION, "cell")
    assert_same(envs.get_state(), now)
    assert_refused(lambda: envs.set_state(state[:2]), "state", "tuple", HIGHWAY, "2 of them")
    assert_refused(lambda: envs.set_state(state, np.ones(3, np.bool_)), "mask", "(8,)", "(3,)")
    envs.set_state(state, np.arange(8) == 5)
    assert_same(envs.get_state()[2], state[2])
    assert_same(envs.get_state()[0], now[0])


def test_without_copies_the_next_step_overwrites_what_was_returned() -> None:
    fresh, views = (drivesim.make_mixed_vec(COUNTS, copy=copies, autoreset_mode="SameStep") for copies in (True, False))
    fresh.reset(seed=1)
    first = views.reset(seed=1)[0]
    for _ in range(12):
        actions = np.full(8, 3)
        kept = fresh.step(actions)
        answers = views.step(actions)
        assert_same(answers, kept)
        assert answers[0] is first
        assert all(one is other for one, other in zip(answers[:4], views.step(actions)[:4], strict=True))
        assert_same(fresh.step(actions)[:4], answers[:4])
        assert kept[0] is not fresh.observe()


def test_what_was_wrong_is_named_before_anything_moves() -> None:
    make = drivesim.make_mixed_vec
    assert_refused(lambda: make({}), "counts", "{}")
    assert_refused(lambda: make([HIGHWAY]), "counts", "dict")
    assert_refused(lambda: make({"drivesim/Moon-v1": 3}), "counts", "'drivesim/Moon-v1'", HIGHWAY)
    assert_refused(lambda: make({HIGHWAY: 0}), "num_envs", HIGHWAY, "0")
    assert_refused(lambda: make({HIGHWAY: {"difficulty": "hard"}}), "num_envs", HIGHWAY)
    assert_refused(lambda: make({HIGHWAY: 2**20, LANE_KEEP: 1}), "num_envs", str(2**20), str(2**20 + 1))
    assert_refused(lambda: make({HIGHWAY: {"num_envs": 1, "reward": "cost"}}), "reward", "'cost'", HIGHWAY)
    assert_refused(lambda: make({HIGHWAY: {"num_envs": 1, "difficulty": "odd"}}), "difficulty", "'odd'", "'easy'")
    assert_refused(lambda: make({HIGHWAY: 1, CUSTOM: 1}, difficulty="easy"), "difficulty", "'easy'")
    assert_refused(
        lambda: make(COUNTS, observation="full_grid"),
        "observation",
        "'full_grid'",
        "'grid', 'features', 'entities', 'rgb'",
    )
    assert_refused(lambda: make(COUNTS, window=(1, 1, 1)), "window", "(1, 1, 1)", "'features'")
    assert_refused(lambda: make(COUNTS, all_actions=False), "all_actions")
    assert_refused(lambda: make(COUNTS, render_mode="human"), "render_mode", "'human'", "'rgb_array', 'ansi'")
    envs = make(COUNTS, autoreset_mode="Disabled", max_episode_steps=1)
    assert_refused(lambda: envs.step(np.zeros(8, int)), "reset")
    assert_refused(lambda: envs.reset(options={"reset_mask": np.arange(8) < 2}), "reset all envs")
    envs.reset(seed=0)
    before = envs.get_state()
    assert_refused(lambda: envs.step([1, 1, 1, 1, 1, 1, 1, 5]), "actions", "[0, 4]", "5 in env 7")
    assert_same(envs.get_state(), before)
    envs.step(np.ones(8, int))
    assert_refused(lambda: envs.step(np.ones(8, int)), "env 0 has ended")
    envs.close()
    assert_refused(lambda: envs.step(np.ones(8, int)), "closed")


def test_texts_pictures_and_attributes_answer_once_per_env_in_their_order() -> None:
    envs = drivesim.make_mixed_vec({LANE_KEEP: 2, AUTODRIVE: 1}, render_mode="ansi")
    envs.reset(seed=4)
    texts = envs.level_text()
    assert len(envs.render()) == len(texts) == 3
    assert texts == envs.call("level_text")
    singles = [gym.make(LANE_KEEP), gym.make(LANE_KEEP), gym.make(AUTODRIVE, all_actions=True)]
    for i, single in enumerate(singles):
        single.reset(seed=4 + i)
        assert single.unwrapped.level_text() == texts[i]
    assert [config.scenario for config in envs.get_attr("config")] == ["LaneKeep", "LaneKeep", "Autodrive"]
