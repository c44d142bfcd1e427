"""Every number that is observed is the one that docs/observations.md promises, recomputed in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import observed
import pytest
from env_tools import AUTODRIVE, HIGHWAY, IDS, INTERSECTION, LANE_KEEP, OBSERVATIONS, OBSTACLES, draw_actions

import drivesim
from drivesim.config import EnvConfig
from drivesim.core.world import (
    ABSENT,
    ARRIVED,
    CRASHED,
    CROSSING,
    CROSSWALK,
    DRIVING,
    EAST,
    GOAL,
    LANE,
    NOBODY,
    NORTH,
    OBSTACLE,
    OFF_ROAD,
    PARKING_BAY,
    RUNNING,
    SHOULDER,
    STOP_LINE,
    UNREACHABLE,
    WAITING,
    WORLD,
)
from drivesim.engine import kernels_of
from drivesim.observations.encoder import Window
from drivesim.observations.features import FEATURES
from drivesim.observations.grid import PLANES

SIZE = 30  # rows and columns of a scrambled map
LEVELS = (
    (HIGHWAY, {"num_lanes": 1, "length": 40, "num_vehicles": 6}),
    (HIGHWAY, {"num_lanes": 5, "length": 60, "num_vehicles": 47, "slowest": 1, "fastest": 5}),
    (LANE_KEEP, {"length": 20, "half_lane": 1, "wander": 100}),
    (LANE_KEEP, {"length": 40, "half_lane": 3, "wander": 60}),
    (OBSTACLES, {"length": 30, "num_lanes": 2, "num_walls": 1, "num_closed": 0, "num_obstacles": 8}),
    (OBSTACLES, {"length": 66, "num_lanes": 6, "num_obstacles": 40}),
    (INTERSECTION, {"num_vehicles": 20, "green": 4, "yellow": 5, "all_red": 4, "distance": 13}),
    (AUTODRIVE, {"num_obstacles": 24, "crossing_cars": 3}),
)


def observe(name: str, worlds: np.ndarray, window: Window | None = None) -> np.ndarray:
    """What the egos of worlds (M,) of any map see, in the window of Highway or in another one."""
    config = EnvConfig("Highway", name)
    window = window or config.scenario_class.window
    rules = config.to_rules(max_steps=0)
    rules["ahead"], rules["behind"], rules["beside"] = window.ahead, window.behind, window.beside
    shape, dtype = config.encoder.shape_and_dtype(window, int(worlds["rows"][0]), int(worlds["cols"][0]))
    obs = np.empty((len(worlds), *shape), dtype)
    kernels_of("Highway", name).observe(worlds, rules, 0, len(worlds), obs.reshape(len(worlds), -1))
    return obs


def assert_as_described(name: str, window: Window, world: Any, obs: np.ndarray, k: int = 0) -> None:
    """An observation of ego k is what the reference makes of the world, in every plane, cell or feature."""
    scene = observed.Scene(world, k)
    if name == "features":
        told = dict(zip(FEATURES, obs.tolist(), strict=True))
        described = observed.features(scene)
        assert list(described) == list(told)
        assert {at: (described[at], told[at]) for at in told if abs(described[at] - told[at]) > 1e-6} == {}
    elif name == "full_grid":
        np.testing.assert_array_equal(obs, observed.full_grid(scene))
    else:
        described = observed.grid(scene, window.ahead, window.behind, window.beside)
        for plane, shown, expected in zip(PLANES, obs, described, strict=True):
            np.testing.assert_array_equal(shown, expected, plane)


def scattered(env_id: str, rng: np.random.Generator, num_worlds: int, **options: Any) -> tuple[np.ndarray, Window]:
    """Worlds (M,) some ticks into an episode, their egos put anywhere at any speed, and the scenario's window.

    Their headings are any, too, but for roads of eastbound or of wide lanes, on which nobody ever turns.
    """
    envs = gym.make_vec(env_id, num_envs=num_worlds, **options).unwrapped
    envs.reset(seed=int(rng.integers(1000)))
    for _ in range(int(rng.integers(1, 20))):
        envs.step(draw_actions(rng, envs.single_action_space.n, num_worlds))
    worlds = envs.get_state()
    for world in worlds:
        others = world["vehicles"][1 : int(world["num_vehicles"])]
        size = int(world["rows"]) * int(world["cols"])
        taken = others["row"].astype(int) * int(world["cols"]) + others["col"]
        free = np.setdiff1d(np.arange(size), taken[others["status"] == DRIVING])
        if rng.random() < 0.9:
            free = free[world["cells"][free] & 15 != 0]
        cell = int(rng.choice(free))
        ego, driver = world["vehicles"][0], world["drivers"][0]
        ego["row"], ego["col"] = divmod(cell, int(world["cols"]))
        if not world["is_eastbound"] and not world["half_lane"]:
            allowed = [heading for heading in range(4) if world["cells"][cell] >> heading & 1]
            ego["heading"] = rng.choice(allowed) if allowed and rng.random() < 0.8 else rng.integers(4)
        ego["speed"], ego["turn"], ego["status"] = rng.integers(6), rng.integers(-1, 2), DRIVING
        if not world["is_ring"] and world["route"][cell] != UNREACHABLE:
            driver["remaining"] = world["route"][cell]
    return worlds, envs.config.scenario_class.window


def scrambled(rng: np.random.Generator, is_ring: bool) -> np.ndarray:
    """A world (1,) such as no scenario has: any kind of cell, vehicles everywhere, junctions and pedestrians.

    On a ring without the last two, which no ring has.
    """
    worlds = np.zeros(1, WORLD)
    world = worlds[0]
    world["rows"] = world["cols"] = SIZE
    world["phase"], world["is_ring"], world["limit"] = RUNNING, is_ring, rng.integers(1, 6)
    if is_ring:
        world["wraps_rows"], world["wraps_cols"] = ((1, 0), (0, 1), (1, 1))[rng.integers(3)]
    share = rng.choice((0.4, 0.8, 0.95))
    kinds = np.array([LANE, SHOULDER, PARKING_BAY, GOAL, STOP_LINE, OFF_ROAD, OBSTACLE])
    odds = np.array([*(share * np.array((0.8, 0.1, 0.06, 0.04))), 0, 0.4 * (1 - share), 0.6 * (1 - share)])
    if not is_ring:
        odds[[0, 4]] += (-0.02, 0.02)
    kind = rng.choice(kinds, (SIZE, SIZE), p=odds)
    mask = 1 << rng.integers(0, 4, (SIZE, SIZE))
    several = (rng.random((SIZE, SIZE)) < 0.3) & (kind != STOP_LINE)
    mask[several] = rng.integers(1, 16, several.sum())
    if rng.random() < 0.5:
        mask |= np.where(kind == LANE, 1 << rng.integers(4), 0)  # a heading in which one gets far
    ego = world["vehicles"][0]
    ego["row"], ego["col"] = rng.integers(0, SIZE, 2)
    ego["heading"], ego["speed"], ego["turn"] = rng.integers(4), rng.integers(6), rng.integers(-1, 2)
    ego["status"] = rng.choice((DRIVING, CRASHED, ARRIVED), p=(0.9, 0.05, 0.05))
    if not is_ring:
        add_junctions(world, rng, kind, mask)
        add_crosswalk(world, rng, kind, mask)
    mask[(kind == OFF_ROAD) | (kind == OBSTACLE)] = 0
    world["cells"][: SIZE * SIZE] = (mask | kind << 4).ravel()
    world["lanes"][: SIZE * SIZE] = rng.integers(1, 16, SIZE * SIZE)  # distances from -7 to 7
    rows, cols = np.indices((SIZE, SIZE))
    route = abs(rows - rng.integers(SIZE)) + abs(cols - rng.integers(SIZE))
    route[(rng.random((SIZE, SIZE)) < 0.1) | (mask == 0)] = UNREACHABLE
    world["route"][: SIZE * SIZE] = route.ravel()
    world["drivers"]["route_length"][0] = rng.integers(1, 60)
    world["drivers"]["remaining"][0] = min(int(route[ego["row"], ego["col"]]), 40)
    add_vehicles(world, rng)
    return worlds


def add_junctions(world: Any, rng: np.random.Generator, kind: np.ndarray, mask: np.ndarray) -> None:
    """Two junctions with stop lines around them; mostly the ego is before one or in it."""
    world["num_signals"] = 2
    for n, signal in enumerate(world["signals"]):
        height, width = rng.integers(1, 4, 2)
        row, col = rng.integers(7, 10) + 10 * n, rng.integers(8, 20)
        signal["row"], signal["col"], signal["height"], signal["width"] = row, col, height, width
        signal["colour_0"], signal["colour_1"] = rng.integers(0, 3, 2)
        kind[row : row + height, col : col + width] = LANE
        mask[row : row + height, col : col + width] |= rng.integers(1, 16)
        heading = int(rng.integers(4))
        along, across = observed.STEPS[heading], observed.STEPS[(heading + 1) % 4]
        line = {0: (row + height, col), 1: (row, col - 1), 2: (row - 1, col), 3: (row, col + width)}[heading]
        for back in range(6):
            at = line[0] - along[0] * back, line[1] - along[1] * back
            kind[at], mask[at] = (STOP_LINE if back == 0 else LANE), 1 << heading
        beyond = line[0] + abs(across[0]), line[1] + abs(across[1])
        kind[beyond], mask[beyond] = STOP_LINE, 1 << int(rng.integers(4))
        if rng.random() < 0.45:
            ego, back = world["vehicles"][0], int(rng.integers(-2, 6))
            ego["row"], ego["col"] = line[0] - along[0] * back, line[1] - along[1] * back
            ego["heading"] = heading


def add_crosswalk(world: Any, rng: np.random.Generator, kind: np.ndarray, mask: np.ndarray) -> None:
    """One crosswalk, mostly before the ego; pedestrians on it, at its ends, and records of nobody anywhere."""
    ego = world["vehicles"][0]
    (up, along), (down, across) = observed.STEPS[int(ego["heading"])], observed.STEPS[(int(ego["heading"]) + 1) % 4]
    ahead, left, right = int(rng.integers(1, 14)), int(rng.integers(-1, 4)), int(rng.integers(0, 4))
    stripe = [
        (int(ego["row"]) + ahead * up + n * down, int(ego["col"]) + ahead * along + n * across)
        for n in range(-left - 1, right + 2)
    ]
    if not all(0 <= row < SIZE and 0 <= col < SIZE for row, col in stripe):
        stripe = [(SIZE - 3, col) for col in range(2, 8)]  # elsewhere
    for row, col in stripe[1:-1]:
        kind[row, col], mask[row, col] = CROSSWALK, 5 if stripe[0][0] == stripe[1][0] else 10
    crossing = rng.permutation(len(stripe) - 2)[: rng.integers(3)] + 1
    waiting = (0, len(stripe) - 1)[: rng.integers(3)]
    people = [(*stripe[n], CROSSING) for n in crossing] + [(*stripe[n], WAITING) for n in waiting]
    free = [n for n in range(SIZE * SIZE) if divmod(n, SIZE) not in [person[:2] for person in people]]
    people += [(*divmod(int(rng.choice(free)), SIZE), NOBODY) for _ in range(2)]
    world["num_pedestrians"] = len(people)
    for p, (row, col, status) in enumerate(people):
        world["pedestrians"][p] = (row, col, rng.integers(4), status)


def add_vehicles(world: Any, rng: np.random.Generator) -> None:
    """Traffic on cells of its own, some of it gone; half of it near the ego."""
    count = int(rng.integers(0, 47))
    world["num_vehicles"] = 1 + count
    ego = world["vehicles"][0]
    here = int(ego["row"]) * SIZE + int(ego["col"])
    free = np.setdiff1d(np.arange(SIZE * SIZE), here if ego["status"] == DRIVING else [])
    near = (abs(free // SIZE - ego["row"]) <= 8) & (abs(free % SIZE - ego["col"]) <= 8)
    cells = rng.choice(free, count, replace=False, p=np.where(near, 0.5 / near.sum(), 0.5 / (~near).sum()))
    for vehicle, cell in zip(world["vehicles"][1 : 1 + count], cells.tolist(), strict=True):
        vehicle["row"], vehicle["col"] = divmod(cell, SIZE)
        vehicle["heading"], vehicle["speed"] = rng.integers(4), rng.integers(6)
        vehicle["status"] = rng.choice((DRIVING, ABSENT, ARRIVED, CRASHED), p=(0.85, 0.05, 0.05, 0.05))
    for k, vehicle in enumerate(world["vehicles"][: 1 + count]):
        if vehicle["status"] == DRIVING:
            world["occupants"][int(vehicle["row"]) * SIZE + int(vehicle["col"])] = k + 1


def many_scrambled(num_worlds: int, is_ring: bool, seed: int) -> np.ndarray:
    """Scrambled worlds (M,)."""
    rng = np.random.default_rng(seed)
    return np.concatenate([scrambled(rng, is_ring) for _ in range(num_worlds)]).astype(WORLD)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", IDS)
def test_every_tick_of_an_episode_shows_what_the_page_describes_its_end_included(env_id, observation) -> None:
    num_ends = 0
    for difficulty in ("easy", "medium", "hard"):
        envs = gym.make_vec(env_id, num_envs=8, observation=observation, difficulty=difficulty).unwrapped
        window = envs.config.scenario_class.window
        rng = np.random.default_rng(1)
        obs, _ = envs.reset(seed=2)
        for tick in range(61):
            worlds = envs.get_state()
            for i, world in enumerate(worlds):
                if (tick + i) % 10 == 0:
                    assert_as_described(observation, window, world, obs[i])
                    num_ends += int(world["phase"] != RUNNING)
            obs = envs.step(draw_actions(rng, envs.single_action_space.n, 8))[0]
    assert num_ends >= 2


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize(
    ("env_id", "options"), [*((env_id, {"difficulty": "hard"}) for env_id in IDS), *LEVELS], ids=str
)
def test_wherever_the_ego_is_put_it_sees_what_the_page_describes(env_id, options, observation) -> None:
    rng = np.random.default_rng(7)
    for _ in range(3):
        worlds, window = scattered(env_id, rng, 10, **options)
        for world, obs in zip(worlds, observe(observation, worlds, window), strict=True):
            assert_as_described(observation, window, world, obs)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", [HIGHWAY, INTERSECTION])
def test_each_of_several_egos_sees_the_world_from_its_own_place(env_id, observation) -> None:
    envs = drivesim.parallel_vec_env(env_id, 4, 3, observation=observation)
    rng = np.random.default_rng(3)
    obs, _ = envs.reset(seed=5)
    for tick in range(31):
        if tick % 6 == 0:
            worlds = envs.get_state()
            for i in range(12):
                assert_as_described(observation, envs.config.scenario_class.window, worlds[i // 3], obs[i], i % 3)
        obs = envs.step(draw_actions(rng, 5, 12))[0]


@pytest.mark.parametrize("is_ring", [False, True], ids=["edged", "ring"])
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_in_worlds_such_as_no_scenario_has_every_value_is_as_described(observation, is_ring) -> None:
    window = Window(ahead=12, behind=10, beside=6)
    worlds = many_scrambled(160, is_ring, seed=0)
    for world, obs in zip(worlds, observe(observation, worlds, window), strict=True):
        assert_as_described(observation, window, world, obs)


@pytest.mark.parametrize("is_ring", [False, True], ids=["edged", "ring"])
def test_a_window_of_any_size_shows_its_cells_and_no_others(is_ring) -> None:
    worlds = many_scrambled(20, is_ring, seed=1)
    for size in ((0, 0, 0), (1, 0, 3), (0, 9, 1), (14, 14, 14), (5, 13, 0), (13, 2, 9)):
        window = Window(*size)
        for world, obs in zip(worlds, observe("grid", worlds, window), strict=True):
            assert_as_described("grid", window, world, obs)


def test_the_worlds_compared_show_every_plane_code_and_feature_in_several_values() -> None:
    rng = np.random.default_rng(7)
    edged = many_scrambled(160, False, seed=0)
    features = [observe("features", edged), observe("features", scattered(LANE_KEEP, rng, 40)[0])]
    assert (np.concatenate(features).max(axis=0) > np.concatenate(features).min(axis=0)).all()
    for name in ("line/red", "line/yellow", "line/green", "junction/inside", "crosswalk/occupied"):
        assert features[0][:, FEATURES.index(name)].sum() >= 10, name
    assert len(np.unique(features[0][:, FEATURES.index("line/distance")])) >= 7
    grid = np.moveaxis(observe("grid", edged, Window(ahead=12, behind=10, beside=6)), 1, 0)
    values = {plane: set(np.unique(shown).tolist()) for plane, shown in zip(PLANES, grid, strict=True)}
    assert values["road"] == {0, 128, 255}
    assert values["vehicle_heading"] == {0, 64, 128, 192, 255}
    assert values["pedestrian"] == {0, 128, 255}
    assert values["signal"] == {0, 32, 64, 128, 192, 255}
    assert values["vehicle"] == {0, 55, 95, 135, 175, 215, 255}
    assert {0, 1, 128, 136, 255} < values["route"]
    assert set(np.unique(observe("full_grid", edged)).tolist()) == set(range(63))


def plain(*, is_ring: bool = False) -> np.ndarray:
    """A world (1,) of eastbound lanes without traffic, the ego in column 25 of row 15."""
    worlds = np.zeros(1, WORLD)
    world = worlds[0]
    world["rows"] = world["cols"] = SIZE
    world["wraps_cols"], world["is_ring"], world["num_vehicles"] = 1, is_ring, 1
    world["cells"][: SIZE * SIZE] = 1 << EAST | LANE << 4
    world["lanes"] = 8
    world["drivers"]["route_length"][0] = 1
    ego = world["vehicles"][0]
    ego["row"], ego["col"], ego["heading"], ego["status"] = 15, 25, EAST, DRIVING
    return worlds


def with_a_pedestrian_beyond_the_seam_of_a_ring() -> np.ndarray:
    worlds = plain(is_ring=True)
    worlds["num_pedestrians"] = 1
    worlds["pedestrians"][0, 0] = (15, 2, NORTH, CROSSING)
    return worlds


def with_a_pedestrian_on_another_crosswalk_beside_the_next() -> np.ndarray:
    worlds = plain()
    worlds["num_pedestrians"] = 1
    worlds["cells"][0, 15 * SIZE + 27] = worlds["cells"][0, 3 * SIZE + 27] = 1 << EAST | CROSSWALK << 4
    worlds["pedestrians"][0, 0] = (3, 27, NORTH, CROSSING)
    return worlds


def with_a_stop_line_beyond_the_edge() -> np.ndarray:
    worlds = plain()
    worlds["num_signals"] = 1
    worlds["cells"][0, 15 * SIZE + 2] = 1 << EAST | STOP_LINE << 4
    return worlds


def with_a_crosswalk_and_no_pedestrians() -> np.ndarray:
    worlds = plain()
    worlds["cells"][0, 15 * SIZE + 27] = 1 << EAST | CROSSWALK << 4
    return worlds


NOT_YET = pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="no scenario has such a world, and the encoders do not see it as the page describes it",
)


@pytest.mark.parametrize(
    ("observation", "make"),
    [
        ("grid", with_a_pedestrian_beyond_the_seam_of_a_ring),
        pytest.param("features", with_a_pedestrian_on_another_crosswalk_beside_the_next, marks=NOT_YET),
        pytest.param("features", with_a_stop_line_beyond_the_edge, marks=NOT_YET),
        pytest.param("grid", with_a_crosswalk_and_no_pedestrians, marks=NOT_YET),
        pytest.param("features", with_a_crosswalk_and_no_pedestrians, marks=NOT_YET),
    ],
)
def test_pedestrians_and_lines_are_seen_on_every_map(observation: str, make: Callable[[], np.ndarray]) -> None:
    window = Window(ahead=12, behind=10, beside=6)
    worlds = make()
    assert_as_described(observation, window, worlds[0], observe(observation, worlds, window)[0])
