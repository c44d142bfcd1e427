"""Route distances: the least number of moves at speed 1 from every cell to the goal."""

from drivesim.core.jit import kernel
from drivesim.core.world import (
    GOAL,
    LEFT_SIDE,
    OBSTACLE,
    RIGHT_SIDE,
    UNREACHABLE,
    allows,
    cell_at,
    col_step,
    kind,
    row_step,
    turned,
)


@kernel
def is_open(world, row, col, heading):
    """Whether the cell (row, col) is on the map, no obstacle, and may be driven in `heading`."""
    cell = cell_at(world, row, col, False)
    if cell < 0:
        return False
    bits = int(world.cells[cell])
    return kind(bits) != OBSTACLE and allows(bits, heading)


@kernel
def reach_back(world, row, col, distance, queue, tail):
    """Give (row, col) its distance if it has none and append it to the queue; the new tail."""
    cell = row * int(world.cols) + col
    if world.route[cell] == UNREACHABLE:
        world.route[cell] = distance
        queue[tail] = cell
        tail += 1
    return tail


@kernel
def measure_route(world, queue):
    """Fill world.route by breadth-first search backward from the goal cells over legal moves.

    A move is straight on, straight on after a quarter turn (where the cell allows that heading), or a change of
    lane: one cell sideways and one ahead. Cells from which no legal path leads to a goal keep UNREACHABLE.

    Args:
        world: with its map; `world.route` is overwritten.
        queue: int16 scratch, at least rows * cols long.
    """
    num_cells = int(world.rows) * int(world.cols)
    head = 0
    tail = 0
    for cell in range(num_cells):
        world.route[cell] = UNREACHABLE
        if kind(world.cells[cell]) == GOAL:
            world.route[cell] = 0
            queue[tail] = cell
            tail += 1
    while head < tail:
        cell = int(queue[head])
        head += 1
        row = cell // int(world.cols)
        col = cell % int(world.cols)
        distance = int(world.route[cell]) + 1
        for heading in range(4):
            if not allows(world.cells[cell], heading):
                continue
            from_row = row - row_step(heading)
            from_col = col - col_step(heading)
            if is_open(world, from_row, from_col, heading):
                tail = reach_back(world, from_row, from_col, distance, queue, tail)
                for side in (LEFT_SIDE, RIGHT_SIDE):
                    across = turned(heading, side)
                    side_row = from_row + row_step(across)
                    side_col = from_col + col_step(across)
                    if is_open(world, side_row, side_col, heading):
                        bits = world.cells[side_row * int(world.cols) + side_col]
                        if not allows(bits, turned(heading, -side)):  # else steering there means a turn
                            tail = reach_back(world, side_row, side_col, distance, queue, tail)
