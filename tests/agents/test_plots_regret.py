"""The plot of regret over difficulty: its numbers are those of the records, and it draws nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agents.plots import plot_regret
from agents.plots.regret import Regrets, binned, read_regrets

LEVELS = [
    {"return": 1.5, "optimum": 1.8, "plan_length": 20, "empty_road_ticks": 15},
    {"return": 1.9, "optimum": 1.9 - 1e-12, "plan_length": 15, "empty_road_ticks": 15},
]


def write(path: Path, **changes: Any) -> Path:
    record = {"env": "drivesim/Highway-v1", "agent": "ppo", "each_level": LEVELS, **changes}
    path.write_text(json.dumps({"regret": [record]}))
    return path


def test_slack_is_what_the_best_drive_takes_longer_and_regret_what_is_earned_less(tmp_path) -> None:
    (regrets,) = read_regrets(write(tmp_path / "a.json"))
    assert (regrets.env, regrets.agent) == ("drivesim/Highway-v1", "ppo")
    assert regrets.slack.tolist() == [5, 0]
    assert regrets.regret == pytest.approx([0.3, 0.0])
    assert regrets.regret.min() >= 0


def test_lines_lead_through_medians_of_groups_in_which_equals_stay_together() -> None:
    slack = np.array([9.0, 0, 0, 0, 0, 1, 2, 3, 4, 5])
    x, y = binned(Regrets("", "", slack, slack / 10))
    assert x.tolist() == [0, 1.5, 3.5, 7]
    assert y == pytest.approx(x / 10)
    assert [part.tolist() for part in binned(Regrets("", "", slack[:1], slack[:1]))] == [[9], [9]]
    crash = np.array([0.1, 0.3, 2.5])
    assert binned(Regrets("", "", np.zeros(3), crash))[1].tolist() == [0.3]


def test_every_environment_has_a_panel_and_the_same_records_give_the_same_bytes(tmp_path) -> None:
    paths = [
        write(tmp_path / "a.json"),
        write(tmp_path / "b.json", agent="rule-based"),
        write(tmp_path / "c.json", env="drivesim/Merge-v1"),
    ]
    png, svg = plot_regret(paths, tmp_path / "one")
    assert "Highway-v1" in svg.read_text()
    assert "Merge-v1" in svg.read_text()
    with Image.open(png) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 100
    again = plot_regret(paths, tmp_path / "two")
    assert [path.read_bytes() for path in again] == [png.read_bytes(), svg.read_bytes()]


@pytest.mark.parametrize(
    "changes",
    [
        {"each_level": []},
        {"each_level": [{**LEVELS[0], "return": float("nan")}]},
        {"each_level": [{"return": 1.0}]},
        {"agent": "$x^2$"},
        {"env": 3},
    ],
)
def test_what_is_no_such_record_is_named_with_its_file(changes, tmp_path) -> None:
    path = write(tmp_path / "bad.json", **changes)
    with pytest.raises(ValueError, match=r"bad\.json is not what evaluate\.py --regret --json prints"):
        read_regrets(path)


def test_a_driver_cannot_be_there_twice(tmp_path) -> None:
    with pytest.raises(ValueError, match="got 'ppo' in drivesim/Highway-v1 twice"):
        plot_regret([write(tmp_path / "a.json"), write(tmp_path / "b.json")], tmp_path)
