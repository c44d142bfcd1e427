"""States that are none of this environment are refused before anything has moved: a kernel would trust them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from effort import effort
from env_tools import (
    AUTODRIVE,
    CUSTOM,
    HIGHWAY,
    IDS,
    INTERSECTION,
    LANE_KEEP,
    OBSTACLES,
    assert_refused,
    assert_same_future,
    world_bytes,
)

from drivesim.core.map import CROSSWALK, EDGE, LANE, NORTH, OBSTACLE, PORTAL, map_dtype
from drivesim.core.painting import set_size
from drivesim.core.world import CRASHED, HAS_ENDED
from drivesim.states import check_maps, check_worlds


def batch(env_id: str = HIGHWAY, **options: Any) -> gym.vector.VectorEnv:
    """Three envs in the middle of an episode."""
    envs = gym.make_vec(env_id, num_envs=3, **options).unwrapped
    envs.reset(seed=0)
    for _ in range(3):
        envs.step(np.full(3, 1))
    return envs


NOT_STATES = [
    *(None, 1, "state", [], {}, b"", [1, 2, 3], np.zeros(3), np.zeros(3, object)),
    np.zeros((3, 1000), np.uint8),
    np.zeros(3, [("level_seed", "i8"), ("tick", "i4")]),
]


@pytest.mark.parametrize("state", NOT_STATES, ids=lambda state: f"{type(state).__name__}:{str(state)[:20]}")
def test_what_is_no_array_of_worlds_is_refused(state) -> None:
    envs, twin = batch(), batch()
    env = gym.make(HIGHWAY).unwrapped
    assert_refused(lambda: envs.set_state(state), "state must be an array from get_state()")
    assert_refused(lambda: env.set_state(state), "state must be an array from get_state()")
    assert_same_future(envs, twin, 10)


def test_a_state_of_another_number_of_envs_is_refused() -> None:
    envs, twin = batch(), batch()
    good = envs.get_state()
    for state in (good[:2], good[:0], good.reshape(3, 1), np.concatenate([good, good]), good[:1].reshape(())):
        assert_refused(lambda state=state: envs.set_state(state), "state", "(3,)")
    env = gym.make(HIGHWAY).unwrapped
    assert_refused(lambda: env.set_state(good), "state", "(1,)", "(3,)")
    assert_same_future(envs, twin, 10)


@pytest.mark.parametrize(
    "mask", [[True] * 3, 1, "x", np.ones(3), np.ones(3, int), np.ones(2, bool), np.ones((3, 1), bool)]
)
def test_a_wrong_mask_is_refused(mask) -> None:
    envs, twin = batch(), batch()
    state = gym.make_vec(HIGHWAY, num_envs=3).unwrapped.get_state()
    assert_refused(lambda: envs.set_state(state, mask=mask), "mask", "(3,)")
    assert_same_future(envs, twin, 10)


@pytest.mark.parametrize(
    ("env_id", "options"),
    [(LANE_KEEP, {}), (INTERSECTION, {}), (HIGHWAY, {"length": 90}), (HIGHWAY, {"num_vehicles": 21})],
)
def test_states_of_another_size_are_refused_as_those_of_other_options(env_id, options) -> None:
    envs, twin = batch(), batch()
    foreign = batch(env_id, **options).get_state()
    with pytest.raises(TypeError, match=r"bytes.*the options of the two differ"):
        envs.set_state(foreign)
    with pytest.raises(TypeError, match=r"bytes.*the options of the two differ"):
        gym.make(HIGHWAY).unwrapped.set_state(foreign[:1])
    assert_same_future(envs, twin, 10)


def test_a_state_of_another_scenario_is_refused_even_if_it_has_the_same_size() -> None:
    envs, twin = batch(), batch()
    mixed = envs.get_state()
    mixed["world"]["scenario"][1] = 1
    assert_refused(lambda: envs.set_state(mixed), "state is not of this environment", "scenario", "env 1", "Highway")
    envs.set_state(mixed, mask=np.array([True, False, True]))  # the foreign env is not taken over
    assert_same_future(envs, twin, 10)


def test_the_message_counts_the_envs_that_have_not_begun() -> None:
    envs = batch()
    state = envs.get_state()
    state["world"]["stage"][0] = 0
    state["world"]["vehicles"]["heading"][2, 0] = 4
    assert_refused(lambda: envs.set_state(state), "heading", "env 2")


def test_states_put_together_anew_are_taken_although_numpy_closes_their_gaps() -> None:
    envs, twin = batch(), batch()
    state = envs.get_state()
    for same in (np.concatenate([state[:1], state[1:]]), np.stack([*state]), state.copy()):
        envs.set_state(same)
        assert np.array_equal(world_bytes(envs.get_state()), world_bytes(state))
    assert_same_future(envs, twin, 10)


MOST = 2**31 - 1
CORRUPTIONS = [
    *(("stage", 3), ("stage", -1), ("tick", -1), ("tick", MOST), ("episode", -5), ("episode", 2**62 + 1)),
    *(
        ("level_seed", -1),
        ("level_seed", -(2**63)),
        ("attempt", -1),
        ("is_mirrored", 2),
        ("num_vehicles", 22),
        ("num_vehicles", 200),
        ("num_vehicles", -1),
    ),
    *(("num_people", 9), ("num_people", -1), ("num_egos", 0), ("num_egos", 2)),
    *(("vehicles.cell", -1), ("vehicles.cell", 0), ("vehicles.cell", 101), ("vehicles.cell", 203)),
    *(("vehicles.cell", 204), ("vehicles.cell", 815), ("vehicles.cell", 816), ("vehicles.cell", -MOST - 1)),
    *(("vehicles.speed", 6), ("vehicles.speed", -1), ("vehicles.heading", 4), ("vehicles.heading", -1)),
    *(("vehicles.top_speed", 99), ("vehicles.top_speed", -1), ("egos.next_turn", 2), ("egos.next_turn", -2)),
    *(("vehicles.has_arrived", 2), ("vehicles.num_trips", -1), ("vehicles.num_trips", 2**30)),
    *(("vehicles.status", 4), ("vehicles.status", 255), ("vehicles.next_status", CRASHED)),
    *(
        ("vehicles.may_enter", 1),
        ("vehicles.may_enter", 255),
        ("vehicles.destination", 0),
        ("vehicles.destination", -2),
    ),
    *(("vehicles.leader", -3), ("vehicles.leader", 23), ("egos.goal", -1), ("egos.goal", 1), ("egos.drive", 3)),
    *(("egos.drive", -1), ("egos.route_length", 0), ("egos.route_length", -4), ("egos.reversed_at", -MOST)),
]
"""Of Highway: six rows of 100 cells, and a border of one cell around them."""
JUNCTION_CORRUPTIONS = [
    *(("lamps.colour_0", 3), ("lamps.colour_1", -1), ("egos.goal", 4), ("egos.goal", -1), ("held", 14)),
    *(("vehicles.leader", 13), ("vehicles.destination", 4), ("vehicles.destination", -2), ("vehicles.may_enter", 2)),
    *(("held", 255), ("vehicles.cell", 31), ("vehicles.cell", 992)),
]
CENTRE = 5 * 12 + 5
MAP_CORRUPTIONS = [
    *(("rows", 9, None), ("rows", 100, None), ("cols", 11, None), ("width", 10, None), ("row_factor", 0, None)),
    *(("steps", 1, 0), ("steps", -(2**30), 3), ("speed_limit", 6, None), ("half_lane", 1, None)),
    *(("ring_rows", 10, None), ("ring_cols", 1, None), ("num_portals", 0, None), ("num_portals", 2, None)),
    *(("num_junctions", 1, None), ("num_destinations", 2, None), ("num_destinations", 0, None)),
    *(("ground", EDGE << 4, CENTRE), ("ground", LANE << 4 | 15, 5), ("ground", EDGE << 4 | 15, 12)),
    *(("ground", EDGE << 4 | PORTAL, 143), ("ground", CROSSWALK << 4, 0), ("leads_to", -1, CENTRE)),
    *(("num_passing", 1, None), ("has_reverse", 1, None), ("has_goal_headings", 1, None), ("goals.heading", 5, 0)),
    *(("goals.heading", -1, 0), ("goals.top_speed", 7, 0), ("goals.top_speed", -1, 0)),
    *(("leads_to", 4 * 144, CENTRE), ("leads_to", MOST, 0), ("comes_from", 144, CENTRE), ("comes_from", -1, 0)),
]
"""Of Autodrive: ten rows of ten cells."""


def assert_refused_by_name(env_id: str, name: str, write: Callable[[Any], None]) -> None:
    """What `write` does to the state of env 2 is refused by the field's name, by a batch and by a single env."""
    envs, twin = batch(env_id), batch(env_id)
    state = envs.get_state()
    before = world_bytes(state)
    write(state[2])
    assert_refused(lambda: envs.set_state(state), "state is not of this environment", name, "env 2")
    assert np.array_equal(world_bytes(envs.get_state()), before)
    assert_same_future(envs, twin, 10)
    env = gym.make(env_id).unwrapped
    assert_refused(lambda: env.set_state(state[2:]), name)


@pytest.mark.parametrize(
    ("env_id", "field", "value"),
    [*((HIGHWAY, *each) for each in CORRUPTIONS), *((INTERSECTION, *each) for each in JUNCTION_CORRUPTIONS)],
)
def test_a_corrupted_world_is_refused_by_the_name_of_its_field(env_id, field, value) -> None:
    outer, _, inner = field.partition(".")

    def write(state: Any) -> None:
        if inner:
            state["world"][outer][inner][0] = value
        else:
            state["world"][outer] = value

    assert_refused_by_name(env_id, inner or outer, write)


@pytest.mark.parametrize(("field", "value", "index"), MAP_CORRUPTIONS)
def test_a_corrupted_map_is_refused_by_the_name_of_its_field(field, value, index) -> None:
    *path, name = field.split(".")

    def write(state: Any) -> None:
        record = state["map"]
        for outer in path:
            record = record[outer]
        if index is None:
            record[name] = value
        else:
            record[name][index] = value

    assert_refused_by_name(AUTODRIVE, name, write)


@pytest.mark.parametrize(("name", "cell"), [("num_passing", CENTRE), ("passing", 3)])
def test_cells_to_overtake_on_are_counted_and_lie_on_the_map(name, cell) -> None:
    maps = np.zeros(2, map_dtype(10, 10, has_passing=True))
    for road in maps:
        set_size(road, 10, 10)
    maps["passing"][1, 50], maps["num_passing"][1] = 1 << NORTH, 1
    check_maps(maps, maps[:1])
    maps["passing"][1, cell] = 1 << NORTH
    maps["num_passing"][1] += name == "passing"
    assert_refused(lambda: check_maps(maps, maps[:1]), name, "env 1")


def test_only_egos_move_backwards_and_only_with_a_reverse_gear() -> None:
    envs = batch()
    worlds, road = envs.get_state()["world"], envs._engine.maps.copy()
    worlds["vehicles"]["speed"][1, 0] = -1
    assert_refused(lambda: check_worlds(worlds, worlds[:1], road), "speed", "env 1")
    road["has_reverse"] = 1
    check_worlds(worlds, worlds[:1], road)
    worlds["vehicles"]["speed"][1, 1] = -1
    assert_refused(lambda: check_worlds(worlds, worlds[:1], road), "speed", "env 1")


@pytest.mark.parametrize("cell", [0, 5, 12, 23, 143])
def test_a_portal_to_the_border_is_refused(cell) -> None:
    def write(state: Any) -> None:
        portal = np.flatnonzero(state["map"]["ground"] & PORTAL)[0]
        state["map"]["leads_to"][portal] = 4 * cell + (state["map"]["leads_to"][portal] & 3)

    assert_refused_by_name(AUTODRIVE, "leads_to", write)


@pytest.mark.parametrize("value", [1, 3, 5])
def test_a_way_that_leads_over_the_edge_is_refused(value) -> None:
    def write(state: Any) -> None:
        state["map"]["ways"][22 + 1 if value == 1 else 14 * 22 + 1] = (
            value  # the first cell, or the first of the last row
        )

    assert_refused_by_name(CUSTOM, "ways", write)


@pytest.mark.parametrize("env_id", [OBSTACLES, LANE_KEEP])
def test_a_portal_on_a_map_without_any_is_refused(env_id) -> None:
    def write(state: Any) -> None:
        state["map"]["ground"][200] |= PORTAL

    assert_refused_by_name(env_id, "ground", write)


@pytest.mark.parametrize("field", ["green_0", "green_1", "yellow", "all_red"])
@pytest.mark.parametrize("value", [0, 32, -1])
def test_a_junction_whose_timing_differs_is_refused(field, value) -> None:
    """No scenario draws junctions yet, so the check of maps is called itself."""
    model = batch(INTERSECTION)._engine.maps.copy()
    check_maps(model, model)
    bad = model.copy()
    bad["junctions"][field][0] = value
    assert_refused(lambda: check_maps(bad, model), "junctions")


def test_a_map_with_impossible_junction_cells_is_refused() -> None:
    model = batch(INTERSECTION)._engine.maps.copy()
    cell = int(np.flatnonzero(model["junction"][0])[0])
    for field, value, at in (("junction", 2, cell), ("slots", 9, cell), ("slots", 0, cell), ("junction", 1, 0)):
        bad = model.copy()
        bad[field][0, at] = value
        assert_refused(lambda bad=bad: check_maps(bad, model), field)
    bad = model.copy()
    bad["num_slots"] = 9  # a world has room for 8
    assert_refused(lambda: check_maps(bad, model), "num_slots")


@pytest.mark.parametrize("traffic", ["krauss", "unaware"])
def test_traffic_that_would_leave_the_map_is_refused(traffic) -> None:
    """Whoever is unaware never stops, and Krauss's drivers need a way to brake."""
    envs, twin = batch(traffic=traffic, num_vehicles=8), batch(traffic=traffic, num_vehicles=8)
    state = envs.get_state()
    state["world"]["vehicles"]["heading"][1, 3] = NORTH
    state["world"]["vehicles"]["speed"][1, 3] = state["world"]["vehicles"]["top_speed"][1, 3] = 5
    assert_refused(lambda: envs.set_state(state), "heading", "env 1", "stays on the map")
    assert_same_future(envs, twin, 10)
    state["world"]["vehicles"]["speed"][1, 3] = 0
    if traffic == "unaware":
        assert_refused(lambda: envs.set_state(state), "heading", "env 1")
        state["world"]["vehicles"]["status"][1, 3] = CRASHED
    envs.set_state(state)
    for _ in range(20):
        envs.step(np.full(3, 1))
    assert envs.get_state()["world"]["vehicles"]["speed"][1, 3] == 0


def test_an_obstacle_in_the_way_of_traffic_is_no_edge() -> None:
    envs = batch(AUTODRIVE)
    state = envs.get_state()
    car = state["world"]["vehicles"]["cell"][0, 1]
    state["map"]["ground"][0, car + 1] = OBSTACLE << 4 | (state["map"]["ground"][0, car + 1] & PORTAL)
    envs.set_state(state)
    envs.step(np.full(3, 1))


@pytest.mark.parametrize("env_id", IDS)
def test_who_is_where_is_derived_and_not_believed(env_id) -> None:
    envs, twin = batch(env_id), batch(env_id)
    state = envs.get_state()
    true = state["world"]["occupants"].copy()
    assert (true > 0).sum() >= 3
    for value in (0, 1, 77, 255):
        state["world"]["occupants"] = value
        envs.set_state(state)
        assert (envs.get_state()["world"]["occupants"] == true).all()
    assert_same_future(envs, twin, 20)
    state["world"]["vehicles"]["status"][0, 0] = CRASHED
    state["world"]["egos"]["drive"][0, 0] = HAS_ENDED
    state["world"]["stage"][0] = 2
    envs.set_state(state)
    assert not (envs.get_state()["world"]["occupants"][0] == 1).any()


def test_an_ended_episode_is_refused_where_nobody_would_reset_it() -> None:
    ended = gym.make_vec(HIGHWAY, num_envs=3, max_episode_steps=1).unwrapped
    ended.reset(seed=0)
    ended.step(np.full(3, 1))
    envs, twin = batch(autoreset_mode="SameStep"), batch(autoreset_mode="SameStep")
    assert_refused(lambda: envs.set_state(ended.get_state()), "state", "SAME_STEP")
    assert_same_future(envs, twin, 10)


TRAFFIC = [(env_id, "unaware" if env_id == AUTODRIVE else "krauss") for env_id in IDS]
TRAFFIC += [(AUTODRIVE, "krauss"), (HIGHWAY, "unaware"), (HIGHWAY, "nasch"), (INTERSECTION, "unaware")]
NUM_PROCESSES = 4


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(NUM_PROCESSES))
def test_whatever_is_written_into_a_state_it_is_refused_or_can_be_driven(turn) -> None:
    """In processes of their own: a kernel that leaves its memory ends the interpreter."""
    script = Path(__file__).with_name("fuzz_states.py")
    cases = TRAFFIC[turn::NUM_PROCESSES]
    command = [sys.executable, "-X", "faulthandler", script, str(turn), str(effort(6, 1)), *itertools.chain(*cases)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    ends = [line for line in run.stdout.splitlines() if line.startswith("drivesim/")]
    assert [line.split(":")[0] for line in ends] == [" ".join(case) for case in cases]
    for line in ends:
        num_refused, num_driven = map(int, line.split()[-2:])
        assert min(num_refused, num_driven) > 20


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((-1, 1), "index"),
        ((3, 1), "index"),
        ((True, 1), "index"),
        ((0.0, 1), "index"),
        ((0, 0), "num"),
        ((0, -2), "num"),
        ((0, 10**12), "num"),
        ((0, None), "num"),
        ((0, 1, 1), "rekey"),
        ((0, 1, None), "rekey"),
    ],
)
def test_a_fork_of_no_env_or_of_no_copies_is_refused(arguments, field) -> None:
    assert_refused(lambda: batch().fork(*arguments), field)
