"""Traffic goes from one destination to the next, and which one that is depends on nothing that happens on the road."""

from itertools import pairwise

import numpy as np
from ascii_map import Car, from_ascii
from levels import levels
from records import tick_all

from drivesim.core.map import EAST, NORTH
from drivesim.core.ways import measure_ways

NUM_WORLDS, NUM_TICKS = 20, 1000


def trips(actions):
    """For every vehicle of some worlds the destinations that it has had, in turn."""
    maps, worlds, options = levels("Intersection", range(NUM_WORLDS), difficulty="easy")
    vehicles = worlds["vehicles"][:, 1 : int(worlds["num_vehicles"][0])]
    seen = [[[int(vehicle["destination"])] for vehicle in of_world] for of_world in vehicles]
    for _ in range(NUM_TICKS):
        tick_all(maps, worlds, options, actions(NUM_WORLDS))
        is_new = vehicles["num_trips"] == np.array([[len(sequence) for sequence in of_world] for of_world in seen])
        for i, n in zip(*np.nonzero(is_new), strict=True):
            seen[i][n].append(int(vehicles["destination"][i, n]))
    return [sequence for of_world in seen for sequence in of_world]


def test_the_nth_destination_of_a_vehicle_is_the_same_whatever_the_ego_does() -> None:
    random = np.random.default_rng(1)
    calm = trips(lambda n: np.full(n, 1))
    wild = trips(lambda n: random.integers(0, 5, n))
    assert sum(map(len, calm)) > 2 * len(calm)
    for one, other in zip(calm, wild, strict=True):
        num_both = min(len(one), len(other))
        assert one[:num_both] == other[:num_both]
    assert calm != wild  # some get further than in the other drives


def test_destinations_are_drawn_evenly_from_those_that_may_come_next() -> None:
    """At the intersection from all but the one for which a car would have to turn back."""
    pairs = [pair for sequence in trips(lambda n: np.full(n, 1)) for pair in pairwise(sequence)]
    turns = np.bincount([(after - before) % 4 for before, after in pairs], minlength=4)
    assert turns[2] == 0
    expected = len(pairs) / 3
    assert (np.abs(turns[[0, 1, 3]] - expected) < 4 * np.sqrt(expected)).all()


# The first destination is the cell before the fork, the second the end of the branch.
FORK = """
    . ^  . . .
    . ^  . . .
    . ^> > > >
    . ^  . . .
    . ^  . . .
    . a  . . .
    . ^  . . .
    . ^  . . .
    . ^  . . .
    . ^  . . .
    . ^  . . .
    . ^  . . .
    . ^  . . .
    . ^  . . .
    . ^  . . .
    . ^  . . .
"""


def fork(speed, top_speed=3):
    """A ring with a branch, on it a car that comes to its first destination and has the other one next."""
    situation = from_ascii(FORK, is_periodic=True, a=Car(NORTH, speed, top_speed))
    map, scratch = situation.map, np.zeros(2 * len(situation.map.ground), np.int32)
    for destination, place in enumerate([(3, 1), (2, 4)]):
        scratch[0] = situation.cell(*place)
        measure_ways(map, destination, 1, scratch)
        map.goals[destination].next = 2
    situation.vehicle("a").destination = 0
    return situation


def test_who_is_too_near_to_a_fork_to_turn_there_takes_his_next_destination_after_it() -> None:
    situation = fork(speed=3)
    vehicle = situation.vehicle("a")
    places, speeds, taken_at = [], [3], None
    for _ in range(30):
        situation.play()
        places.append(situation.at("a"))
        speeds.append(situation.motion("a")[1])
        if vehicle.destination == 1 and taken_at is None:
            taken_at = places[-2]
    assert min(np.diff(speeds)) >= -1
    assert places[:2] == [(2, 1), (15, 1)]  # past the fork, through the portal
    assert taken_at is not None
    assert taken_at[0] > 3  # well before he comes to the fork again
    assert situation.at("a") == (2, 4)
    assert situation.motion("a") == (EAST, 0)


def test_who_comes_to_rest_behind_his_destination_may_turn_at_once() -> None:
    situation = fork(speed=1, top_speed=1)
    for _ in range(2):
        situation.play()
    assert situation.at("a") == (3, 1)
    situation.vehicle("a").speed = 0
    situation.play()
    assert situation.vehicle("a").destination == 1
    for _ in range(10):
        situation.play()
    assert situation.at("a") == (2, 4)


def test_who_has_lost_his_way_takes_the_nearest_destination() -> None:
    situation = fork(speed=0)
    situation.map.ways[: 18 * 7] = 0  # nowhere does a way lead to the first
    situation.play()
    assert situation.vehicle("a").destination == 1
    for _ in range(20):
        situation.play()
    assert situation.at("a") == (2, 4)
