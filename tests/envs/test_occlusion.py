"""Hiding one thing in the world: what the ego would see without it."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
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
    assert_refused,
    at,
    draw_actions,
    world_bytes,
)

from drivesim.core.map import LANE, OBSTACLE
from drivesim.core.ways import measure_distances
from drivesim.core.world import ABSENT, CROSSING, DRIVING, NOBODY, WAITING, world_dtype
from drivesim.observations.grid import PLANES, shown_planes
from drivesim.occlusion import hidden, occlusions
from drivesim.render.state import State, grid_of, place_of
from drivesim.rendering import state_of

OPEN_GROUND, OFF_ROAD_CODE, GOAL_CODE, NORTHBOUND, SHOULDER_CODE, PEDESTRIAN_CODE = 1, 0, 7, 10, 2, 14


def env_after(env_id: str, num_steps: int = 6, seed: int = 0, **options: object) -> gym.Env:
    """An unwrapped environment some random steps into an episode that goes on."""
    env = gym.make(env_id, **at("hard", env_id), **options).unwrapped
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(num_steps):
        before = env.get_state()
        if env.step(int(draw_actions(rng, int(env.action_space.n), None)))[2]:
            env.set_state(before)
    return env


def seen_without(env: gym.Env, state: State | None = None) -> dict[tuple[int, int], np.ndarray]:
    """`occlusions` by cell."""
    cells, observations = occlusions(env, state)
    assert cells.dtype == np.int64
    assert cells.shape == (len(observations), 2)
    return {(row, col): obs for (row, col), obs in zip(cells.tolist(), observations, strict=True)}


def ego_cell(env: gym.Env) -> tuple[int, int]:
    state = state_of(env)
    return place_of(state.map, int(state.world["vehicles"]["cell"][0]))


def cell_at(state: State, row: int, col: int) -> int:
    return (row + 1) * int(state.map["width"]) + col + 1


def go_to(env: gym.Env, state: State) -> None:
    """Put an environment into a state, its map too, whether or not it is everybody's."""
    env.set_state(state.to_array(env.get_state().dtype))
    env._engine.maps[0] = state.map


def measure(state: State, goals: list[int]) -> None:
    """Make these cells the goal and measure the map's distances anew."""
    scratch = np.zeros(4 * len(state.map["ground"]), np.int32)
    scratch[: len(goals)] = goals
    measure_distances(state.map, 0, len(goals), scratch)


def removed(state: State, k: int) -> State:
    """The state without vehicle k, who is where made anew from where the others are."""
    state = State(*(record.copy() for record in state))
    vehicles = state.world["vehicles"]
    vehicles["status"][k], vehicles["may_enter"][k] = ABSENT, 0
    state.world["held"][state.world["held"] == k + 1] = 0
    state.world["occupants"] = 0
    for n in range(int(state.world["num_vehicles"])):
        if vehicles["status"][n] == DRIVING:
            state.world["occupants"][vehicles["cell"][n]] = n + 1
    return state


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", IDS)
def test_everything_noticed_is_told_once_and_the_world_stays(env_id, observation) -> None:
    for seed in range(4):
        env = env_after(env_id, 3 + 3 * seed, seed, observation=observation)
        before = env.get_state()
        whole = env.observe()
        cells, observations = occlusions(env)
        assert np.array_equal(world_bytes(env.get_state()), world_bytes(before))
        assert observations.shape == (len(cells), *whole.shape)
        assert observations.dtype == whole.dtype
        assert 1 <= len(cells) == len(np.unique(cells, axis=0))
        assert ego_cell(env) not in map(tuple, cells.tolist())
        rows, cols = env._engine.map_shape
        assert ((cells >= 0) & (cells < (rows, cols))).all()
        for obs in observations:
            assert env.observation_space.contains(obs)
            assert not np.array_equal(obs, whole)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", IDS)
def test_a_world_in_which_nothing_is_hidden_is_observed_as_by_the_environment(env_id, observation) -> None:
    env = env_after(env_id, observation=observation)
    state = state_of(env)
    _, maps, worlds = hidden(state)
    assert maps[0] == state.map
    assert worlds[0] == state.world
    np.testing.assert_array_equal(env._engine.observe_others(maps[:1], worlds[:1])[0], env.observe())


@pytest.mark.parametrize("env_id", IDS)
def test_every_world_with_something_hidden_is_a_state_that_the_environment_takes(env_id) -> None:
    for seed in range(3):
        env = env_after(env_id, 12, seed)
        _, maps, worlds = hidden(state_of(env))
        for map, world in zip(maps, worlds, strict=True):
            go_to(env, State(map, world))  # checks every index
            assert np.array_equal(env._engine.worlds[0]["occupants"], world["occupants"])
            env.step(2)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", [HIGHWAY, INTERSECTION, AUTODRIVE])
def test_without_a_vehicle_the_ego_sees_what_it_would_if_there_never_had_been_one(env_id, observation) -> None:
    num_noticed = 0
    for seed in range(5):
        env = env_after(env_id, 8, seed, observation=observation)
        state, whole, seen = state_of(env), env.observe(), seen_without(env)
        vehicles = state.world["vehicles"]
        for k in range(1, int(state.world["num_vehicles"])):
            if vehicles["status"][k] == DRIVING:
                go_to(env, removed(state, k))
                cell = place_of(state.map, int(vehicles["cell"][k]))
                np.testing.assert_array_equal(seen.get(cell, whole), env.observe())
                num_noticed += cell in seen
    assert num_noticed >= 3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("env_id", IDS)
def test_in_the_whole_map_exactly_the_hidden_cell_changes_to_what_lies_under_it(env_id, seed) -> None:
    env = env_after(env_id, 8, seed, observation="full_grid")
    state, whole, seen = state_of(env), env.observe(), seen_without(env)
    empty = state
    for k in range(1, int(state.world["num_vehicles"])):
        empty = removed(empty, k)
    empty.world["people"]["status"] = NOBODY
    go_to(env, empty)
    ground = env.observe()
    for cell, obs in seen.items():
        changed = {(row, col) for row, col in np.argwhere(obs != whole).tolist()}
        assert changed - {ego_cell(env)} == {cell}  # without somebody, or a junction, it may be the ego's turn
        if whole[cell] != ground[cell]:
            assert obs[cell] == ground[cell], "a vehicle or somebody on foot: the empty road is seen"
        elif whole[cell] == OBSTACLE:
            lane = SHOULDER_CODE if cell[1] == whole.shape[1] - 2 else NORTHBOUND
            road = set(ground.ravel().tolist()) - {OBSTACLE, OFF_ROAD_CODE}
            assert obs[cell] in {AUTODRIVE: {OPEN_GROUND}, OBSTACLES: {lane}}.get(env_id, road)
        else:
            assert obs[cell] == OFF_ROAD_CODE
    something = (whole != OFF_ROAD_CODE) & (whole != ground if env_id == HIGHWAY else True)
    something[ego_cell(env)] = False
    assert set(seen) == {tuple(place) for place in np.argwhere(something).tolist()}


def test_without_an_obstacle_its_lane_goes_on_and_so_do_the_moves_to_the_goal() -> None:
    env = env_after(OBSTACLES, 20, seed=2)
    state, whole, seen = state_of(env), env.observe(), seen_without(env)
    shoulder = int(state.map["cols"]) - 2
    goals = np.flatnonzero(state.map["distances"] == 0).tolist()
    num_obstacles = 0
    for (row, col), obs in seen.items():
        cell = cell_at(state, row, col)
        if state.map["ground"][cell] >> 4 != OBSTACLE:
            continue
        free = State(state.map.copy(), state.world)
        free.map["ground"][cell] = grid_of(state.map, state.map["ground"])[-1, col]  # the start's row is free
        measure(free, goals)
        go_to(env, free)
        expected = env.observe()
        changed = np.argwhere((obs != whole).any(axis=0))
        assert len(changed) == 1
        at = tuple(changed[0])
        np.testing.assert_array_equal(obs[(slice(None), *at)], expected[(slice(None), *at)])
        planes = shown_planes(env.config.scenario_class.window)
        road, obstacle = planes.index("road"), planes.index("obstacle")
        assert obs[(road, *at)] == (128 if col == shoulder else 255)
        assert whole[(obstacle, *at)] == 255
        assert obs[(obstacle, *at)] == 0
        num_obstacles += 1
    assert num_obstacles >= 5


def test_hidden_road_is_verge_and_what_was_painted_on_it_is_gone() -> None:
    for env_id, plane in ((LANE_KEEP, "road"), (INTERSECTION, "signal")):
        env = env_after(env_id, 0)
        planes = shown_planes(env.config.scenario_class.window)
        local = [n for n, name in enumerate(planes) if name not in ("my_turn", "own_speed", "vehicle_turn")]
        whole = env.observe()
        changed_in = np.zeros(whole.shape, bool)
        for obs in seen_without(env).values():
            for place in np.argwhere((obs[local] != whole[local]).any(axis=0)):
                if "vehicle" not in planes or whole[(planes.index("vehicle"), *place)] == 0:
                    assert not obs[(local, *place)].any()
                    changed_in |= obs != whole
        assert changed_in[planes.index(plane)].any()


def test_on_a_ring_nothing_but_vehicles_is_hidden() -> None:
    env = env_after(HIGHWAY, observation="full_grid")
    state = state_of(env)
    vehicles = state.world["vehicles"]
    rows, cols = place_of(state.map, vehicles["cell"][vehicles["status"] == DRIVING])
    places = set(zip(rows.tolist(), cols.tolist(), strict=True))
    assert set(seen_without(env)) == places - {ego_cell(env)}


def test_beyond_its_window_the_ego_notices_nothing() -> None:
    env = env_after(OBSTACLES, 20)
    row, col = ego_cell(env)
    cells, _ = occlusions(env)
    ahead, across = row - cells[:, 0], cells[:, 1] - col
    assert (ahead.min(), ahead.max()) == (-2, 12)
    assert (abs(across) <= 5).all()


def with_people(state: State, num: int) -> State:
    """The state in a record that has room for people."""
    room = world_dtype(int(state.map["rows"]), int(state.map["cols"]), len(state.world["vehicles"]), people=num)
    world = np.zeros(1, room)[0]
    for name in room.names:
        if name != "people" and not name.startswith("padding"):
            world[name] = state.world[name]
    world["num_people"] = num
    return State(state.map, world)


def test_a_pedestrian_is_taken_off_its_crosswalk() -> None:
    env = env_after(OBSTACLES, 0, observation="full_grid")
    state = with_people(state_of(env), 4)
    row, col = ego_cell(env)
    for p, (ahead, status) in enumerate(((1, CROSSING), (2, NOBODY), (3, CROSSING), (1, CROSSING))):
        state.world["people"][p] = (cell_at(state, row - ahead, col), 1, status, 0, 0, 0, 0)
    seen = seen_without(env, state)
    assert seen[row - 1, col][row - 1, col] == NORTHBOUND
    assert seen[row - 1, col][row - 3, col] == PEDESTRIAN_CODE
    assert seen[row - 3, col][row - 3, col] == NORTHBOUND
    assert seen[row - 3, col][row - 1, col] == PEDESTRIAN_CODE
    assert seen[row - 2, col][row - 2, col] == OFF_ROAD_CODE, "nobody is there, so the road is hidden"


def test_in_the_window_a_pedestrian_leaves_its_plane() -> None:
    env = gym.make(CUSTOM, levels="\n. ^G0 .\n. ^ .\n.p> =^ .\n. ^ .\n. ^E .\n").unwrapped
    env.reset(seed=0)
    plane = PLANES.index("pedestrian")
    for status, value in ((WAITING, 128), (CROSSING, 255)):
        state = State(state_of(env).map, state_of(env).world.copy())
        state.world["people"]["status"][0] = status
        seen = seen_without(env, state)
        assert seen[2, 0][plane].max() == 0
        assert seen[1, 1][plane].max() == value


def field_of(obstacles: np.ndarray) -> gym.Env:
    """Autodrive with obstacles where `obstacles` (10, 10) is true, and no cars."""
    env = gym.make(AUTODRIVE).unwrapped
    env.reset(seed=0)
    state = state_of(env)
    for k in (1, 2):
        state = removed(state, k)
    cells = np.full((10, 10), 15 | LANE << 4)
    cells[obstacles] = OBSTACLE << 4
    cells[ego_cell(env)] = 15 | LANE << 4
    grid_of(state.map, state.map["ground"])[:] = cells
    measure(state, [cell_at(state, 0, col) for col in np.flatnonzero(~obstacles[0])])
    go_to(env, state)
    return env


def test_a_wall_of_obstacles_opens_cell_by_cell_to_the_ground_beside_it_but_not_to_a_goal() -> None:
    obstacles = np.zeros((10, 10), bool)
    obstacles[1:4, 3:6] = True
    env = field_of(obstacles)
    seen = seen_without(env)
    for row, col in np.argwhere(obstacles).tolist():
        assert seen[row, col][row, col] == OPEN_GROUND
    assert env.observe()[0, 3] == GOAL_CODE


def test_an_obstacle_without_road_around_it_stays() -> None:
    env = field_of(np.ones((10, 10), bool))
    row, col = ego_cell(env)
    goals = {(0, n) for n in range(10)}
    # Cells in line with the ego's; everything else sees nothing but obstacles and the edge.
    expected = {(row, n) for n in range(10)} | {(n, col) for n in range(10)}
    assert env.observe()[0].tolist() == [OBSTACLE] * 10
    assert set(seen_without(env)) == expected - {(row, col)}
    assert goals - expected


def test_what_a_hidden_vehicle_had_reserved_is_free() -> None:
    num_holders = 0
    for seed in range(8):
        state = state_of(env_after(INTERSECTION, 15, seed))
        vehicles = state.world["vehicles"]
        cells, _, worlds = hidden(state)
        holders = np.unique(state.world["held"][state.world["held"] > 0]) - 1
        holders = holders[holders >= state.world["num_egos"]]
        assert (vehicles["status"][holders] == DRIVING).all()
        for k in holders:
            copy = worlds[1 + cells.tolist().index(vehicles["cell"][k])]
            assert copy["vehicles"]["may_enter"][k] == 0
            assert ((copy["held"] == 0) == np.isin(state.world["held"], (0, k + 1))).all()
            assert copy["occupants"][vehicles["cell"][k]] == 0
            num_holders += 1
    assert num_holders >= 3


def test_a_state_of_a_recording_is_as_good_as_the_environments_own() -> None:
    env = env_after(INTERSECTION, 9, seed=3)
    own = seen_without(env)
    state = state_of(env)
    env.reset(seed=8)
    given = seen_without(env, state)
    assert own.keys() == given.keys()
    assert all(np.array_equal(own[cell], given[cell]) for cell in own)


def test_other_environments_and_those_without_an_episode_are_refused() -> None:
    assert_refused(lambda: occlusions(gym.make("CartPole-v1")), "env", "CartPole")
    assert_refused(lambda: occlusions(gym.make(HIGHWAY)), "reset()")
