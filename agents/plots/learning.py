"""Learning curves: of a run, of several seeds, and of algorithms side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agents.plots.figures import LOOKS, Look, paper_style, save
from agents.plots.runs import Curve, Group, group_runs, mean_of_seeds, read_run
from agents.run_config import AGENT_CONFIGS
from drivesim.registry import IDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison", "plot_learning_curve"]

_SOURCES = (  # metrics of success and return, their name, their look
    ("rollout/success", "rollout/episode_return", "while training (exploring)", LOOKS[1]),
    ("eval/success_rate", "eval/mean_return", "held-out levels (greedy)", LOOKS[0]),
)
_MARKERS = 12  # on a line, about
_PERCENT = 100.0


def plot_learning_curve(run_dirs: Sequence[Path], out: Path | None = None) -> tuple[Path, Path]:
    """Draws success and return over environment steps, while training and on held-out levels.

    Several runs must be seeds of one environment and algorithm: then lines are means over the seeds, with Student's
    95 % interval, and thin lines are single seeds. Returns while training are paid by the run's own reward weights, on
    held-out levels by the default ones.

    Args:
        run_dirs: run folders, at least one.
        out: folder to write to; None takes the run folder itself, or ``plots/`` for several runs.

    Returns:
        The paths of PNG and SVG: ``learning_curve`` for one run, else with environment and algorithm in the name.

    Raises:
        FileNotFoundError: one is no run folder, or has no metrics.csv.
        ValueError: nothing was measured, or the runs are no seeds of one another.
    """
    from matplotlib.figure import Figure

    groups = group_runs([read_run(folder) for folder in run_dirs])
    if len(groups) > 1:
        found = ", ".join(f"{group.agent} on {group.env}" for group in groups)
        raise ValueError(f"a learning curve must be of one algorithm in one environment, got {found}")
    (group,) = groups
    with paper_style():
        figure = Figure(figsize=(7.2, 3.1))
        success, returns = figure.subplots(1, 2)
        scale = _step_scale(groups)
        for success_metric, return_metric, label, look in _SOURCES:
            _draw(success, group.curves(success_metric), look, label, scale, is_share=True)
            _draw(returns, group.curves(return_metric), look, label, scale)
        success.set_ylabel("success (%)")
        success.set_ylim(-2, 102)
        returns.set_ylabel("return per episode")
        for axes in (success, returns):
            axes.set_xlabel(_step_label(scale))
            axes.set_xlim(left=0)
        handles, labels = (success if success.lines else returns).get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper left", ncols=len(labels), title=_title(group), alignment="left"
        )
        if len(group.runs) == 1:
            return save(figure, group.runs[0].folder if out is None else out, "learning_curve")
        name = f"learning_curve__{_short(group.env)}__{group.agent}"
        return save(figure, Path("plots") if out is None else out, name)


def plot_comparison(run_dirs: Sequence[Path], out: Path) -> tuple[Path, Path]:
    """Draws the success of algorithms on held-out levels: a row per environment, a line per algorithm.

    Over environment steps and, beside it, over seconds of training with its evaluations, if the runs hold the time.
    Lines are means over seeds with Student's 95 % interval, thin lines single seeds.

    Args:
        run_dirs: run folders, grouped by environment and algorithm.
        out: folder to write to.

    Returns:
        The paths of PNG and SVG, ``comparison``.

    Raises:
        FileNotFoundError: one is no run folder, or has no metrics.csv.
        ValueError: no evaluation was made, or runs of a group are no seeds of one another.
    """
    from matplotlib.figure import Figure

    groups = sorted(group_runs([read_run(folder) for folder in run_dirs]), key=_place)
    metric = "eval/success_rate"
    for group in groups:
        if not group.curves(metric):
            raise ValueError(f"{group.runs[0].folder / 'metrics.csv'} holds no {metric}: no evaluation was made")
    envs = list(dict.fromkeys(group.env for group in groups))
    units: list[Literal["steps", "seconds"]] = ["steps"]
    if any(group.curves(metric, "seconds") for group in groups):
        units.append("seconds")
    scales = {"steps": _step_scale(groups), "seconds": 1.0}
    with paper_style():
        figure = Figure(figsize=(3.7 * len(units), 0.9 + 1.75 * len(envs)))
        panels = figure.subplots(len(envs), len(units), squeeze=False, sharey=True)
        for row, env in zip(panels, envs, strict=True):
            for axes, over in zip(row, units, strict=True):
                for group in groups:
                    if group.env == env:
                        look = LOOKS[list(AGENT_CONFIGS).index(group.agent)]
                        _draw(axes, group.curves(metric, over), look, group.agent.upper(), scales[over], is_share=True)
                axes.set_xlim(left=0)
            row[0].set_title(_short(env))
            row[0].set_ylabel("success (%)")
        panels[0, 0].set_ylim(-2, 102)
        panels[-1, 0].set_xlabel(_step_label(scales["steps"]))
        if len(units) == 2:
            panels[-1, 1].set_xlabel("seconds of training, evaluations included")
        handles = {
            label: handle
            for axes in panels.flat
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        title = f"Held-out levels while training: {_seeds(groups)}"
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper left", ncols=6, title=title, alignment="left"
        )
        return save(figure, out, "comparison")


def _draw(axes: Axes, curves: list[Curve], look: Look, label: str, scale: float, *, is_share: bool = False) -> None:
    """Draws the mean of curves with its interval, and each thinly if there are several; nothing for no curves."""
    if not curves:
        return
    factor = _PERCENT if is_share else 1.0
    band = mean_of_seeds(curves, (0.0, 1.0) if is_share else None)
    if len(curves) > 1:
        for curve in curves:
            marker = "." if len(curve.x) == 1 else ""  # a line through one point is invisible
            axes.plot(curve.x / scale, factor * curve.y, marker=marker, color=look.colour, linewidth=0.5, alpha=0.45)
        axes.fill_between(
            band.x / scale, factor * band.low, factor * band.high, color=look.colour, alpha=0.18, linewidth=0
        )
    axes.plot(
        band.x / scale,
        factor * band.mean,
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markevery=max(1, len(band.x) // _MARKERS),
        clip_on=False,  # markers on an axis are whole
        in_layout=False,  # an empty line has no place
        label=label,
    )


def _step_scale(groups: Sequence[Group]) -> float:
    """The unit of an axis of steps."""
    most = max(max(steps) for group in groups for run in group.runs for steps in run.values.values() if steps)
    return 1e6 if most >= 1e6 else 1e3 if most >= 1e4 else 1.0


def _step_label(scale: float) -> str:
    return {1e6: "environment steps (millions)", 1e3: "environment steps (thousands)", 1.0: "environment steps"}[scale]


def _short(env_id: str) -> str:
    return env_id.rsplit("/", 1)[-1]


def _title(group: Group) -> str:
    about = f"{group.agent.upper()} on {group.env}"
    if len(group.runs) == 1:
        return f"{about}, seed {group.runs[0].seed}"
    return f"{about}: {_seeds([group])}"


def _seeds(groups: Sequence[Group]) -> str:
    """How many seeds the lines are means of."""
    counts = sorted({len(group.runs) for group in groups})
    if counts == [1]:
        return "one seed each"
    number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean of {number} seeds and its 95 % interval, as long as all train; single seeds thin"


def _place(group: Group) -> tuple[int, str, int]:
    """Environments in the order of the registry, algorithms in that of their table."""
    place = IDS.index(group.env) if group.env in IDS else len(IDS)
    return place, group.env, list(AGENT_CONFIGS).index(group.agent)
