"""Draws the moving pictures of the README and of the environments' pages.

    python scripts/make_media.py --runs runs/results    # trained drivers: those that scripts/results.py left there
    python scripts/make_media.py                        # rule-based drivers

One GIF shows all scenarios side by side, and one each of them. The same drivers and seeds give the same files as long
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
from agents.environments import EnvChoice, generates_levels
from agents.policy import Policy
from agents.scripted import make_scripted
from agents.training import load_policy
from agents.videos import write_gif
from agents.watching import watch
from drivesim.registry import ENTRIES, Entry
from drivesim.render.film import film

GAP = 6  # pixels between two panes
TALL = ("Autodrive", "LaneKeep", "Obstacles", "Intersection")
WIDE = "Highway"
WIDE_SHARE = 0.46  # of the wide pane's height: the road, without most of the verge
FRAMES_PER_TICK = 2
SIZE = 640  # pixels along the longer side of what is drawn, before it is made smaller


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    runs: Path | None = None
    """Folder of the race's runs; their drivers drive. Without it the rule-based ones do."""
    agent: str = "ppo"
    """Which algorithm's drivers, of the first training seed."""
    out: Path = Path(__file__).resolve().parents[1] / "docs" / "media"
    """Folder for the files."""
    num_frames: int = 64
    """Pictures in the one of all scenarios."""
    height: int = 228
    """Height of its upper panes, in pixels."""
    size: int = 480
    """Pixels along the longer side of each scenario's own picture, at most."""
    num_colours: int = 40
    """Size of the palettes."""
    frames_per_second: float = 10.0
    """Pace; there are two pictures to a tick."""
    seed: int = 3
    """Of the first episode in every picture."""


def driver_of(entry: Entry, arguments: Arguments) -> tuple[Policy, EnvChoice]:
    """Who drives a scenario; given levels are driven by the rules, since nobody is trained on them."""
    if arguments.runs is not None and generates_levels(entry.id):
        name = entry.id.rpartition("/")[2]
        return load_policy(arguments.runs / f"{name}__{arguments.agent}__0")
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


def sheets(arguments: Arguments) -> Iterator[np.ndarray]:
    """All scenarios on one sheet, picture by picture: the tall ones in a row, the wide one below."""
    entries = {entry.name: entry for entry in ENTRIES}
    panes = [drives(*driver_of(entries[name], arguments), arguments.seed, SIZE) for name in (*TALL, WIDE)]
    for pictures in zip(*panes, strict=True):
        *tall, wide = pictures
        widths = [round(frame.shape[1] * arguments.height / frame.shape[0]) for frame in tall]
        total = sum(widths) + GAP * (len(tall) - 1)
        wide = cut(wide, WIDE_SHARE)
        wide_height = round(wide.shape[0] * total / wide.shape[1])
        sheet = Image.new("RGB", (total, arguments.height + GAP + wide_height), "white")
        left = 0
        for frame, width in zip(tall, widths, strict=True):
            sheet.paste(scaled(frame, width, arguments.height), (left, 0))
            left += width + GAP
        sheet.paste(scaled(wide, total, wide_height), (0, arguments.height + GAP))
        yield np.asarray(sheet)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    try:
        parsed.out.mkdir(parents=True, exist_ok=True)
        pictures: dict[str, Iterator[np.ndarray]] = {"drivers": islice(sheets(parsed), parsed.num_frames)}
        for entry in ENTRIES:
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
