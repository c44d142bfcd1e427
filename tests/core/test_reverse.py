"""The reverse gear: one cell backwards, heading kept, and what everybody else makes of it."""

import numpy as np
import pytest
from ascii_map import FASTER, IDLE, LEFT, RIGHT, SLOWER, Car, from_ascii
from hypothesis import given
from hypothesis import strategies as st

from drivesim.core import world as w
from drivesim.core.episode import describe_actions
from drivesim.core.following import look
from drivesim.core.map import CROSSWALK, EAST, LANE, NORTH, SOUTH, WEST
from drivesim.core.pedestrians import may_step_out
from drivesim.core.world import WAITING
from drivesim.render.motion import MIDDLE, ways
from drivesim.render.planned_route import planned_route
from drivesim.render.scene import Scene
from drivesim.render.sprites import EGO
from drivesim.render.state import State

BEHIND = {NORTH: (1, 0), EAST: (0, -1), SOUTH: (-1, 0), WEST: (0, 1)}
OPEN = "+ + +\n+ E +\n+ + +"
UNAWARE = {"driver_model": w.UNAWARE}
WALK = {"w": (CROSSWALK, 1 << EAST)}


class TestGear:
    @pytest.mark.parametrize("heading", range(4))
    def test_slower_at_rest_moves_one_cell_backwards_with_the_heading_kept(self, heading) -> None:
        situation = from_ascii(OPEN, reverse=True, E=Car(heading, on="+"))
        assert situation.play(SLOWER) == set()
        assert situation.motion("E") == (heading, -1)
        assert situation.at("E") == (1 + BEHIND[heading][0], 1 + BEHIND[heading][1])

    def test_without_one_it_stays(self) -> None:
        situation = from_ascii(OPEN, E=Car(NORTH, on="+"))
        situation.play(SLOWER)
        assert (situation.at("E"), situation.motion("E")) == ((1, 1), (NORTH, 0))

    def test_idle_and_slower_back_on_and_faster_stops(self) -> None:
        situation = from_ascii("> > > > E", reverse=True, E=Car(EAST, -1))
        for action, col, speed in ((IDLE, 3, -1), (SLOWER, 2, -1), (FASTER, 2, 0), (FASTER, 3, 1)):
            situation.play(action)
            assert (situation.at("E"), situation.motion("E")) == ((0, col), (EAST, speed))

    @pytest.mark.parametrize(("action", "heading", "place"), [(LEFT, WEST, (1, 2)), (RIGHT, EAST, (1, 0))])
    def test_steering_turns_first_where_the_cell_allows_that(self, action, heading, place) -> None:
        situation = from_ascii(OPEN, reverse=True, E=Car(NORTH, -1, on="+"))
        situation.play(action)
        assert (situation.at("E"), situation.motion("E")) == (place, (heading, -1))

    @pytest.mark.parametrize("action", [LEFT, RIGHT])
    def test_elsewhere_it_does_nothing_and_is_masked(self, action) -> None:
        situation = from_ascii("^ ^ ^\n^ E ^\n^ ^ ^", reverse=True, E=Car(NORTH, -1))
        assert mask_of(situation).tolist() == [False, True, False, True, False]
        assert situation.play(action) == set()
        assert (situation.at("E"), situation.motion("E")) == ((2, 1), (NORTH, -1))

    def test_the_mask_opens_what_the_gear_does(self) -> None:
        standing = from_ascii(OPEN, reverse=True, E=Car(NORTH, on="+"))
        assert mask_of(standing).tolist() == [True] * 5
        backing = from_ascii(OPEN, reverse=True, E=Car(NORTH, -1, on="+"))
        assert mask_of(backing).tolist() == [True, True, True, True, False]

    def test_the_wrong_way_is_one_of_headings_not_of_motion(self) -> None:
        assert from_ascii("> > E", reverse=True, E=Car(EAST)).play(SLOWER) == set()
        assert from_ascii("> > E", reverse=True, E=Car(WEST, on=">")).play(FASTER) == {"wrong_way"}

    def test_backing_off_the_road_and_over_the_edge_end_the_drive(self) -> None:
        for words, place in ((". E >", (0, 0)), ("E > >", (0, 0))):
            situation = from_ascii(words, reverse=True, E=Car(EAST))
            assert situation.play(SLOWER) == {"off_road"}
            assert situation.at("E") == place
            assert not situation.is_driving("E")

    def test_an_obstacle_behind_is_hit(self) -> None:
        assert from_ascii("# E >", reverse=True, E=Car(EAST)).play(SLOWER) == {"collision", "at_fault"}

    def test_sums_count_cells_whatever_the_gear(self) -> None:
        situation = from_ascii("> > > E", reverse=True, E=Car(EAST))
        for _ in range(2):
            situation.play(SLOWER)
        assert situation.ego().speed_sum == 2

    @given(col=st.integers(0, 7), ticks=st.integers(1, 5))
    def test_the_odometer_of_a_ring_counts_back(self, col, ticks) -> None:
        words = [">"] * 8
        words[col] = "E"
        situation = from_ascii(" ".join(words), is_ring=True, reverse=True, E=Car(EAST))
        before = int(situation.ego().remaining)
        for _ in range(ticks):
            situation.play(SLOWER)
        assert situation.at("E") == (0, (col - ticks) % 8)
        assert situation.ego().remaining == before + ticks

    def test_and_so_it_does_for_who_crashes_on_the_way(self) -> None:
        situation = from_ascii("> a E >", is_ring=True, reverse=True, E=Car(EAST), a=Car(EAST, 0, 0))
        before = int(situation.ego().remaining)
        assert "collision" in situation.play(SLOWER)
        assert situation.ego().remaining == before + 1


class TestFault:
    def test_backing_into_somebody_is_the_egos(self) -> None:
        situation = from_ascii("> a E", reverse=True, E=Car(EAST), a=Car(EAST))
        assert situation.play(SLOWER) == {"collision", "at_fault"}

    def test_both_that_meet_in_a_cell_have_entered_it_last(self) -> None:
        situation = from_ascii("a > E", reverse=True, options=UNAWARE, E=Car(EAST), a=Car(EAST, 1, 1))
        assert situation.play(SLOWER) == {"collision", "at_fault"}

    @pytest.mark.parametrize(("later", "is_blamed"), [(1, True), (4, True), (5, False)])
    def test_so_is_standing_where_one_has_just_backed_to(self, later, is_blamed) -> None:
        words = " ".join(["a"] + [">"] * (1 + later) + ["E"])
        situation = from_ascii(words, reverse=True, options=UNAWARE, E=Car(EAST), a=Car(EAST, 1, 1))
        situation.play(SLOWER)
        for _ in range(later - 1):
            situation.play(FASTER if situation.vehicle("E").speed < 0 else IDLE)
            assert situation.is_driving("E")
        events = situation.play(FASTER if later == 1 else IDLE)
        assert "collision" in events
        assert ("at_fault" in events) == is_blamed

    def test_but_not_after_driving_on(self) -> None:
        situation = from_ascii("a > > E > > >", reverse=True, E=Car(EAST), a=Car(EAST, 0, 0))
        for action in (SLOWER, FASTER, FASTER):
            situation.play(action)
        assert situation.ego().reversed_at == w.NEVER


class TestTraffic:
    def test_a_reversing_leader_leaves_no_braking_room(self) -> None:
        for speed, room in ((3, 2 + 3 - 1), (1, 2 - 1), (0, 2 - 1), (-1, 2 - 1)):
            situation = from_ascii("a > > E >", reverse=True, E=Car(EAST, speed), a=Car(EAST))
            assert look(situation.map, situation.world, 1, situation.cell(0, 0), 8) == (2, room, 0)

    def test_without_the_gear_nothing_stays_free(self) -> None:
        situation = from_ascii("a > > E >", E=Car(EAST), a=Car(EAST))
        assert look(situation.map, situation.world, 1, situation.cell(0, 0), 8) == (2, 2, 0)

    def test_only_egos_have_it(self) -> None:
        situation = from_ascii("a > > b > E", reverse=True, E=Car(EAST), a=Car(EAST), b=Car(EAST))
        assert look(situation.map, situation.world, 1, situation.cell(0, 0), 8) == (2, 2, 2)  # a follows b

    @given(gap=st.integers(1, 12), speed=st.integers(0, 5))
    def test_behind_a_standing_ego_one_cell_stays_free(self, gap, speed) -> None:
        words = " ".join(["a"] + [">"] * gap + ["E"])
        if speed * (speed - 1) // 2 > gap - 1:
            return
        situation = from_ascii(words, reverse=True, E=Car(EAST), a=Car(EAST, speed))
        for _ in range(12):
            assert situation.play(IDLE) == set()
        assert situation.at("a") == (0, gap - 1)
        assert situation.play(SLOWER) == set()

    @given(gap=st.integers(1, 12), speed=st.integers(1, 5), egos=st.integers(1, 5))
    def test_who_brakes_to_a_stop_before_traffic_has_not_cut_in(self, gap, speed, egos) -> None:
        if speed * (speed - 1) // 2 > gap - 1 + egos * (egos - 1) // 2:
            return
        words = " ".join(["a"] + [">"] * gap + ["E"] + [">"] * 16)
        situation = from_ascii(words, reverse=True, E=Car(EAST, egos), a=Car(EAST, speed))
        for _ in range(egos):
            situation.play(SLOWER)
        for _ in range(9):
            situation.play(IDLE)
        assert situation.ego().cut_in_at == w.NEVER
        assert situation.at("a")[1] == situation.at("E")[1] - 2


class TestPedestrians:
    @pytest.mark.parametrize(("speed", "reaches"), [(-1, True), (0, True), (1, False)])
    def test_the_cell_behind_can_be_reached_unless_the_ego_drives_ahead(self, speed, reaches) -> None:
        for col, is_reached in ((1, reaches), (0, False)):
            row = ["w" if n == col else ">" for n in range(5)]
            row[2] = "E"
            drawing = f". . . . .\n{' '.join(row)}"
            people = [(0, col, SOUTH, WAITING)]
            situation = from_ascii(drawing, WALK, reverse=True, E=Car(EAST, speed), pedestrians=people)
            assert may_step_out(situation.map, situation.world, 0) != is_reached

    def test_without_the_gear_it_cannot(self) -> None:
        situation = from_ascii(". . . . .\n> w E > >", WALK, E=Car(EAST), pedestrians=[(0, 1, SOUTH, WAITING)])
        assert may_step_out(situation.map, situation.world, 0)


class TestPictures:
    def test_a_reversing_car_is_shown_on_its_way_back(self) -> None:
        rows, cols = ways(*states(from_ascii("> > E >", reverse=True, E=Car(EAST)), SLOWER))
        np.testing.assert_allclose(rows[0], [0, 0, 0])
        np.testing.assert_allclose(cols[0], [2, 2 - MIDDLE, 1])

    def test_nobody_is_shown_to_give_way_to_one_that_backs_up(self) -> None:
        words = "> a E > >\n> > F > >\n> > > > >"
        situation = from_ascii(words, reverse=True, E=Car(EAST), F=Car(EAST, 1), a=Car(EAST, 0, 0))
        before, after = states(situation, SLOWER, RIGHT)  # somebody changes lane, so that followers are held back
        _, cols = ways(before, after)
        np.testing.assert_allclose(cols[situation.names.index("a")], [1, 1, 1])

    def test_brakes_shine_for_slowing_down_in_either_gear(self) -> None:
        for speed, action, shines in ((1, SLOWER, True), (0, SLOWER, False), (-1, FASTER, True), (0, FASTER, False)):
            situation = from_ascii("> > E > >", reverse=True, E=Car(EAST, speed))
            before, after = states(situation, action)
            looks = [piece.look for piece in Scene(after, before).pieces if piece.look.kind == EGO]
            assert [look.brakes for look in looks] == [shines]

    def test_the_planned_route_leads_backwards_too(self) -> None:
        situation = from_ascii("G> > > E", {"G>": (LANE, 1 << EAST)}, goal=(EAST, 0), reverse=True, E=Car(EAST))
        assert planned_route(state_of(situation)) == [(0.0, 2.0, 3.0), (0.0, 1.0, 3.0)]


def state_of(situation):
    """What is drawn of a situation."""
    return State(situation.maps.copy()[0], situation.worlds.copy()[0])


def states(situation, *actions):
    """What is drawn before and after a tick."""
    before = state_of(situation)
    situation.play(*actions)
    return before, state_of(situation)


def mask_of(situation):
    """The action mask of the ego."""
    mask = np.zeros(5, np.bool_)
    describe_actions(situation.map, situation.world, 0, situation.options[0], mask)
    return mask
