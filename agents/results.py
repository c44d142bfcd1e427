"""Results of many training runs: intervals over seeds, times to a threshold, one table.

A *run record* says how one training run ended and how its best driver did on held-out levels, a *baseline record* how a
driver that learns nothing did on the same levels; ``scripts/results.py`` makes both. Everything here is a function of
such records, so that the table in the README can be made again, and checked, without training.
"""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents import scripted
from agents.metrics import wilson_interval
from agents.run_config import AGENT_CONFIGS
from drivesim.decimals import DASH, decimal
from drivesim.files import write_whole
from drivesim.registry import IDS

__all__ = [
    "BASELINES",
    "FINAL_SEED",
    "THRESHOLDS",
    "markdown",
    "mean_interval",
    "read_summary",
    "seconds_to",
    "student_interval",
    "student_quantile",
    "summarise",
    "write_csv",
    "write_summary",
]

FINAL_SEED = 1_000_000  # far from the envs of the evaluations that chose the best checkpoint
THRESHOLDS = (0.95, 0.99)
"""Shares of held-out episodes, in rising order; a run's time to each of them is measured."""
BASELINES = ("random", *scripted.BASELINES)
"""Drivers that learn nothing, in the order of their columns."""

_CONFIDENCE = 0.95
_SHARE = "of the optimum"
_MEANS = ("collision_rate", "off_road_rate", "timeout_rate", "mean_length_of_successes", "steps", "seconds")
_REGRET = (
    "mean_regret",
    "share_of_optimum",
    "mean_length",
    "plan_mean_length",
    "mean_lane_changes",
    "plan_mean_lane_changes",
)


def seconds_to(path: Path, threshold: float) -> float | None:
    """Returns the training time, in seconds, when an evaluation first reached a share of held-out episodes.

    Args:
        path: of a metrics.csv.
        threshold: the share.

    Returns:
        None if no evaluation reached it.
    """
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row.get("eval/success_rate") and float(row["eval/success_rate"]) >= threshold:
                return float(row["time/seconds"])
    return None


def student_quantile(degrees: int) -> float:
    """Returns the value that Student's t (Student 1908) exceeds in size with probability 5 %.

    By bisection of the distribution's closed form for integer degrees of freedom (Abramowitz & Stegun 1964, 26.7.3 and
    26.7.4).

    Args:
        degrees: of freedom, at least 1.
    """
    low, high = 0.0, 100.0  # with 1 degree, the most, it is 12.7
    for _ in range(60):  # to the last bit
        middle = (low + high) / 2
        if _probability_within(middle, degrees) < _CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns Student's 95 % interval of a mean of shares, clipped to [0, 1]; see :func:`mean_interval`."""
    low, high = mean_interval(values)
    return max(low, 0.0), min(high, 1.0)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns Student's 95 % interval of a mean.

    It takes the values for draws from a normal distribution; equal values give an interval without a width.

    Args:
        values: at least two.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"an interval of a mean needs at least two values, got {count}")
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    spread = student_quantile(count - 1) * math.sqrt(variance / count)
    return mean - spread, mean + spread


def summarise(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Condenses run records into one row per environment and algorithm, over the seeds.

    Args:
        runs: in any order.

    Returns:
        Rows in the order of the registry. ``success_ci95`` is Student's interval over the seeds, or Wilson's over the
        levels where there is one seed only. A mean time to a threshold is None unless every seed reached it;
        ``reached_95`` and so on count the seeds that did.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in sorted(runs, key=_place):
        groups.setdefault((run["env"], run["agent"]), []).append(run)
    return [_row(env_id, agent, group) for (env_id, agent), group in groups.items()]


def markdown(summary: dict[str, Any]) -> str:
    """Lays a summary out as a Markdown table and says below it how it was measured.

    Args:
        summary: holds "runs", "baselines" and "conditions"; at least one run.

    Raises:
        ValueError: there are no runs.
    """
    rows = summarise(summary["runs"])
    if not rows:
        raise ValueError("a table of results needs at least one run")
    agents = sorted({row["agent"] for row in rows}, key=_agent_place)
    goals = " / ".join(f"{100 * threshold:.0f}" for threshold in THRESHOLDS)
    header = ["id", *BASELINES, _SHARE]
    for agent in agents:
        header += [f"{agent.upper()} (95 %)", _SHARE, f"s to {goals} %, in all"]
    lines = [header, ["---"] * len(header)]
    baselines = {(record["env"], record["agent"]): record for record in summary["baselines"]}
    for env_id in dict.fromkeys(row["env"] for row in rows):
        cells = {row["agent"]: row for row in rows if row["env"] == env_id}
        best = max(row["success_mean"] for row in cells.values())
        beside = [baselines.get((env_id, name), {}) for name in BASELINES]
        line = [f"`{env_id}`", *(_percent(record.get("success_rate")) for record in beside)]
        line.append(_percent(beside[-1].get("share_of_optimum")))
        for agent in agents:
            line += _cells(cells[agent], best) if agent in cells else 3 * [DASH]
        lines.append(line)
    table = (
        "\n".join("| " + " | ".join(line) + " |" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")
    )
    return f"{table}\n\n{textwrap.fill(_caption(rows, summary['conditions']), 120)}"


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Writes a summary as JSON with one record per line, atomically."""
    parts = []
    for name, value in summary.items():
        if isinstance(value, list):
            records = ",\n".join(json.dumps(record) for record in value)
            parts.append(f'"{name}": [\n{records}\n]')
        else:
            parts.append(f'"{name}": {json.dumps(value)}')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "{\n" + ",\n".join(parts) + "\n}\n")


def read_summary(path: Path) -> dict[str, Any]:
    """Reads what :func:`write_summary` wrote."""
    summary: dict[str, Any] = json.loads(path.read_text())
    return summary


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the rows of :func:`summarise`; intervals take two columns."""
    flat = [
        {
            **{name: value for name, value in row.items() if not isinstance(value, list)},
            "seeds": " ".join(str(seed) for seed in row["seeds"]),
            "success_low": row["success_ci95"][0],
            "success_high": row["success_ci95"][1],
        }
        for row in rows
    ]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_whole(path, text.getvalue())


def _probability_within(t: float, degrees: int) -> float:
    """P(|T| < t)."""
    theta = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(theta)
    odd = degrees % 2
    # cos + 2/3 cos^3 + 2*4/(3*5) cos^5 + ...  or  1 + 1/2 cos^2 + 1*3/(2*4) cos^4 + ..., up to the power degrees - 2
    total, term = 0.0, cosine if odd else 1.0
    for power in range(odd, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (power + 1) / (power + 2)
    if odd:
        return (theta + math.sin(theta) * total) * 2 / math.pi
    return math.sin(theta) * total


def _agent_place(agent: str) -> int:
    names = list(AGENT_CONFIGS)
    return names.index(agent) if agent in AGENT_CONFIGS else len(names)


def _place(run: dict[str, Any]) -> tuple[int, str, int, int]:
    env_id = run["env"]
    return IDS.index(env_id) if env_id in IDS else len(IDS), env_id, _agent_place(run["agent"]), run["seed"]


def _row(env_id: str, agent: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    successes = [run["success_rate"] for run in runs]
    if len(runs) > 1:
        interval = student_interval(successes)
    else:
        interval = wilson_interval(round(successes[0] * runs[0]["episodes"]), runs[0]["episodes"])
    row: dict[str, Any] = {
        "env": env_id,
        "agent": agent,
        "seeds": [run["seed"] for run in runs],
        "success_mean": math.fsum(successes) / len(runs),
        "success_ci95": list(interval),
    }
    for name in _MEANS:
        row[name] = _mean([run[name] for run in runs if run[name] is not None])
    for name in _REGRET:
        row[name] = _mean([run[name] for run in runs if run.get(name) is not None])
    row["steps_per_second"] = row["steps"] / row["seconds"]
    for threshold in THRESHOLDS:
        name = f"{100 * threshold:.0f}"
        times = [run[f"seconds_to_{name}"] for run in runs]
        row[f"reached_{name}"] = sum(time is not None for time in times)
        row[f"seconds_to_{name}"] = None if None in times else _mean(times)
    return row


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _percent(share: float | None) -> str:
    return DASH if share is None else f"{decimal(100 * share, 1)} %"


def _cells(row: dict[str, Any], best: float) -> list[str]:
    """Success, in bold if no algorithm did better, the share of the optimum, and times."""
    low, high = row["success_ci95"]
    mean = _percent(row["success_mean"])
    mark = "**" if row["success_mean"] == best else ""
    times = [row[f"seconds_to_{100 * threshold:.0f}"] for threshold in THRESHOLDS]
    shown = " / ".join(DASH if time is None else f"{time:.0f}" for time in times)
    return [
        f"{mark}{mean}{mark} ({100 * low:.1f}{DASH}{100 * high:.1f})",
        _percent(row["share_of_optimum"]),
        f"{shown}, {row['seconds']:.0f}",
    ]


def _with_one_seed(rows: list[dict[str, Any]]) -> list[str]:
    """Names, for the caption, the algorithms of which there is one seed, and where, if that is not so everywhere."""
    names = []
    for agent in dict.fromkeys(row["agent"] for row in rows):
        one, several = (
            [_short(row["env"]) for row in rows if row["agent"] == agent and (len(row["seeds"]) == 1) is is_one]
            for is_one in (True, False)
        )
        if one:
            where = f" on {', '.join(one)}" if len(one) <= len(several) else f" but on {', '.join(several)}"
            names.append(agent.upper() + (where if several else ""))
    return names


def _short(env_id: str) -> str:
    """Returns an id's own name."""
    return env_id.rpartition("/")[2].rpartition("-v")[0]


def _caption(rows: list[dict[str, Any]], conditions: dict[str, Any]) -> str:
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    alone = _with_one_seed(rows)
    episodes, last_seed = conditions["episodes"], conditions["first_seed"] + conditions["episodes"] - 1
    if alone and len(seeds) > 1:
        over = (
            f"Means over the training seeds {', '.join(map(str, seeds))}, success with Student's 95 % interval; of "
            f"{', '.join(alone)} one seed only, with Wilson's."
        )
    elif len(seeds) > 1:
        over = f"Means over the training seeds {', '.join(map(str, seeds))}; success with Student's 95 % interval."
    else:
        over = f"Training seed {seeds[0]}; success with Wilson's 95 % interval."
    at_once = "one run at a time" if conditions["workers"] == 1 else f"{conditions['workers']} runs at a time"
    threads = "one thread each" if conditions["num_threads"] == 1 else f"{conditions['num_threads']} threads each"
    return (
        f"{over} Each run's best driver was measured on the first episode of each of {episodes:,} held-out envs "
        f"(seeds {conditions['first_seed']:,} to {last_seed:,}), the other drivers on the same; what it earns, as a "
        f"share of what the best drives earn, on the first {conditions['regret_levels']} of them. Seconds of training, "
        f"with its evaluations: until one of them first reached 95 % and 99 % ({DASH} where not every seed did), and "
        f"in all, {conditions['max_seconds']:.0f} at most. By `.venv/bin/python scripts/results.py`, {at_once} with "
        f"{threads}, on {conditions['num_processors']} processors of {conditions['processor']}."
    )
