"""The way that the ego has before it, as the map's distances to the goal show it."""

from __future__ import annotations

from drivesim.core.map import LEFT_SIDE, RIGHT_SIDE, UNREACHABLE
from drivesim.render.ground import COL_STEPS, ROW_STEPS
from drivesim.render.state import State, distances_of, is_ring, place_of

CELLS_OF_A_RING = 6  # shown ahead where there is no goal


def planned_route(state: State) -> list[tuple[float, float, float]]:
    """Signs along a shortest way from the ego to the goal: row, column and direction, in quarter turns from north.

    From every cell the way goes on to the one that is nearest to the goal, in a wide lane to its centre, else
    straight on if that is as good. It is empty where no legal way leads to the goal; on a ring it is the lane ahead.
    """
    map = state.map
    ego = state.world["vehicles"][0]
    cell, heading = int(ego["cell"]), int(ego["heading"])
    signs: list[tuple[float, float, float]] = []
    if is_ring(map):
        row, col = place_of(map, cell)
        for n in range(1, CELLS_OF_A_RING + 1):
            sign_row, sign_col = row + ROW_STEPS[heading] * n, col + COL_STEPS[heading] * n
            signs.append((float(sign_row % int(map["rows"])), float(sign_col % int(map["cols"])), float(heading)))
        return signs
    ground, lanes, steps = map["ground"].tolist(), map["lanes"].tolist(), map["steps"].tolist()
    passing = map["passing"].tolist() if map["num_passing"] else [0] * len(ground)
    width, has_reverse, is_wide = int(map["width"]), bool(map["has_reverse"]), bool(map["half_lane"])
    layers = distances_of(state).tolist()
    distance = layers[heading % len(layers)][cell]
    while 0 < distance < UNREACHABLE:
        best = None
        for step, next_heading, direction in _moves(ground[cell], heading, steps, has_reverse):
            at = cell + step
            is_open = (ground[at] | passing[at]) >> next_heading & 1
            offset = abs((lanes[at] & 15) - 8) if is_wide else 0
            key = layers[next_heading % len(layers)][at], offset
            if key[0] < distance and (is_open or key[0] == 0) and (best is None or key < best[0]):
                best = key, at, next_heading, direction
        if best is None:
            return signs
        (distance, _), cell, heading, direction = best
        if distance > 0:
            row, col = divmod(cell, width)
            signs.append((float(row - 1), float(col - 1), direction))
    return signs


def _moves(bits: int, heading: int, steps: list[int], has_reverse: bool) -> list[tuple[int, int, float]]:
    """The moves that lead on from a cell: the step to the next one, the heading then, the direction of the sign."""
    turns, changes = [], []
    for side in (RIGHT_SIDE, LEFT_SIDE):
        across = (heading + side) & 3
        if bits >> across & 1:
            turns.append((steps[across], across, float(across)))
        else:
            changes.append((steps[heading] + steps[across], heading, heading + side / 2))
    ahead = [(steps[heading], heading, float(heading)), *turns]
    backwards = [(-step, facing, facing + 2.0) for step, facing, _ in ahead] if has_reverse else []
    return [ahead[0], *changes, *turns, *backwards]
