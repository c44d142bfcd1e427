"""The best drives on straight one-way roads without traffic, searched exactly: the rules and the reward once more.

Whoever drives there heads north. A state is (cell, speed, acceleration), a number for each; the way from one to the
next is laid down in tables, one row for each action, and three questions are put to them: which drive pays most, which
is the fastest that keeps to the law, which changes lane least.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

LANE, SHOULDER, UNREACHABLE = 1, 2, 65535
SPEEDS, ACCELERATIONS = 6, 3
CANNOT = -1.0e9
Array = np.ndarray[Any, Any]


class Road(NamedTuple):
    """Tables of states and actions, all (S, 5); S is cells · 18, the actions are LEFT … SLOWER."""

    start: int
    after: Array
    """The state after the action; that of an arrival is not looked at."""
    is_open: Array
    """Whether it stays on the road."""
    arrives: Array
    gain: Array
    """Share of the route."""
    speed: Array
    offset: Array
    """Distance from the lane's centre as a share of half the lane."""
    on_shoulder: Array
    changes_lane: Array
    is_harsh: Array


class Drive(NamedTuple):
    """What a drive comes to."""

    actions: list[int]
    total: float
    num_lane_changes: int
    num_speeding: int
    mean_offset: float


def road_of(map: Any, world: Any) -> Road:
    """The tables of a level on which nothing moves but the ego, which heads north."""
    num_cells, width = map.ground.shape[0] - 8, int(map.width)
    kinds = np.array([int(ground) >> 4 & 7 for ground in map.ground[:num_cells]])
    is_road = (np.array(map.ground[:num_cells]) & 1 == 1) & np.isin(kinds, [LANE, SHOULDER])
    distances = np.array(map.distances[:num_cells], np.int64)
    lanes = np.array(map.lanes[:num_cells], np.int64)
    cell, speed, acceleration, action = np.meshgrid(
        np.arange(num_cells), np.arange(SPEEDS), np.arange(ACCELERATIONS), np.arange(5), indexing="ij"
    )
    v = np.where(action == 3, np.minimum(speed + 1, SPEEDS - 1), speed)
    v = np.where(action == 4, np.maximum(speed - 1, 0), v)
    side = np.where(action == 0, -1, np.where(action == 2, 1, 0))
    v = np.where(side != 0, np.maximum(speed, 1), v)
    at = np.clip(cell + side, 0, num_cells - 1)
    is_open = is_road[cell] & is_road[at]
    changes_lane = lanes[at] >> 4 != lanes[cell] >> 4
    arrives = is_open & (distances[at] == 0)
    for n in range(1, SPEEDS):
        moves = (n <= v) & ~arrives & is_open
        at = np.where(moves, np.maximum(at - width, 0), at)
        is_open &= is_road[at]
        arrives |= is_open & (distances[at] == 0)
    is_open &= distances[at] < UNREACHABLE
    half_lane = max(1, int(map.half_lane))
    offset = np.abs((lanes & 15) - 8)[at] / half_lane if map.half_lane > 0 else np.zeros(at.shape)
    start_cell = int(world.vehicles[0].cell)
    size = num_cells * SPEEDS * ACCELERATIONS
    after = (at * SPEEDS + v) * ACCELERATIONS + v - speed + 1
    tables = (
        after,
        is_open,
        arrives,
        (distances[cell] - distances[at]) / distances[start_cell],
        v,
        offset,
        kinds[at] == SHOULDER,
        changes_lane,
        np.abs(v - speed - (acceleration - 1)) >= 2,
    )
    start = (start_cell * SPEEDS + int(world.vehicles[0].speed)) * ACCELERATIONS + 1
    return Road(start, *(table.reshape(size, 5) for table in tables))


def rewards_of(road: Road, weights: Any, speed_limit: int, max_steps: int) -> Array:
    """What each action pays in each state under `"route"`."""
    factor = 1.0 - (1.0 - weights.offset_factor) * road.offset
    factor = np.where(road.speed > speed_limit, factor * weights.speeding_factor, factor)
    factor = np.where(road.is_harsh, factor * weights.harsh_factor, factor)
    factor = np.where(road.on_shoulder, factor * weights.shoulder_factor, factor)
    rewards = weights.progress * road.gain * np.where(road.gain > 0.0, factor, 1.0) + weights.time / max_steps
    rewards = rewards + weights.lane_change * road.changes_lane + weights.arrived * road.arrives
    return np.where(road.is_open, rewards, CANNOT)


def values_of(road: Road, rewards: Array, horizon: int) -> Array:
    """The greatest undiscounted sum of rewards on a drive that arrives within `horizon` ticks, for every state."""
    values = np.full(len(road.after), CANNOT)
    for _ in range(horizon):
        better = np.maximum((rewards + np.where(road.arrives, 0.0, values[road.after])).max(1), CANNOT)
        if np.array_equal(better, values):
            break
        values = better
    return values


def best_drive(road: Road, rewards: Array, speed_limit: int, horizon: int) -> Drive:
    """The drive with the greatest sum of rewards; the first of several."""
    values = values_of(road, rewards, horizon)
    state, total, changes, speeding, offset = road.start, 0.0, 0, 0, 0.0
    actions: list[int] = []
    while len(actions) < horizon:
        action = int((rewards[state] + np.where(road.arrives[state], 0.0, values[road.after[state]])).argmax())
        total += rewards[state, action]
        actions.append(action)
        changes += int(road.changes_lane[state, action])
        speeding += int(road.speed[state, action] > speed_limit)
        offset += road.offset[state, action]
        if road.arrives[state, action]:
            break
        state = int(road.after[state, action])
    return Drive(actions, total, changes, speeding, offset / len(actions))


def fastest(road: Road, speed_limit: int, horizon: int) -> int:
    """The fewest ticks of a drive that keeps the speed limit and counts as a success; 0 = none within `horizon`.

    On a wide lane the mean distance from the centre must be at most half of half the lane.
    """
    may = road.is_open & (road.speed <= speed_limit)
    least = np.full(len(road.after), np.inf)  # sum of offsets on the way to the goal in exactly so many ticks
    for ticks in range(1, horizon + 1):
        through = np.where(road.arrives, 0.0 if ticks == 1 else np.inf, least[road.after])
        least = np.where(may, road.offset + through, np.inf).min(1)
        if least[road.start] <= ticks / 2:
            return ticks
    return 0


def fewest_lane_changes(road: Road, speed_limit: int) -> int:
    """The fewest changes of lane on a drive that arrives within the speed limit, however long it takes."""
    may = road.is_open & (road.speed <= speed_limit)
    values = values_of(road, np.where(may, -1.0 * road.changes_lane, CANNOT), len(road.after))
    return round(-values[road.start])
