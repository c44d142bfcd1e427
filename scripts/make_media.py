"""Draws the moving pictures of the README and of the environments' pages.

    .venv/bin/python scripts/make_media.py --runs runs/results    # trained drivers, of scripts/results.py
    .venv/bin/python scripts/make_media.py                        # rule-based drivers

One GIF shows many scenarios side by side, and one each of them. Who drives in the former stands in drivers.json beside
it, and in the README between `<!-- film -->` and `<!-- /film -->`. The same drivers and seeds give the same files as
long as rules and drawing stay as they are.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import itertools
import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from agents.checkpoint import CheckpointError
from agents.command_line import status_of
from agents.environments import EnvChoice
from agents.policy import Policy
from agents.scripted import SCENARIOS, make_scripted
from agents.training import load_policy
from agents.videos import write_gif
from agents.watching import watch
from drivesim.files import require_place, write_whole
from drivesim.registry import ENTRIES, Entry
from drivesim.render.film import film

ROOT = Path(__file__).resolve().parents[1]
GAP = 6  # pixels between two panes
ROWS = (
    ("City", "Roundabout", "Parking"),
    ("Merge", "Exit"),
    ("Obstacles", "LaneKeep", "Intersection", "FourWayStop", "Autodrive"),
    ("Overtake", "Crosswalk"),
    ("Highway",),
)
"""Scenarios that are shown together."""
WIDE = {name for row in ROWS[1::2] for name in row} | {"Highway"}
"""Those whose roads lead from left to right: they share a row alone, which is low."""
WIDE_HEIGHTS = {1: 108, 2: 84}
"""Pixels, in a sheet that is `WIDTH` wide, of rows with so many of them."""
WIDTH = 720
MOST_BYTES = 1_000_000  # of the GIF of many scenarios: it is cut at its end until it is smaller
FEWER_FRAMES = 4  # by which
FRAMES_PER_TICK = 2
RULES = "rules"  # who drives where there is no run
SIZE = 640  # pixels along the longer side of what is drawn, before it is made smaller


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    runs: Path | None = None
    """Folder of the race's runs; their drivers drive. Where there is none, the rule-based one does."""
    agent: str = "ppo"
    """Which algorithm's drivers, of the first training seed."""
    out: Path = ROOT / "docs" / "media"
    """Folder for the files."""
    readme: Path = ROOT / "README.md"
    """Gets the caption."""
    num_frames: int = 56
    """Pictures in the one of many scenarios, at most."""
    width: int = WIDTH
    """Its width, in pixels."""
    size: int = 440
    """Pixels along the longer side of each scenario's own picture, at most."""
    num_colours: int = 40
    """Size of the palettes."""
    frames_per_second: float = 10.0
    """Pace; there are two pictures to a tick."""
    seed: int = 3
    """Of the first episode in every picture."""


def run_of(entry: Entry, runs: Path, agent: str) -> Path:
    """The folder of a scenario's run of the first training seed."""
    return runs / f"{entry.id.rpartition('/')[2]}__{agent}__0"


def driver_of(entry: Entry, arguments: Arguments) -> tuple[Policy, EnvChoice]:
    """Who drives a scenario: its trained driver if there is one, else the rule-based one."""
    if arguments.runs is not None:
        run = run_of(entry, arguments.runs, arguments.agent)
        if run.is_dir():
            return load_policy(run)
    driver = make_scripted(entry.id)
    return driver, EnvChoice(env=entry.id, observation=driver.observation)


def drive(policy: Policy, config: EnvChoice, seed: int, size: int | tuple[int, int]) -> Iterator[np.ndarray]:
    """Pictures of one held-out episode, of a longer side of so many pixels or of that width and height."""
    _, moments = watch(policy, config, seed=seed)
    shape: dict[str, Any] = {"size": size} if isinstance(size, int) else {"room": size}
    return film(moments, frames_per_tick=FRAMES_PER_TICK, hold=2 * FRAMES_PER_TICK, **shape)


def drives(policy: Policy, config: EnvChoice, seed: int, size: int | tuple[int, int]) -> Iterator[np.ndarray]:
    """Pictures of one held-out episode after the other."""
    return itertools.chain.from_iterable(drive(policy, config, n, size) for n in itertools.count(seed))


def scaled(frame: np.ndarray, width: int, height: int) -> Image.Image:
    """A picture of another size."""
    return Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)


def row_of(frames: list[np.ndarray], width: int) -> Image.Image:
    """Pictures side by side, all of one height, so that they fill a width."""
    inside = width - GAP * (len(frames) - 1)
    height = round(inside / sum(frame.shape[1] / frame.shape[0] for frame in frames))
    row = Image.new("RGB", (width, height), "white")
    left = 0
    for n, frame in enumerate(frames):
        right = width if n == len(frames) - 1 else left + round(height * frame.shape[1] / frame.shape[0])
        row.paste(scaled(frame, right - left, height), (left, 0))
        left = right + GAP
    return row


def size_in(row: tuple[str, ...], width: int) -> int | tuple[int, int]:
    """How large the pictures of a row's scenarios are drawn."""
    if row[0] not in WIDE:
        return SIZE
    return (width - GAP * (len(row) - 1)) // len(row), WIDE_HEIGHTS[len(row)] * width // WIDTH


def sheets(arguments: Arguments) -> Iterator[np.ndarray]:
    """Scenarios on one sheet, picture by picture: those of ROWS."""
    entries = {entry.name: entry for entry in ENTRIES}
    panes = {
        name: drives(*driver_of(entries[name], arguments), arguments.seed, size_in(row, arguments.width))
        for row in ROWS
        for name in row
    }
    for pictures in zip(*panes.values(), strict=True):
        frames = dict(zip(panes, pictures, strict=True))
        rows = [row_of([frames[name] for name in row], arguments.width) for row in ROWS]
        sheet = Image.new("RGB", (arguments.width, sum(row.height for row in rows) + GAP * (len(rows) - 1)), "white")
        top = 0
        for row in rows:
            sheet.paste(row, (0, top))
            top += row.height + GAP
        yield np.asarray(sheet)


def write_sheets(arguments: Arguments, path: Path) -> None:
    """Writes the GIF of many scenarios, as long as it may be."""
    frames = list(islice(sheets(arguments), arguments.num_frames))
    while True:
        write_gif(frames, path, arguments.frames_per_second, num_colours=arguments.num_colours)
        if path.stat().st_size < MOST_BYTES or len(frames) <= FEWER_FRAMES:
            return
        del frames[-FEWER_FRAMES:]


def caption(drivers: dict[str, str]) -> str:
    """What the README says of that GIF.

    Args:
        drivers: who drives each scenario, the name of an algorithm or `RULES`.
    """
    names = [f"`{name}`" for name in drivers]
    by_rules = [f"`{name}`" for name, driver in drivers.items() if driver == RULES]
    who = "the rule-based drivers"
    if len(by_rules) < len(drivers):
        agents = ", ".join(dict.fromkeys(driver.upper() for driver in drivers.values() if driver != RULES))
        who = f"trained drivers ({agents}, some five minutes on one core at most)"
        who += f", in {in_words(by_rules)} the rule-based one" if by_rules else ""
    lines = textwrap.wrap(
        f"*The yellow cars drive {in_words(names)}, on levels that they have never seen: {who}. Drawn by "
        "`scripts/make_media.py`.*",
        width=120,
        break_on_hyphens=False,
    )
    picture = "![Scenarios side by side, each with a yellow car that finds its way](docs/media/drivers.gif)"
    return "\n".join([picture, "", *lines])


def in_words(names: list[str]) -> str:
    """Names in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def tell(arguments: Arguments) -> None:
    """Writes down who drives in the GIF of many scenarios, for machines and for readers."""
    entries = {entry.name: entry for entry in ENTRIES}
    drivers = {}
    for name in itertools.chain.from_iterable(ROWS):
        run = None if arguments.runs is None else run_of(entries[name], arguments.runs, arguments.agent)
        drivers[name] = arguments.agent if run is not None and run.is_dir() else RULES
    write_whole(arguments.out / "drivers.json", json.dumps(drivers, indent=2) + "\n")
    before, opening, rest = arguments.readme.read_text(encoding="utf-8").partition("<!-- film -->\n")
    _, closing, after = rest.partition("\n<!-- /film -->")
    if not (opening and closing):
        raise ValueError(f"{arguments.readme} must hold <!-- film --> and <!-- /film -->")
    write_whole(arguments.readme, f"{before}{opening}{caption(drivers)}{closing}{after}")


def draw(arguments: Arguments) -> None:
    """Draws all of them."""
    if arguments.runs is not None:
        runs = [run_of(entry, arguments.runs, arguments.agent) for entry in ENTRIES]
        if not any(run.is_dir() for run in runs):
            raise FileNotFoundError(f"{arguments.runs} holds none of the runs {', '.join(run.name for run in runs)}")
    require_place(arguments.readme)
    require_place(arguments.out, is_folder=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "drivers.gif"
    with stage("drawing many scenarios side by side"):
        write_sheets(arguments, path)
    tell(arguments)
    say(path)
    for entry in ENTRIES:
        if arguments.runs is None and entry.name not in SCENARIOS:
            continue  # nobody drives there
        path = arguments.out / f"{entry.module.rpartition('.')[2]}.gif"
        with stage(f"drawing {entry.id}"):
            frames = drive(*driver_of(entry, arguments), arguments.seed, arguments.size)
            write_gif(frames, path, arguments.frames_per_second, num_colours=arguments.num_colours)
        say(path)


def say(path: Path) -> None:
    """Says what a film has become."""
    with Image.open(path) as picture:
        number = getattr(picture, "n_frames", 1)
        shape = f"{number} pictures of {picture.width} x {picture.height}"
    print(f"{path}: {shape}, {path.stat().st_size:,} bytes", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(
        lambda: draw(tyro.cli(Arguments, args=arguments, description=__doc__)),
        "interrupted",
        refusals=(CheckpointError,),
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
