"""A car park is readable: the goal shows the heading in which it must be reached, and who is parked looks so."""

from __future__ import annotations

import numpy as np

from drivesim.levels.building import begun
from drivesim.levels.text import read
from drivesim.render import palette
from drivesim.render.ground import level_of
from drivesim.render.scene import Scene
from drivesim.render.sprites import CAR, TRUCK
from drivesim.render.state import State
from drivesim.render.tiles import ground_picture

LEVEL = """goals.heading = [{heading}]
egos.heading = [1]
a.heading = "north"
a.top_speed = {top_speed}

[+G . [+a0 . +E0
"""
CELL = 32


def state_of(heading: int = 0, top_speed: int = 0) -> State:
    maps, worlds = begun(read(LEVEL.format(heading=heading, top_speed=top_speed)))
    return State(maps[0], worlds[0])


def test_a_goal_points_in_its_heading() -> None:
    arrows = []
    for heading in range(-1, 4):
        level = level_of(state_of(heading))
        top, left = (-extent.first * CELL for extent in (level.shown_rows, level.shown_cols))
        goal = ground_picture(level, CELL)[top : top + CELL, left : left + CELL]
        arrows.append((goal == palette.ROUTE).all(axis=2))
    assert not arrows[0].any(), "any heading will do"
    assert arrows[1].sum() > 40
    for quarter, arrow in enumerate(arrows[1:]):
        np.testing.assert_array_equal(arrow, np.rot90(arrows[1], -quarter))


def test_who_is_parked_is_a_car_in_a_colour_of_its_own() -> None:
    looks = [piece.look for speed in (0, 1, 2) for piece in Scene(state_of(0, speed)).pieces]
    found = [(look.kind, look.body == palette.PARKED) for look in looks if look.kind in (CAR, TRUCK)]
    assert found == [(CAR, True), (TRUCK, False), (CAR, False)]
