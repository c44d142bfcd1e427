"""All-way stops, give-way lines and junctions without a control, on the one reservation; crosswalks beside them."""

import pytest
from ascii_map import EVENTS, FASTER, IDLE, LEFT, RIGHT, SLOWER, Car, from_ascii

from drivesim.core.junctions import PATIENCE, TURN_TICKS
from drivesim.core.map import ALL_WAY_STOP, CROSSWALK, EAST, NO_CONTROL, NORTH, SIGNALS, SOUTH, WEST, YIELD

# Traffic keeps to the right; a to d stand for a car on each approach, two cells before the junction.
CROSSROADS = """
    . . . . v  ^  . . . .
    . . . . v  ^  . . . .
    . . . . b  ^  . . . .
    . . . . v  ^  . . . .
    < < < < v< ^< < d < <
    > > c > v> ^> > > > >
    . . . . v  ^  . . . .
    . . . . v  a  . . . .
    . . . . v  ^  . . . .
    . . . . v  ^  . . . .
"""
BOX = {"row": 4, "col": 4, "height": 2, "width": 2}
APPROACHES = {"a": (NORTH, "^"), "b": (SOUTH, "v"), "c": (EAST, ">"), "d": (WEST, "<")}
INSIDE = {(row, col) for row in (4, 5) for col in (4, 5)}


def crossroads(control, drawing=CROSSROADS, timing=None, **cars):
    """The crossroads under a control, with some of the cars a to d, of capital letters where they are egos."""
    for letter, (_, lane) in APPROACHES.items():
        if letter not in cars:
            drawing = drawing.replace(f" {letter} ", f" {letter.upper() if letter.upper() in cars else lane} ")
    # Northbound and southbound traffic has priority at a give-way line.
    box = {**BOX, "control": control, "ranks": (0, 1, 0, 1), **(timing or {})}
    return from_ascii(drawing, signals=[box], is_periodic=True, **cars)


def car(letter, speed=1, top_speed=2, next_turn=0):
    return Car(APPROACHES[letter.lower()][0], speed, top_speed, next_turn)


def entries(situation, ticks, *actions):
    """Cars in the order in which they enter the junction, within so many ticks; nobody ever shares it."""
    order = []
    for _ in range(ticks):
        situation.play(*actions)
        order += [name for name in situation.names if situation.at(name) in INSIDE and name not in order]
    return order


class TestAllWayStop:
    @pytest.mark.parametrize("letter", "abcd")
    def test_everybody_stands_at_the_line_before_it_enters(self, letter) -> None:
        situation = crossroads(ALL_WAY_STOP, **{letter: car(letter, 2)})
        stood = False
        for _ in range(8):
            situation.play()
            stood |= situation.motion(letter)[1] == 0
            assert stood or situation.at(letter) not in INSIDE
        assert situation.at(letter) not in INSIDE
        assert situation.motion(letter)[1] > 0

    def test_who_stood_first_goes_first(self) -> None:
        late_first = CROSSROADS.replace("> > c > v>", "c > > > v>")
        cars = {"a": car("a"), "c": car("c")}
        assert entries(crossroads(ALL_WAY_STOP, late_first, **cars), 14) == ["a", "c"]
        rows = CROSSROADS.strip("\n").split("\n")
        rows[7], rows[9] = rows[7].replace(" a ", " ^ "), rows[9].replace(" ^ ", " a ")
        assert entries(crossroads(ALL_WAY_STOP, "\n".join(rows), **cars), 14) == ["c", "a"]

    def test_all_four_pass_one_after_the_other(self) -> None:
        situation = crossroads(ALL_WAY_STOP, **{letter: car(letter) for letter in "abcd"})
        assert set(entries(situation, 20)) == set("abcd")

    def test_an_ego_has_its_turn_only_where_it_stands_and_loses_it_after_some_ticks(self) -> None:
        situation = crossroads(ALL_WAY_STOP, A=car("A", 1), c=car("c", 1, 1))
        situation.play(IDLE)
        situation.play(SLOWER)  # now it stands one cell before the junction
        assert situation.at("A") == (6, 5)
        for _ in range(2):
            situation.play(SLOWER)
        assert situation.vehicle("A").may_enter == 1
        assert situation.held_by("A")
        for _ in range(TURN_TICKS + 3):
            situation.play(SLOWER)
        assert situation.at("c")[1] > 3  # who waited has passed meanwhile

    def test_an_ego_that_does_not_stand_runs_the_stop(self) -> None:
        situation = crossroads(ALL_WAY_STOP, A=car("A", 1))
        assert situation.play(IDLE) == set()
        assert "ran_stop" in situation.play(IDLE)

    def test_an_ego_that_has_stood_on_its_turn_does_nothing_wrong(self) -> None:
        situation = crossroads(ALL_WAY_STOP, A=car("A", 1))
        situation.play(IDLE)
        situation.play(SLOWER)
        situation.play(IDLE)
        assert situation.play(FASTER) == set()
        assert situation.at("A") == (5, 5)
        assert situation.play(IDLE) == set()

    def test_having_stood_elsewhere_does_not_count(self) -> None:
        situation = crossroads(ALL_WAY_STOP, A=car("A", 0))
        situation.play(IDLE)
        situation.play(FASTER)
        assert "ran_stop" in situation.play(IDLE)


class TestGiveWay:
    def test_who_has_priority_does_not_stop_and_the_other_lets_it_pass(self) -> None:
        situation = crossroads(YIELD, a=car("a", 2), c=car("c", 2))
        speeds, order = [], []
        for _ in range(6):
            situation.play()
            speeds.append(situation.motion("a")[1])
            order += [name for name in "ac" if situation.at(name) in INSIDE and name not in order]
        assert min(speeds) == 2
        assert order[0] == "a"

    def test_who_must_give_way_goes_on_where_nobody_comes(self) -> None:
        situation = crossroads(YIELD, c=car("c", 2))
        for _ in range(3):
            situation.play()
        assert situation.at("c")[1] > 5

    def test_who_has_waited_long_enough_goes_first(self) -> None:
        rows = CROSSROADS.strip("\n").split("\n")
        column = [row.split() for row in rows]
        cars = {"c": car("c", 1, 1)}
        for n, row in enumerate((9, 7, 3, 1)):  # a stream on the northbound lane, all round the map
            column[row][5] = "ghij"[n]
            cars["ghij"[n]] = Car(NORTH, 1, 1)
        drawing = "\n".join(" ".join(row) for row in column).replace(" a ", " ^ ")
        situation = crossroads(YIELD, drawing, **cars)
        waited = 0
        while situation.at("c")[1] < 4 and waited < 4 * PATIENCE:
            situation.play()
            waited += 1
        assert waited <= PATIENCE + 12

    @pytest.mark.parametrize("distance", [1, 3])
    def test_traffic_lets_an_ego_with_priority_pass_that_comes_near(self, distance) -> None:
        rows = CROSSROADS.replace("> > c > v>", "> > > c v>").replace(" a ", " ^ ").strip("\n").split("\n")
        rows[6 + distance] = rows[6 + distance].replace(" ^ ", " A ")
        situation = crossroads(YIELD, "\n".join(rows), A=Car(NORTH, 1), c=Car(EAST, 0, 2))
        while situation.at("A")[0] > 4:
            assert "failed_to_yield" not in situation.play(IDLE)
            assert situation.at("c") == (5, 3)
        for _ in range(3):
            situation.play(IDLE)
        assert situation.at("c") != (5, 3)

    @pytest.mark.parametrize(("speed", "fails"), [(1, False), (2, False), (3, True), (5, True)])
    def test_an_ego_fails_to_yield_to_whom_it_leaves_no_time_to_stop(self, speed, fails) -> None:
        """A, with priority, is one cell before its line; v (v - 1) / 2 cells take it to stop."""
        drawing = CROSSROADS.replace("> > c > v>", "> > > C v>")
        situation = crossroads(YIELD, drawing, C=Car(EAST, 0), A=car("A", speed, 5))
        assert situation.names == ["C", "A"]
        assert ("failed_to_yield" in situation.play(FASTER, IDLE)) == fails
        assert "failed_to_yield" not in situation.events("A")


class TestWithoutAControl:
    def test_who_asks_first_goes_first_and_nobody_stops_for_nothing(self) -> None:
        situation = crossroads(NO_CONTROL, a=car("a", 2))
        for _ in range(3):
            situation.play()
            assert situation.motion("a")[1] == 2

    def test_nobody_collides(self) -> None:
        situation = crossroads(NO_CONTROL, **{letter: car(letter, 2) for letter in "abcd"})
        for _ in range(60):
            situation.play()
            places = [situation.at(name) for name in situation.names]
            assert len(set(places)) == 4


@pytest.mark.parametrize("control", [NO_CONTROL, YIELD])
def test_a_platoon_keeps_its_speed_through_a_junction(control) -> None:
    rows = CROSSROADS.strip("\n").split("\n")
    rows[7], rows[9] = rows[7].replace(" a ", " e "), rows[9].replace(" ^ ", " a ")
    situation = crossroads(control, "\n".join(rows), e=Car(NORTH, 1, 1), a=Car(NORTH, 1, 1))
    for _ in range(8):
        situation.play()
        assert situation.motion("e")[1] == situation.motion("a")[1] == 1


def test_whoever_follows_one_that_is_held_back_asks_behind_it() -> None:
    """The light turns when the first of a platoon has been let in and not yet entered: both lose their turn."""
    rows = CROSSROADS.strip("\n").split("\n")
    rows[6], rows[7] = rows[6].replace(" ^ ", " e "), rows[7].replace(" a ", " f ")
    timing = {"green_0": 3, "green_1": 3, "yellow": 2, "all_red": 1}
    situation = crossroads(SIGNALS, "\n".join(rows), timing, e=Car(NORTH, 1, 1), f=Car(NORTH, 1, 1))
    passed = []
    for _ in range(60):
        situation.play()
        passed += [name for name in "ef" if situation.at(name)[0] == 5]
    assert min(passed.count("e"), passed.count("f")) >= 2


def test_traffic_waits_before_the_crosswalk_of_a_junction_and_not_on_it() -> None:
    drawing = CROSSROADS.replace("v  ^  . . . .\n    . . . . v  a", "=  =  . . . .\n    . . . . v  a")
    situation = crossroads(ALL_WAY_STOP, drawing, a=car("a", 1), c=car("c", 1))
    places = []
    for _ in range(12):
        situation.play()
        places.append((situation.at("a"), situation.motion("a")[1]))
    assert ((7, 5), 0) in places
    assert ((6, 5), 0) not in places
    assert any(row < 4 for (row, _), _ in places)


def entered(situation):
    """Whether the ego has come into the junction or past it."""
    row, col = situation.at("A")
    return (row, col) in INSIDE or row < 4


@pytest.mark.parametrize("control", [SIGNALS, ALL_WAY_STOP])
def test_no_drive_of_twelve_ticks_passes_a_closed_control_without_its_event(control) -> None:
    """All sequences of actions, from every speed on the approach; states that were met before are met once."""
    drawing = CROSSROADS
    box = {**BOX, "control": control, "green_0": 1, "green_1": 200, "yellow": 1, "all_red": 1, "cycle_start": 10}
    drawing = drawing.replace(" a ", " A ")
    for letter, (_, lane) in APPROACHES.items():
        drawing = drawing.replace(f" {letter} ", f" {lane} ")
    start = from_ascii(drawing, signals=[box], A=Car(NORTH, 1, next_turn=0))
    event = "red_light" if control == SIGNALS else "ran_stop"
    states, seen, passed = [start], set(), 0
    for _ in range(12):
        following = []
        for situation in states:
            for action in (LEFT, IDLE, RIGHT, FASTER, SLOWER):
                after = situation.copy()
                after.play(action)
                if not after.is_driving("A"):
                    continue
                if entered(after):
                    passed += 1
                    # Who stands at the entry and drives straight on has kept to a stop, and nobody to a red light.
                    has_stood = control == ALL_WAY_STOP and situation.motion("A")[1] == 0 and action == FASTER
                    assert has_stood or after.ego("A").events_seen & EVENTS[event], (after.at("A"), action)
                    continue
                vehicle = after.vehicle("A")
                key = (int(vehicle.cell), int(vehicle.heading), int(vehicle.speed), int(after.ego("A").stood_at))
                if key not in seen:
                    seen.add(key)
                    following.append(after)
        states = following
    assert passed > 10
    assert len(seen) > 5


@pytest.mark.parametrize("control", [NO_CONTROL, YIELD])
def test_whoever_has_been_let_in_keeps_its_way_also_on_a_crosswalk_far_from_the_junction(control) -> None:
    """When c asks, e in the junction still holds the cells that f, on the crosswalk, is to have after it."""
    drawing = """
        . . . . ^ . . . .
        . . . . ^ . . . .
        c > > > ^> > > > >
        . . . . ^ . . . .
        . . . . e . . . .
        . . . . = . . . .
        . . . . ^ . . . .
        . . . . f . . . .
    """
    box = {"row": 2, "col": 4, "height": 1, "width": 1, "control": control}
    cars = {"c": Car(EAST, 1, 1, -1), "e": Car(NORTH, 0, 1, 1), "f": Car(NORTH, 1, 3, 1)}
    situation = from_ascii(drawing, {"=": (CROSSWALK, 1 << NORTH)}, signals=[box], is_periodic=True, **cars)
    order = []
    for _ in range(9):
        situation.play()
        order += [name for name in situation.names if situation.at(name) == (2, 4) and name not in order]
    assert order == ["e", "f", "c"]


@pytest.mark.parametrize("control", [SIGNALS, ALL_WAY_STOP, YIELD, NO_CONTROL])
def test_who_has_been_let_in_gives_its_turn_back_to_somebody_who_has_changed_lane_to_before_it(control) -> None:
    """c would hold for ever what e needs, who stands between c and the entry."""
    drawing = CROSSROADS.replace("> > c >", "> > c e").replace(" d ", " < ").replace(" a ", " ^ ").replace(" b ", " v ")
    timing = {"green_0": 5, "green_1": 20, "yellow": 3, "all_red": 2, "cycle_start": 10} if control == SIGNALS else {}
    box = {**BOX, "control": control, "ranks": (0, 1, 0, 1), **timing}
    situation = from_ascii(drawing, signals=[box], is_periodic=True, c=Car(EAST, 0, 2), e=Car(EAST, 0, 2))
    situation.hold("c", (5, 4), (5, 5), (5, 6))
    assert entries(situation, 12) == ["e", "c"]
