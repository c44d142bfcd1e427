"""The pictures of the drawn levels, of the gallery and of the tutorial: `python scripts/build_docs.py --pictures`.

The levels of the tutorial are the strings in its blocks of code that are levels; their pictures are called as they are.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import gymnasium as gym
from PIL import Image

import drivesim  # noqa: F401 (registers the environments)
from drivesim.levels.library import GALLERY, are_texts

CUSTOM = "drivesim/Custom-v1"
SIZE = 640
NUM_COLOURS = 48
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


def picture_of(levels: str, size: int) -> Image.Image:
    """A level at its start."""
    env = gym.make(CUSTOM, levels=levels, render_mode="rgb_array", render_size=size)
    env.reset(seed=0)
    picture = Image.fromarray(env.render())  # type: ignore[arg-type]
    env.close()
    return picture.quantize(NUM_COLOURS, dither=Image.Dither.NONE)


def draw(docs: Path, size: int = SIZE) -> None:
    """Draws all pictures, and removes those of levels that are gone.

    Args:
        docs: folder of the documentation, with tutorials/drawing_levels.md; pictures go to media/levels/.
        size: pixels along the longer side of a picture, at most.
    """
    folder = docs / "media" / "levels"
    levels = levels_of(docs / "tutorials" / "drawing_levels.md")
    levels |= {name.rpartition("/")[2]: name for name in GALLERY}
    folder.mkdir(parents=True, exist_ok=True)
    for old in set(folder.glob("*.png")) - {folder / f"{name}.png" for name in levels}:
        old.unlink()
    for name, level in levels.items():
        picture_of(level, size).save(folder / f"{name}.png", optimize=True)
