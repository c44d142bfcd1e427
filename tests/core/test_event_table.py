"""One table of events: everything that is said of an event follows from its row."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drivesim.config import RewardWeights
from drivesim.core.event_table import BITS, EVENTS, HEADS, Effect
from drivesim.core.prices import PRICES, TERMS
from drivesim.core.world import EGO

PACKAGE = Path(__file__).resolve().parents[2] / "drivesim"
NEW_ROW = """
EVENT_HONKED = _row("honked", -0.25, ("route", "shaped"), {effects}, "Per tick in which the ego stands still.")
"""
BEGIN = """
import gymnasium as gym
import drivesim
from drivesim import Action
from drivesim.config import RewardWeights

def stand(**options):
    env = gym.make("drivesim/LaneKeep-v1", **options)
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(Action.IDLE)
    return env, reward, terminated, info
"""
PRICED = """
env, reward, terminated, info = stand()
assert info["honked"] and not terminated
assert info["reward_terms"]["honked"] == -0.25 and reward == -0.254
assert stand(reward_weights={"honked": -2.0, "time": 0.0})[1] == -2.0
assert stand(reward_weights=RewardWeights(honked=-3.0, time=0.0))[1] == -3.0
try:
    RewardWeights(honked=1.0)
except ValueError as error:
    assert "honked" in str(error)
else:
    raise AssertionError("a prize for a penalty")
assert stand(reward="sparse")[1] == stand(reward="cost")[1] == 0.0
assert stand(reward="cost")[3]["cost"] == 1.0
env.step(Action.FASTER)
_, reward, _, _, info = env.step(Action.IDLE)
assert info["honked"] and info["reward_terms"]["honked"] == 0.0 and reward > 0.0

envs = gym.make_vec("drivesim/LaneKeep-v1", num_envs=2, max_episode_steps=1)
envs.reset(seed=0)
assert envs.step([Action.IDLE, Action.FASTER])[4]["honked"].tolist() == [True, False]

from drivesim.render.moment import EVENTS, MILD_EVENTS
assert "honked" in EVENTS.values() and "honked" not in MILD_EVENTS
assert "honked: Per tick in which the ego stands still." in RewardWeights.__doc__
"""
ENDING = """
_, reward, terminated, info = stand()
assert terminated and info["reward_terms"]["honked"] == -0.25 and reward == -0.254
assert not info["success"] and not info["timeout"]
"""


def edited(path: Path, before: str, after: str) -> None:
    """Put `after` in the place of `before`, which a file holds once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name} holds {before!r} {text.count(before)} times"
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.parametrize(
    ("effects", "code"),
    [
        ("Effect.COSTS | Effect.IN_INFO", PRICED),
        ("Effect.ENDS | Effect.FAILS | Effect.IN_INFO", ENDING),
    ],
    ids=["priced", "ending"],
)
def test_a_new_event_is_a_row_and_a_detector(effects, code, tmp_path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "drivesim", ignore=shutil.ignore_patterns("__pycache__"))
    core = tmp_path / "drivesim" / "core"
    edited(core / "event_table.py", "\nEVENTS = ", f"{NEW_ROW.format(effects=effects)}\nEVENTS = ")
    edited(core / "events.py", "    EVENT_HARSH,\n", "    EVENT_HARSH,\n    EVENT_HONKED,\n")
    harsh = "        ego.events |= EVENT_HARSH\n"
    edited(core / "events.py", harsh, f"{harsh}    if vehicle.speed == 0:\n        ego.events |= EVENT_HONKED\n")
    # Plain Python: a changed package would have to be compiled anew.
    variables = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "error", "-c", BEGIN + code]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_row_can_be_what_it_says() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
    assert max(BITS) < 2 ** (8 * EGO["events"].itemsize - 1)
    for event in EVENTS:
        assert (event.weight is None) == (event.heads == ()), f"{event.name}: a price and who pays it go together"
        assert set(event.heads) <= set(HEADS)
        assert event.when.endswith(".")
        if Effect.ENDS | Effect.FAILS in event.effects:
            assert Effect.IN_INFO in event.effects, f"info must tell why a drive failed: {event.name}"
    assert all(price.sentence.endswith(".") for price in PRICES)


def test_weights_terms_and_their_order_are_those_that_results_were_measured_with() -> None:
    assert repr(RewardWeights()) == (
        "RewardWeights(progress=1.0, arrived=1.0, collision=-1.0, pedestrian_hit=-1.0, off_road=-1.0, red_light=-0.5, "
        "ran_stop=-0.5, wrong_way=-0.1, failed_to_yield=-0.1, cut_in=-0.05, lane_change=-0.01, time=-0.4, "
        "offset_factor=0.85, speeding_factor=0.5, harsh_factor=0.9, shoulder_factor=0.5, lane_offset=-0.01, "
        "speeding=-0.02, harsh=-0.005)"
    )
    assert TERMS == (
        *("progress", "arrived", "collision", "pedestrian_hit", "off_road", "red_light", "ran_stop", "wrong_way"),
        *("failed_to_yield", "cut_in", "lane_change", "time", "lane_offset", "speeding", "harsh"),
    )
