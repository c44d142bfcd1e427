"""Draws the picture of the README: rule-based drivers in all scenarios, side by side.

    python scripts/make_media.py

The same seeds give the same file as long as rules, drivers and drawing stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from PIL import Image

import drivesim  # noqa: F401 - registers the ids
from agents.scripted import make_scripted

GAP = 6  # pixels between two panes
TALL = ("drivesim/Autodrive-v0", "drivesim/LaneKeep-v0", "drivesim/Obstacles-v0", "drivesim/Intersection-v0")
WIDE = "drivesim/Highway-v0"
WIDE_SHARE = 0.46  # of the wide pane's height: the road, without most of the verge


@dataclass(frozen=True)
class Arguments:
    """What the command line holds."""

    out: Path = Path(__file__).resolve().parents[1] / "docs" / "media" / "drivers.gif"
    """File to write."""
    num_frames: int = 48
    """Ticks shown."""
    height: int = 264
    """Height of the upper panes, in pixels."""
    num_colours: int = 40
    """Size of the palette."""
    milliseconds: int = 160
    """Time of a frame."""
    seed: int = 3
    """Of the first episode in every pane."""


def frames(env_id: str, seed: int) -> Iterator[np.ndarray]:
    """Pictures of one drive after the other."""
    driver = make_scripted(env_id)
    env = gym.make(env_id, render_mode="rgb_array", observation=driver.observation, split="test")
    obs, _ = env.reset(seed=seed)
    while True:
        yield picture_of(env)
        obs, _, terminated, truncated, _ = env.step(int(driver(np.asarray(obs)[None])[0]))
        if terminated or truncated:
            yield picture_of(env)
            obs, _ = env.reset()


def picture_of(env: gym.Env[Any, Any]) -> np.ndarray:
    """The environment's picture."""
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    return frame


def scaled(frame: np.ndarray, width: int, height: int) -> Image.Image:
    """A picture of another size."""
    return Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)


def cut(frame: np.ndarray, share: float) -> np.ndarray:
    """The middle `share` of a picture's height."""
    margin = round(frame.shape[0] * (1.0 - share) / 2.0)
    return frame[margin : frame.shape[0] - margin]


def sheets(arguments: Arguments) -> Iterator[Image.Image]:
    """All panes on one sheet, tick by tick: the tall ones in a row, the wide one below."""
    panes = [frames(env_id, arguments.seed) for env_id in (*TALL, WIDE)]
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
        yield sheet


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    pictures = list(islice(sheets(parsed), parsed.num_frames))
    # One palette for all frames, or colours would flicker; no dithering, which moves from frame to frame. The octree
    # keeps colours that cover few pixels, which is what cars have.
    middle = pictures[len(pictures) // 2]
    palette = middle.quantize(parsed.num_colours, method=Image.Quantize.FASTOCTREE)
    images = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    parsed.out.parent.mkdir(parents=True, exist_ok=True)
    images[0].save(
        parsed.out, save_all=True, append_images=images[1:], duration=parsed.milliseconds, loop=0, optimize=True
    )
    width, height = images[0].size
    print(f"{parsed.out}: {len(images)} frames of {width} x {height}, {parsed.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
