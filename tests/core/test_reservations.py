"""Cells of a junction are reserved by whoever is about to pass it or is in it, and for nobody else, nor for longer."""

import numpy as np
import pytest
from ascii_map import Car, from_ascii
from levels import levels, without_ego
from records import tick_all

from drivesim.core.map import NORTH, STOP_LINE, WEST
from drivesim.core.world import CRASHED, DRIVING, leave_world

DIFFICULTIES = ("easy", "medium", "hard")
REACH = 3  # cells before the line within which traffic at the limit of 2 asks


def around(map):
    """Bool (4, cells): where a vehicle of each heading is in the junction, or before its line and asks for it."""
    is_near = np.zeros((4, len(map.junction)), bool)
    is_near[:, map.junction > 0] = True
    ground = map.ground[: len(map.junction)]
    lines = np.flatnonzero(ground >> 4 & 7 == STOP_LINE)
    assert len(lines) == 4
    for line in lines:
        heading = int(ground[line] & 15).bit_length() - 1
        for n in range(REACH + 1):
            is_near[heading, line - n * map.steps[heading]] = True
    return is_near


def assert_well_held(map, is_near, worlds):
    """Who holds anything drives and is around the junction; who is in the junction holds its cell; the holders."""
    vehicles, held = worlds["vehicles"], worlds["held"]
    world, slot = np.nonzero(held)
    holder = held[world, slot] - 1
    assert (vehicles["status"][world, holder] == DRIVING).all()
    assert (vehicles["may_enter"][world, holder] == 1).all()
    is_traffic = holder >= worlds["num_egos"][world]
    world, holder = world[is_traffic], holder[is_traffic]
    assert is_near[vehicles["heading"][world, holder], vehicles["cell"][world, holder]].all()
    is_inside = (vehicles["status"] == DRIVING) & (map.junction[vehicles["cell"]] > 0)
    is_inside &= np.arange(vehicles.shape[1]) >= worlds["num_egos"][:, None]
    world, k = np.nonzero(is_inside)
    assert (held[world, map.slots[vehicles["cell"][world, k]] - 1] == k + 1).all()
    return len(holder), len(world)


@pytest.mark.parametrize("driver_model", ["krauss", "nasch"])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_traffic_holds_cells_only_before_and_in_the_junction_and_is_nowhere_else_in_it(
    difficulty, driver_model
) -> None:
    maps, worlds, options = levels("Intersection", range(30), difficulty=difficulty, traffic=driver_model)
    worlds = without_ego(maps, worlds)
    is_near = around(maps[0])
    seen = np.zeros(2, int)
    for _ in range(500):
        tick_all(maps, worlds, options, np.zeros(30))
        seen += assert_well_held(maps[0], is_near, worlds)
    assert (seen > 500 * 30 // 5).all()


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_who_crashes_with_an_ego_holds_nothing(difficulty) -> None:
    """Egos that mostly speed up, and so meet traffic in the junction."""
    maps, worlds, options = levels("Intersection", range(400), difficulty=difficulty)
    is_near = around(maps[0])
    random = np.random.default_rng(1)
    num_freed = 0
    for _ in range(60):
        before = worlds["held"].copy()
        tick_all(maps, worlds, options, random.choice(5, len(worlds), p=[0.05, 0.5, 0.05, 0.3, 0.1]))
        assert_well_held(maps[0], is_near, worlds)
        world, k = np.nonzero(worlds["vehicles"]["status"] == CRASHED)
        num_freed += ((before[world] == k[:, None] + 1) & (k[:, None] > 0)).any(axis=1).sum()
    assert num_freed >= 5


# d stands across the way of a, which may have its own way once d is gone.
CROSSROADS = """
    . . v  ^  . .
    . . |v ^  . .
    < < v< d |< <
    > |> v> ^> > >
    . . v  |^ . .
    . . v  a  . .
"""


def test_what_somebody_held_who_is_taken_away_is_free_for_the_next() -> None:
    box = {"row": 2, "col": 2, "height": 2, "width": 2, "green_0": 90, "green_1": 9, "yellow": 3, "all_red": 2}
    situation = from_ascii(
        CROSSROADS, signals=[box], is_periodic=True, a=Car(NORTH, 0, 2), d=Car(WEST, 0, top_speed=0, on="^<")
    )
    situation.hold("d", (2, 3), (2, 2), (2, 1))
    for _ in range(5):
        situation.play()
    assert situation.at("a") == (4, 3)
    assert situation.held_by("a") == set()
    k = situation.names.index("d")
    situation.vehicle("d").next_status = CRASHED
    leave_world(situation.map, situation.world, k)
    assert situation.held_by("d") == set()
    assert situation.vehicle("d").may_enter == 0
    situation.play()
    assert situation.held_by("a") == {(3, 3), (2, 3), (1, 3)}
