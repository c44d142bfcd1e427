"""Left and right are alike: the mirror image of a world drives the mirror image of its trajectory."""

import numpy as np
import pytest
from levels import levels, without_ego
from mirror import MIRRORED_ACTIONS, mirrored

from drivesim.core.prices import NUM_TERMS
from drivesim.core.reward import price
from drivesim.core.tick import tick

DIFFICULTIES = ("easy", "medium", "hard")


def assert_same_worlds(worlds, image) -> None:
    """Equal, field by field for the sake of the message."""
    for name in worlds.dtype.names:
        if name != "vehicles":
            assert (worlds[name] == image[name]).all(), name
    for name in worlds["vehicles"].dtype.names:
        assert (worlds["vehicles"][name] == image["vehicles"][name]).all(), name


def assert_mirrored(worlds, rules, ticks, is_upside_down=False, seed=0) -> None:
    """Drive worlds and their images with fixed, mostly forward actions; every record stays an image of the other."""
    image = mirrored(worlds, is_upside_down)
    assert_same_worlds(mirrored(image, is_upside_down), worlds)  # the mirror itself is right
    assert worlds.tobytes() != image.tobytes()
    random = np.random.default_rng(seed)
    terms = np.zeros(NUM_TERMS)
    for _ in range(ticks):
        actions = random.choice(5, len(worlds), p=[0.1, 0.3, 0.1, 0.35, 0.15])
        if not rules[0].has_idle:
            actions[actions == 1] = 3
        flipped = MIRRORED_ACTIONS[actions]
        if not rules[0].has_idle:
            actions, flipped = np.maximum(actions - 1, 0), np.maximum(flipped - 1, 0)
        for i in range(len(worlds)):
            tick(worlds[i], actions, i, rules[0])
            tick(image[i], flipped, i, rules[0])
            assert price(worlds[i], 0, rules[0], terms) == price(image[i], 0, rules[0], terms)
        assert_same_worlds(mirrored(image, is_upside_down), worlds)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("scenario", ["Obstacles", "LaneKeep", "Autodrive", "Intersection"])
def test_a_world_mirrored_left_to_right_drives_mirrored(scenario, difficulty) -> None:
    worlds, rules = levels(scenario, range(12), difficulty=difficulty)
    assert_mirrored(worlds, rules, 60)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("traffic", ["krauss", "nasch"])
def test_a_highway_mirrored_top_to_bottom_drives_mirrored(traffic, difficulty) -> None:
    worlds, rules = levels("Highway", range(12), difficulty=difficulty, traffic=traffic)
    assert_mirrored(worlds, rules, 50, is_upside_down=True)


def test_traffic_alone_at_a_junction_drives_mirrored() -> None:
    worlds, rules = levels("Intersection", range(8), difficulty="hard")
    assert_mirrored(without_ego(worlds), rules, 200)
