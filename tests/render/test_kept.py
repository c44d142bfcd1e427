"""Pictures are kept up to so many bytes."""

from __future__ import annotations

import gymnasium as gym
import numpy as np

from drivesim.render.kept import kept
from drivesim.render.sprites import sprite
from drivesim.render.tiles import ground_picture, tile


def test_what_nobody_has_asked_for_longest_is_forgotten_first_and_the_newest_kept_however_large() -> None:
    drawn = []

    @kept(100)
    def blank(name: str, num_bytes: int) -> np.ndarray:
        drawn.append(name)
        return np.zeros(num_bytes, np.uint8)

    for name in ("a", "b", "a", "c", "a", "b"):  # "b" is forgotten for "c"
        assert blank(name, 40).nbytes == 40
    assert drawn == ["a", "b", "c", "b"]
    assert blank.nbytes == 80
    assert blank("large", 1_000) is blank("large", 1_000)
    assert blank.nbytes == 1_000
    assert drawn.count("large") == 1
    blank("a", 40)
    assert blank.nbytes == 40


def test_pictures_of_many_towns_take_no_more_than_64_mebibytes() -> None:
    env = gym.make("drivesim/City-v1", render_mode="rgb_array", render_size=1600)
    env.reset(seed=0)
    sizes = []
    for _ in range(4):
        env.reset()
        env.render()
        sizes.append(ground_picture.nbytes)
    assert sum(drawing.nbytes for drawing in (ground_picture, tile, sprite)) <= 64 << 20
    assert sizes[0] > 16 << 20  # all of them would be more
