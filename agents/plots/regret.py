"""Regret over difficulty: what drivers earn less than the best drive of a level, over how much that one is held up.

How hard a level is, its own optimum tells: its *slack* is how many more ticks the best drive takes than the same way
would on an empty, straight road. What is drawn are records that ``scripts/evaluate.py --regret --json`` prints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.plots.figures import LOOKS, Look, paper_style, save
from agents.run_folder import run_at
from drivesim.files import read_bounded
from drivesim.registry import IDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Regrets", "binned", "plot_regret", "read_regrets"]

MAX_BYTES = 1 << 24  # of a file: tens of thousands of levels
_GROUPS = 5  # of levels
_LINEAR_BELOW = 0.01  # of the axis of regret, which is logarithmic above
_COLUMNS = 2
_NAME = re.compile(r"[\w /:.,-]+", re.ASCII)  # of what is drawn: none starts a formula


@dataclass(frozen=True)
class Regrets:
    """A driver's regret in levels of one environment."""

    env: str
    """Environment id."""
    agent: str
    """The driver's name."""
    slack: NDArray[np.float64]
    """(N,) ticks that the best drive takes more than the same way on an empty, straight road."""
    regret: NDArray[np.float64]
    """(N,) what the driver earns less than the optimum, at least 0."""


def read_regrets(path: Path) -> list[Regrets]:
    """Reads what ``scripts/evaluate.py --regret --json`` printed, one for each environment.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else.
    """
    content = read_bounded(run_at(path), MAX_BYTES)
    try:
        records = json.loads(content)["regret"]
        return [_read(record) for record in records]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not what evaluate.py --regret --json prints: {error!r}") from error


def plot_regret(paths: Sequence[Path], out: Path) -> tuple[Path, Path]:
    """Draws the regret of drivers over the slack of levels: a panel per environment, a colour per driver.

    Every point is a level; lines lead through the medians of five groups of equally many levels, by their slack, which
    a crash among them does not move. Regret is on a logarithmic axis, below 0.01 on a linear one.

    Args:
        paths: of files as for :func:`read_regrets`, at least one.
        out: folder to write to.

    Returns:
        The paths of PNG and SVG, ``regret``.

    Raises:
        OSError, ValueError: as :func:`read_regrets`; or a driver is there twice.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    found = [regrets for path in paths for regrets in read_regrets(path)]
    if not found:
        raise ValueError("a plot of regret needs at least one file")
    names = [(regrets.env, regrets.agent) for regrets in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"every driver must be there once in an environment, got {twice[0][1]!r} in {twice[0][0]} twice"
        )
    envs = sorted({env for env, _ in names}, key=lambda env: (IDS.index(env) if env in IDS else len(IDS), env))
    agents = list(dict.fromkeys(agent for _, agent in names))
    if len(agents) > len(LOOKS):
        raise ValueError(f"at most {len(LOOKS)} drivers can be told apart, got {len(agents)}")
    num_rows = -(-len(envs) // _COLUMNS)
    with paper_style():
        figure = Figure(figsize=(3.7 * min(len(envs), _COLUMNS), 0.6 + 2.1 * num_rows))
        panels = figure.subplots(num_rows, min(len(envs), _COLUMNS), squeeze=False, sharey=True)
        for axes, env in zip(panels.flat, envs, strict=False):
            for regrets in found:
                if regrets.env == env:
                    _draw(axes, regrets, LOOKS[agents.index(regrets.agent)])
            axes.set_title(env.rpartition("/")[2])
            axes.set_yscale("symlog", linthresh=_LINEAR_BELOW)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("slack of the optimum (ticks)")
        for axes in panels.flat[len(envs) :]:
            axes.set_visible(False)
        for row in panels:
            row[0].set_ylabel("regret per level")
        panels[0, 0].set_ylim(0, 4)  # a crash costs 2 and what was left of the route
        handles = {
            label: handle
            for axes in panels.flat
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        title = "Every point is a level; lines through the medians of up to five groups of them"
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper left", ncols=len(agents), title=title, alignment="left"
        )
        return save(figure, out, "regret")


def binned(regrets: Regrets) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean slack and median regret of up to five groups of equally many levels, (G,) each; equals stay together."""
    order = np.argsort(regrets.slack, kind="stable")
    slack, regret = regrets.slack[order], regrets.regret[order]
    edges = np.unique(np.searchsorted(slack, slack[np.arange(_GROUPS) * len(slack) // _GROUPS]))
    groups = list(zip(edges, [*edges[1:], len(slack)], strict=True))
    x = np.array([slack[begin:end].mean() for begin, end in groups])
    return x, np.array([np.median(regret[begin:end]) for begin, end in groups])


def _read(record: dict[str, Any]) -> Regrets:
    levels = record["each_level"]
    if not levels:
        raise ValueError("each_level must hold at least one level")
    values = [
        (level["plan_length"] - level["empty_road_ticks"], level["optimum"] - level["return"]) for level in levels
    ]
    slack, regret = np.array(values, np.float64).T
    if not (np.isfinite(slack).all() and np.isfinite(regret).all()):
        raise ValueError("all numbers must be finite")
    env, agent = record["env"], record["agent"]
    for name in (env, agent):
        if not _NAME.fullmatch(name):
            raise ValueError(f"names must be of letters, got {name!r}")
    return Regrets(env, agent, slack, np.maximum(regret, 0.0))


def _draw(axes: Axes, regrets: Regrets, look: Look) -> None:
    """Draws a driver's points, and the line through the medians."""
    axes.plot(
        regrets.slack,
        regrets.regret,
        linestyle="none",
        marker=look.marker,
        markersize=3,
        markeredgewidth=0,
        alpha=0.35,
        color=look.colour,
        clip_on=False,
    )
    x, y = binned(regrets)
    axes.plot(x, y, color=look.colour, linestyle=look.dashes, marker=look.marker, label=regrets.agent)
