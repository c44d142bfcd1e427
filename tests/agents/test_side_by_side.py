"""Films of several drives: all on one level, who has ended waits, and the totals are what is paid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agents import side_by_side
from agents.environments import EnvChoice
from agents.side_by_side import Drive, beside, record_beside
from drivesim.render.film import num_frames
from drivesim.render.panel import BAD, FOREGROUND, GOOD
from drivesim.replay import Replay, all_moments

OPTIONS = {"length": 16, "observation": "grid", "split": "test"}
CHOICE = EnvChoice("drivesim/LaneKeep-v1", observation="grid", level_options={"length": 16})


@pytest.fixture(scope="module")
def drives() -> list[Drive]:
    replay = Replay.of("drivesim/LaneKeep-v1", OPTIONS, seed=5, actions=[3] * 3)  # leaves the road
    hasty = Drive("hasty", replay, all_moments(replay))
    return [hasty, *beside(["optimum", "rule-based"], hasty, CHOICE)]


def test_all_drive_the_same_level_and_nobody_earns_more_than_the_optimum(drives) -> None:
    assert [drive.name for drive in drives] == ["hasty", "optimum", "rule-based"]
    starts = [drive.moments[0].state for drive in drives]
    for start in starts[1:]:
        assert start.map.tobytes() == starts[0].map.tobytes()
        assert start.world["vehicles"].tobytes() == starts[0].world["vehicles"].tobytes()
    hasty, best, rules = (drive.replay.outcome["return"] for drive in drives)
    assert hasty < rules <= best


def test_the_best_drive_is_called_the_optimum_only_where_it_is_proven() -> None:
    replay = Replay.of("drivesim/Highway-v1", {"split": "test"}, seed=1_000_002, actions=[1])
    begun = Drive("begun", replay, all_moments(replay))
    (known,) = beside(["optimum"], begun, None, budget=0)
    assert known.name == "best drive known"
    assert known.replay.outcome["success"]


def test_captions_tell_what_has_been_paid_and_who_has_ended_waits_for_the_others(drives, tmp_path, monkeypatch) -> None:
    told: dict[str, list[tuple[Any, ...]]] = {}
    caption = side_by_side.caption

    def noted(title: str, left: str, right: str, colour: Any, width: int) -> Any:
        told.setdefault(title, []).append((left, right, colour))
        return caption(title, left, right, colour, width)

    monkeypatch.setattr(side_by_side, "caption", noted)
    pictures = list(side_by_side._pictures(drives, 64, 2, 1))
    longest = max(drive.replay.outcome["length"] for drive in drives)
    assert len(pictures) == num_frames(longest, 2, 1)
    for drive in drives:
        outcome = drive.replay.outcome
        lines = told[drive.name]
        assert lines[0] == ("0 ticks", "+0.000", FOREGROUND)
        end = (f"{outcome['length']} ticks", f"{outcome['return']:+.3f}", GOOD if outcome["success"] else BAD)
        first = 2 * outcome["length"]
        assert lines[first:] == [end] * (len(pictures) - first)
        assert end not in lines[:first]
    path = record_beside(drives, tmp_path / "all.gif", size=64, frames_per_second=5)
    with Image.open(path) as film:
        assert film.size == pictures[0].shape[1::-1]
        assert film.n_frames > longest


def test_what_cannot_be_shown_is_named(drives) -> None:
    with pytest.raises(ValueError, match="beside a replay can stand 'optimum' alone, got 'rule-based'"):
        beside(["rule-based"], drives[0], None)
    with pytest.raises(ValueError, match="baseline must be one of"):
        beside(["perfect"], drives[0], CHOICE)
    with pytest.raises(ValueError, match=r"must end in \.gif or \.mp4"):
        record_beside(drives, Path("page.html"))
    with pytest.raises(ValueError, match="ticks_per_second must be"):
        record_beside(drives, Path("film.gif"), frames_per_second=1)


def test_wide_roads_stand_one_below_the_other(drives) -> None:
    replay = Replay.of("drivesim/Highway-v1", {}, seed=1, actions=[2])
    wide = [Drive(name, replay, all_moments(replay)) for name in ("a", "b")]
    shapes = [next(side_by_side._pictures(some, 128, 1, 0)).shape for some in (wide[:1], wide)]
    assert shapes[1][0] > 2 * shapes[0][0]
    assert shapes[1][1] == shapes[0][1]
    heights = {next(side_by_side._pictures(some, 128, 1, 0)).shape[0] for some in (drives[:1], drives)}
    assert len(heights) == 1
    assert np.diff([next(side_by_side._pictures(some, 128, 1, 0)).shape[1] for some in (drives[:1], drives)]) > 0
