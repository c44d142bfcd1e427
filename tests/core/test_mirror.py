"""Left and right are alike: the mirror image of a world drives the mirror image of its trajectory."""

import numpy as np
import pytest
from levels import levels, without_ego
from mirror import MIRRORED_ACTIONS, mirrored_maps, mirrored_worlds
from records import tick_all

from drivesim.config import EnvConfig
from drivesim.core.batch import FRAME, observe_worlds
from drivesim.core.memory import Frame
from drivesim.core.prices import NUM_TERMS
from drivesim.core.reward import price
from drivesim.engine import bindings_of
from drivesim.observations.entities import COMMON

DIFFICULTIES = ("easy", "medium", "hard")


def assert_same_worlds(worlds, image) -> None:
    """Equal, field by field for the sake of the message."""
    for name in worlds.dtype.names:
        if name != "vehicles":
            assert (worlds[name] == image[name]).all(), name
    for name in worlds["vehicles"].dtype.names:
        assert (worlds["vehicles"][name] == image["vehicles"][name]).all(), name


def assert_mirrored(maps, worlds, options, ticks, is_upside_down=False, seed=0) -> None:
    """Drive worlds and their images with fixed, mostly forward actions; every record stays an image of the other."""
    image_maps = mirrored_maps(maps, is_upside_down)
    image = mirrored_worlds(maps, worlds, is_upside_down)
    # The mirror itself is right.
    assert (mirrored_maps(image_maps, is_upside_down) == maps).all()
    assert_same_worlds(mirrored_worlds(maps, image, is_upside_down), worlds)
    assert (image_maps != maps).any()
    assert (image != worlds).all()
    random = np.random.default_rng(seed)
    terms = np.zeros(NUM_TERMS)
    has_idle = options[0].has_idle
    for _ in range(ticks):
        actions = random.choice(5, len(worlds), p=[0.1, 0.3, 0.1, 0.35, 0.15])
        if not has_idle:
            actions[actions == 1] = 3
        flipped = MIRRORED_ACTIONS[actions]
        if not has_idle:
            actions, flipped = np.maximum(actions - 1, 0), np.maximum(flipped - 1, 0)
        tick_all(maps, worlds, options, actions)
        tick_all(image_maps, image, options, flipped)
        for i in range(len(worlds)):
            if worlds["num_egos"][i]:
                ours = price(maps[i], worlds[i], 0, options[0], terms)
                assert ours == price(image_maps[i], image[i], 0, options[0], terms)
        assert_same_worlds(mirrored_worlds(maps, image, is_upside_down), worlds)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("scenario", ["Obstacles", "LaneKeep", "Autodrive", "Intersection"])
def test_a_world_mirrored_left_to_right_drives_mirrored(scenario, difficulty) -> None:
    assert_mirrored(*levels(scenario, range(12), difficulty=difficulty), 60)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("traffic", ["krauss", "nasch"])
def test_a_highway_mirrored_top_to_bottom_drives_mirrored(traffic, difficulty) -> None:
    highway = levels("Highway", range(12), difficulty=difficulty, traffic=traffic)
    assert_mirrored(*highway, 50, is_upside_down=True)


def test_traffic_alone_at_a_junction_drives_mirrored() -> None:
    maps, worlds, options = levels("Intersection", range(8), difficulty="hard")
    assert_mirrored(maps, without_ego(maps, worlds), options, 200)


def rows_seen(scenario: str, maps: np.ndarray, worlds: np.ndarray) -> np.ndarray:
    """What the egos of worlds (M,) see of everybody's place and motion, (M, rows, names in COMMON)."""
    config = EnvConfig(scenario, "entities", difficulty="hard")
    obs = np.zeros((len(worlds), *config.encoder.shape_and_dtype(config.shown, 0, 0)[0]), np.float32)
    frame = Frame(FRAME)
    frame.set(
        worlds=worlds,
        maps=maps,
        options=config.to_options(0),
        encode=bindings_of(scenario, "entities").encode,
        obs_out=obs.reshape(len(worlds), -1),
        scratch=np.zeros((1, 4 * maps["ground"].shape[1]), np.int32),
    )
    observe_worlds(frame.argument, 0, len(worlds), 0)
    return obs[..., : len(COMMON)]


@pytest.mark.parametrize(("scenario", "is_upside_down"), [("Highway", True), ("Intersection", False)])
def test_everybody_is_seen_on_the_other_side_and_in_the_same_order_in_a_mirrored_world(
    scenario, is_upside_down
) -> None:
    maps, worlds, options = levels(scenario, range(20), difficulty="hard")
    for _ in range(10):
        tick_all(maps, worlds, options, np.ones(20, int))
        image = mirrored_worlds(maps, worlds, is_upside_down)
        signs = [-1.0 if name in ("right", "heading_right", "turn") else 1.0 for name in COMMON]
        seen = rows_seen(scenario, maps, worlds)
        assert (seen * signs == rows_seen(scenario, mirrored_maps(maps, is_upside_down), image)).all()
    assert len(np.unique(seen[..., COMMON.index("right")])) > 5
