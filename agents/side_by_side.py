"""Several drives of one level in one film, side by side, each with its ticks and what it has been paid so far.

    own = Drive("ppo", *watch(policy, choice, seed=7))
    record_beside([own, *beside(["optimum", "rule-based"], own, choice)], Path("three.gif"), size=320)

Who has ended waits for the others, at what it was paid in all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.baselines import make_baseline, spoken
from agents.environments import EnvChoice
from agents.regret import BUDGET
from agents.videos import pace, write_gif, write_mp4
from agents.watching import watch
from drivesim.checks import whole
from drivesim.decimals import decimal
from drivesim.planning import solve
from drivesim.render.film import film, num_frames
from drivesim.render.moment import Moment
from drivesim.render.panel import BACKGROUND, BAD, CAPTION, FOREGROUND, GOOD, caption
from drivesim.render.view import LARGEST_SIZE, SMALLEST_SIZE
from drivesim.replay import Replay, all_moments
from drivesim.replay_file import begin, make

__all__ = ["OPTIMUM", "Drive", "beside", "record_beside"]

OPTIMUM = "optimum"
"""Name of the best drive there is, which no driver drives but the planner finds."""

_Picture = NDArray[np.uint8]

_NARROWEST = 128  # pixels of a pane, so that its caption has room
_GAP = 6  # pixels between two panes
_NUM_COLOURS = 32  # of a GIF, which is as large as several


@dataclass(frozen=True)
class Drive:
    """What a driver made of the level."""

    name: str
    """Of the driver."""
    replay: Replay
    """The episode."""
    moments: Sequence[Moment]
    """Its worlds."""


def beside(names: Iterable[str], drive: Drive, choice: EnvChoice | None, budget: int = BUDGET) -> list[Drive]:
    """Lets others drive the level of a drive.

    Args:
        names: :data:`OPTIMUM`, or drivers that learn nothing, as for :func:`agents.baselines.make_baseline`. An optimum
            that is not exact within the budget is called the best drive known.
        drive: the drive; the planner begins with it, if it has come to an end.
        choice: environment and options of the level; None, of which no driver can be made, leaves the optimum.
        budget: of the planner.

    Raises:
        ValueError: naming what is wrong.
    """
    drives, replay = [], drive.replay
    first, last = (drive.moments[n].world["stage"] for n in (0, -1))
    for name in names:
        if name == OPTIMUM:
            with contextlib.closing(make(replay)) as env:
                begin(env, replay)
                plan = solve(env, budget=budget, incumbent=None if last == first else replay.actions)
            own = plan.replay(replay.seed)
            drives.append(Drive(name if plan.is_exact else "best drive known", own, all_moments(own)))
        elif choice is None:
            raise ValueError(f"beside a replay can stand {OPTIMUM!r} alone, got {name!r}")
        else:
            policy, own_choice = make_baseline(name, replace(choice, among=""))
            split = replay.options.get("split", "train")
            drives.append(Drive(spoken(name), *watch(policy, own_choice, seed=replay.seed, split=split)))
    return drives


def record_beside(
    drives: Sequence[Drive],
    path: Path,
    *,
    size: int = 320,
    frames_per_second: float = 30.0,
    ticks_per_second: float = 5.0,
) -> Path:
    """Writes drives of one level as one film, by the suffix of the path; who has ended waits for the others.

    Roads that are shown more than twice as wide as high stand one below the other, all others side by side.

    Args:
        drives: at least one, of one environment and options.
        path: of the file: .mp4 or .gif.
        size: pixels along the longer side of the picture of a road, at most.
        frames_per_second: pictures a second.
        ticks_per_second: pace of the simulation, at most `frames_per_second`.

    Returns:
        The path.

    Raises:
        ValueError: for another suffix, or a size or pace that is impossible.
    """
    if path.suffix not in (".gif", ".mp4"):
        raise ValueError(f"path of a film of several drives must end in .gif or .mp4, got {str(path)!r}")
    frames_per_tick, hold = pace(frames_per_second, ticks_per_second)
    size = whole("size", size, SMALLEST_SIZE, LARGEST_SIZE)
    frames = _pictures(drives, size, frames_per_tick, hold)
    if path.suffix == ".mp4":
        write_mp4(frames, path, frames_per_second)
    else:
        starts, ends = ([replace(drive, moments=[drive.moments[n]]) for drive in drives] for n in (0, -1))
        sample = [next(_pictures(some, size, 1, 0)) for some in (starts, ends)]
        write_gif(frames, path, frames_per_second, num_colours=_NUM_COLOURS, sample=sample)
    return path


def _pictures(drives: Sequence[Drive], size: int, frames_per_tick: int, hold: int) -> Iterator[_Picture]:
    """The pictures of such a film."""
    longest = max(len(drive.moments) for drive in drives) - 1
    count = num_frames(longest, frames_per_tick, hold)
    panes = [_panes(drive, size, frames_per_tick, count) for drive in drives]
    for together in zip(*panes, strict=True):
        height, width = together[0].shape[:2]
        axis = 0 if width > 2 * (height - CAPTION) else 1
        gap = np.full((_GAP, width, 3) if axis == 0 else (height, _GAP, 3), 255, np.uint8)
        parts = [part for pane in together for part in (pane, gap)]
        yield np.concatenate(parts[:-1], axis=axis)


def _panes(drive: Drive, size: int, frames_per_tick: int, count: int) -> Iterator[_Picture]:
    """So many pictures of a drive, each above its caption."""
    num_ticks = len(drive.moments) - 1
    hold = count - num_frames(num_ticks, frames_per_tick, 0)
    earned = np.cumsum([moment.reward for moment in drive.moments])
    end = GOOD if drive.replay.outcome["success"] else BAD
    for n, road in enumerate(film(drive.moments, frames_per_tick=frames_per_tick, size=size, hold=hold)):
        tick = min(-(-n // frames_per_tick), num_ticks)  # that is being driven
        colour = FOREGROUND if n < num_ticks * frames_per_tick else end
        yield _captioned(road, drive.name, tick, float(earned[tick]), colour)


def _captioned(road: _Picture, name: str, tick: int, earned: float, colour: tuple[int, int, int]) -> _Picture:
    """A picture of a road above two lines: who drives, and how far it has come."""
    height, width = road.shape[0], max(road.shape[1], _NARROWEST)
    below = caption(name, f"{tick} ticks", decimal(earned, 3, is_change=True), colour, width)
    pane = np.empty((height + len(below), width, 3), np.uint8)
    pane[:] = BACKGROUND
    left = (width - road.shape[1]) // 2
    pane[:height, left : left + road.shape[1]] = road
    pane[height:] = below
    return pane
