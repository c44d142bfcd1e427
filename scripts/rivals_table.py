"""The table of `rivals.py`, and which of several runs is the best."""

from __future__ import annotations

import textwrap
from typing import Any

from tables import table

GOALS: dict[str, tuple[int, float]] = {"95 %": (0, 0.95), "99 %": (0, 0.99), "97 % of the optimum": (1, 0.97)}
"""What is waited for: 0 the share of levels that succeed, 1 what is earned as a share of the optimum; and how much."""

NAMES = {"drivesim": "drivesim", "sb3": "Stable-Baselines3", "sbx": "SBX", "single-file": "single file"}
DASH = "\N{EN DASH}"


def best_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The run that reached most goals, among equals in the least time, or came nearest to the optimum."""

    def rank(record: dict[str, Any]) -> tuple[int, float, float]:
        times = [time[1] for time in record["times"].values() if time is not None]
        return len(times), -sum(times), record["best_share"]

    return max(records, key=rank)


def seconds_of(records: list[dict[str, Any]], goal: str) -> float | None:
    """The mean time to a goal over the seeds, each with the best of its settings; None if one did not reach it."""
    seeds = sorted({record["request"]["seed"] for record in records})
    best = [best_of([record for record in records if record["request"]["seed"] == seed]) for seed in seeds]
    times = [record["times"][goal] for record in best]
    if not times or None in times:
        return None
    return float(sum(time[1] for time in times) / len(times))


def markdown(summary: dict[str, Any]) -> str:
    """Lays a summary out as a Markdown table and says below it how it was measured."""
    runs = summary["runs"]
    entrants = [name for name in NAMES if any(run["request"]["entrant"] == name for run in runs)]
    rivals = [name for name in entrants if name != "drivesim"]
    rows: list[tuple[str, ...]] = [("id", *(NAMES[name] for name in entrants), "the best rival's time, in ours")]
    for env_id in dict.fromkeys(run["request"]["env"] for run in runs):
        mine = {
            name: [run for run in runs if (run["request"]["env"], run["request"]["entrant"]) == (env_id, name)]
            for name in entrants
        }
        times = {name: [seconds_of(mine[name], goal) for goal in GOALS] for name in entrants}
        ratios = []
        for number in range(len(GOALS)):
            ours = times["drivesim"][number] if "drivesim" in times else None
            theirs = [found for name in rivals if (found := times[name][number]) is not None]
            ratios.append(f"{min(theirs) / ours:.1f}" if ours and theirs else DASH)
        cells = [" / ".join(DASH if time is None else f"{time:.0f}" for time in times[name]) for name in entrants]
        rows.append((f"`{env_id}`", *cells, " / ".join(ratios)))
    return f"{table(rows)}\n\n{textwrap.fill(caption(summary), 120)}"


def caption(summary: dict[str, Any]) -> str:
    """How the table was measured."""
    runs, trials = summary["runs"], summary["search"]
    longest = max(run["request"]["max_seconds"] for run in runs)
    interval, levels = (runs[0]["request"][name] for name in ("interval", "levels"))
    seeds = sorted({run["request"]["seed"] for run in runs})
    versions: dict[str, str] = {}
    for run in runs:
        versions |= run["versions"]
    busiest = max(run["busy"] for run in [*runs, *trials])
    said = (
        f"Seconds of the processor until a driver first reached {' / '.join(GOALS)} on {levels:,} held-out levels "
        f"({DASH} if not within {longest:g}), looked at every {interval:g} s; training seed"
        f"{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}. In the last column the least time of a rival, "
        f"divided by ours. One thread each, with {', '.join(f'{name} {what}' for name, what in versions.items())}."
    )
    if trials:
        count = 1 + max(int(trial["name"].rpartition("__")[2]) for trial in trials)
        seconds = max(trial["request"]["max_seconds"] for trial in trials)
        where = trials[0]["request"]["env"].rpartition("/")[2]
        said += f" Before, every rival tried {count} settings on {where}, for up to {seconds:g} s each."
    if busiest > 2:
        said += (
            f" The machine was shared with other work, up to {busiest:.0f} processes that wanted its processors: hence "
            "the time of the processor, not the clock's, and figures that a quiet machine would make smaller."
        )
    return said
