"""The pictures of the drawn levels are there, are those of the levels, and are small."""

from __future__ import annotations

import shutil
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from drivesim.levels.library import GALLERY
from scripts.draw_levels import draw, levels_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorials" / "drawing_levels.md"
PICTURES = ROOT / "docs" / "media" / "levels"
MOST_BYTES = 400_000
NAMES = [f"step_{n}" for n in (1, 2, 3, 4)]


def test_there_is_a_picture_of_every_level_and_all_are_small() -> None:
    assert list(levels_of(PAGE)) == NAMES
    files = list(PICTURES.iterdir())
    assert sorted(path.stem for path in files) == sorted([*NAMES, *(name.rpartition("/")[2] for name in GALLERY)])
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"](../media/levels/{name}.png)" in text for name in NAMES)


@pytest.mark.parametrize("name", ["gallery/chicane", "gallery/five_arms", "step_4"])
def test_a_picture_is_that_of_its_level(name: str) -> None:
    env = gym.make(
        "drivesim/Custom-v1", levels=levels_of(PAGE).get(name, name), render_mode="rgb_array", render_size=640
    )
    env.reset(seed=0)
    drawn = np.asarray(env.render(), np.int64)
    with Image.open(PICTURES / f"{name.rpartition('/')[2]}.png") as picture:
        kept = np.asarray(picture.convert("RGB"), np.int64)
    assert kept.shape == drawn.shape
    assert np.abs(kept - drawn).mean() < 4  # of 255: what the palette costs; another level is far from that


def test_pictures_are_drawn_again_and_old_ones_go(tmp_path) -> None:
    (tmp_path / "tutorials").mkdir()
    shutil.copy(PAGE, tmp_path / "tutorials")
    (tmp_path / "media" / "levels").mkdir(parents=True)
    (tmp_path / "media" / "levels" / "gone.png").write_bytes(b"")
    draw(tmp_path, size=64)
    drawn = {path.name for path in (tmp_path / "media" / "levels").iterdir()}
    assert drawn == {path.name for path in PICTURES.iterdir()}
