"""What may not be driven is refused, and the cell or the cycle that is at fault is named."""

import time

import numpy as np
import pytest
from ascii_map import Car, Situation, from_ascii
from effort import effort
from levels import levels
from records import rows_and_cols

import drivesim
from drivesim.config import EnvConfig
from drivesim.core import certificate as laws
from drivesim.core.certificate import REASONS, certify
from drivesim.core.cycles import NUM_PLANES, full_cycle
from drivesim.core.map import CROSSWALK, EAST, LANE, NORTH, PARKING_BAY, SOUTH, WEST, map_dtype
from drivesim.core.options import OPTIONS
from drivesim.core.painting import open_portal, paint, set_size
from drivesim.core.refusals import cycle_of, describe, place_of, refusals
from drivesim.core.world import UNAWARE, place, world_dtype
from drivesim.levels.text import LevelError, read
from drivesim.levels.text import certify as certify_text
from drivesim.registry import ENTRIES, scenario_of

BLIND = {"driver_model": UNAWARE}
HEADING_OF = {">": EAST, "^": NORTH, "v": SOUTH, "<": WEST}


def answer(situation: Situation) -> tuple[int, tuple[int, int], list[tuple[int, int]]]:
    """(reason, cell, cycle) for a drawn level, cells as (row, col)."""
    scratch = np.zeros(NUM_PLANES * len(situation.map.ground), np.int64)
    reason, cell = certify(situation.map, situation.world, situation.options[0], scratch)
    row, col = rows_and_cols(situation.map, cell)
    cells = cycle_of(situation.map, cell, scratch) if reason == laws.CYCLE_IS_FULL else []
    cycle = [place_of(situation.map, member) for member in cells]
    assert describe(situation.map, reason, cell, scratch) == refused(situation)
    return int(reason), (int(row), int(col)), cycle


def refused(situation: Situation) -> str:
    """Why a drawn level is refused, in words."""
    return refusals(situation.maps, situation.worlds, situation.options)[0][0]


def cars(drawing: str, **headings: int) -> dict[str, Car]:
    """Cars at rest with these headings, as many as the drawing has."""
    return {name: Car(heading) for name, heading in headings.items() if name in drawing.split()}


# --- scenes, each with its reason ------------------------------------------------------------------------------------
def test_traffic_on_a_map_that_does_not_wrap_is_refused_at_its_edge() -> None:
    drawing = "> a > >"
    assert answer(from_ascii(drawing, a=Car(EAST)))[:2] == (laws.NO_WAY_ON, (0, 3))
    assert answer(from_ascii(drawing, a=Car(EAST), is_periodic=True))[0] == laws.FINE


def test_a_lane_that_ends_beside_another_one_is_fine() -> None:
    drawing = """
        > > b > > >
        . a > > # .
    """
    assert answer(from_ascii(drawing, a=Car(EAST), b=Car(EAST), is_periodic=True))[0] == laws.FINE
    apart = drawing.replace("> > b > > >", "> > b # > >")
    assert answer(from_ascii(apart, a=Car(EAST), b=Car(EAST), is_periodic=True))[:2] == (laws.NO_WAY_ON, (1, 3))


# The lower lane leads to G no more than by a change of lane, which nobody makes at the exit of a junction.
LANE_THAT_ENDS = """
a.destination = 0
junction1.control = "none"

.   v    .   .  .   .
>   *>v  >   >  >G0 @>
>a0 *>v  >   .  .   .
.   v    .   .  .   .
"""


def test_a_lane_that_ends_beside_the_exit_of_a_junction_is_refused_for_nobody_changes_lane_there() -> None:
    with pytest.raises(LevelError, match=r"from \(2, 2\) no way leads on"):
        certify_text(read(LANE_THAT_ENDS), LANE_THAT_ENDS)
    longer = LANE_THAT_ENDS.replace("*>v  >   .", "*>v  >   >")
    certify_text(read(longer), longer)


def test_a_full_ring_is_refused_and_named_and_one_place_less_is_enough() -> None:
    reason, _, cycle = answer(from_ascii("a b c d", is_periodic=True, **{name: Car(EAST) for name in "abcd"}))
    assert (reason, cycle) == (laws.CYCLE_IS_FULL, [(0, 1), (0, 2), (0, 3), (0, 0)])
    assert answer(from_ascii("a b c >", is_periodic=True, **{name: Car(EAST) for name in "abc"}))[0] == laws.FINE


def test_the_egos_count_in_a_ring() -> None:
    traffic = {name: Car(EAST) for name in "abc"}
    drawing = """
        a b c >
        . E . .
    """
    reason, _, cycle = answer(from_ascii(drawing, is_periodic=True, **traffic, E=Car(EAST)))
    assert (reason, len(cycle)) == (laws.CYCLE_IS_FULL, 4)


def test_a_change_of_lane_shortens_no_ring_and_two_lanes_hold_no_more_than_one() -> None:
    two_lanes = """
        > > a > >
        b c d e >
    """
    traffic = {name: Car(EAST) for name in "abcde"}
    reason, _, cycle = answer(from_ascii(two_lanes, is_periodic=True, **traffic))
    assert (reason, len(cycle)) == (laws.CYCLE_IS_FULL, 5)
    del traffic["a"]
    assert answer(from_ascii(two_lanes.replace("a", ">"), is_periodic=True, **traffic))[0] == laws.FINE


# A block, driven clockwise; a street from the west passes north of it. Its corner in the north-west is a junction.
BLOCK = """
    .  .  .  .  .
    >  +  >  v> >
    .  ^  .  v  .
    .  ^  <  v< .
    .  .  .  .  .
"""


def block(num_cars: int) -> Situation:
    """The block with so many cars, and its junction."""
    words = [line.split() for line in BLOCK.strip().splitlines()]
    places = [((1, 2), EAST), ((2, 3), SOUTH), ((3, 2), WEST), ((2, 1), NORTH), ((1, 4), EAST), ((1, 0), EAST)]
    traffic = {}
    for n, ((row, col), heading) in enumerate(places[:num_cars]):
        words[row][col] = f"c{n}"
        traffic[f"c{n}"] = Car(heading)
    words[3][1] = "^<"
    return from_ascii(
        "\n".join(" ".join(line) for line in words),
        is_periodic=True,
        signals=[{"row": 1, "col": 1, "height": 1, "width": 1, "green_0": 9, "green_1": 9}],
        **traffic,
    )


def test_a_full_block_is_refused_and_its_junction_stores_nobody() -> None:
    # The street around the map has 4 cells beside the junction: fewer than the block, which has 7.
    reason, _, cycle = answer(block(4))
    assert (reason, sorted(cycle)) == (laws.CYCLE_IS_FULL, [(1, 0), (1, 2), (1, 3), (1, 4)])
    assert "fewer than the 4 cells" in refused(block(4))
    assert answer(block(3))[0] == laws.FINE


# Four arms around an island, driven anticlockwise; each street leads on around the map.
ROUNDABOUT = """
    .  .  v  .  ^  .  .
    .  .  v  .  ^  .  .
    <  <  v< <  ^< <  <
    .  .  v  .  ^  .  .
    >  >  v> >  ^> >  >
    .  .  v  .  ^  .  .
"""


def roundabout(num_cars: int, is_junction: bool = True) -> Situation:
    """The roundabout with so many cars on its arms."""
    words = [line.split() for line in ROUNDABOUT.strip().splitlines()]
    places = [((0, 2), SOUTH), ((0, 4), NORTH), ((2, 0), WEST), ((4, 0), EAST), ((5, 2), SOUTH)]
    traffic = {}
    for n, ((row, col), heading) in enumerate(places[:num_cars]):
        words[row][col] = f"c{n}"
        traffic[f"c{n}"] = Car(heading)
    box = {"row": 2, "col": 2, "height": 3, "width": 3, "green_0": 9, "green_1": 9}
    drawing = "\n".join(" ".join(line) for line in words)
    return from_ascii(drawing, is_periodic=True, signals=[box] if is_junction else [], **traffic)


def test_a_full_roundabout_is_refused_with_the_arms_that_hold_its_traffic() -> None:
    reason, _, cycle = answer(roundabout(3))
    assert (reason, len(cycle)) == (laws.CYCLE_IS_FULL, 3)
    assert not any(2 <= row <= 4 and 2 <= col <= 4 for row, col in cycle)
    assert answer(roundabout(2))[0] == laws.FINE


def test_a_roundabout_that_is_no_junction_is_refused_where_its_ways_meet() -> None:
    assert answer(roundabout(4, is_junction=False))[0] == laws.WAYS_MEET


def test_ways_may_not_meet_outside_junctions() -> None:
    drawing = """
        > > > >
        . . b .
    """
    situation = from_ascii(drawing, is_periodic=True, b=Car(NORTH, on="^"), legend={})
    assert answer(situation)[0] == laws.NO_WAY_ON
    drawing = """
        .  ^  .
        a  ^> >
        .  b  .
    """
    situation = from_ascii(drawing, is_periodic=True, a=Car(EAST), b=Car(NORTH))
    assert answer(situation)[:2] == (laws.WAYS_MEET, (1, 1))
    box = {"row": 1, "col": 1, "height": 1, "width": 1, "green_0": 9, "green_1": 9}
    situation = from_ascii(drawing, is_periodic=True, a=Car(EAST), b=Car(NORTH), signals=[box])
    assert answer(situation)[0] == laws.CYCLE_IS_FULL  # two of two cells of either street


def test_no_two_portals_may_lead_to_one_cell() -> None:
    situation = from_ascii("> > >\n> > >", is_periodic=True)
    assert answer(situation)[0] == laws.FINE
    open_portal(situation.map, situation.cell(1, 2), EAST, situation.cell(0, 0))
    assert answer(situation)[:2] == (laws.PORTALS_MEET, (0, 0))


def test_traffic_needs_lanes_of_one_cell() -> None:
    assert answer(from_ascii("a > >", is_periodic=True, fields={"half_lane": 1}, a=Car(EAST)))[:2] == (
        laws.WIDE_LANES,
        (0, 0),
    )
    assert answer(from_ascii("E > >", fields={"half_lane": 1}, E=Car(EAST)))[0] == laws.FINE  # egos do not


def test_traffic_starts_on_its_way_outside_junctions_and_able_to_stop() -> None:
    assert answer(from_ascii("> a >", is_periodic=True, a=Car(EAST, on="^")))[:2] == (laws.OFF_ITS_WAY, (0, 1))
    box = {"row": 0, "col": 1, "height": 1, "width": 1, "green_0": 9, "green_1": 9}
    inside = from_ascii("> a > >", is_periodic=True, a=Car(EAST), signals=[box])
    assert answer(inside)[:2] == (laws.IN_JUNCTION, (0, 1))
    fast = from_ascii("a b > >", is_periodic=True, a=Car(EAST, 2), b=Car(EAST))
    assert answer(fast)[:2] == (laws.TOO_FAST, (0, 0))
    assert answer(from_ascii("a > b > >", is_periodic=True, a=Car(EAST, 2), b=Car(EAST)))[0] == laws.FINE


def test_traffic_never_turns_back_on_the_spot() -> None:
    # The only way to the lane behind the corner in the west leads back.
    drawing = """
        ^  .  .
        ^< <> a
    """
    situation = from_ascii(drawing, a=Car(EAST, on="<>", next_turn=-1))
    assert answer(situation)[:2] == (laws.TURNS_BACK, (1, 2))


def test_a_way_must_leave_junctions_and_crosswalks() -> None:
    legend = {"=>": (CROSSWALK, 1 << EAST)}
    situation = from_ascii("=> a =>", legend, is_periodic=True, a=Car(EAST, on="=>"))
    assert answer(situation)[0] == laws.NEVER_STANDS
    assert answer(from_ascii("=> a > =>", legend, is_periodic=True, a=Car(EAST)))[0] == laws.FINE


def test_a_crosswalk_stores_nobody() -> None:
    situation = from_ascii("a = = b", is_periodic=True, a=Car(EAST), b=Car(EAST))
    reason, _, cycle = answer(situation)
    assert (reason, len(cycle)) == (laws.CYCLE_IS_FULL, 2)
    assert "fewer than the 2 cells" in refused(situation)
    assert answer(from_ascii("a = = >", is_periodic=True, a=Car(EAST)))[0] == laws.FINE


def test_junctions_that_touch_are_passed_as_one_and_store_nobody() -> None:
    boxes = [{"row": 0, "col": col, "height": 1, "width": 1, "green_0": 9, "green_1": 9} for col in (1, 2)]
    situation = from_ascii("a > > b", is_periodic=True, a=Car(EAST), b=Car(EAST), signals=boxes)
    reason, _, cycle = answer(situation)
    assert (reason, len(cycle)) == (laws.CYCLE_IS_FULL, 2)
    assert "fewer than the 2 cells" in refused(situation)
    assert answer(from_ascii("a > > >", is_periodic=True, a=Car(EAST), signals=boxes))[0] == laws.FINE


def test_the_ways_of_unaware_traffic_never_cross_and_all_of_a_lane_drive_at_one_speed() -> None:
    drawing = """
        . ^ .
        a + >
        . + .
        b + >
        . ^ .
    """
    rows = from_ascii(drawing, is_periodic=True, options=BLIND, a=Car(EAST, 1, 1), b=Car(EAST, 2, 2))
    assert answer(rows)[0] == laws.FINE  # on open ground, each in a row of its own
    drawing = drawing.replace("b", ">")[::-1].replace("^", "c", 1)[::-1]
    cross = from_ascii(drawing, is_periodic=True, options=BLIND, a=Car(EAST, 1, 1), c=Car(NORTH, 1, 1))
    assert answer(cross)[:2] == (laws.UNAWARE_CROSSES, (1, 1))
    lane = from_ascii("a > b >", is_periodic=True, options=BLIND, a=Car(EAST, 1, 1), b=Car(EAST, 2, 2))
    assert answer(lane)[0] == laws.UNAWARE_SPEEDS
    full = from_ascii("a b", is_periodic=True, options=BLIND, a=Car(EAST, 1, 1), b=Car(EAST, 1, 1))
    assert answer(full)[0] == laws.FINE  # nobody waits


def test_who_is_parked_beside_the_lanes_is_no_traffic_and_nobody_parks_in_them() -> None:
    drawing = "> a > >\n. p . ."
    bay = {"B": (PARKING_BAY, 1 << NORTH | 1 << SOUTH)}
    parked = {"p": Car(NORTH, top_speed=0, on="B")}
    assert answer(from_ascii(drawing, bay, is_periodic=True, a=Car(EAST), **parked))[0] == laws.FINE
    moving = {"p": Car(NORTH, on="B")}  # out of its bay, into the lane, which it may not
    assert answer(from_ascii(drawing, bay, is_periodic=True, a=Car(EAST), **moving))[:2] == (laws.NO_WAY_ON, (1, 1))
    for cars_ahead in ("> a > p", "p a > >"):  # whoever comes around stands behind it for ever
        blocked = from_ascii(cars_ahead, is_periodic=True, a=Car(EAST), p=Car(EAST, top_speed=0))
        assert answer(blocked)[:2] == (laws.IS_IN_THE_WAY, (0, cars_ahead.split().index("p")))
    assert answer(from_ascii("> p > >", p=Car(EAST, top_speed=0)))[0] == laws.FINE  # where nobody drives


def test_every_reason_has_its_words() -> None:
    assert len(set(REASONS)) == len(REASONS)
    assert refused(from_ascii("> a > >", a=Car(EAST))) == (
        "from (0, 3) no way leads on to a destination that traffic may have there"
    )
    assert refused(from_ascii("a b c", is_periodic=True, **{name: Car(EAST) for name in "abc"})) == (
        "vehicles, egos included, must be fewer than the 3 cells of the cycle [(0, 1), (0, 2), (0, 0)]"
    )


# --- the levels that there are ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("scenario", [entry.name for entry in ENTRIES if scenario_of(entry.name).generates_levels()])
def test_every_generated_level_may_be_driven(scenario, difficulty) -> None:
    assert {reason for reason, _ in refusals(*levels(scenario, range(effort(100, 200)), difficulty=difficulty))} == {""}


@pytest.mark.parametrize(
    ("scenario", "options"),
    [
        ("Highway", {"length": 40, "distance": 30, "num_lanes": 5, "num_vehicles": 38}),
        ("Intersection", {"num_vehicles": 20}),
    ],
)
def test_a_scenario_states_the_storage_of_its_smallest_cycle(scenario, options) -> None:
    maps, worlds, record = levels(scenario, [0], **options)
    scratch = np.zeros(NUM_PLANES * len(maps[0].ground), np.int64)
    assert certify(maps[0], worlds[0], record[0], scratch)[0] == laws.FINE
    storage = scenario_of(scenario).storage(EnvConfig(scenario=scenario, level=options).level_config)
    assert full_cycle(maps[0], scratch, storage - 1) == 0
    assert full_cycle(maps[0], scratch, storage) > 0


def test_options_that_could_fill_a_cycle_are_refused() -> None:
    EnvConfig("Highway", level={"length": 40, "distance": 30, "num_lanes": 5, "num_vehicles": 38})
    with pytest.raises(ValueError, match=r"num_vehicles .* has 40, but there are 40 with the ego"):
        EnvConfig("Highway", level={"length": 40, "distance": 30, "num_lanes": 5, "num_vehicles": 39})
    drivesim.parallel_env("drivesim/Intersection-v1", num_agents=8, num_vehicles=19)
    with pytest.raises(ValueError, match=r"has 28, but there are 28 with the 8 egos"):
        drivesim.parallel_env("drivesim/Intersection-v1", num_agents=8, num_vehicles=20)


def test_64_by_64_cells_of_lanes_take_less_than_a_second() -> None:
    size = 64
    maps, worlds = np.zeros(1, map_dtype(size, size, has_portals=True)), np.zeros(1, world_dtype(size, size, 50))
    options = np.zeros(1, OPTIONS)
    map, world = maps[0], worlds[0]
    set_size(map, size, size)
    for row in range(1, size + 1):
        first = row * int(map.width) + 1
        for cell in range(first, first + size):
            paint(map, cell, LANE, 1 << EAST, row & 15, 0)
        open_portal(map, first + size - 1, EAST, first)
        if row <= 50:
            place(world, row - 1, first, EAST, 0, 5)
    world.num_vehicles = 50
    assert refusals(maps, worlds, options)[0][0] == ""
    begin = time.process_time()
    assert refusals(maps, worlds, options)[0][0] == ""
    assert time.process_time() - begin < 1.0
