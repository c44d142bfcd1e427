"""A level and its text say the same."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from generated import CASES, generated

from drivesim.core.batch import NEVER
from drivesim.core.map import (
    ALL_WAY_STOP,
    CROSSWALK,
    EAST,
    LANE,
    NO_CONTROL,
    NORTH,
    OBSTACLE,
    PARKING_BAY,
    SHOULDER,
    SIGNALS,
    SOUTH,
    STOP_LINE,
    UNREACHABLE,
    WEST,
    YIELD,
)
from drivesim.core.texts import WALKER_PATIENCE
from drivesim.core.world import CROSSING, HASTY, NORMAL, NOT_STARTED, WAITING
from drivesim.levels.building import begun, tight
from drivesim.levels.text import read, write

NUM_LEVELS = 4  # of each case, of which a town is worth all; a hundred of each were tried once

CROSSROADS = """
speed_limit = 2
a.top_speed = 2
a.style = "hasty"
a.destination = 2
junction1.green = [9, 7]
junction1.cycle_start = 5

.  .  v    @^G2 . .
.  .  |va1 ^    . .
@< <  *v<  *^<  |< <
>  |> *v>  *^>  > @>G0
.  .  v    |^   . .
.  .  @vG1 ^E0  . .
"""
TEXTS = {
    "a lane": "^G0\n^E0\n",
    "a road without an ego": "> >a3 > >\n",
    "a crossroads": CROSSROADS,
    "every ground": ". # ^ > v < ^> ^v >v< + :^ =+ [< /> |> *1+ !> *2+ ?> *3+ @^G0\n" + "^ " * 19 + "^E0 ^\n",
    "walkers": ".p> =^ =^p< .\n.   ^  ^E0  .\n.   ^G0 ^G0 .\n",
    "walkers of a kind": "walkers.patience = [3, 9]\nwalkers.hesitates = [0, 1]\n\n.p> =^ =^p< .\n.   ^G0 ^E0  .\n",
    "several goals": "^G0G2 ^G1\n^E2   ^E0\n^     ^E1\n",
    "goals with a heading": "has_reverse = 1\ngoals.heading = [3]\ngoals.top_speed = [0]\n\n[<>G0 < <E0\n",
    "goals to stand on": "has_reverse = 1\ngoals.top_speed = [0]\n\n[<>G0 < <E0\n",
    "portals that bend": "portals = [1, 1, 1, 3, 0, 1]\n\n. < @>\n@< > .\n. ^G0 .\n. ^E0 .\n",
    "lanes of their own": "lanes = [0, 0, 3, -2, 1, 0, 15, 7]\n\n^G0\n^E0\n",
    "two junctions that touch": "^G0  .\n*1+  .\n*2+  <\n|^E0 .\n",
    "a ring": "ring_cols = 4\n\n> >E0 > @>\n",
    "a wide lane": "half_lane = 1\n\n^G0 ^G0 ^G0\n^ ^E0 ^\n",
}


def cell(level, row, col):
    return (row + 1) * int(level.maps["width"][0]) + col + 1


def at(level, name, row, col):
    return int(level.maps[name][0][cell(level, row, col)])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_generated_level_comes_back_from_its_text_to_the_byte(case) -> None:
    for map, world in generated(*case, num_levels=1 if case[0] == "City" else NUM_LEVELS):
        level = read(write(map, world))
        theirs = tight(np.array([map], map.dtype), np.array([world], world.dtype))
        for record, other in zip(begun(level), theirs, strict=True):
            for name in ("level_seed", "episode", "key_0", "key_1", "attempt", "scenario"):
                if name in record.dtype.names:
                    record[name] = other[name]
            for name in record.dtype.names:
                assert record[name].tobytes() == other[name].tobytes(), name
        assert level.worlds["stage"][0] == NOT_STARTED
        assert write(level.maps[0], level.worlds[0]) == write(map, world)


@pytest.mark.parametrize("name", TEXTS)
def test_a_canonical_text_comes_back_from_its_level_to_the_letter(name) -> None:
    level = read(TEXTS[name])
    canonical = write(level.maps[0], level.worlds[0], **level.options)
    again = read(canonical)
    assert write(again.maps[0], again.worlds[0], **again.options) == canonical
    assert again.maps.tobytes() == level.maps.tobytes()
    assert again.worlds.tobytes() == level.worlds.tobytes()


@pytest.mark.parametrize("name", TEXTS)
def test_a_head_is_toml(name) -> None:
    level = read(TEXTS[name])
    canonical = write(level.maps[0], level.worlds[0], max_steps=40)
    assert tomllib.loads(canonical.split("\n\n")[0])["max_steps"] == 40


@pytest.mark.parametrize("line_break", ["\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_of_other_systems_are_read_alike(mark, line_break) -> None:
    text = "max_steps = 9\n\n^G0 .\n^\t.\n^E0 .\n"
    ours, theirs = read(text), read(mark + text.replace("\n", line_break))
    assert write(theirs.maps[0], theirs.worlds[0], **theirs.options) == "max_steps = 9\n\n^G0 .\n^   .\n^E0 .\n"
    assert (ours.maps.tobytes(), ours.worlds.tobytes()) == (theirs.maps.tobytes(), theirs.worlds.tobytes())


def test_a_word_is_a_ground() -> None:
    level = read(TEXTS["every ground"])
    found = [at(level, "ground", 0, col) for col in range(21)]
    n, e, s, w = (1 << heading for heading in (NORTH, EAST, SOUTH, WEST))
    lanes = [n, e, s, w, n | e, n | s, e | s | w, 15]
    marked = [15 | CROSSWALK << 4, w | PARKING_BAY << 4, e | LANE << 4]
    expected = [0, OBSTACLE << 4, *(mask | LANE << 4 for mask in lanes), n | SHOULDER << 4, *marked]
    assert found[:14] == expected
    assert at(level, "passing", 0, 13) == w
    assert found[14:20] == [e | STOP_LINE << 4, 15 | LANE << 4] * 3
    assert [at(level, "junction", 0, col) for col in range(13, 20)] == [0, 0, 1, 0, 2, 0, 3]
    assert level.maps["junctions"]["control"][0].tolist() == [SIGNALS, ALL_WAY_STOP, YIELD]
    assert found[20] == n | LANE << 4 | 128


def test_a_portal_leads_to_the_other_end_of_its_row_or_column() -> None:
    level = read(CROSSROADS)
    assert at(level, "leads_to", 3, 5) == 4 * cell(level, 3, 0) + EAST
    assert at(level, "leads_to", 0, 3) == 4 * cell(level, 5, 3) + NORTH
    assert at(level, "comes_from", 0, 2) == cell(level, 5, 2)


def test_a_portal_leads_where_the_head_says() -> None:
    level = read(TEXTS["portals that bend"])
    assert at(level, "leads_to", 0, 2) == 4 * cell(level, 1, 1) + EAST
    assert at(level, "leads_to", 1, 0) == 4 * cell(level, 0, 1) + WEST


@pytest.mark.parametrize(
    ("line", "control", "ranks"),
    [("|", SIGNALS, 0), ("!", ALL_WAY_STOP, 0), ("?", YIELD, 1), ("", NO_CONTROL, 0)],
)
def test_lines_tell_the_control_of_a_junction(line, control, ranks) -> None:
    level = read(f". ^G0 .\n. *+ >\n. {line}^E0 .\n")
    junction = level.maps["junctions"][0, 0]
    assert (junction["control"], junction["ranks"].tolist()) == (control, [ranks, 0, 0, 0])
    assert (junction["yellow"] > 0) == (control == SIGNALS)


def test_junctions_that_do_not_touch_are_numbered_in_reading_order() -> None:
    level = read(". ^G0 . .\n> *+ > *+\n. ^ . ^\n> *+ > *+\n. *+E0 . .\n".replace("*+E0", "^E0"))
    numbers = [at(level, "junction", row, col) for row in (1, 3) for col in (1, 3)]
    assert numbers == [1, 2, 3, 4]


def test_the_head_tells_of_junctions_what_lines_do_not() -> None:
    level = read('junction1.control = "yield"\njunction1.ranks = [0, 1, 0, 2]\n\n. ^G0 .\n> *+ >\n. ^E0 .\n')
    junction = level.maps["junctions"][0, 0]
    assert (junction["control"], junction["ranks"].tolist()) == (YIELD, [0, 1, 0, 2])


def test_vehicles_are_numbered_in_reading_order_and_the_egos_before_them() -> None:
    level = read("egos.speed = [1, 2]\nb.top_speed = 4\n\n>a3 > >G0E1 >b1\n>E0 > > >G1\n")
    vehicles = level.worlds["vehicles"][0]
    assert vehicles["cell"].tolist() == [cell(level, *place) for place in ((1, 0), (0, 2), (0, 0), (0, 3))]
    assert vehicles["speed"].tolist() == [1, 2, 3, 1]
    assert vehicles["top_speed"].tolist() == [5, 5, 5, 4]
    assert vehicles["style"].tolist()[2:] == [NORMAL, NORMAL]
    assert level.num_egos == 2


def test_a_class_tells_heading_style_and_destination() -> None:
    level = read('a.heading = "south"\na.style = "hasty"\na.destination = 1\n\n^vG0 ^v\n^va1 ^v\n^vG1 ^E0\n')
    vehicle = level.worlds["vehicles"][0, 1]
    assert (vehicle["heading"], vehicle["style"], vehicle["destination"]) == (SOUTH, HASTY, 1)
    cells = (int(level.maps["rows"][0]) + 2) * int(level.maps["width"][0])
    assert level.maps["ways"][0][cells + vehicle["cell"]] == 1 + SOUTH


def test_an_ego_goes_to_the_destination_of_its_number_unless_the_head_says_otherwise() -> None:
    table = "^G0 ^G1\n^E0 ^E1\n"
    assert read(table).worlds["egos"]["goal"].tolist() == [[0, 1]]
    assert read("egos.goal = [1, 0]\n\n" + table).worlds["egos"]["goal"].tolist() == [[1, 0]]
    assert read("^G0 ^G0\n^E0 ^E1\n").worlds["egos"]["goal"].tolist() == [[0, 0]]


def test_distances_lead_to_the_goals() -> None:
    level = read("^G0 #\n^ ^\n^ ^E0\n")
    assert [int(level.maps["distances"][0][cell(level, *place)]) for place in ((0, 0), (1, 1), (2, 1))] == [0, 1, 2]
    assert level.maps["distances"][0][cell(level, 0, 1)] == UNREACHABLE


def test_once_begun_egos_know_their_routes() -> None:
    _, worlds = begun(read("^G0\n^\n^E0\n"))
    assert worlds["egos"]["route_length"].tolist() == [[2]]
    assert worlds["egos"]["cut_in_at"].tolist() == [[NEVER]]


def test_on_a_ring_an_ego_covers_a_distance() -> None:
    assert read(TEXTS["a ring"]).worlds["egos"]["remaining"].tolist() == [[4]]
    assert read("egos.remaining = [9]\n" + TEXTS["a ring"]).worlds["egos"]["remaining"].tolist() == [[9]]


def test_a_wide_lane_has_a_middle() -> None:
    level = read(TEXTS["a wide lane"])
    assert [at(level, "lanes", 0, col) & 15 for col in range(3)] == [7, 8, 9]


def test_a_walker_on_a_crosswalk_crosses_and_waits_elsewhere() -> None:
    level = read(TEXTS["walkers"])
    people = level.worlds["people"][0]
    assert people["status"].tolist() == [WAITING, CROSSING]
    assert people["heading"].tolist() == [EAST, WEST]


def test_the_head_says_how_patient_walkers_are_and_who_hesitates() -> None:
    assert read(TEXTS["walkers"]).worlds["people"]["patience"].tolist() == [[WALKER_PATIENCE] * 2]
    text = "walkers.patience = [3, 9]\nwalkers.hesitates = [0, 1]\n\n" + TEXTS["walkers"]
    people = read(text).worlds["people"][0]
    assert people["patience"].tolist() == [3, 9]
    assert people["hesitates"].tolist() == [0, 1]


def test_a_head_has_options_and_remarks() -> None:
    level = read('# a remark\nmax_steps = 30\ntraffic = "nasch"\n\n^G0\n^E0\n')
    assert level.options == {"max_steps": 30, "traffic": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda map, world: world.__setitem__("tick", 3), "tick 0"),
        (lambda map, world: world["vehicles"]["status"].__setitem__(1, 0), "does not drive"),
        (lambda map, world: world["vehicles"]["cell"].__setitem__(1, 30), "reading order"),
        (lambda map, world: world["vehicles"]["asked_at"].__setitem__(0, 5), "cannot say its vehicles"),
        (lambda map, world: map["slots"].__setitem__(9, 5), "cannot say its slots"),
    ],
)
def test_what_no_text_can_say_is_refused_and_not_lost(change, said) -> None:
    level = read("^G0 ^a1\n^E0 ^a2\n. *+\n")
    change(level.maps[0], level.worlds[0])
    with pytest.raises(ValueError, match=said):
        write(level.maps[0], level.worlds[0])
    with pytest.raises(TypeError, match="no option of a head"):
        write(level.maps[0], level.worlds[0], colour=3)
