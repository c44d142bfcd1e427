"""The way that the ego has before it, as the map's distances to the goal show it."""

from __future__ import annotations

from drivesim.core.world import OBSTACLE, UNREACHABLE
from drivesim.render.ground import COL_STEPS, ROW_STEPS
from drivesim.render.view import World

CELLS_OF_A_RING = 6  # shown ahead where there is no goal


def planned_route(world: World) -> list[tuple[float, float, float]]:
    """Signs along a shortest way from the ego to the goal: row, column and direction, in quarter turns from north.

    From every cell the way goes on to the one that is nearest to the goal, in a wide lane to its centre, else
    straight on if that is as good. It is empty where no legal way leads to the goal; on a ring it is the lane ahead.
    """
    ego = world["vehicles"][0]
    row, col, heading = int(ego["row"]), int(ego["col"]), int(ego["heading"])
    rows, cols = int(world["rows"]), int(world["cols"])
    signs: list[tuple[float, float, float]] = []
    if world["is_ring"]:
        for n in range(1, CELLS_OF_A_RING + 1):
            sign_row, sign_col = (row + ROW_STEPS[heading] * n) % rows, (col + COL_STEPS[heading] * n) % cols
            signs.append((float(sign_row), float(sign_col), float(heading)))
        return signs
    size = rows * cols
    cells, route = world["cells"][:size].tolist(), world["route"][:size].tolist()
    lanes = world["lanes"][:size].tolist()
    distance = route[row * cols + col]
    while 0 < distance < UNREACHABLE:
        best = None
        for row_move, col_move, next_heading in _moves(cells[row * cols + col], heading):
            next_row, next_col = row + row_move, col + col_move
            if not (0 <= next_row < rows and 0 <= next_col < cols):
                continue
            at = next_row * cols + next_col
            is_open = cells[at] >> 4 != OBSTACLE and cells[at] >> next_heading & 1
            offset = abs((lanes[at] & 15) - 8) if world["half_lane"] else 0
            if route[at] < distance and (is_open or route[at] == 0) and (best is None or (route[at], offset) < best[0]):
                best = (route[at], offset), row_move, col_move, next_heading
        if best is None:
            return signs
        (distance, _), row_move, col_move, next_heading = best
        is_aside = bool(row_move and col_move)
        direction = float(next_heading)
        if is_aside:  # half a quarter turn to the side of the change of lane
            to_right = ROW_STEPS[(heading + 1) & 3] == row_move or COL_STEPS[(heading + 1) & 3] == col_move
            direction += 0.5 if to_right else -0.5
        row, col, heading = row + row_move, col + col_move, next_heading
        if distance > 0:
            signs.append((float(row), float(col), direction))
    return signs


def _moves(bits: int, heading: int) -> list[tuple[int, int, int]]:
    """What leads on from a cell: rows and columns moved, and the heading then."""
    straight = (ROW_STEPS[heading], COL_STEPS[heading], heading)
    turns, changes = [], []
    for side in (1, -1):
        across = (heading + side) & 3
        if bits >> across & 1:
            turns.append((ROW_STEPS[across], COL_STEPS[across], across))
        else:
            changes.append((ROW_STEPS[heading] + ROW_STEPS[across], COL_STEPS[heading] + COL_STEPS[across], heading))
    return [straight, *changes, *turns]
