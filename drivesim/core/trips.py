"""Where traffic goes: one destination after the other, each with a way that leads there from where it is taken.

Which one a vehicle has as its n-th is a function of key, episode, vehicle and n alone: not of the tick, nor of who
is in its way.
"""

from drivesim.core.following import reach_of
from drivesim.core.jit import kernel
from drivesim.core.map import EDGE, ends_trip, heading_on, kind, next_cell, way_from
from drivesim.core.rng import below, trip_word


@kernel
def note_arrival(map, vehicle):
    """Note whether a vehicle passes its destination in this tick; its `cell` is still the one before."""
    cell = vehicle.cell
    for _ in range(vehicle.speed):
        cell = next_cell(map, cell, vehicle.heading)
        if ends_trip(map, vehicle.destination, cell):
            vehicle.has_arrived = 1


@kernel
def may_follow(map, vehicle, destination):
    """Whether traffic may go to a destination after its present one, and there is a way from where it is."""
    following = map.goals[vehicle.destination].next
    return (following == 0 or following >> destination & 1 == 1) and way_from(map, destination, vehicle.cell) >= 0


@kernel
def drawn_destination(map, world, k):
    """The destination that vehicle k has after its present one: drawn evenly from those that may follow it."""
    vehicle = world.vehicles[k]
    num_choices = 0
    for destination in range(map.num_destinations):
        num_choices += may_follow(map, vehicle, destination)
    choice = below(trip_word(world, k, vehicle.num_trips), num_choices)
    for destination in range(map.num_destinations):
        if may_follow(map, vehicle, destination):
            if choice == 0:
                return destination
            choice -= 1
    return vehicle.destination


@kernel
def trip_length(map, destination, cell):
    """Cells along the way to a destination, -1 if the way does not lead there without a change of lane."""
    for length in range((map.rows + 2) * map.width):
        if ends_trip(map, destination, cell):
            return length
        way = way_from(map, destination, cell)
        if way < 0 or kind(map, cell) == EDGE:
            return -1
        cell = next_cell(map, cell, way)
    return -1


@kernel
def nearest_destination(map, vehicle):
    """The destination with the shortest way from where a vehicle is; its own if there is none."""
    nearest = vehicle.destination
    shortest = -1
    for destination in range(map.num_destinations):
        if way_from(map, destination, vehicle.cell) >= 0:
            length = trip_length(map, destination, vehicle.cell)
            if length >= 0 and (shortest < 0 or length < shortest):
                nearest = destination
                shortest = length
    return nearest


@kernel
def ways_agree(map, vehicle, destination):
    """Whether the way to a destination is the one that a vehicle is on, as far as it has to look ahead."""
    cell = vehicle.cell
    heading = vehicle.heading
    for _ in range(reach_of(vehicle) + 1):
        heading = heading_on(map, vehicle.destination, cell, heading)
        if kind(map, cell) == EDGE or way_from(map, destination, cell) != heading:
            return False
        cell = next_cell(map, cell, heading)
    return True


@kernel
def plan_trip(map, world, k):
    """Let traffic vehicle k take its next destination behind the present one, the nearest where it has lost its way.

    Only where the new way begins like the old one, or at rest: it has made sure that it can stop before what it saw
    there. And only while it has reserved no cells, which lie on the old way.
    """
    vehicle = world.vehicles[k]
    if vehicle.may_enter != 0:
        return
    destination = vehicle.destination
    if vehicle.has_arrived != 0:
        destination = drawn_destination(map, world, k)
    elif way_from(map, destination, vehicle.cell) < 0:
        destination = nearest_destination(map, vehicle)
        if destination == vehicle.destination:
            return
    else:
        return
    if vehicle.speed == 0 or ways_agree(map, vehicle, destination):
        vehicle.destination = destination
        vehicle.num_trips = (vehicle.num_trips + 1) & 0x3FFFFFFF
        vehicle.has_arrived = 0
