"""Pedestrians step out only in front of cars that can still stop, and traffic stops for them."""

import numpy as np
import pytest
from ascii_map import FASTER, IDLE, SLOWER, Car, cell_of, from_ascii, options_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from records import frame_of, open_frame, rows_and_cols

from drivesim.core.following import look
from drivesim.core.jit import kernel
from drivesim.core.junctions import grant_junctions
from drivesim.core.map import CROSSWALK, EAST, LANE, NO_CONTROL, NORTH, SOUTH, WEST, kind, map_dtype
from drivesim.core.painting import open_portal, paint, set_size
from drivesim.core.pedestrians import LONGEST_REST, may_step_out, place_pedestrian
from drivesim.core.tick import tick
from drivesim.core.world import CROSSING, WAITING, place, world_dtype


def road_to_crosswalk(gap, speed):
    """A northbound road with the ego `gap` free cells before a crosswalk at which somebody waits."""
    rows = [". ^ ."] * 2 + [". = ."] + [". ^ ."] * gap + [". E ."]
    return from_ascii("\n".join(rows), E=Car(NORTH, speed), pedestrians=[(2, 0, EAST, WAITING)])


ACROSS = {"=" + sign: (CROSSWALK, 1 << heading) for heading, sign in enumerate("^>v<")}
JUNCTION = """
    . . . ^ . . .
    . c > ^> => > >
    . . . ^ . . .
"""
FREE = {"row": 1, "col": 3, "height": 1, "width": 1, "control": NO_CONTROL}


class TestSteppingOut:
    @pytest.mark.parametrize("speed", range(6))
    def test_leaves_every_car_room_to_stop_its_next_action_included(self, speed) -> None:
        """A car at v that speeds up and then brakes travels (v + 1) + v + … + 1 = (v + 1)(v + 2) / 2 cells."""
        needed = (speed + 1) * (speed + 2) // 2
        for gap, may in ((needed, True), (needed - 1, False)):
            situation = road_to_crosswalk(gap, speed)
            assert may_step_out(situation.map, situation.world, 0) == may

    @pytest.mark.parametrize("speed", range(6))
    def test_so_a_driver_who_then_brakes_never_hits_anybody(self, speed) -> None:
        situation = road_to_crosswalk((speed + 1) * (speed + 2) // 2, speed)
        situation.world.people[0].status = CROSSING
        situation.world.people[0].rest = 99  # stays there for longer than the car needs
        for action in [FASTER] + [SLOWER] * 8:
            situation.world.people[0].cell = situation.cell(2, 1)
            situation.world.people[0].status = CROSSING
            assert "pedestrian_hit" not in situation.play(action)
        assert situation.motion("E") == (NORTH, 0)

    def test_waits_for_no_car_that_drives_away(self) -> None:
        rows = [". ^ ."] * 2 + [". E ."] + [". = ."] + [". ^ ."]
        situation = from_ascii("\n".join(rows), E=Car(NORTH, 0), pedestrians=[(3, 0, EAST, WAITING)])
        assert may_step_out(situation.map, situation.world, 0)

    def test_waits_for_a_car_on_the_crosswalk_itself(self) -> None:
        situation = from_ascii(". ^ .\n. E .\n. ^ .", E=Car(NORTH, 0, on="="), pedestrians=[(1, 0, EAST, WAITING)])
        assert not may_step_out(situation.map, situation.world, 0)

    def test_looks_at_every_lane_that_it_is_going_to_cross(self) -> None:
        near_in_the_far_lane = ". ^ ^ ^ .\n. = = = .\n. ^ ^ E .\n. ^ ^ ^ ."
        situation = from_ascii(near_in_the_far_lane, E=Car(NORTH, 0), pedestrians=[(1, 0, EAST, WAITING)])
        assert not may_step_out(situation.map, situation.world, 0)

    @pytest.mark.parametrize(("speed", "may"), [(0, False), (1, False), (2, True)])
    def test_waits_for_an_ego_that_may_turn_onto_the_crosswalk(self, speed, may) -> None:
        drawing = ". ^ . .\n. E =< .\n. ^ . ."
        situation = from_ascii(drawing, ACROSS, E=Car(NORTH, speed, on="^>"), pedestrians=[(0, 2, SOUTH, WAITING)])
        assert may_step_out(situation.map, situation.world, 0) == may

    @pytest.mark.parametrize("speed", range(4))
    def test_waits_for_an_ego_that_may_change_lane_onto_the_crosswalk(self, speed) -> None:
        drawing = "\n".join([". . ^ ^ .", ". . ^ =^ .", ". . E ^ ."])
        situation = from_ascii(drawing, ACROSS, E=Car(NORTH, speed), pedestrians=[(1, 4, WEST, WAITING)])
        assert not may_step_out(situation.map, situation.world, 0)

    @pytest.mark.parametrize("speed", range(6))
    def test_leaves_traffic_room_to_stop_by_braking_by_one(self, speed) -> None:
        needed = speed * (speed - 1) // 2
        for gap in (needed, needed - 1):
            rows = [". ^ ."] * 2 + [". =^ ."] + [". ^ ."] * max(gap, 0) + [". a ."]
            people = [(2, 0, EAST, WAITING)]
            situation = from_ascii("\n".join(rows), ACROSS, a=Car(NORTH, speed), pedestrians=people)
            if gap >= 0:
                assert may_step_out(situation.map, situation.world, 0) == (gap == needed)

    def test_does_not_step_onto_cells_that_traffic_has_reserved(self) -> None:
        """c has been let into the junction, and the crosswalk behind it is part of its way."""
        situation = from_ascii(
            JUNCTION, ACROSS, signals=[FREE], c=Car(EAST, 1, 1), pedestrians=[(0, 4, SOUTH, WAITING)]
        )
        situation.play()
        assert situation.vehicle("c").may_enter == 1
        assert not may_step_out(situation.map, situation.world, 0)
        situation.hold("c")
        assert may_step_out(situation.map, situation.world, 0)

    def test_does_not_join_others_who_cross_while_a_car_waits_for_them(self) -> None:
        people = [(1, 2, EAST, CROSSING), (1, 0, EAST, WAITING)]
        for car, may in (("a", False), ("^", True)):
            cars = {"a": Car(NORTH, 0)} if car == "a" else {}
            drawing = f". ^ ^ .\n. =^ =^ .\n. {car} ^ ."
            situation = from_ascii(drawing, ACROSS, pedestrians=people, **cars)
            assert may_step_out(situation.map, situation.world, 1) == may


class TestPatience:
    DRAWING = "\n".join([". ^ ."] * 3 + [". =^ ."] + [". ^ ."] * 3 + [". a ."] + [". ^ ."])

    @pytest.mark.parametrize(("speed", "stops"), [(1, True), (2, True), (3, True), (4, False), (5, False)])
    def test_who_has_run_out_of_it_is_waited_for_by_whoever_can_stop_by_braking_by_one(self, speed, stops) -> None:
        """Three cells are free before the crosswalk: v (v - 1) / 2 takes a car to stop."""
        for waited, may_stop in ((20, False), (21, stops)):
            situation = from_ascii(
                self.DRAWING, ACROSS, a=Car(NORTH, speed, 5), pedestrians=[(3, 0, WEST, WAITING)], is_periodic=False
            )
            situation.world.people[0].heading = EAST
            situation.world.people[0].waited = waited
            _, room, _ = look(situation.map, situation.world, 0, situation.vehicle("a").cell, 6)
            assert (room == 3) == may_stop

    def test_time_counts_only_while_nobody_else_crosses(self) -> None:
        people = [(1, 1, EAST, CROSSING), (1, 0, EAST, WAITING)]
        situation = from_ascii(". ^ ^ .\n. =^ =^ .\n. E ^ .", ACROSS, E=Car(NORTH), pedestrians=people)
        situation.world.people[0].rest = 2
        situation.world.people[1].waited = 5
        counts = []
        for _ in range(7):
            situation.play(IDLE)
            counts.append(int(situation.world.people[1].waited))
        assert counts == [5, 5, 5, 5, 6, 7, 8]

    def test_a_junction_is_entered_only_when_its_crosswalks_are_free_and_nobody_has_waited_longer(self) -> None:
        for status, waited, asked_at, is_let_in in (
            (CROSSING, 0, -1, False),
            (WAITING, 0, -1, True),
            (WAITING, 30, -1, False),
            (WAITING, 30, -40, True),
            (WAITING, 30, -25, False),
        ):
            at = (1, 4) if status == CROSSING else (0, 4)
            people = [(*at, SOUTH, status, 20, 0)]
            situation = from_ascii(JUNCTION, ACROSS, signals=[FREE], c=Car(EAST, 0, 1), pedestrians=people)
            situation.world.people[0].waited = waited
            situation.world.people[0].rest = 9
            situation.world.tick = 60
            situation.vehicle("c").asked_at = 60 + asked_at if asked_at < -1 else -1
            grant_junctions(situation.map, situation.world, situation.options[0])
            assert situation.vehicle("c").may_enter == is_let_in


class TestCrossing:
    @pytest.mark.parametrize("hesitates", [0, 1])
    def test_who_hesitates_stands_still_now_and_then_and_others_never(self, hesitates) -> None:
        drawing = ". " + "^ " * 12 + ".\n. " + "=^ " * 12 + ".\n. " + "^ " * 12 + "."
        situation = from_ascii(drawing, ACROSS, pedestrians=[(1, 0, EAST, CROSSING, 20, hesitates)])
        ticks, longest, still = 0, 0, 0
        while situation.world.people[0].status == CROSSING:
            before = int(situation.world.people[0].cell)
            situation.play()
            moved = int(situation.world.people[0].cell) - before
            assert moved in (0, 1)
            still = 0 if moved else still + 1
            longest, ticks = max(longest, still), ticks + 1
        if hesitates:
            assert 13 < ticks <= 13 + 12 * LONGEST_REST
            assert 0 < longest <= LONGEST_REST
        else:
            assert ticks == 13

    def test_nobody_walks_into_a_taken_cell(self) -> None:
        situation = from_ascii(
            ". ^ ^ .\n. =^ E .\n. ^ ^ .", ACROSS, E=Car(NORTH, on="=^"), pedestrians=[(1, 1, EAST, CROSSING)]
        )
        for _ in range(4):
            situation.play(IDLE)
            assert situation.world.people[0].cell == situation.cell(1, 1)
        situation.play(FASTER)
        assert situation.world.people[0].cell == situation.cell(1, 2)

    def test_nobody_leaves_the_map(self) -> None:
        situation = from_ascii("^ ^\n=^ =^\n^ ^", ACROSS, pedestrians=[(1, 1, EAST, CROSSING)])
        situation.play()
        pedestrian = situation.world.people[0]
        assert (pedestrian.cell, pedestrian.status, pedestrian.heading) == (situation.cell(1, 1), WAITING, WEST)

    @pytest.mark.parametrize("depth", [1, 2])
    @pytest.mark.parametrize("speed", [1, 2, 3])
    def test_who_cannot_get_over_without_stopping_on_it_waits_before_it(self, speed, depth) -> None:
        """b stands right behind the crosswalk; somebody far away waits there."""
        rows = ["b", *["=^"] * depth, *["^"] * 5, "a"]
        drawing = "\n".join(f". {word} ." for word in rows)
        people = [(1, 0, WEST, WAITING)]
        situation = from_ascii(drawing, ACROSS, a=Car(NORTH, speed, 5), b=Car(NORTH, 0, 0), pedestrians=people)
        for _ in range(12):
            situation.play()
        assert situation.at("a") == (depth + 1, 1)

    def test_goes_one_cell_per_tick_and_waits_on_the_other_side(self) -> None:
        situation = from_ascii(". ^ ^ .\n. = = .\n. ^ ^ .", pedestrians=[(1, 0, EAST, CROSSING)])
        seen = []
        for _ in range(3):
            situation.play()
            pedestrian = situation.world.people[0]
            _, col = rows_and_cols(situation.map, pedestrian.cell)
            seen.append((int(col), int(pedestrian.status), int(pedestrian.heading)))
        assert seen == [(1, CROSSING, EAST), (2, CROSSING, EAST), (3, WAITING, WEST)]

    def test_keeps_traffic_before_the_crosswalk_in_every_lane(self) -> None:
        situation = from_ascii(
            ". ^ ^ .\n. ^ ^ .\n. = = .\n. ^ ^ .\n. ^ ^ .\n. a b .",
            a=Car(NORTH, 1),
            b=Car(NORTH, 2),
            pedestrians=[(2, 1, EAST, CROSSING)],
        )
        situation.world.people[0].rest = 99
        for _ in range(5):
            situation.world.people[0].cell = situation.cell(2, 1)
            situation.world.people[0].status = CROSSING
            situation.play()
        assert situation.at("a") == (3, 1)
        assert situation.at("b") == (3, 2)

    def test_is_no_reason_to_stop_for_who_only_waits(self) -> None:
        situation = from_ascii(
            ". ^ .\n. ^ .\n. = .\n. ^ .\n. a .", a=Car(NORTH, 1), pedestrians=[(2, 0, WEST, WAITING)]
        )
        situation.play()
        situation.play()
        assert situation.at("a")[0] < 2


FINDINGS = (
    "hits",  # vehicles that drove over a pedestrian
    "walked",  # cells
    "driven",  # cells
    "shared",  # ticks in which two vehicles shared a cell
    "stops",  # vehicles that stood on a crosswalk, ticks
    "braking",  # by more than 1
    "standing",  # the longest time for which a vehicle stood, ticks
    "waiting",  # the longest time for which a pedestrian wanted to cross, ticks
)
HITS, WALKED, DRIVEN, SHARED, STOPS, BRAKING, STANDING, WAITED = range(len(FINDINGS))


@kernel
def watch(argument, ticks, before, found):
    """Count what happens in so many ticks, by brute force.

    Args:
        argument: of a frame with one world.
        ticks: how many.
        before: int64 (5, vehicles or people): cells of people, speeds, ticks for which each stood and each waited.
        found: int64 (FINDINGS,), counted up.
    """
    frame = open_frame(argument)
    map = frame.maps[0]
    world = frame.worlds[0]
    for _ in range(ticks):
        for p in range(world.num_people):
            before[0, p] = world.people[p].cell
        for k in range(world.num_vehicles):
            before[1, k] = world.vehicles[k].speed
        tick(map, world, frame.options[0], frame.actions, 0)
        for k in range(world.num_vehicles):
            vehicle = world.vehicles[k]
            found[DRIVEN] += vehicle.speed
            found[BRAKING] += before[1, k] - vehicle.speed > 1
            found[STOPS] += vehicle.speed == 0 and kind(map, vehicle.cell) == CROSSWALK
            before[2, k] = before[2, k] + 1 if vehicle.speed == 0 else 0
            found[STANDING] = max(found[STANDING], before[2, k])
            row = vehicle.cell // map.width - 1
            col = vehicle.cell % map.width - 1
            for n in range(vehicle.speed):  # the cells entered in this tick, from the last one back
                backward = n if vehicle.heading == 0 else -n
                entered = ((row + backward) % map.rows + 1) * map.width + col + 1
                for p in range(world.num_people):
                    # Walkers move after the vehicles: they were met where they stood before.
                    if before[0, p] == entered:
                        found[HITS] += 1
            for j in range(k):
                if world.vehicles[j].cell == vehicle.cell:
                    found[SHARED] += 1
        for p in range(world.num_people):
            found[WALKED] += abs(world.people[p].cell - before[0, p])
            before[3, p] = before[3, p] + 1 if world.people[p].waited > 0 else 0
            found[WAITED] = max(found[WAITED], before[3, p])


def street(random, lanes, length, crosswalks, num_vehicles, fastest, people, patience, hesitates):
    """A periodic road, the left half of its lanes southbound, with people at both ends of each crosswalk."""
    maps = np.zeros(1, map_dtype(length, lanes + 2, has_portals=True))
    worlds = np.zeros(1, world_dtype(length, lanes + 2, num_vehicles, people=people * len(crosswalks)))
    map, world = maps[0], worlds[0]
    world.key_0, world.key_1 = random.integers(0, 2**32, 2)
    set_size(map, length, lanes + 2)
    map.speed_limit = 5
    for row in range(length):
        for lane in range(lanes):
            heading = SOUTH if lane < lanes // 2 else NORTH
            what = CROSSWALK if row in crosswalks else LANE
            paint(map, cell_of(map, row, 1 + lane), what, 1 << heading, lane, 0)
    for lane in range(lanes):
        ends = cell_of(map, 0, 1 + lane), cell_of(map, length - 1, 1 + lane)
        if lane < lanes // 2:
            open_portal(map, ends[1], SOUTH, ends[0])
        else:
            open_portal(map, ends[0], NORTH, ends[1])
    free = [row for row in range(length) if row not in crosswalks]
    for row in crosswalks:
        for _ in range(people):
            col, heading = (0, EAST) if random.integers(2) else (lanes + 1, WEST)
            place_pedestrian(world, cell_of(map, int(row), col), heading, WAITING, patience, hesitates)
    places = random.permutation(len(free) * lanes)[:num_vehicles]
    for k, at in enumerate(places):
        row, lane = int(free[at // lanes]), int(at % lanes)
        top_speed = int(random.integers(1, fastest + 1))
        place(world, k, cell_of(map, row, 1 + lane), SOUTH if lane < lanes // 2 else NORTH, 0, top_speed)
    world.num_vehicles = len(places)
    return maps, worlds


def watched(maps, worlds, dawdle, ticks):
    """The findings of so many ticks, by name."""
    found = np.zeros(len(FINDINGS), np.int64)
    frame = frame_of(maps, worlds, options_of(num_egos=0, dawdle=round(dawdle * 65536)))
    watch(frame.argument, ticks, np.zeros((4, 250), np.int64), found)
    return dict(zip(FINDINGS, found.tolist(), strict=True))


@settings(phases=[Phase.generate])  # what is found is not made smaller: that takes minutes
@given(
    seed=st.integers(0, 2**32),
    lanes=st.integers(1, 4),
    num_vehicles=st.integers(1, 60),
    num_crosswalks=st.integers(1, 4),
    people=st.integers(1, 6),
    fastest=st.integers(1, 5),
    patience=st.sampled_from([1, 5, 20]),
    hesitates=st.integers(0, 1),
    dawdle=st.sampled_from([0.0, 0.2]),
)
def test_traffic_and_people_get_over_each_other_s_ways_and_nobody_is_hit(
    seed, lanes, num_vehicles, num_crosswalks, people, fastest, patience, hesitates, dawdle
) -> None:
    """On a street with crosswalks: no hit, no hard braking, no stop on a crosswalk, and nobody waits for ever."""
    random = np.random.default_rng(seed)
    length = 60
    crosswalks = random.choice(np.arange(0, length, 4), num_crosswalks, replace=False)
    num_vehicles = min(num_vehicles, lanes * (length - num_crosswalks) * 3 // 4)
    maps, worlds = street(random, lanes, length, crosswalks, num_vehicles, fastest, people, patience, hesitates)
    found = watched(maps, worlds, dawdle, 2_000)
    assert found["hits"] == found["shared"] == found["stops"] == found["braking"] == 0
    assert found["walked"] > 0
    assert found["driven"] > 0
    assert found["standing"] < 200
    assert found["waiting"] < 200


def test_the_ego_and_traffic_meet_people_alike() -> None:
    """What stops traffic hits nobody; what does not stop does."""
    situation = from_ascii(". ^ .\n. = .\n. E .", E=Car(NORTH, 1), pedestrians=[(1, 1, EAST, CROSSING)])
    assert situation.copy().play(SLOWER) == set()
    assert situation.play(IDLE) == {"pedestrian_hit", "at_fault", "failed_to_yield"}
