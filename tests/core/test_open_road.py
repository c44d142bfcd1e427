"""What a map tells of its open road and of junctions that lie apart saves time and changes nothing."""

from random import Random

import gymnasium as gym
import numpy as np
import pytest
from levels import levels
from network_traffic import draw_batch, start_moving
from records import tick_all
from road_networks import CONTROLS

from drivesim.core.map import CROSSWALK, LANE, STOP_LINE, headings, junction_ahead, kind
from drivesim.core.open_road import ENTRY, open_cells

TICKS = 60


def drive(batch, maps: np.ndarray, num_egos: int, seed: int) -> np.ndarray:
    """The worlds of a batch some ticks later on those maps, whose egos act at random."""
    worlds, dice = batch.worlds.copy(), np.random.default_rng(seed)
    for _ in range(TICKS):
        actions = dice.integers(0, 5, len(worlds) * max(1, num_egos))
        tick_all(maps, worlds, batch.options, actions, num_egos)
    return worlds


@pytest.mark.parametrize("num_egos", [0, 1, 2])
def test_traffic_drives_as_on_a_map_that_tells_nothing(num_egos) -> None:
    num_apart = 0
    for seed in range(3):
        batch = draw_batch(Random(seed), 25, tuple(CONTROLS), num_egos)
        start_moving(batch)
        assert (batch.maps["open_road"] > 0).any()
        num_apart += np.count_nonzero(batch.maps["are_junctions_apart"])
        silent = batch.maps.copy()
        silent["open_road"] = silent["are_junctions_apart"] = 0
        told, untold = (drive(batch, maps, num_egos, seed) for maps in (batch.maps, silent))
        differ = np.flatnonzero(told != untold)
        assert not len(differ), batch.texts[differ[0]]
    assert num_apart > 10


def test_the_streets_of_a_town_are_open_road_up_to_the_lines_crosswalks_and_destinations() -> None:
    maps, _, _ = levels("City", [0, 1, 2], difficulty="hard", num_maps=3)
    for road in maps:
        assert road.are_junctions_apart
        streets = 0
        for cell in np.flatnonzero(road.ground[: road.lanes.size] & 15).tolist():
            for heading in range(4):
                count = open_cells(road, cell, heading)
                ahead = [cell + n * int(road.steps[heading]) for n in range(count)]
                assert all(headings(road, one) == 1 << heading and kind(road, one) == LANE for one in ahead)
                assert all(junction_ahead(road, one, heading) < 0 for one in ahead)
                streets += count > 0
            if kind(road, cell) == STOP_LINE:
                assert road.open_road[cell] >> 2 == ENTRY
            if kind(road, cell) == CROSSWALK:
                assert road.open_road[cell] == 0
        assert streets > 500


def test_a_state_is_not_believed_what_it_tells_of_open_road() -> None:
    text = draw_batch(Random(1), 1, tuple(CONTROLS), 1).texts[0]
    envs = gym.make_vec("drivesim/Custom-v1", num_envs=2, levels=[text])
    envs.reset(seed=0)
    state = envs.unwrapped.get_state()
    spoilt = state.copy()
    spoilt["map"]["open_road"] = 255
    spoilt["map"]["are_junctions_apart"] = 7
    envs.unwrapped.set_state(spoilt)
    assert (envs.unwrapped.get_state() == state).all()
