"""The table of `rivals.py`, and which of several runs is the best."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

from tables import table

from drivesim.decimals import DASH

OPTIMUM = "97 % of the optimum"
GOALS: dict[str, tuple[int, float]] = {"95 %": (0, 0.95), "99 %": (0, 0.99), OPTIMUM: (1, 0.97)}
"""What is waited for: 0 the share of levels that succeed, 1 what is earned as a share of the optimum; and how much."""

NAMES = {"drivesim": "drivesim", "sb3": "Stable-Baselines3", "sbx": "SBX", "single-file": "single file"}
MARK = "\N{DEGREE SIGN}"


def best_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The run that was first to earn what is asked for, or came nearest to it.

    Success alone would choose drivers that creep.
    """

    def rank(record: dict[str, Any]) -> tuple[bool, float, float]:
        time = record["times"][OPTIMUM]
        return time is not None, 0.0 if time is None else -time[1], record["best_share"]

    return max(records, key=rank)


class Time(NamedTuple):
    """How long a goal took, in seconds of the processor."""

    seconds: float
    """The mean over the seeds."""
    is_reached: bool
    """By every seed; else the time is a bound."""
    is_ours: bool
    """Whether it took this project's preset, whose network policy and value share."""


def time_of(records: list[dict[str, Any]], goal: str) -> Time:
    """The mean time to a goal over the seeds, each with what was fastest to this goal.

    A seed that did not get there counts as long as it was trained, with whatever was trained longest.
    """
    fastest: list[tuple[bool, float, bool]] = []
    for seed in sorted({record["request"]["seed"] for record in records}):
        of_seed = []
        for record in records:
            if record["request"]["seed"] == seed:
                time, settings = record["times"][goal], record["request"]["settings"]
                is_ours = settings is not None and settings["shared"]
                of_seed.append((True, -record["cpu_seconds"], is_ours) if time is None else (False, time[1], is_ours))
        fastest.append(min(of_seed))
    seconds = [abs(seconds) for _, seconds, _ in fastest]
    is_reached = not any(is_bound for is_bound, _, _ in fastest)
    is_ours = is_reached and any(is_ours for _, _, is_ours in fastest)
    return Time(sum(seconds) / len(seconds), is_reached, is_ours)


def ratio(ours: Time, theirs: list[Time]) -> str:
    """The best rival's time, divided by ours; a bound where one of them did not get there."""
    best = min(theirs)
    if not ours.is_reached and not best.is_reached:
        return DASH
    sign = "> " if not best.is_reached else "< " if not ours.is_reached else ""
    return f"{sign}{best.seconds / ours.seconds:.1f}"


def markdown(summary: dict[str, Any]) -> str:
    """Lays a summary out as a Markdown table and says below it how it was measured."""
    there = dict.fromkeys(run["request"]["env"] for run in summary["runs"])
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in [*summary["runs"], *summary["search"]]:
        groups.setdefault((run["request"]["env"], run["request"]["entrant"]), []).append(run)
    entrants = [name for name in NAMES if any((env_id, name) in groups for env_id in there)]
    rows: list[tuple[str, ...]] = [("id", *(NAMES[name] for name in entrants), "the best rival's time, in ours")]
    for env_id in there:
        times = {
            name: [time_of(groups[env_id, name], goal) for goal in GOALS]
            for name in entrants
            if (env_id, name) in groups
        }
        cells = [" / ".join(map(cell, times[name])) if name in times else DASH for name in entrants]
        ours, *theirs = (times.get(name, []) for name in ["drivesim", *(each for each in times if each != "drivesim")])
        ratios = [ratio(mine, list(others)) for mine, *others in zip(ours, *theirs, strict=True)] if theirs else []
        rows.append((f"`{env_id}`", *cells, " / ".join(ratios) or DASH))
    return f"{table(rows)}\n\n{textwrap.fill(caption(summary), 120)}"


def cell(time: Time) -> str:
    """A time, or how long was not enough."""
    return f"{'' if time.is_reached else '> '}{time.seconds:.0f}{MARK if time.is_ours else ''}"


def caption(summary: dict[str, Any]) -> str:
    """How the table was measured."""
    runs, trials = summary["runs"], summary["search"]
    interval, levels = (runs[0]["request"][name] for name in ("interval", "levels"))
    seeds = sorted({run["request"]["seed"] for run in runs})
    versions: dict[str, str] = {}
    for run in runs:
        versions |= run["versions"]
    busiest = max(run["busy"] for run in [*runs, *trials])
    said = (
        f"Seconds of the processor until a driver first reached {' / '.join(GOALS)} on {levels:,} held-out levels, "
        f"looked at every {interval:g} s while the clock stood; after > it was trained for so long and did not. Of a "
        f"rival, each time is the least of all its settings, {MARK} with this project's preset. In the last column the "
        "least time of a rival, divided by ours. "
        f"Training seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}; one thread each, with "
        f"{', '.join(f'{name} {what}' for name, what in versions.items())}."
    )
    if trials:
        entrants = [trial["request"]["entrant"] for trial in trials]
        counts = ", ".join(f"{label} {entrants.count(name)}" for name, label in NAMES.items() if name in entrants)
        seconds = max(trial["request"]["max_seconds"] for trial in trials)
        where = trials[0]["request"]["env"].rpartition("/")[2]
        said += f" Settings tried before on {where}, for up to {seconds:g} s each: {counts}."
    if busiest > 2:
        said += (
            f" The machine was shared with other work, up to {busiest:.0f} processes that wanted its processors: hence "
            "the time of the processor, not the clock's, and figures that a quiet machine would make smaller."
        )
    return said
