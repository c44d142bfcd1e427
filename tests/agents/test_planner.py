"""The planner: not worse than its base where nothing is left to chance, and otherwise a driver like any other."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from agents.baselines import make_baseline
from agents.competition import Rules
from agents.entrants import load_entrant
from agents.environments import EnvChoice
from agents.evaluation import first_drives
from agents.planner import Planner
from agents.scripted import make_never_steering, make_scripted
from agents.scripted.never_steering import StraightDriver
from agents.watching import watch
from drivesim.replay import Replay
from scripts import evaluate, record

SEEDS = range(1_000_000, 1_000_012)


@pytest.mark.parametrize("env_id", ["drivesim/LaneKeep-v1", "drivesim/Obstacles-v1"])
def test_where_nothing_is_left_to_chance_no_drive_is_worse_than_its_base_drivers(env_id) -> None:
    """A base driver without a memory is sequentially consistent: Bertsekas, proposition 2.1 and after."""
    base = make_never_steering(env_id)
    choice = EnvChoice(env_id, observation=base.observation)
    planner = Planner(base, num_futures=1, horizon=200)
    before = first_drives(base, choice, SEEDS, "test").results["episode_return"]
    after = first_drives(planner, choice, SEEDS, "test").results["episode_return"]
    assert (after >= before - 1e-12).all()
    assert after.mean() > before.mean() + 0.3


def test_it_fails_less_than_rules_that_see_only_what_is_there() -> None:
    base = make_scripted("drivesim/Highway-v1")
    choice = EnvChoice("drivesim/Highway-v1", observation=base.observation, difficulty="hard")
    planner = Planner(base)
    rules, planned = (first_drives(driver, choice, SEEDS, "test").results for driver in (base, planner))
    assert planned["success"].all()
    assert planned["episode_return"].mean() > rules["episode_return"].mean() + 0.03


def test_it_drives_alone_as_in_a_batch_and_leaves_unwanted_envs_to_its_base_driver() -> None:
    choice = EnvChoice("drivesim/Crosswalk-v1", observation="grid")
    planner = Planner(make_scripted("drivesim/Crosswalk-v1"), num_futures=3, horizon=8)
    drives = first_drives(planner, choice, SEEDS[:3], "test")
    for n, seed in enumerate(SEEDS[:3]):
        assert bytes(watch(planner, choice, seed=seed)[0].actions) == drives.actions[n]
    envs = gym.make_vec("drivesim/Crosswalk-v1", num_envs=8, observation="grid")
    obs, _ = envs.reset(seed=0)
    planner.ride_in(envs, np.arange(8) < 4)
    for _ in range(4):  # until everybody is on the way and there is something to choose
        actions = planner(obs)
        assert np.array_equal(actions[4:], planner.policy(obs)[4:])
        obs = envs.step(actions)[0]


def test_it_must_know_the_worlds_and_its_base_driver_must_not_remember() -> None:
    with pytest.raises(RuntimeError, match="ride_in"):
        Planner(make_scripted("drivesim/Highway-v1"))(np.zeros((1, 3, 4, 4), np.uint8))

    class Remembering:
        class network:  # noqa: N801
            memory_size = 4

    with pytest.raises(ValueError, match="memory_size"):
        Planner(Remembering())  # type: ignore[arg-type]
    for options in ({"num_futures": 0}, {"horizon": 0}, {"caution": -1.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Planner(make_scripted("drivesim/Highway-v1"), **options)


def test_it_is_evaluated_filmed_and_enters_competitions_as_any_driver(tmp_path: Path, capsys) -> None:
    arguments = ["--baseline", "planner", "--env", "drivesim/Highway-v1"]
    assert evaluate.main([*arguments, "--episodes", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["agent"], told["success_rate"], told["observation"]) == ("planner", 1.0, "grid")
    film = ["--formats", "gif", "--size", "160", "--out", str(tmp_path), "--seed", str(SEEDS[0])]
    assert record.main([*arguments, *film]) == 0
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".gif", ".json"]
    rules = Rules("drivesim/Highway-v1")
    entrant = load_entrant("planner", rules)
    driven = first_drives(entrant.policy, EnvChoice(rules.env, observation=entrant.observation), SEEDS[:2], "test")
    (path,) = tmp_path.glob("*.json")
    assert bytes(Replay.load(path).actions) == driven.actions[0]
    assert record.main([*arguments, str(path)]) == 2
    assert isinstance(make_baseline("planner", EnvChoice(rules.env))[0], Planner)
    spellings = (make_baseline(name, EnvChoice(rules.env))[0] for name in ("never-steers", "never steers"))
    assert [type(driver) for driver in spellings] == [StraightDriver] * 2
    more = ["--baseline", "never-steers", "--env", "drivesim/LaneKeep-v1", "--episodes", "2", "--json"]
    assert evaluate.main([*more, "--futures", "2"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["agent"] == "never steers, 2 futures"
