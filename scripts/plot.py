"""Draws figures, each as PNG and SVG: learning curves, comparisons of algorithms, regret, the traffic's flow.

.venv/bin/python scripts/plot.py curve runs/first
.venv/bin/python scripts/plot.py curve runs/results/Highway-v1__ppo__* --out plots
.venv/bin/python scripts/plot.py compare runs/results/*-v1__*__? --out plots
.venv/bin/python scripts/plot.py regret runs/results/regret-*.json --out plots
.venv/bin/python scripts/plot.py traffic --out plots
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from agents.command_line import refuse
from agents.plots import plot_comparison, plot_learning_curve, plot_regret, plot_traffic
from drivesim.files import printable, require_place


@dataclass(frozen=True)
class Curve:
    """Success and return over steps, of a run or of several seeds."""

    run_dirs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders: one, runs/latest for the newest, or several seeds of one environment and algorithm."""
    out: Path | None = None
    """Folder to write to; None takes the run folder, or plots/ for several."""

    def plot(self) -> tuple[Path, ...]:
        """Writes the figure; returns its paths."""
        return plot_learning_curve(self.run_dirs, self.out)


@dataclass(frozen=True)
class Compare:
    """Held-out success of algorithms over steps and seconds, a row per environment."""

    run_dirs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders; those of one environment and algorithm are taken for seeds."""
    out: Path = Path("plots")
    """Folder to write to."""

    def plot(self) -> tuple[Path, ...]:
        """Writes the figure; returns its paths."""
        return plot_comparison(self.run_dirs, self.out)


@dataclass(frozen=True)
class Regret:
    """What drivers earn less than the best drives, over how much these are held up in a level."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """What evaluate.py --regret --json printed, a file for each driver and environment."""
    out: Path = Path("plots")
    """Folder to write to."""

    def plot(self) -> tuple[Path, ...]:
        """Writes the figure; returns its paths."""
        return plot_regret(self.files, self.out)


@dataclass(frozen=True)
class Traffic:
    """Flow and mean speed of the traffic over its density, measured on a ring road."""

    out: Path = Path("plots")
    """Folder to write to."""
    worlds: int = 8
    """Rings per point, each with a start of its own."""
    ticks: int = 1000
    """Measured, after as many that are not."""
    seed: int = 0
    """Of starts and dawdling."""

    def plot(self) -> tuple[Path, ...]:
        """Measures and writes the figure; returns its paths."""
        return plot_traffic(self.out, worlds=self.worlds, ticks=self.ticks, seed=self.seed)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed: Curve | Compare | Regret | Traffic = tyro.extras.subcommand_cli_from_dict(
        {"curve": Curve, "compare": Compare, "regret": Regret, "traffic": Traffic},
        args=arguments,
        description=__doc__,
    )
    try:
        require_place(parsed.out, is_folder=True)
        with stage("drawing"):
            paths = parsed.plot()
    except (ValueError, OSError, ModuleNotFoundError) as error:
        return refuse(error)
    print(*(printable(str(path)) for path in paths), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
