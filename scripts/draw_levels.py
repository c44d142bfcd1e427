"""Draws the pictures of the drawn levels: those of the gallery, and those of the tutorial.

    python scripts/draw_levels.py

The levels of the tutorial are the strings in its blocks of code that are levels; their pictures are called as they are.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro
from PIL import Image

import drivesim  # noqa: F401 (registers the environments)
from drivesim.levels.library import GALLERY, are_texts

ROOT = Path(__file__).resolve().parents[1]
CUSTOM = "drivesim/Custom-v1"


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    docs: Path = ROOT / "docs"
    """Folder of the documentation, with tutorials/drawing_levels.md; pictures go to media/levels/."""
    size: int = 640
    """Pixels along the longer side of a picture, at most."""
    num_colours: int = 48
    """Size of the palettes."""


def levels_of(page: Path) -> dict[str, str]:
    """The levels that a page gives names to, in its blocks of Python."""
    found = {}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL):
        for node in ast.parse(block).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and are_texts(node.value.value):
                (target,) = node.targets
                found[ast.unparse(target)] = str(node.value.value)
    return found


def picture_of(levels: str, size: int, num_colours: int) -> Image.Image:
    """A level at its start."""
    env = gym.make(CUSTOM, levels=levels, render_mode="rgb_array", render_size=size)
    env.reset(seed=0)
    picture = Image.fromarray(env.render())  # type: ignore[arg-type]
    env.close()
    return picture.quantize(num_colours, dither=Image.Dither.NONE)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    folder = parsed.docs / "media" / "levels"
    try:
        levels = levels_of(parsed.docs / "tutorials" / "drawing_levels.md")
        levels |= {name.rpartition("/")[2]: name for name in GALLERY}
        folder.mkdir(parents=True, exist_ok=True)
        for old in set(folder.glob("*.png")) - {folder / f"{name}.png" for name in levels}:
            old.unlink()
        for name, level in levels.items():
            path = folder / f"{name}.png"
            picture_of(level, parsed.size, parsed.num_colours).save(path, optimize=True)
            print(f"{path}: {path.stat().st_size:,} bytes")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
