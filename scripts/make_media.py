"""Draws the moving pictures of the README and of the environments' pages.

    python scripts/make_media.py --runs runs/results    # trained drivers: those that scripts/results.py left there
    python scripts/make_media.py                        # rule-based drivers

One GIF shows many scenarios side by side, and one each of them. The same drivers and seeds give the same files as long
as rules and drawing stay as they are.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from agents.checkpoint import CheckpointError
from agents.environments import EnvChoice
from agents.policy import Policy
from agents.scripted import SCENARIOS, make_scripted
from agents.training import load_policy
from agents.videos import write_gif
from agents.watching import watch
from drivesim.registry import ENTRIES, Entry
from drivesim.render.film import film

GAP = 6  # pixels between two panes
ROWS = (
    ("City", "Roundabout", "Parking"),
    ("Merge",),
    ("Obstacles", "LaneKeep", "Intersection", "FourWayStop", "Autodrive"),
    ("Highway",),
)
"""Scenarios that are shown together; who has a row alone drives along a road from left to right."""
WIDE_SHARE = 0.46  # of such a road's height: without most of the verge
FRAMES_PER_TICK = 2
SIZE = 640  # pixels along the longer side of what is drawn, before it is made smaller


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    runs: Path | None = None
    """Folder of the race's runs; their drivers drive. Where there is none, the rule-based one does."""
    agent: str = "ppo"
    """Which algorithm's drivers, of the first training seed."""
    out: Path = Path(__file__).resolve().parents[1] / "docs" / "media"
    """Folder for the files."""
    num_frames: int = 56
    """Pictures in the one of many scenarios."""
    width: int = 720
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


def drive(policy: Policy, config: EnvChoice, seed: int, size: int) -> Iterator[np.ndarray]:
    """Pictures of one held-out episode."""
    _, moments = watch(policy, config, seed=seed)
    return film(moments, frames_per_tick=FRAMES_PER_TICK, size=size, hold=2 * FRAMES_PER_TICK)


def drives(policy: Policy, config: EnvChoice, seed: int, size: int) -> Iterator[np.ndarray]:
    """Pictures of one held-out episode after the other."""
    return itertools.chain.from_iterable(drive(policy, config, n, size) for n in itertools.count(seed))


def scaled(frame: np.ndarray, width: int, height: int) -> Image.Image:
    """A picture of another size."""
    return Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)


def cut(frame: np.ndarray, share: float) -> np.ndarray:
    """The middle `share` of a picture's height."""
    margin = round(frame.shape[0] * (1.0 - share) / 2.0)
    return frame[margin : frame.shape[0] - margin]


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


def sheets(arguments: Arguments) -> Iterator[np.ndarray]:
    """Scenarios on one sheet, picture by picture: those of ROWS."""
    entries = {entry.name: entry for entry in ENTRIES}
    panes = {name: drives(*driver_of(entries[name], arguments), arguments.seed, SIZE) for row in ROWS for name in row}
    for pictures in zip(*panes.values(), strict=True):
        frames = dict(zip(panes, pictures, strict=True))
        shown = [[cut(frames[name], WIDE_SHARE) if len(row) == 1 else frames[name] for name in row] for row in ROWS]
        rows = [row_of(row, arguments.width) for row in shown]
        sheet = Image.new("RGB", (arguments.width, sum(row.height for row in rows) + GAP * (len(rows) - 1)), "white")
        top = 0
        for row in rows:
            sheet.paste(row, (0, top))
            top += row.height + GAP
        yield np.asarray(sheet)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    try:
        if parsed.runs is not None:
            runs = [run_of(entry, parsed.runs, parsed.agent) for entry in ENTRIES]
            if not any(run.is_dir() for run in runs):
                raise FileNotFoundError(f"{parsed.runs} holds none of the runs {', '.join(run.name for run in runs)}")
        parsed.out.mkdir(parents=True, exist_ok=True)
        pictures: dict[str, Iterator[np.ndarray]] = {"drivers": islice(sheets(parsed), parsed.num_frames)}
        for entry in ENTRIES:
            if parsed.runs is None and entry.name not in SCENARIOS:
                continue  # nobody drives there
            pictures[entry.module.rpartition(".")[2]] = drive(*driver_of(entry, parsed), parsed.seed, parsed.size)
        for name, frames in pictures.items():
            path = parsed.out / f"{name}.gif"
            write_gif(frames, path, parsed.frames_per_second, num_colours=parsed.num_colours)
            with Image.open(path) as picture:
                number = getattr(picture, "n_frames", 1)
                shape = f"{number} pictures of {picture.width} x {picture.height}"
            print(f"{path}: {shape}, {path.stat().st_size:,} bytes")
    except (ValueError, OSError, CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
