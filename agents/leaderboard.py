"""The table of a competition, as text, Markdown, JSON and a page with films."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.competition import Competition, Score
from agents.evaluation import rates
from agents.metrics import sign_test, wilson_interval
from agents.results import mean_interval
from agents.videos import record
from agents.watching import think_along
from drivesim.decimals import DASH, decimal
from drivesim.files import read_bounded, write_whole
from drivesim.render import palette
from drivesim.replay import Replay

__all__ = ["json_of", "leaderboard", "markdown_of", "remove_films", "text_of", "write_films", "write_leaderboard"]

_MAX_BOARD_BYTES = 1 << 26
_OUTCOMES = {True: ("good", "success"), False: ("bad", "no success"), None: ("none", "not driven")}
_PLAY = "\N{BLACK RIGHT-POINTING TRIANGLE}"
_COLUMNS = ("rank", "driver", "success (95 %)", "return (95 %)", "ticks", "collisions", "won : lost (p)")
_NOTE = (
    "Success with Wilson's 95 % interval over the levels, return with Student's; ticks of the successful drives. "
    "Won : lost counts the levels on which only this driver succeeded, and only the first one; p is the probability of "
    "so uneven a count if both were equally good. A level that was not driven is no success, and has no return."
)


def leaderboard(competition: Competition, scores: Sequence[Score], failed: Sequence[str] = ()) -> dict[str, Any]:
    """Ranks drivers by success, then by mean return; what JSON can hold.

    A driver that left levels out has no mean return and no rate of collisions: leaving out bad ones must not pay.

    Args:
        competition: what was driven.
        scores: at least one.
        failed: drivers that could not drive, and why.
    """
    ranked = sorted(zip(map(_rates, scores), scores, strict=True), key=lambda pair: (*_merit(pair[0]), pair[1].driver))
    rows: list[dict[str, Any]] = []
    for place, (row, score) in enumerate(ranked, start=1):
        is_tie = rows and _merit(rows[-1]) == _merit(row)
        row = {"rank": rows[-1]["rank"] if is_tie else place, "driver": score.driver, **row}
        first = ranked[0][1]
        won, lost = int((score.success & ~first.success).sum()), int((first.success & ~score.success).sum())
        row["against_first"] = None if place == 1 else {"won": won, "lost": lost, "p": sign_test(won, lost)}
        row["successes"] = [None if np.isnan(success) else bool(success) for success in score.results["success"]]
        rows.append(row)
    return {
        "about": competition.about,
        "env": competition.rules.env,
        "options": competition.rules.options(competition.rules.split),
        "seeds": list(competition.seeds),
        "level_seeds": list(competition.level_seeds),
        "repeated_seeds": list(competition.repeated),
        "drivers": rows,
        "refused": [*failed, *(f"{score.driver}: {reason}" for _, score in ranked for reason in score.refused)],
    }


def text_of(board: dict[str, Any]) -> str:
    """Lays the table out for a terminal."""
    lines = [_COLUMNS, *(_cells(row) for row in board["drivers"])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    laid = [
        "  ".join(
            cell.ljust(width) if column == 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([board["about"], "", *laid, *(f"refused: {line}" for line in board["refused"])])


def markdown_of(board: dict[str, Any]) -> str:
    """Lays the table out as Markdown."""
    lines = [_COLUMNS, ("---",) * len(_COLUMNS)]
    lines += [tuple(map(_escaped, _cells(row))) for row in board["drivers"]]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n\n".join(
        [board["about"] + ".", "\n".join(table), _NOTE, *(f"Refused: {_escaped(line)}" for line in board["refused"])]
    )


def json_of(board: dict[str, Any]) -> str:
    """Writes the table, and what it was made of, as one JSON object."""
    return json.dumps(board, allow_nan=False)


def remove_films(out: Path) -> None:
    """Removes the films of an earlier competition from a folder that is to be published as it is.

    They are known by their names, which follow from the earlier leaderboard.json; whatever else lies there stays.

    Args:
        out: which holds leaderboard.json and films.
    """
    try:
        board = json.loads(read_bounded(out / "leaderboard.json", _MAX_BOARD_BYTES))
        stems = {_stem(row["driver"]) for row in board["drivers"]}
        seeds = {int(seed) for seed in board["seeds"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # there was none
        return
    for path in (out / "films").glob("*.html"):
        parts = re.fullmatch(r"[0-9]+-(.*)-([0-9]+)", path.stem)
        if parts and parts[1] in stems and int(parts[2]) in seeds and path.is_file() and not path.is_symlink():
            path.unlink()


def _stem(driver: str) -> str:
    """What a driver's name gives to those of its films."""
    return re.sub("[^A-Za-z0-9]+", "-", driver)[:40]


def write_films(
    folder: Path, competition: Competition, scores: Sequence[Score], num_films: int
) -> dict[str, list[tuple[int, str]]]:
    """Writes pages that play the drives of the first so many levels that a driver drove.

    Returns:
        By driver, the number of the level and the name of the page in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    films: dict[str, list[tuple[int, str]]] = {}
    for number, score in enumerate(scores, start=1):
        stem = f"{number}-{_stem(score.driver)}"
        for n in sorted(score.replays)[:num_films]:
            replay = score.replays[n]
            path = folder / f"{stem}-{competition.seeds[n]}.html"
            record(replay, _moments(score, competition, replay), path, driver=score.driver)
            films.setdefault(score.driver, []).append((n, path.name))
    return films


def write_leaderboard(path: Path, board: dict[str, Any], films: dict[str, list[tuple[int, str]]]) -> None:
    """Writes the page: the table, every driver's levels, and the films beside it.

    Args:
        path: of the HTML file.
        board: see :func:`leaderboard`.
        films: by driver, the number of the level and the address of its page.
    """
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in _COLUMNS)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in _cells(row))}</tr>"
        f'<tr><td></td><td colspan="{len(_COLUMNS) - 1}" class="levels">'
        f"{_levels(board, row, dict(films.get(row['driver'], [])))}</td></tr>"
        for row in board["drivers"]
    )
    refused = "".join(f"<li>{html.escape(line)}</li>" for line in board["refused"])
    first = next((address for shown in films.values() for _, address in shown), None)
    parts = {
        "about": html.escape(board["about"]),
        "table": f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>",
        "note": html.escape(_NOTE),
        "refused": f"<h2>Refused</h2><ul>{refused}</ul>" if refused else "",
        "colours": f"--good: rgb{palette.BLUISH_GREEN}; --bad: rgb{palette.VERMILION};",
        "film": "" if first is None else f'<iframe name="film" title="Film" src="{html.escape(first)}"></iframe>',
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], _PAGE))


def _rates(score: Score) -> dict[str, Any]:
    """What the table tells of a score."""
    levels, success = score.success.size, score.success
    row: dict[str, Any] = {
        "levels": levels,
        "episodes": score.episodes,
        "success_rate": float(success.mean()),
        "success_ci95": list(wilson_interval(int(success.sum()), levels)),
        "mean_length_of_successes": float(score.results["episode_length"][success].mean()) if success.any() else None,
    }
    is_whole = score.episodes == levels
    means = rates(score.results) if is_whole else {}
    for name in ("mean_return", "mean_length", "collision_rate", "off_road_rate", "timeout_rate"):
        row[name] = means.get(name)
    returns = score.results["episode_return"].tolist()
    row["return_ci95"] = list(mean_interval(returns)) if is_whole and levels > 1 else None
    return row


def _merit(row: dict[str, Any]) -> tuple[float, float]:
    """What ranks, the best lowest."""
    mean = row["mean_return"]
    return -row["success_rate"], np.inf if mean is None else -mean


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    low, high = (100 * bound for bound in row["success_ci95"])
    missing = "" if row["episodes"] == row["levels"] else f" [{row['episodes']} of {row['levels']} driven]"
    shown, against = DASH, DASH
    if row["mean_return"] is not None:
        shown = decimal(row["mean_return"], 2)
        if row["return_ci95"] is not None:
            shown += " ({} to {})".format(*(decimal(bound, 2) for bound in row["return_ci95"]))
    if row["against_first"] is not None:
        against = "{won} : {lost} ({p:.2g})".format(**row["against_first"])
    ticks, collisions = row["mean_length_of_successes"], row["collision_rate"]
    return (
        str(row["rank"]),
        row["driver"] + missing,
        f"{100 * row['success_rate']:.1f} % ({low:.1f}{DASH}{high:.1f})",
        shown,
        DASH if ticks is None else f"{ticks:.1f}",
        DASH if collisions is None else f"{100 * collisions:.1f} %",
        against,
    )


def _escaped(text: str) -> str:
    """A text as Markdown shows it."""
    return re.sub(r"([\\|`*_<\[])", r"\\\1", text)


def _moments(score: Score, competition: Competition, replay: Replay) -> list[Any]:
    """A drive, with what a network made of it."""
    config = replace(competition.rules, observation=replay.options.get("observation"), among=score.among)
    return think_along(score.policy or _nobody, config, replay)


def _nobody(obs: Any) -> Any:
    """Stands for whoever drove a claim, and is never asked."""
    raise NotImplementedError


def _levels(board: dict[str, Any], row: dict[str, Any], films: dict[int, str]) -> str:
    """A mark per level, which plays the film where there is one."""
    marks = []
    for n, (seed, is_success) in enumerate(zip(board["seeds"], row["successes"], strict=True)):
        kind, outcome = _OUTCOMES[is_success]
        title = f"level {n + 1}, seed {seed}: {outcome}"
        if n in films:
            address = html.escape(films[n])
            marks.append(f'<a class="{kind}" title="{title}, film" href="{address}" target="film">{_PLAY}</a>')
        else:
            marks.append(f'<i class="{kind}" title="{title}"></i>')
    return "".join(marks)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Leaderboard</title>
<link rel="icon" href="data:,">
<style>
:root { --ink: #1b2028; --faint: #59636f; --line: #dde2e9; --page: #f3f5f8; {{colours}} }
@media (prefers-color-scheme: dark) { :root { --ink: #e9edf2; --faint: #9aa5b3; --line: #2d343e; --page: #12151a; } }
body { margin: 0; padding: 14px clamp(10px, 2vw, 24px) 20px; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0 0 4px; } h2 { font-size: 1rem; }
p, li { color: var(--faint); max-width: 70em; overflow-wrap: anywhere; }
table { display: block; overflow-x: auto; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--faint); font-weight: 600; font-size: .82rem; }
th, td { padding: 4px 14px 2px 0; } thead tr, tr:nth-child(even) { border-bottom: 1px solid var(--line); }
.levels { padding-bottom: 8px; max-width: 70em; line-height: 0; }
.levels i, .levels a { display: inline-block; width: 15px; height: 15px; margin: 0 2px 2px 0; border-radius: 3px;
  color: #fff; font: 10px/15px sans-serif; text-align: center; text-decoration: none; vertical-align: top; }
.good { background: var(--good); } .bad { background: var(--bad); }
i.bad { background: repeating-linear-gradient(45deg, var(--bad) 0 3px, transparent 3px 6px); }
.none { border: 1px dashed var(--faint); box-sizing: border-box; }
iframe { width: 100%; height: 780px; border: 1px solid var(--line); border-radius: 10px; margin-top: 14px; }
</style>
</head>
<body>
<h1>Leaderboard</h1>
<p>{{about}}</p>
{{table}}
<p>{{note}} A triangle plays the drive.</p>
{{refused}}
{{film}}
</body>
</html>
"""
