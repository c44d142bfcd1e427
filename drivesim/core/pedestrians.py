"""Pedestrians: they step onto a crosswalk only if every approaching car can still stop."""

from drivesim.core.jit import kernel
from drivesim.core.rng import DRAW_PEDESTRIAN, lane_words
from drivesim.core.world import (
    CROSSING,
    CROSSWALK,
    DRIVING,
    NOBODY,
    WAITING,
    cell_at,
    col_step,
    kind,
    row_step,
)

STEP_PROBABILITY = 16384  # of a waiting pedestrian wanting to cross in a tick, in 1 / 65,536


@kernel
def car_is_too_near(world, row, col):
    """Whether some car could not stop before the cell (row, col), its next action included.

    A car of speed v that speeds up once more and then brakes travels (v+1)(v+2)/2 cells.
    """
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status != DRIVING:
            continue
        speed = int(vehicle.speed)
        for n in range((speed + 1) * (speed + 2) // 2 + 1):
            cell = cell_at(
                world,
                int(vehicle.row) + row_step(vehicle.heading) * n,
                int(vehicle.col) + col_step(vehicle.heading) * n,
                True,
            )
            if cell < 0:
                break
            if cell == row * int(world.cols) + col:
                return True
    return False


@kernel
def is_crosswalk(world, row, col):
    """Whether (row, col) is a crosswalk cell of the map."""
    cell = cell_at(world, row, col, False)
    return cell >= 0 and kind(world.cells[cell]) == CROSSWALK


@kernel
def may_step_out(world, p):
    """Whether every car can still stop before each cell that pedestrian p is going to cross."""
    pedestrian = world.pedestrians[p]
    row = int(pedestrian.row) + row_step(pedestrian.heading)
    col = int(pedestrian.col) + col_step(pedestrian.heading)
    while is_crosswalk(world, row, col):
        if car_is_too_near(world, row, col):
            return False
        row += row_step(pedestrian.heading)
        col += col_step(pedestrian.heading)
    return True


@kernel
def move_pedestrians(world):
    """Advance every pedestrian by one cell, after the vehicles have moved.

    Reads   vehicles after their advance
    Writes  world.pedestrians
    """
    for p in range(world.num_pedestrians):
        pedestrian = world.pedestrians[p]
        if pedestrian.status == NOBODY:
            continue
        row = int(pedestrian.row) + row_step(pedestrian.heading)
        col = int(pedestrian.col) + col_step(pedestrian.heading)
        if pedestrian.status == WAITING:
            if lane_words(world, DRAW_PEDESTRIAN, p)[0] & 0xFFFF >= STEP_PROBABILITY:
                continue
            if not may_step_out(world, p):
                continue
            pedestrian.status = CROSSING
        pedestrian.row = row
        pedestrian.col = col
        if not is_crosswalk(world, row, col):  # across: wait there and come back
            pedestrian.status = WAITING
            pedestrian.heading = (int(pedestrian.heading) + 2) & 3
