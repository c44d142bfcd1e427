"""Maps of a pool: laid once, shared by all worlds and environments that have them, functions of the level alone."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
from env_tools import CITY, IDLE, world_bytes

import drivesim
from drivesim.core.rng import TEST_SPLIT
from drivesim.core.world import DRIVING, MAX_EGOS
from drivesim.pools import Pool
from drivesim.registry import scenario_of


def make(num_envs: int = 4, **options):
    return gym.make_vec(CITY, num_envs=num_envs, num_maps=3, **options).unwrapped


def map_numbers(envs) -> list[int]:
    return [envs._engine.map_number(i) for i in range(envs.num_envs)]


def test_no_world_and_no_environment_has_a_copy_of_a_map() -> None:
    few, many = make(2), make(200)
    assert many._engine.maps is few._engine.maps is make(1, observation="features", reward="sparse")._engine.maps
    assert len(many._engine.maps) == 2 * 3  # of both splits
    many.reset(seed=0)
    assert set(map_numbers(many)) == {0, 1, 2}
    assert many.get_state().dtype.names == ("world",)
    assert many._engine.maps.itemsize > 20 * many.get_state().itemsize
    assert make(2, num_crosswalks=5)._engine.maps is not few._engine.maps


def test_a_map_is_laid_when_a_level_first_has_it() -> None:
    engine = make(2)._engine
    pool = Pool("City", engine.config.level_config, engine.options)
    assert (pool.maps["rows"] == 0).all()
    pool.lay_drawn("test", num_levels=2)
    assert (pool.maps["rows"] > 0).tolist() == [False] * 3 + [True, True, False]
    laid = pool.maps[4].tobytes()
    pool.lay(np.arange(6))
    assert pool.maps[4].tobytes() == laid
    assert len({road.tobytes() for road in pool.maps}) == 6, "no two are alike, of whichever split"


@pytest.mark.parametrize("split", ["train", "test"])
def test_level_n_has_the_map_of_number_n_modulo_their_number_whatever_the_split_of_the_env(split) -> None:
    envs = make(4, split=split)
    seeds = [1, 4, TEST_SPLIT + 1, TEST_SPLIT + 301]
    obs, _ = envs.reset(seed=0, options={"level_seed": seeds})
    assert map_numbers(envs) == [1, 1, 4, 4]
    other = make(4, split="test" if split == "train" else "train")
    np.testing.assert_array_equal(other.reset(seed=0, options={"level_seed": seeds})[0], obs)
    drawn = make(100, split=split)
    drawn.reset(seed=0)
    assert {number // 3 for number in map_numbers(drawn)} == {int(split == "test")}


def test_a_state_and_a_pickle_hold_worlds_and_no_maps() -> None:
    envs = make(8)
    envs.reset(seed=3)
    packed = pickle.dumps(envs)
    assert len(packed) < envs._engine.maps.itemsize
    copy = pickle.loads(packed)
    assert copy._engine.maps is envs._engine.maps
    other = make(8)
    other.reset(seed=4)
    other.set_state(envs.get_state())
    for _ in range(20):
        actions = np.full(8, IDLE)
        first, second, third = (several.step(actions)[0] for several in (envs, copy, other))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
    np.testing.assert_array_equal(world_bytes(envs.get_state()), world_bytes(other.get_state()))


def test_a_map_that_is_refused_is_refused_again(monkeypatch) -> None:
    monkeypatch.setattr(scenario_of("City"), "num_slots", 1)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"City\.num_slots must be at least \d+, got 1"):
            gym.make(CITY, num_maps=1, num_crosswalks=3, num_people=2)


def test_as_many_egos_as_there_may_be_drive_through_one_town() -> None:
    envs = drivesim.parallel_vec_env(CITY, 4, MAX_EGOS, num_maps=3)
    obs, _ = envs.reset(seed=0)
    assert len(obs) == 4 * MAX_EGOS
    goals = envs.get_state()["world"]["egos"]["goal"]
    assert all(len(set(world.tolist())) > 1 for world in goals), "they have goals of their own"
    rng = np.random.default_rng(0)
    for _ in range(30):
        envs.step(rng.choice([1, 3, 4], 4 * MAX_EGOS))
    for vehicles in envs.get_state()["world"]["vehicles"]:
        cells = vehicles["cell"][vehicles["status"] == DRIVING]
        assert len(cells) > MAX_EGOS // 2, "who has crashed is gone, and most have not"
        assert len(set(cells.tolist())) == len(cells)
    with pytest.raises(ValueError, match=r"must leave a free cell .* has 64, but there are 72 with the 32 egos"):
        drivesim.parallel_vec_env(CITY, 1, MAX_EGOS, difficulty="hard")
