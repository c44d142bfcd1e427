"""The swept advance: nothing tunnels, and what happens first in a tick happens first."""

import numpy as np
import pytest
from ascii_map import FASTER, IDLE, LEFT, RIGHT, Car, from_ascii
from hypothesis import given
from hypothesis import strategies as st

from drivesim.core.advance import entered
from drivesim.core.map import EAST, NORTH, SOUTH, WEST
from drivesim.core.world import ARRIVED, CRASHED, UNAWARE

BLIND = {"driver_model": UNAWARE}  # traffic that keeps its top speed whatever happens


def test_a_car_enters_its_kth_cell_at_the_sub_step_that_the_rule_names() -> None:
    for speed in range(1, 6):
        for k in range(1, speed + 1):
            sub_step = -(-5 * k // speed)  # ceil(5 k / v)
            assert entered(speed, sub_step) == k
            assert entered(speed, sub_step - 1) == k - 1


class TestNothingTunnels:
    @pytest.mark.parametrize("speed", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("distance", [1, 2, 3, 4, 5])
    def test_through_an_obstacle(self, speed, distance) -> None:
        road = ["^"] * 6 + ["E"]
        road[6 - distance] = "#"
        situation = from_ascii("\n".join(road), E=Car(NORTH, speed))
        events = situation.play(IDLE)
        assert events == ({"collision", "at_fault"} if distance <= speed else set())
        assert situation.at("E") == (6 - min(speed, distance), 0)

    @pytest.mark.parametrize("speed", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("distance", [1, 2, 3, 4, 5])
    def test_through_a_standing_car(self, speed, distance) -> None:
        road = ["^"] * 6 + ["E"]
        road[6 - distance] = "a"
        situation = from_ascii("\n".join(["#", *road]), E=Car(NORTH, speed), a=Car(NORTH, 0, top_speed=0))
        assert situation.play(IDLE) == ({"collision", "at_fault"} if distance <= speed else set())

    @given(v=st.integers(0, 5), u=st.integers(0, 5), distance=st.integers(1, 11))
    def test_through_an_oncoming_car(self, v, u, distance) -> None:
        road = ["+"] * 24
        road[12], road[12 - distance] = "E", "a"
        situation = from_ascii(
            "\n".join(road), E=Car(NORTH, v, on="+"), a=Car(SOUTH, u, top_speed=u, on="+"), options=BLIND
        )
        met = v + u >= distance  # together they cover the cells between them
        assert ("collision" in situation.play(IDLE)) == met
        assert situation.is_driving("E") != met
        assert situation.is_driving("a") != met

    @given(
        v=st.integers(0, 5), u=st.integers(0, 5), ahead=st.integers(-1, 6), aside=st.integers(-6, 6),
    )  # fmt: skip
    def test_through_a_crossing_car_and_only_who_is_there_at_the_time_is_met(self, v, u, ahead, aside) -> None:
        """A car on the crossing way is met where both ways cross, if both are there after some sub-step."""
        if aside == 0 or ahead < 0:
            return
        rows = [["+"] * 13 for _ in range(14)]
        rows[8][6] = "E"
        rows[8 - ahead][6 + aside] = "a"
        heading = WEST if aside > 0 else EAST
        situation = from_ascii(
            "\n".join(" ".join(row) for row in rows),
            E=Car(NORTH, v, on="+"),
            a=Car(heading, u, top_speed=u, on="+"),
            options=BLIND,
        )
        met = any(v * s // 5 == ahead and u * s // 5 == abs(aside) for s in range(1, 6))
        assert ("collision" in situation.play(IDLE)) == met


class TestBothWays:
    def test_a_swap_of_cells_is_a_collision_and_both_have_driven_into_it(self) -> None:
        situation = from_ascii(
            "+\na\nE\n+", E=Car(NORTH, 1, on="+"), a=Car(SOUTH, 1, top_speed=1, on="+"), options=BLIND
        )
        assert situation.play(IDLE) == {"collision", "at_fault"}

    def test_following_into_a_cell_that_is_being_left_is_no_collision(self) -> None:
        situation = from_ascii("^\n^\na\nE", E=Car(NORTH, 1), a=Car(NORTH, 1, top_speed=1))
        assert situation.play(IDLE) == set()
        assert situation.at("E") == (2, 0)

    def test_a_faster_car_that_catches_up_within_the_tick_collides(self) -> None:
        """Two cells behind at speed 4 against 1: after sub-step 4 both are in one cell."""
        situation = from_ascii("^\n^\n^\n^\n^\na\n^\nE", E=Car(NORTH, 4), a=Car(NORTH, 1, top_speed=1))
        assert situation.play(IDLE) == {"collision", "at_fault"}


class TestOrderWithinATick:
    def test_a_collision_in_the_sub_step_of_arrival_wins(self) -> None:
        """Both enter the goal cell in the last sub-step."""
        situation = from_ascii(
            "+ G a\n+ E +", E=Car(NORTH, 1, on="+"), a=Car(WEST, 1, top_speed=1, on="+"), options=BLIND
        )
        assert situation.play(IDLE) == {"collision", "at_fault"}
        assert situation.vehicle("E").status == CRASHED

    def test_who_arrives_before_is_met_by_nobody(self) -> None:
        """The ego is in the goal cell after sub-step 3 and gone when the other comes there after sub-step 5."""
        drawing = "+ G a\n+ E +\n+ + +"
        situation = from_ascii(drawing, E=Car(NORTH, 2, on="+"), a=Car(WEST, 1, top_speed=1, on="+"), options=BLIND)
        assert situation.play(IDLE) == {"arrived"}
        assert situation.vehicle("E").status == ARRIVED
        assert situation.is_driving("a")

    def test_what_would_have_come_after_arriving_does_not_happen(self) -> None:
        situation = from_ascii("#\nG\n^\nE", E=Car(NORTH, 5))
        assert situation.play(IDLE) == {"arrived"}
        assert situation.at("E") == (1, 0)

    def test_a_crash_before_the_goal_prevents_arrival(self) -> None:
        situation = from_ascii("G\n#\n^\nE", E=Car(NORTH, 5))
        assert situation.play(IDLE) == {"collision", "at_fault"}

    def test_who_has_crashed_is_not_met_by_a_third(self) -> None:
        """E and a meet in the cell between them after sub-step 3; b would have come there after sub-step 5."""
        situation = from_ascii(
            "+ + a +\n+ + + b\n+ + E +\n+ + + +",
            E=Car(NORTH, 2, on="+"),
            a=Car(SOUTH, 2, top_speed=2, on="+"),
            b=Car(WEST, 1, top_speed=1, on="+"),
            options=BLIND,
        )
        assert "collision" in situation.play(IDLE)
        assert not situation.is_driving("a")
        assert situation.is_driving("b")

    def test_three_cars_in_one_cell_all_crash(self) -> None:
        situation = from_ascii(
            "+ + a + +\n+ + + + +\nb + + + +\n+ + + + +\n+ + E + +",
            E=Car(NORTH, 2, on="+"),
            a=Car(SOUTH, 2, top_speed=2, on="+"),
            b=Car(EAST, 2, top_speed=2, on="+"),
            options=BLIND,
        )
        assert "collision" in situation.play(IDLE)
        assert [situation.is_driving(name) for name in "Eab"] == [False, False, False]


class TestEdges:
    def test_the_edge_of_the_map_is_off_road_for_an_ego(self) -> None:
        situation = from_ascii("^\n^\nE", E=Car(NORTH, 5))
        assert situation.play(IDLE) == {"off_road"}
        assert situation.at("E") == (0, 0)

    def test_a_periodic_side_carries_traffic_round_but_not_the_ego(self) -> None:
        situation = from_ascii(
            "> > > E\n> > > a", E=Car(EAST, 1), a=Car(EAST, 1, top_speed=1), is_periodic=True, options=BLIND
        )
        assert situation.play(IDLE) == {"off_road"}
        assert situation.at("a") == (1, 0)

    def test_on_a_ring_the_ego_goes_round_too_and_its_odometer_counts(self) -> None:
        lane = " ".join([">"] * 38 + ["E", ">"])
        situation = from_ascii(lane, is_ring=True, E=Car(EAST, 4))
        assert situation.play(FASTER) == set()
        assert situation.at("E") == (0, 3)
        assert situation.ego().remaining == 995

    def test_a_ring_is_covered_when_the_odometer_says_so(self) -> None:
        situation = from_ascii(" ".join(["E"] + [">"] * 39), is_ring=True, E=Car(EAST, 3))
        situation.ego().remaining = 6
        assert situation.play(IDLE) == set()
        assert situation.play(IDLE) == {"arrived"}
        assert situation.ego().remaining == 0

    @given(gap=st.integers(0, 6), v=st.integers(0, 5), u=st.integers(0, 5), col=st.integers(0, 39))
    def test_a_ring_has_no_seam(self, gap, v, u, col) -> None:
        """Wherever on the ring: whoever is faster than the gap and the leader's way hits the leader."""
        lane = [">"] * 40
        lane[col], lane[(col + gap + 1) % 40] = "E", "a"
        situation = from_ascii(" ".join(lane), is_ring=True, E=Car(EAST, v), a=Car(EAST, u, top_speed=u), options=BLIND)
        met = any(v * s // 5 >= gap + 1 + u * s // 5 for s in range(1, 6))
        assert ("collision" in situation.play(IDLE)) == met


class TestTwoEgos:
    def test_entering_one_cell_collide_and_are_both_at_fault(self) -> None:
        situation = from_ascii("+ + +\nE + F\n+ + +", E=Car(EAST, 1, on="+"), F=Car(WEST, 1, on="+"))
        assert situation.play(IDLE, IDLE) == {"collision", "at_fault"}
        assert situation.events("F") == {"collision", "at_fault"}

    def test_only_who_drives_into_a_standing_one_is_at_fault(self) -> None:
        situation = from_ascii("^\nF\nE", E=Car(NORTH, 1), F=Car(NORTH, 0))
        assert situation.play(IDLE, IDLE) == {"collision", "at_fault"}
        assert situation.events("F") == {"collision"}

    def test_arriving_together_both_arrive(self) -> None:
        situation = from_ascii("G G\nE F", E=Car(NORTH, 1), F=Car(NORTH, 1))
        assert situation.play(IDLE, IDLE) == {"arrived"}
        assert situation.events("F") == {"arrived"}

    def test_one_that_has_ended_has_no_more_events(self) -> None:
        situation = from_ascii("^ ^\nG ^\nE ^\n^ ^\n^ F", E=Car(NORTH, 1), F=Car(NORTH, 1))
        assert situation.play(IDLE, IDLE) == {"arrived"}
        assert situation.play(LEFT, IDLE) == set()
        assert situation.at("F") == (2, 1)
        assert not situation.world.occupants[: situation.cell(2, 0)].any()


@given(seed=st.integers(0, 2**32))
def test_who_meets_whom_does_not_depend_on_the_order_of_storage(seed) -> None:
    """A crowd on open ground, several of it egos: as if listed the other way round."""
    random = np.random.default_rng(seed)
    size, num_egos, num_blind = 9, 3, 5
    cells = random.permutation(size * size)[: num_egos + num_blind]
    cars = [Car(int(random.integers(4)), int(random.integers(1, 6)), on="+") for _ in cells]
    cars = [Car(c.heading, c.speed, top_speed=c.speed, on="+") for c in cars]
    actions = random.choice([LEFT, IDLE, RIGHT, FASTER], num_egos)

    def outcome(order_egos, order_blind):
        rows = [["+"] * size for _ in range(size)]
        names = dict(zip([*order_egos, *order_blind], "ABCdefgh", strict=True))
        for n, cell in enumerate(cells):
            rows[cell // size][cell % size] = names[n]
        drawn = {name: cars[n] for n, name in names.items()}
        drawn = {name: drawn[name] for name in sorted(drawn)}
        situation = from_ascii("\n".join(" ".join(row) for row in rows), options=BLIND, **drawn)
        situation.play(*[int(actions[n]) for n in order_egos])
        return [
            (situation.at(names[n]), situation.motion(names[n]), int(situation.vehicle(names[n]).status))
            + ((situation.events(names[n]),) if n < num_egos else ())
            for n in range(len(cells))
        ]

    forward = outcome([0, 1, 2], [3, 4, 5, 6, 7])
    assert forward == outcome([2, 1, 0], [7, 6, 5, 4, 3])
    assert forward == outcome([1, 2, 0], [5, 3, 7, 4, 6])
