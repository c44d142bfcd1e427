"""Regret: the best drive has none, a worse one what it earns less, and nobody gets above the bound unnoticed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from loading import load_script
from scenario_facts import MEASURED

import agents.regret
from agents.environments import EnvChoice, generates_levels
from agents.evaluation import first_drives
from agents.presets import OPTIMA
from agents.regret import BUDGET, Compared, Drive, compare, compare_with, condensed, in_words, read_compared, regret
from agents.results import mean_interval
from agents.scripted import make_scripted
from drivesim.planning import Plan, solve
from drivesim.registry import entry_of

ROOT = Path(__file__).parents[2]
OVERTAKE = "drivesim/Overtake-v1"  # with traffic, much to gain and quickly planned in
SEEDS = range(1_000_000, 1_000_004)


class Replaying:
    """A driver that takes given actions, those of env i in `drives[i]`, and then the first there is."""

    def __init__(self, drives: list[tuple[int, ...]]) -> None:
        self._drives = drives
        self._tick = 0

    def begin(self) -> None:
        self._tick = 0

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        tick = self._tick
        self._tick += 1
        return np.array([drive[tick] if tick < len(drive) else 0 for drive in self._drives])


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    env = gym.make(OVERTAKE, split="test")
    found = []
    for seed in SEEDS:
        env.reset(seed=seed)
        found.append(solve(env))
    assert all(plan.is_exact for plan in found)
    return found


def measured(policy: Any, choice: EnvChoice) -> dict[str, Any]:
    (record,) = regret(policy, choice, levels=len(SEEDS), seed=SEEDS[0])
    return record


def test_the_best_drive_has_no_regret(plans) -> None:
    record = measured(Replaying([plan.actions for plan in plans]), EnvChoice(OVERTAKE))
    assert record["mean_regret"] == 0.0
    assert record["regret_ci95"] == [0.0, 0.0]
    assert record["share_of_optimum"] == record["success_rate"] == record["exact_rate"] == 1.0
    assert record["mean_length"] == record["plan_mean_length"] == np.mean([plan.ticks for plan in plans])
    assert record["mean_lane_changes"] == record["plan_mean_lane_changes"] > 0


def test_a_worse_drive_has_as_much_regret_as_it_earns_less_whatever_it_was_trained_for(plans) -> None:
    driver = make_scripted(OVERTAKE)
    choice = EnvChoice(OVERTAKE, observation=driver.observation)
    rules = first_drives(driver, choice, SEEDS, "test")
    drives = [tuple(rules.actions[0]), (2, 2), *(plan.actions for plan in plans[2:])]  # the second one crashes
    earned = first_drives(Replaying(drives), choice, SEEDS, "test").results["episode_return"]
    less = [plan.total_reward - each for plan, each in zip(plans, earned, strict=True)]
    assert less[0] > 0.01
    assert less[1] > 1.0
    assert less[2:] == [0.0, 0.0]
    record = measured(Replaying(drives), choice)
    assert record["mean_regret"] == sum(less) / 4
    assert record["regret_ci95"] == list(mean_interval(less))
    assert record["mean_lower"] == record["mean_optimum"] == record["mean_upper"]
    half_price = replace(choice, reward_weights={"collision": -0.5, "off_road": -0.5})
    assert measured(Replaying(drives), half_price) == record


def test_single_levels_are_told_and_add_up_to_the_means(plans) -> None:
    drives = [(2, 2), *(plan.actions for plan in plans[1:])]
    record = measured(Replaying(drives), EnvChoice(OVERTAKE))
    levels = record["each_level"]
    assert [level["seed"] for level in levels] == list(SEEDS)
    assert [level["plan_length"] for level in levels] == [plan.ticks for plan in plans]
    assert [level["bounds"] for level in levels] == [[plan.total_reward] * 2 for plan in plans]
    assert [level["success"] for level in levels] == [False, True, True, True]
    less = [level["optimum"] - level["return"] for level in levels]
    assert record["mean_regret"] == pytest.approx(sum(less) / 4)
    assert all(0 < level["empty_road_ticks"] <= level["plan_length"] for level in levels)


def test_an_empty_road_is_driven_ever_faster_up_to_the_top_speed() -> None:
    env = gym.make(OVERTAKE)
    env.reset(seed=0)
    state = env.unwrapped.get_state()
    state["world"]["vehicles"]["speed"][0, 0], state["world"]["vehicles"]["top_speed"][0, 0] = 1, 3
    for moves, ticks in ((1, 1), (2, 1), (3, 2), (5, 2), (6, 3), (8, 3), (9, 4)):  # 2, 3, 3, 3 cells
        state["world"]["egos"]["remaining"][0, 0] = moves
        env.unwrapped.set_state(state)
        assert agents.regret._empty_road_ticks(env) == ticks


def test_a_driver_above_the_bound_is_an_error_though_its_drive_is_known_to_the_planner(plans, monkeypatch) -> None:
    def with_a_low_bound(env: Any, **options: Any) -> Plan:
        plan = solve(env, **options)  # a drive that is given lifts the bound that it exceeds
        return plan if "incumbent" in options else replace(plan, upper=plan.lower - 0.1, is_exact=False)

    monkeypatch.setattr(agents.regret, "solve", with_a_low_bound)
    with pytest.raises(AssertionError, match="where the bound is"):
        measured(Replaying([plan.actions for plan in plans]), EnvChoice(OVERTAKE))


def test_the_optimum_is_the_middle_of_its_interval() -> None:
    driver, plan = Drive(1.0, 30, 4, True), Drive(1.5, 20, 2, True)
    record = condensed([Compared(0, driver, plan, 1.5, 0.0), Compared(1, driver, plan, 1.7, 0.0)])
    assert (record["mean_lower"], record["mean_optimum"], record["mean_upper"]) == pytest.approx((1.5, 1.55, 1.6))
    assert (record["exact_rate"], record["mean_regret"]) == pytest.approx((0.5, 0.55))
    assert record["share_of_optimum"] == pytest.approx(1 / 1.55)
    poor = replace(plan, total_reward=-1.0)
    assert condensed([Compared(n, poor, poor, -1.0, 0.0) for n in range(2)])["share_of_optimum"] is None


def test_another_driver_is_put_in_the_place_of_the_first_without_planning_again(plans, monkeypatch) -> None:
    choice = EnvChoice(OVERTAKE)
    best, poor = Replaying([plan.actions for plan in plans]), Replaying([(2, 2)] * len(SEEDS))
    levels = compare(poor, choice, SEEDS, "test", BUDGET)
    read = [read_compared(json.loads(json.dumps(asdict(level)))) for level in levels]
    assert read == levels
    monkeypatch.setattr(agents.regret, "solve", None)
    assert condensed(compare_with(read, poor, choice, "test")) == condensed(levels)
    assert condensed(compare_with(read, best, choice, "test"))["mean_regret"] == 0.0
    bound = [replace(level, upper=level.upper - 0.1) for level in levels]
    with pytest.raises(AssertionError, match="the bound is"):
        compare_with(bound, best, choice, "test")


def test_levels_of_ones_own_are_planned_in_and_told() -> None:
    choice = EnvChoice("drivesim/Custom-v1", levels=("gallery/chicane",))
    (record,) = regret(Replaying([(4, 4)] * 2), choice, levels=2, seed=0)
    assert (record["episodes"], record["levels"]) == (2, list(choice.levels))
    assert record["mean_regret"] > 0.1
    assert in_words(record).startswith("regret on 2 levels of drivesim/Custom-v1")


def test_a_driver_of_several_environments_has_a_regret_in_each() -> None:
    choice = EnvChoice(f"drivesim/LaneKeep-v1,{OVERTAKE}")
    records = regret(Replaying([(4, 4, 1), (1,)]), choice, levels=2, seed=7)
    assert [record["env"] for record in records] == choice.env.split(",")
    assert all(record["mean_regret"] > 0.1 for record in records)


def test_the_script_adds_the_regret_to_the_record_and_to_what_is_read(capsys) -> None:
    evaluate = load_script("evaluate")
    arguments = ["--baseline", "rule-based", "--env", OVERTAKE, "--episodes", "6", "--regret", "--regret-levels", "3"]
    assert evaluate.main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    driver = make_scripted(OVERTAKE)
    choice = EnvChoice(OVERTAKE, observation=driver.observation)
    assert record["regret"] == regret(driver, choice, levels=3, seed=1_000_000, agent="rule-based")
    assert (record["episodes"], record["agent"]) == (6, "rule-based")
    assert evaluate.main(arguments) == 0
    assert in_words(record["regret"][0]) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a run folder or --baseline"),
        (["runs/first", "--baseline", "random"], "give either a run folder or --baseline"),
        (["--baseline", "random", "--regret-levels", "1"], "regret_levels must be at least 2"),
    ],
)
def test_a_command_line_without_one_driver_or_with_too_few_levels_is_refused(arguments, message, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        load_script("evaluate").main(arguments)
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "perfect"], "baseline must be one of"),
        (["--baseline", "random", "--env", "probes/Action-v0", "--regret"], "env must be of the suite"),
    ],
)
def test_a_driver_that_is_none_and_an_environment_without_plans_are_named(arguments, message, capsys) -> None:
    assert load_script("evaluate").main([*arguments, "--episodes", "2"]) == 2
    assert message in capsys.readouterr().err


def test_runs_end_at_shares_of_the_optimum_that_was_measured() -> None:
    records = json.loads((ROOT / "docs" / "optimum.json").read_text())["records"]
    measured = {record["env"]: record["mean_optimum"] for record in records if not record["level_options"]}
    assert {entry_of(name).id: value for name, value in OPTIMA.items()} == pytest.approx(measured, abs=6e-4)
    assert measured.keys() == set(filter(generates_levels, MEASURED))
