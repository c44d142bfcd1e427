"""One driver for several environments: trained on them at once, measured in each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from loading import load_script
from test_training import contents, counters

from agents.checkpoint import load_latest_checkpoint
from agents.environments import EnvChoice, make_envs, shares
from agents.evaluation import evaluate
from agents.networks import NetworkConfig
from agents.ppo import PPOConfig
from agents.random_agent import make_random
from agents.stepping import Stepper
from agents.training import TrainConfig, load_policy, resume, train
from agents.watching import think_along, watch
from drivesim.registry import IDS

LANE_KEEP, AUTODRIVE = "drivesim/LaneKeep-v1", "drivesim/Autodrive-v1"
BOTH = f"{LANE_KEEP},{AUTODRIVE}"
AGENT = PPOConfig(num_envs=9, num_steps=8, minibatches=2, mask_actions=True, network=NetworkConfig(hidden_sizes=(16,)))
RUN = TrainConfig(
    env=BOTH,
    agent="ppo",
    total_steps=1152,
    eval_interval=576,
    eval_episodes=9,
    num_threads=1,
    tensorboard=False,
    progress=False,
)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_a_run_on_several_environments_resumes_to_the_bit(mode, tmp_path: Path) -> None:
    run = replace(RUN, autoreset_mode=mode)
    train(run, AGENT, tmp_path / "whole")
    train(run, AGENT, tmp_path / "parts", on_evaluation=lambda step, success: step < 1000)
    first = contents(tmp_path / "parts")
    resume(tmp_path / "parts", run)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole") != first
    ours, whole = counters(tmp_path / "parts"), counters(tmp_path / "whole")
    assert ours["worlds_dtype"] == whole["worlds_dtype"]


def test_envs_are_shared_out_evenly_and_seen_alike() -> None:
    envs = make_envs(EnvChoice(BOTH, observation="grid"), 9, "test", {"collision": -0.25})
    assert envs.env_ids == (LANE_KEEP, AUTODRIVE)
    assert envs.env_index.tolist() == [0] * 5 + [1] * 4
    assert [config.split for config in envs.get_attr("config")] == ["test"] * 9
    assert envs.get_attr("config")[8].reward_weights.collision == -0.25
    for choice in EnvChoice(BOTH, observation="grid").each():
        alone = make_envs(choice, 1, "test")
        assert alone.single_observation_space == envs.single_observation_space
        assert alone.single_action_space == envs.single_action_space == gym.spaces.Discrete(5)


def test_an_environment_that_is_given_a_larger_share_has_more_of_the_training_envs(tmp_path: Path) -> None:
    assert shares(21, [1, 3, 1]) == [5, 12, 4]  # 1 to each, and 18 shared out as 3.6, 10.8, 3.6
    assert shares(2, [5, 1, 1]) == [1, 1, 1]
    run = replace(RUN, env_shares={AUTODRIVE: 3})
    assert make_envs(run, 10, "train", env_shares=run.env_shares).env_index.tolist() == [0] * 3 + [1] * 7
    train(replace(run, total_steps=72), AGENT, tmp_path)
    assert load_policy(tmp_path)[1].env_shares == {AUTODRIVE: 3}
    assert {record["env"] for record in load_script("train").compare(tmp_path, 2)} == {LANE_KEEP, AUTODRIVE}
    saved = load_latest_checkpoint(tmp_path / "checkpoints", "last").arrays["worlds"]
    evenly = Stepper(make_envs(RUN, AGENT.num_envs, "train"))
    evenly.begin(list(range(9)))
    assert saved.size != evenly.state().arrays["worlds"].size
    for bad in ({"drivesim/Exit-v1": 2}, {AUTODRIVE: 0}):
        with pytest.raises(ValueError, match="env_shares must be at least 1, of some of"):
            replace(RUN, env_shares=bad)


def test_a_driver_is_measured_in_every_environment_and_in_all_together() -> None:
    config = EnvChoice(BOTH, observation="features")
    record = evaluate(make_random(5, 3), config, episodes=61, seed=4)
    driver = make_random(5, 3)
    each = [
        evaluate(driver, choice, episodes=share, seed=4) for choice, share in zip(config.each(), (31, 30), strict=True)
    ]
    assert record["each"] == each
    assert [part["env"] for part in each] == [LANE_KEEP, AUTODRIVE]
    assert (record["env"], record["episodes"]) == (BOTH, 61)
    for name in ("success_rate", "collision_rate", "mean_return", "mean_length"):
        assert record[name] == pytest.approx((31 * each[0][name] + 30 * each[1][name]) / 61)
    low, high = record["success_ci95"]
    assert low <= record["success_rate"] <= high


def test_the_curve_tells_the_success_in_each_and_the_driver_thinks_along_in_each(tmp_path: Path) -> None:
    train(RUN, AGENT, tmp_path)
    header = (tmp_path / "metrics.csv").read_text().partition("\n")[0].split(",")
    assert {f"eval/success_rate/{name}-v1" for name in ("LaneKeep", "Autodrive")} <= set(header)
    policy, config = load_policy(tmp_path)
    assert config == replace(RUN, num_threads=config.num_threads)
    for choice in config.each():
        replay, moments = watch(policy, choice, seed=5)
        assert replay.env_id == choice.env
        assert all(len(moment.decision.scores) == 5 for moment in moments[:-1])
        assert len(think_along(policy, config, replay)) == len(moments)
    with pytest.raises(ValueError, match="env of the driver"):
        think_along(policy, replace(config, env=LANE_KEEP), replay)


def test_each_of_several_ids_gets_the_levels_or_the_difficulty_that_are_meant_for_it() -> None:
    both = EnvChoice(f"{LANE_KEEP},drivesim/Custom-v1", difficulty="hard", levels=("gallery/chicane",))
    generated, drawn = (replace(choice, among="") for choice in both.each())  # each alone, as the simple drivers drive
    assert (generated.difficulty, generated.levels) == ("hard", ())
    assert (drawn.difficulty, drawn.levels) == (None, both.levels)


def test_what_is_no_list_of_ids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="env must name every id once, got 'drivesim/LaneKeep-v1, drivesim/LaneKeep"):
        EnvChoice(f"{LANE_KEEP}, {LANE_KEEP}")
    with pytest.raises(ValueError, match="env must be one of those in among"):
        EnvChoice(LANE_KEEP, among=AUTODRIVE)
    with pytest.raises(ValueError, match="env must be a registered id, got 'drivesim/Moon-v1'"):
        make_envs(EnvChoice(f"{LANE_KEEP},drivesim/Moon-v1"), 2, "train")
    with pytest.raises(ValueError, match="num_envs must be at least 1 for each of 2 ids, got 1"):
        train(RUN, replace(AGENT, num_envs=1, minibatches=1), tmp_path / "none")
    assert EnvChoice(f"{LANE_KEEP}, {AUTODRIVE}").env == BOTH
    assert np.unique([choice.among for choice in EnvChoice(BOTH).each()]).tolist() == [BOTH]


def test_all_stands_for_every_environment_that_makes_its_own_levels() -> None:
    every = [env_id for env_id in IDS if env_id != "drivesim/Custom-v1"]
    assert EnvChoice("all").env == ",".join(every)
    script = load_script("train")
    parsed = script.parse(["--agent", "ppo", "--env", "all"])
    assert parsed.train.env == ",".join(every)
    assert parsed == script.parse(["--agent", "ppo", "--env", ",".join(every)])


def test_a_driver_of_several_roads_is_compared_in_one_table_with_a_row_for_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--env", BOTH, "--agent", "ppo", "--num-envs", "4", "--num-steps", "8", "--minibatches", "1",
        "--network.hidden-sizes", "8", "--total-steps", "32", "--eval-episodes", "2", "--num-threads", "1",
        "--no-tensorboard", "--no-progress", "--final-episodes", "20", "--out", str(tmp_path),
    ]  # fmt: skip
    assert load_script("train").main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    begin = lines.index("20 held-out levels of each environment:") + 2
    header, *rows = (line.split("  ") for line in lines[begin : begin + 3])
    drivers = ["random", "never steers", "ignores others", "rule-based"]
    assert [cell.strip() for cell in header if cell][-4:] == drivers
    records = json.loads((tmp_path / "evaluation.json").read_text())
    assert [(record["env"], record["agent"]) for record in records] == [
        (env_id, driver) for env_id in (LANE_KEEP, AUTODRIVE) for driver in ("ppo", *drivers)
    ]
    for row, own in zip(rows, (records[:5], records[5:]), strict=True):
        shown = [cell.strip() for cell in row if cell]
        assert (shown[0], shown[1].split()[0]) == (own[0]["env"], f"{own[0]['success_rate']:.1%}")
        assert shown[-4:] == [f"{record['success_rate']:.1%}" for record in own[1:]]
