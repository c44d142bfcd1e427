"""The fewest ticks into a bay at walking pace, searched forward: the rules of steering once more, nothing shared."""

from collections import deque
from typing import Any

from drivesim.core.world import DRIVING


def ticks_to_park(map: Any, world: Any) -> int:
    """Ticks in which ego 0 can stand on its goal in its heading, never faster than 1; -1 if it cannot.

    Who is parked is in the way, and nobody else is there.
    """
    ground, steps = map.ground.tolist(), [int(step) for step in map.steps]
    vehicles = world.vehicles[1 : world.num_vehicles]
    parked = {int(v.cell) for v in vehicles if v.status == DRIVING and v.top_speed == 0}
    goal = map.goals[world.egos[0].goal]
    num_cells = (int(map.rows) + 2) * int(map.width)
    wanted = int(goal.heading) - 1
    goals = [cell for cell in range(num_cells) if map.distances[wanted * num_cells + cell] == 0]
    assert len(goals) == goal.top_speed == 1, "one cell, on which to stand"

    def may_enter(cell: int, heading: int) -> bool:
        return ground[cell] >> heading & 1 == 1 and ground[cell] >> 4 & 7 not in (0, 3, 7) and cell not in parked

    ego = world.vehicles[0]
    start = int(ego.cell), int(ego.heading), int(ego.speed)
    ticks, queue = {start: 0}, deque([start])
    while queue:
        state = queue.popleft()
        cell, heading, speed = state
        if state == (goals[0], wanted, 0):
            return ticks[state]
        after = [(cell, heading, new) for new in {speed, min(speed + 1, 1), max(speed - 1, -1)}]
        for side in (3, 1):
            across = (heading + side) % 4
            if ground[cell] >> across & 1:
                after.append((cell, across, 1 if speed >= 0 else -1))
            elif speed >= 0 and may_enter(cell + steps[across], heading):
                after.append((cell + steps[across], heading, 1))
        for at, to, new in after:
            target = at + new * steps[to], to, new
            if target not in ticks and (new == 0 or may_enter(target[0], to)):
                ticks[target] = ticks[state] + 1
                queue.append(target)
    return -1
