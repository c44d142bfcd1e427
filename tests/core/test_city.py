"""Towns that are drawn have streets and junctions of every kind, and can be driven by as many as City says."""

from collections import Counter

import numpy as np
import pytest
from levels import levels

from drivesim.core.certificate import FINE, certify
from drivesim.core.cycles import NUM_PLANES, full_cycle
from drivesim.core.jit import kernel
from drivesim.core.map import ALL_WAY_STOP, CROSSWALK, SIGNALS, UNREACHABLE, YIELD, headings, kind
from drivesim.core.memory import Frame
from drivesim.core.refusals import FRAME, open_frame
from drivesim.core.rng import TEST_SPLIT
from drivesim.core.world import WAITING
from drivesim.scenarios.city import LONGER, City
from drivesim.scenarios.city_streets import CORNERS, STORAGE

NUM_MAPS = 150  # of each split
DIFFICULTIES = ("easy", "medium", "hard")
STEPS = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}


def towns(difficulty: str = "medium", num_maps: int = NUM_MAPS, num_egos: int = 1):
    seeds = [*range(num_maps), *range(TEST_SPLIT, TEST_SPLIT + num_maps)]
    return levels("City", seeds, num_egos, difficulty=difficulty, num_maps=NUM_MAPS)


@kernel
def fills_less(argument, i, num_vehicles):
    """Whether a level is refused, or so many vehicles would fill a cycle."""
    frame = open_frame(argument)
    reason, _ = certify(frame.maps[i], frame.worlds[i], frame.options[0], frame.scratch)
    return reason != FINE or full_cycle(frame.maps[i], frame.scratch, num_vehicles) != 0


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_no_cycle_of_any_town_stores_less_than_the_scenario_says(difficulty) -> None:
    maps, worlds, options = towns(difficulty)
    frame = Frame(FRAME)
    scratch = np.zeros(NUM_PLANES * maps["ground"].shape[1], np.int64)
    frame.set(maps=maps, worlds=worlds, options=options, scratch=scratch)
    assert not any(fills_less(frame.argument, i, STORAGE - 1) for i in range(len(maps)))
    assert any(fills_less(frame.argument, i, STORAGE + 10) for i in range(len(maps))), "it is no idle claim"


def junctions_of(map) -> list[tuple[int, int, bool]]:
    """(control, arms, whether it is a roundabout) of every junction."""
    found = []
    for s in range(int(map["num_junctions"])):
        cells = np.flatnonzero(map["junction"] == s + 1)
        arms = 0
        for cell in cells.tolist():
            for heading in range(4):
                ahead = cell + int(map["steps"][heading])
                arms += map["junction"][ahead] == 0 and headings(map, ahead) == 1 << heading
        found.append((int(map["junctions"]["control"][s]), int(arms), len(cells) == 12))
    return found


def test_there_are_junctions_of_every_kind_and_crosswalks() -> None:
    maps, _, _ = towns(num_maps=30)
    seen = Counter(kind_of for map in maps for kind_of in junctions_of(map))
    wanted = {(control, arms, False) for control in (SIGNALS, ALL_WAY_STOP, YIELD) for arms in (3, 4)}
    assert seen.keys() == wanted | {(YIELD, 3, True), (YIELD, 4, True)}
    assert min(seen.values()) >= 10
    for map in maps:
        on_road = [cell for cell in range(len(map["lanes"])) if kind(map, cell) == CROSSWALK]
        assert len(on_road) == 2 * City.presets["medium"].num_crosswalks


def test_the_minor_street_gives_way_and_a_street_that_ends_is_minor() -> None:
    for map in towns(num_maps=30)[0]:
        for s, (control, arms, is_round) in enumerate(junctions_of(map)):
            ranks = map["junctions"]["ranks"][s].tolist()
            if control == YIELD:
                assert ranks in ([[1, 1, 1, 1]] if is_round else [[0, 1, 0, 1], [1, 0, 1, 0]])
            if control == YIELD and arms == 3 and not is_round:
                cells = np.flatnonzero(map["junction"] == s + 1)
                open_to = {
                    heading
                    for cell in cells.tolist()
                    for heading in range(4)
                    if map["junction"][cell + int(map["steps"][heading])] == 0
                    and headings(map, cell + int(map["steps"][heading])) == 1 << heading
                }
                (missing,) = {0, 1, 2, 3} - open_to
                assert ranks[missing] == 1


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_everybody_has_somewhere_to_go_at_a_distance_that_the_options_say(difficulty) -> None:
    maps, worlds, _ = towns(difficulty, 50, num_egos=5)
    level = City.presets[difficulty]
    lengths = worlds["egos"]["route_length"][:, :5]
    assert lengths.min() >= level.route
    assert lengths.max() <= level.route + LONGER
    assert (worlds["num_people"] == level.num_people).all()
    assert (worlds["people"]["status"][:, : level.num_people] == WAITING).all()
    destinations = worlds["vehicles"]["destination"][:, 5 : 5 + level.num_vehicles]
    assert set(np.unique(destinations).tolist()) == set(range(CORNERS))
    num_cells = maps["lanes"].shape[1]
    for map in maps:
        distances = map["distances"].reshape(-1, num_cells)
        on_road = np.flatnonzero(map["ground"][:num_cells] & 15)
        assert (distances[:, on_road] != UNREACHABLE).all()
