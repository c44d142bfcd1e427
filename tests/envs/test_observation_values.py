"""Every number that is observed is the one that docs/observations.md promises, recomputed in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import observed
import pytest
from env_tools import (
    AUTODRIVE,
    CUSTOM,
    HIGHWAY,
    IDS,
    INTERSECTION,
    LANE_KEEP,
    OBSERVATIONS,
    OBSTACLES,
    at,
    draw_actions,
)
from scrambled import SIZE, Worlds, blank, cell_of, cells_of, close_ring, many_scrambled

import drivesim
from drivesim.config import EnvConfig
from drivesim.core import batch
from drivesim.core.map import ALL_WAY_STOP, CROSSWALK, EAST, LANE, NO_CONTROL, NORTH, STOP_LINE, UNREACHABLE, YIELD
from drivesim.core.memory import Frame
from drivesim.core.painting import open_portal
from drivesim.core.world import (
    CROSSING,
    DRIVING,
    RUNNING,
)
from drivesim.engine import bindings_of
from drivesim.observations.encoder import Window
from drivesim.observations.entities import COMMON, ENTITY
from drivesim.observations.features import FEATURES
from drivesim.observations.grid import PLANES, places_of_planes, shown_planes
from drivesim.registry import entry_of_id, scenario_of
from drivesim.states import occupants_of

LEVELS = (
    (HIGHWAY, {"num_lanes": 1, "length": 40, "distance": 30, "num_vehicles": 6}),
    (HIGHWAY, {"num_lanes": 5, "length": 60, "distance": 60, "num_vehicles": 47, "slowest": 1, "fastest": 5}),
    (LANE_KEEP, {"length": 20, "half_lane": 1, "wander": 100}),
    (LANE_KEEP, {"length": 40, "half_lane": 3, "wander": 60}),
    (OBSTACLES, {"length": 30, "num_lanes": 2, "num_walls": 1, "num_closed": 0, "num_obstacles": 8}),
    (OBSTACLES, {"length": 66, "num_lanes": 6, "num_obstacles": 40}),
    (INTERSECTION, {"num_vehicles": 20, "green": 4, "yellow": 5, "all_red": 4, "distance": 13}),
    (AUTODRIVE, {"num_obstacles": 24, "crossing_cars": 3}),
)


def observe(name: str, maps: np.ndarray, worlds: np.ndarray, window: Window | None = None) -> np.ndarray:
    """What the egos of worlds (M,) on any maps (M,) see, in the window of Highway or in another one."""
    config = EnvConfig("Highway", name)
    window = window or config.scenario_class.window
    options = config.to_options(max_steps=0)
    options["ahead"], options["behind"], options["beside"] = window.ahead, window.behind, window.beside
    options["planes"][0, : len(PLANES)] = places_of_planes(window)
    options["rows"], options["cols"] = maps["rows"][0], maps["cols"][0]
    options["num_entities"] = window.entities
    shape, dtype = config.encoder.shape_and_dtype(window, int(maps["rows"][0]), int(maps["cols"][0]))
    obs = np.zeros((len(worlds), *shape), dtype)
    frame = Frame(batch.FRAME)
    frame.set(
        worlds=worlds,
        maps=maps,
        maps_by=batch.BY_LEVEL,
        options=options,
        encode=bindings_of("Custom", name).encode,
        obs_out=obs.reshape(len(worlds), -1),
        scratch=np.zeros((1, max(obs[0].size, maps["ground"][0].size)), np.int32),
    )
    batch.observe_worlds(frame.argument, 0, len(worlds), 0)
    return obs


def sides(window: Window) -> tuple[int, int, int]:
    """How far it reaches."""
    return window.ahead, window.behind, window.beside


def assert_as_described(name: str, window: Window, road: Any, world: Any, obs: np.ndarray, k: int = 0) -> None:
    """An observation of ego k is what the reference makes of the world, in every plane, cell or feature."""
    scene = observed.Scene(road, world, k)
    if name == "features":
        told = dict(zip(FEATURES, obs.tolist(), strict=True))
        described = observed.features(scene)
        assert list(described) == list(told)
        assert {at: (described[at], told[at]) for at in told if abs(described[at] - told[at]) > 1e-6} == {}
    elif name == "entities":
        for row, described in zip(obs, observed.entities(observed.Scene(road, world, k), len(obs)), strict=True):
            told = dict(zip(ENTITY, row.tolist(), strict=True))
            assert list(described) == list(told)
            assert {at: (described[at], told[at]) for at in told if abs(described[at] - told[at]) > 1e-6} == {}
    elif name == "rgb":
        np.testing.assert_array_equal(obs, observed.rgb(observed.Scene(road, world, k), *sides(window)))
    elif name == "full_grid":
        np.testing.assert_array_equal(obs, observed.full_grid(scene))
    else:
        described = observed.grid(scene, *sides(window))
        for plane, shown in zip(shown_planes(window), obs, strict=True):
            np.testing.assert_array_equal(shown, described[plane], plane)


def scattered(env_id: str, rng: np.random.Generator, num_worlds: int, **options: Any) -> tuple[Worlds, Window]:
    """Worlds (M,) some ticks into an episode, their egos put anywhere at any speed, and the scenario's window.

    Their headings are any, too, but for rings and wide lanes, on which nobody ever turns.
    """
    envs = gym.make_vec(env_id, num_envs=num_worlds, **options).unwrapped
    envs.reset(seed=int(rng.integers(1000)))
    for _ in range(int(rng.integers(1, 20))):
        envs.step(draw_actions(rng, envs.single_action_space.n, num_worlds))
    engine = envs._engine
    maps = np.array([engine.map_of(i) for i in range(num_worlds)], engine.maps.dtype)
    worlds = envs.get_state()["world"].copy()
    for road, world in zip(maps, worlds, strict=True):
        others = world["vehicles"][1 : int(world["num_vehicles"])]
        cells = cells_of(road)
        free = np.setdiff1d(cells, others["cell"][others["status"] == DRIVING])
        if rng.random() < 0.9:
            free = free[road["ground"][free] & 15 != 0]
        cell = int(rng.choice(free))
        ego, drive = world["vehicles"][0], world["egos"][0]
        ego["cell"] = cell
        if not road["ring_cols"] and not road["half_lane"]:
            allowed = [heading for heading in range(4) if road["ground"][cell] >> heading & 1]
            ego["heading"] = rng.choice(allowed) if allowed and rng.random() < 0.8 else rng.integers(4)
        ego["speed"], ego["status"] = rng.integers(-1, 6), DRIVING
        distance = road["distances"][int(drive["goal"]) * (road["rows"] + 2) * road["width"] + cell]
        if not road["ring_cols"] and distance != UNREACHABLE:
            drive["remaining"] = distance
    worlds["occupants"] = occupants_of(worlds)
    return (maps, worlds), envs.config.scenario_class.window


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", IDS)
def test_every_tick_of_an_episode_shows_what_the_page_describes_its_end_included(env_id, observation) -> None:
    num_ends = 0
    for difficulty in ("easy", "medium", "hard"):
        envs = gym.make_vec(env_id, num_envs=8, observation=observation, **at(difficulty, env_id)).unwrapped
        window = envs.config.scenario_class.window
        rng = np.random.default_rng(1)
        obs, _ = envs.reset(seed=2)
        for tick in range(61):
            for i, world in enumerate(envs.get_state()["world"]):
                if (tick + 3 * i) % 20 == 0:
                    assert_as_described(observation, window, envs._engine.map_of(i), world, obs[i])
                    num_ends += int(world["stage"] != RUNNING)
            obs = envs.step(draw_actions(rng, envs.single_action_space.n, 8))[0]
    assert num_ends >= 2


NOTHING = {"vehicle_heading": {0, 64}, "route": {0, 128}, "my_turn": {255}}
"""Values of a plane that tells nothing, where they are not just 0: all drive my way, there is no goal or junction."""


@pytest.mark.parametrize("env_id", [env_id for env_id in IDS if env_id != CUSTOM])
def test_a_scenario_shows_exactly_the_planes_in_which_there_is_something_to_see(env_id) -> None:
    values: dict[str, set[int]] = {name: set() for name in PLANES}
    for difficulty in ("easy", "medium", "hard"):
        envs = gym.make_vec(env_id, num_envs=40, **at(difficulty, env_id)).unwrapped
        rng = np.random.default_rng(4)
        envs.reset(seed=3)
        own = envs.config.scenario_class.window
        for _ in range(20):
            maps = np.array([envs._engine.map_of(i) for i in range(40)], envs._engine.maps.dtype)
            window = Window(own.ahead, own.behind, own.beside)
            obs = observe("grid", maps, envs.get_state()["world"].copy(), window)
            if "vehicle" not in own.planes:
                obs[:, PLANES.index("vehicle") : PLANES.index("vehicle_turn") + 1, own.ahead, own.beside] = 0  # myself
            for name, plane in zip(PLANES, np.moveaxis(obs, 1, 0), strict=True):
                values[name] |= set(np.unique(plane).tolist())
            envs.step(draw_actions(rng, envs.single_action_space.n, 40))
    for name in PLANES:
        assert (name in own.planes) == (not values[name] <= NOTHING.get(name, {0})), (name, values[name])


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize(("env_id", "options"), [*((env_id, at("hard", env_id)) for env_id in IDS), *LEVELS], ids=str)
def test_wherever_the_ego_is_put_it_sees_what_the_page_describes(env_id, options, observation) -> None:
    rng = np.random.default_rng(7)
    for _ in range(3):
        scenes, window = scattered(env_id, rng, 10, **options)
        for road, world, obs in zip(*scenes, observe(observation, *scenes, window), strict=True):
            assert_as_described(observation, window, road, world, obs)


def crossings_with(control: int, rng: np.random.Generator, num_worlds: int) -> tuple[Worlds, Window]:
    """Scattered worlds of Intersection under another control, and ranks that go with it."""
    (maps, worlds), window = scattered(INTERSECTION, rng, num_worlds, num_vehicles=20)
    maps["junctions"]["control"], maps["junctions"]["ranks"] = control, (0, 1, 3, 1)
    return (maps, worlds), window


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("control", [ALL_WAY_STOP, YIELD, NO_CONTROL], ids=["all-way", "yield", "none"])
def test_under_any_control_the_ego_sees_what_the_page_describes(control, observation) -> None:
    scenes, window = crossings_with(control, np.random.default_rng(5), 25)
    for road, world, obs in zip(*scenes, observe(observation, *scenes, window), strict=True):
        assert_as_described(observation, window, road, world, obs)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", [HIGHWAY, INTERSECTION])
def test_each_of_several_egos_sees_the_world_from_its_own_place(env_id, observation) -> None:
    envs = drivesim.parallel_vec_env(env_id, 4, 3, observation=observation)
    rng = np.random.default_rng(3)
    obs, _ = envs.reset(seed=5)
    for tick in range(31):
        if tick % 6 == 0:
            worlds, window = envs.get_state()["world"], envs.config.scenario_class.window
            for i in range(12):
                road = envs._engine.map_of(i // 3)
                assert_as_described(observation, window, road, worlds[i // 3], obs[i], i % 3)
        obs = envs.step(draw_actions(rng, 5, 12))[0]


@pytest.mark.parametrize("is_ring", [False, True], ids=["edged", "ring"])
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_in_worlds_such_as_no_scenario_has_every_value_is_as_described(observation, is_ring) -> None:
    window = Window(ahead=12, behind=10, beside=6, entities=32)
    scenes = many_scrambled(160, is_ring, seed=0, half_lane=7 if observation == "grid" else 0)
    for road, world, obs in zip(*scenes, observe(observation, *scenes, window), strict=True):
        assert_as_described(observation, window, road, world, obs)


@pytest.mark.parametrize("is_ring", [False, True], ids=["edged", "ring"])
def test_a_window_of_any_size_shows_its_cells_and_no_others(is_ring) -> None:
    scenes = many_scrambled(20, is_ring, seed=1, half_lane=3)
    for size in ((0, 0, 0), (1, 0, 3), (0, 9, 1), (14, 14, 14), (5, 13, 0), (13, 2, 9)):
        window = Window(*size)
        for road, world, obs in zip(*scenes, observe("grid", *scenes, window), strict=True):
            assert_as_described("grid", window, road, world, obs)


@pytest.mark.parametrize("env_id", IDS)
def test_the_window_asked_for_is_the_one_that_is_seen_with_every_plane_if_asked_for(env_id) -> None:
    for window in (Window(7, 1, 3), Window(20, 11, 5, scenario_of(entry_of_id(env_id).name).window.planes)):
        options = {"window": sides(window), "all_planes": window.planes == ()}
        envs = gym.make_vec(env_id, num_envs=5, observation="grid", **options)
        engine = envs.unwrapped._engine
        rng = np.random.default_rng(3)
        obs, _ = envs.reset(seed=8)
        for _ in range(12):
            obs = envs.step(draw_actions(rng, envs.single_action_space.n, 5))[0]
        assert obs.shape == envs.observation_space.shape
        for i, world in enumerate(envs.unwrapped.get_state()["world"]):
            assert_as_described("grid", window, engine.map_of(i), world, obs[i])


def test_the_worlds_compared_show_every_plane_code_and_feature_in_several_values() -> None:
    rng = np.random.default_rng(7)
    edged = many_scrambled(160, False, seed=0)
    crossing, window = crossings_with(YIELD, rng, 300)
    features = [observe("features", *scenes) for scenes in (edged, scattered(LANE_KEEP, rng, 40)[0], crossing)]
    assert (np.concatenate(features).max(axis=0) > np.concatenate(features).min(axis=0)).all()
    for name in ("control/red", "control/yellow", "control/green", "control/inside", "crosswalk/occupied"):
        assert features[0][:, FEATURES.index(name)].sum() >= 10, name
    assert len(np.unique(features[0][:, FEATURES.index("control/distance")])) >= 7
    crowd = Window(ahead=12, behind=10, beside=6, entities=32)
    told = [observe("entities", *scenes, crowd).reshape(-1, len(ENTITY)) for scenes in (edged, crossing)]
    for name, column in zip(COMMON, np.concatenate(told).T, strict=False):
        assert len(np.unique(column)) >= (2 if name.startswith(("valid", "is_", "crosses")) else 3), name
    grid = np.moveaxis(observe("grid", *edged, Window(ahead=12, behind=10, beside=6)), 1, 0)
    values = {plane: set(np.unique(shown).tolist()) for plane, shown in zip(PLANES, grid, strict=True)}
    assert values["road"] == {0, 128, 255}
    assert values["vehicle_heading"] == {0, 64, 128, 192, 255}
    assert values["pedestrian"] == {0, 128, 255}
    assert values["signal"] == {0, 32, 64, 80, 96, 128, 192, 255}
    assert values["vehicle"] == {0, 15, 55, 95, 135, 175, 215, 255}
    assert values["own_speed"] == set(range(0, 252, 18))
    assert values["my_turn"] == {0, 255}
    assert values["goal_heading"] == {0, 64, 128, 192, 255}
    assert {0, 1, 128, 136, 255} < values["route"]
    turning = observe("grid", *crossing, Window(ahead=12, behind=10, beside=6))[:, PLANES.index("vehicle_turn")]
    assert set(np.unique(turning).tolist()) == {0, 128, 255}
    codes = set(np.unique(observe("full_grid", *edged)).tolist())
    assert set(range(43)) | set(range(155, 159)) <= codes < set(range(99)) | set(range(155, 159))
    assert min(len(codes & set(range(43, 71))), len(codes & set(range(71, 99)))) >= 10
    codes = set(np.unique(observe("full_grid", *crossing, window)).tolist())
    assert min(len(codes & set(range(99, 127))), len(codes & set(range(127, 155)))) >= 8


def plain(*, is_ring: bool = False) -> Worlds:
    """A map and a world (1,) of eastbound lanes without traffic, the ego in column 25 of row 15."""
    maps, worlds = blank()
    road, world = maps[0], worlds[0]
    road["ground"][cells_of(road)] = 1 << EAST | LANE << 4
    road["lanes"][:] = 8
    road["distances"][:] = UNREACHABLE
    if is_ring:
        close_ring(road, along_rows=True)
    world["num_vehicles"] = 1
    world["egos"]["route_length"][0] = 1
    ego = world["vehicles"][0]
    ego["cell"], ego["heading"], ego["status"] = cell_of(15, 25), EAST, DRIVING
    worlds["occupants"] = occupants_of(worlds)
    return maps, worlds


def with_a_pedestrian_beyond_the_seam_of_a_ring() -> Worlds:
    maps, worlds = plain(is_ring=True)
    worlds["num_people"] = 1
    worlds["people"][0, 0] = (cell_of(15, 2), NORTH, CROSSING, 0, 0, 0, 0)
    return maps, worlds


def with_a_pedestrian_on_another_crosswalk_beside_the_next() -> Worlds:
    maps, worlds = plain()
    worlds["num_people"] = 1
    maps["ground"][0, [cell_of(15, 27), cell_of(3, 27)]] = 1 << EAST | CROSSWALK << 4
    worlds["people"][0, 0] = (cell_of(3, 27), NORTH, CROSSING, 0, 0, 0, 0)
    return maps, worlds


def with_a_stop_line_beyond_the_edge() -> Worlds:
    maps, worlds = plain()
    maps["num_junctions"] = 1
    maps["ground"][0, cell_of(15, 2)] = 1 << EAST | STOP_LINE << 4
    for row in range(SIZE):
        open_portal(maps[0], cell_of(row, SIZE - 1), EAST, cell_of(row, 0))
    return maps, worlds


def with_a_crosswalk_and_no_pedestrians() -> Worlds:
    maps, worlds = plain()
    maps["ground"][0, cell_of(15, 27)] = 1 << EAST | CROSSWALK << 4
    return maps, worlds


@pytest.mark.parametrize(
    ("observation", "make"),
    [
        ("grid", with_a_pedestrian_beyond_the_seam_of_a_ring),
        ("features", with_a_pedestrian_on_another_crosswalk_beside_the_next),
        ("features", with_a_stop_line_beyond_the_edge),
        ("grid", with_a_crosswalk_and_no_pedestrians),
        ("features", with_a_crosswalk_and_no_pedestrians),
        ("entities", with_a_pedestrian_beyond_the_seam_of_a_ring),
    ],
)
def test_pedestrians_and_lines_are_seen_on_every_map(observation: str, make: Callable[[], Worlds]) -> None:
    window = Window(ahead=12, behind=10, beside=6, entities=3)
    maps, worlds = make()
    assert_as_described(observation, window, maps[0], worlds[0], observe(observation, maps, worlds, window)[0])
