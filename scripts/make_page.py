"""Writes the page in which one drives, watches, races and draws: one HTML file, to be opened from disk.

    .venv/bin/python scripts/make_page.py                                          # play.html
    .venv/bin/python scripts/make_page.py --run runs/latest -o drivers.html
    .venv/bin/python scripts/make_page.py --driver docs/drivers/obstacles.json     # a driver that was kept as a file
    .venv/bin/python scripts/make_page.py --run runs/latest --keep obstacles.json  # keep one, without its run

The page holds the compiled kernels as WebAssembly, the rule-based driver, on some roads as drives, and trained drivers
with weights of 8 bits. Nothing is served and nothing is asked for.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import contextlib
import json
import sys
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import tyro

from agents.command_line import status_of
from agents.export.rules_form import rules_for_page
from agents.scripted import DRIVERS, make_scripted
from agents.scripted.highway import HighwayDriver
from agents.scripted.route import RouteDriver
from drivesim.browser.page import PageError, require_module, write_play_page
from drivesim.config import DIFFICULTIES
from drivesim.files import require_place, write_whole
from drivesim.registry import ENTRIES, entry_of

NUM_LEVELS = 10  # of every road and difficulty, driven by rules
IN_THE_PAGE = (HighwayDriver, RouteDriver)  # whose rules a page can compute; of the others it holds drives


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    run: tuple[Path, ...] = ()
    """Folders of runs, whose best drivers go into the page."""
    driver: tuple[Path, ...] = ()
    """Drivers that were kept as files."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("play.html")
    """The page."""
    keep: Path | None = None
    """Write the run's driver to this file, and no page."""
    rules: bool = True
    """Whether the rule-based driver goes into the page."""


def rule_based_drivers() -> dict[str, dict[str, Any]]:
    """Those that drive in the page, by their roads."""
    names = [name for name, driver in DRIVERS.items() if driver in IN_THE_PAGE]
    return {name: rules_for_page(entry_of(name).id) for name in names}


def drives_by_rules(others: Container[str]) -> dict[str, list[str]]:
    """The rule-based driver's actions on the first levels of every road but some others."""
    found = {}
    for entry in ENTRIES:
        if entry.name not in others:
            for difficulty in DIFFICULTIES:
                options = {"difficulty": difficulty, "split": "test"}
                found[f"{entry.name} {difficulty}"] = driven(entry.id, NUM_LEVELS, **options)
    return found


def driven(env_id: str, num: int, **options: Any) -> list[str]:
    """The rule-based driver's actions with the seeds 0, 1, … as digits, until the first episode's end."""
    driver = make_scripted(env_id)
    envs: Any = gym.make_vec(env_id, num_envs=num, observation=driver.observation, **options)
    with contextlib.closing(envs):
        obs, _ = envs.reset(seed=0)
        digits = [""] * num
        is_over = np.zeros(num, np.bool_)
        while not is_over.all():
            actions = driver(obs)
            obs, _, terminated, truncated, _ = envs.step(actions)
            for n in np.flatnonzero(~is_over).tolist():
                digits[n] += str(int(actions[n]))
            is_over |= terminated | truncated
    return digits


def driver_in(path: Path) -> dict[str, Any]:
    """A driver that was kept as a file.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        driver = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        driver = None
    if not isinstance(driver, dict) or "name" not in driver:
        raise ValueError(f"driver must be a file that --keep wrote, got {str(path)!r}")
    return driver


def driver_of(run: Path) -> dict[str, Any]:
    """The best driver of a run, as the page holds it.

    Raises:
        ValueError: if it has none, or one that a page does not show.
        OSError: if it is no run.
    """
    from agents.checkpoint import CheckpointError  # torch is not asked for by a page without drivers
    from agents.export.export_run import ExportError
    from agents.export.page_form import driver_for_page

    try:
        return driver_for_page(run)
    except (CheckpointError, ExportError) as error:
        raise ValueError(str(error)) from error


def write(arguments: Arguments) -> None:
    """Writes the page, or the driver to be kept."""
    path = arguments.out if arguments.keep is None else arguments.keep
    require_place(path)
    drivers = [driver_in(path) for path in arguments.driver]
    for run in arguments.run:
        with stage(f"reading the driver of {run}"):
            drivers.append(driver_of(run))
    names = [driver["name"] for driver in drivers]
    if len(set(names)) < len(names):
        raise ValueError(f"drivers must have names of their own, got {names}")
    if arguments.keep is None:
        with stage("driving by rules"):
            ruled = rule_based_drivers() if arguments.rules else {}
            drives = drives_by_rules(ruled) if arguments.rules else {}
        require_module()  # which tells how far it is
        with stage("laying out the page"):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_play_page(path, drives, drivers, ruled)
    elif len(drivers) == 1:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(drivers[0], separators=(",", ":")) + "\n")
    else:
        raise ValueError(f"keep takes one driver, got {len(drivers)}")
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(
        lambda: write(tyro.cli(Arguments, args=arguments, description=__doc__)),
        "interrupted",
        refusals=(PageError, gym.error.Error),
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
