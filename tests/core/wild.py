"""Egos that do what no driver would: drive at random, hop lanes, stop, reverse and stand anywhere."""

from typing import Any

import numpy as np
from ascii_map import FASTER, IDLE, LEFT, RIGHT, SLOWER
from records import frame_of, open_frame

from drivesim.core.jit import kernel
from drivesim.core.map import LANE, has_several_headings, headings, junction_of, kind
from drivesim.core.rng import below, philox
from drivesim.core.tick import tick
from drivesim.core.world import DRIVING, GOING, enter

WEIGHTS = {  # of 16 each: how often an ego of this temper takes each action
    "at random": (LEFT, LEFT, LEFT, IDLE, IDLE, IDLE, RIGHT, RIGHT, RIGHT, FASTER, FASTER, FASTER, FASTER, 4, 4, 4),
    "hops lanes": (LEFT, LEFT, LEFT, LEFT, LEFT, IDLE, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, 3, 3, 3, 3, SLOWER),
    "stops": (LEFT, RIGHT, IDLE, FASTER, FASTER, FASTER, *[SLOWER] * 10),
    "races": (LEFT, RIGHT, SLOWER, *[FASTER] * 13),
}


@kernel
def put_down(map, world, k, word_0, word_1):
    """Vehicle k, which is gone, on a random free cell of a lane, at any speed if it is an ego; or not in this tick."""
    cell = below(word_0, (map.rows + 2) * map.width)
    mask = headings(map, cell)
    if mask == 0 or world.occupants[cell] != 0 or kind(map, cell) != LANE or has_several_headings(map, cell):
        return
    if k >= world.num_egos and junction_of(map, cell) >= 0:
        return
    vehicle = world.vehicles[k]
    vehicle.status = DRIVING
    vehicle.next_status = 0
    while mask >> vehicle.heading & 1 == 0:
        vehicle.heading = (vehicle.heading + 1) & 3
    vehicle.speed = below(word_1, 6) if k < world.num_egos else 0
    vehicle.acceleration = 0
    if k < world.num_egos:
        world.egos[k].drive = GOING
    enter(world, k, cell)


@kernel
def count_meetings(map, world, owners):
    """How many cells hold two traffic vehicles, or do not know who is on them."""
    owners[:] = 0
    faults = 0
    for k in range(world.num_vehicles):
        vehicle = world.vehicles[k]
        if vehicle.status == DRIVING:
            faults += owners[vehicle.cell] != 0
            owners[vehicle.cell] = k + 1
    for cell in range((map.rows + 2) * map.width):
        faults += owners[cell] != world.occupants[cell]
    return faults


@kernel
def play_wildly(argument, num_worlds, ticks, weights, owners, meetings):
    """Drive egos as their weights say, put down anew whoever has crashed or arrived; the vehicle-ticks of the traffic.

    `meetings` are counted world by world.
    """
    frame = open_frame(argument)
    vehicle_ticks = 0
    for i in range(num_worlds):
        map = frame.maps[i]
        world = frame.worlds[i]
        options = frame.options[0]
        has_traffic = world.num_vehicles > world.num_egos
        for n in range(ticks):
            for k in range(world.num_vehicles):
                word_0, word_1, _, word_3 = philox(i, 17, 0, n, 0, k)
                if k < world.num_egos:
                    action = weights[(i + k) % weights.shape[0], below(word_3, 16)]
                    frame.actions[k] = max(action - 1, 0) if options.has_idle == 0 else action
                if world.vehicles[k].status != DRIVING:
                    put_down(map, world, k, word_0, word_1)
            tick(map, world, options, frame.actions, 0)
            meetings[i] += count_meetings(map, world, owners)
            if has_traffic:
                vehicle_ticks += world.num_vehicles - world.num_egos
    return vehicle_ticks


def driven_wildly(maps: np.ndarray, worlds: np.ndarray, options: Any, ticks: int) -> tuple[np.ndarray, int]:
    """(meetings of traffic (N,), vehicle-ticks of the traffic) of so many ticks among egos of all tempers."""
    num_egos = int(options["num_egos"][0])
    frame = frame_of(maps, worlds, options, np.zeros(num_egos))
    meetings = np.zeros(len(worlds), np.int64)
    weights = np.array(list(WEIGHTS.values()))
    owners = np.zeros(worlds["occupants"].shape[1], np.int64)
    vehicle_ticks = play_wildly(frame.argument, len(worlds), ticks, weights, owners, meetings)
    return meetings, int(vehicle_ticks)
