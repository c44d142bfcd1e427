"""Road networks drawn at random, as words: streets around a torus that bend, cross and meet in junctions of every kind.

Streets run north-south and east-west, one way, or both ways with or without a median, and lead on at the opposite edge
of the map. Where two cross there is a junction: crossroads, a T where a stretch is missing, or, between medians, a
roundabout of three or four arms. Crosswalks lie across the stretches between, and some streets bend there. What is
drawn keeps to `drivesim.core.certificate`; a network that does not is drawn again, and carries fewer vehicles than its
smallest cycle stores.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ascii_map import Car, Situation, from_ascii
from hypothesis import assume
from hypothesis import strategies as st

from drivesim.core.certificate import CYCLE_IS_FULL, FINE, certify
from drivesim.core.cycles import NUM_PLANES
from drivesim.core.map import (
    ALL_HEADINGS,
    ALL_WAY_STOP,
    CROSSWALK,
    EAST,
    NO_CONTROL,
    NORTH,
    SIGNALS,
    SOUTH,
    WEST,
    YIELD,
    is_within,
    turned,
)
from drivesim.core.refusals import cycle_of

CONTROLS = (SIGNALS, ALL_WAY_STOP, YIELD, NO_CONTROL)
SIGN = {NORTH: "^", EAST: ">", SOUTH: "v", WEST: "<"}
LEGEND = {"=" + sign: (CROSSWALK, 1 << heading) for heading, sign in SIGN.items()}
ONE_WAY, TWO_WAY, WITH_MEDIAN = 1, 2, 3  # columns or rows of a street
MOST_VEHICLES = 24


@dataclass
class Street:
    """A street: for each of its rows or columns the heading of the lane there, None = the median."""

    first: int
    """Its first row or column."""
    lanes: list[int | None]
    missing: set[int] = field(default_factory=set)
    """Numbers of the stretches that it does not have: n leads from crossing n to the next one."""

    @property
    def end(self) -> int:
        """The row or column behind it."""
        return self.first + len(self.lanes)


@dataclass
class Network:
    """A drawn network, its junctions as `from_ascii` takes them."""

    words: list[list[str]]
    junctions: list[dict[str, Any]]

    def __repr__(self) -> str:
        """The drawing, for whoever reads a failure."""
        width = max(len(word) for line in self.words for word in line)
        drawing = "\n".join(" ".join(word.ljust(width) for word in line).rstrip() for line in self.words)
        return f"\n{drawing}\n{self.junctions}\n"


def spans(streets: list[Street], size: int) -> list[list[int]]:
    """For each stretch between one street and the next, around the torus, its rows or columns."""
    found = []
    for n, street in enumerate(streets):
        end = streets[n + 1].first if n + 1 < len(streets) else streets[0].first + size
        found.append([at % size for at in range(street.end, end)])
    return found


@st.composite
def streets(draw: Any, headings: tuple[int, int], least: int) -> tuple[list[Street], int]:
    """One to three parallel streets, and the size of the map across them; traffic keeps to the right."""
    found = []
    at = draw(st.integers(1, 3))
    for _ in range(draw(st.integers(least, 3))):
        kind = draw(st.sampled_from([ONE_WAY, TWO_WAY, WITH_MEDIAN]))
        lanes: list[int | None] = [draw(st.sampled_from(headings))]
        if kind != ONE_WAY:
            lanes = [headings[0], headings[1]] if kind == TWO_WAY else [headings[0], None, headings[1]]
        found.append(Street(at, lanes))
        at += kind + draw(st.integers(3, 6))
    return found, min(at, 38)


def sign(*headings: int | None) -> str:
    """The word of a cell with these headings."""
    both = sorted({heading for heading in headings if heading is not None})
    if not both:
        return "."
    if len(both) == 1:
        return SIGN[both[0]]
    return next(word for word in ("^>", "^<", "v>", "v<") if set(word) == {SIGN[heading] for heading in both})


def pave(words: list[list[str]], street: Street, is_column: bool, stretches: list[list[int]]) -> None:
    """Draw the stretches that a street has."""
    for n, stretch in enumerate(stretches):
        for along in stretch if n not in street.missing else []:
            for across, heading in enumerate(street.lanes):
                row, col = (along, street.first + across) if is_column else (street.first + across, along)
                words[row][col] = sign(heading)


def roundabout(words: list[list[str]], row: int, col: int) -> None:
    """Draw nine cells that are driven anticlockwise around the one in the middle."""
    for n, line in enumerate((("v<", "<", "^<"), ("v", ".", "^"), ("v>", ">", "^>"))):
        words[row + n][col : col + 3] = line


def cross(words: list[list[str]], street: Street, is_column: bool, along: int) -> None:
    """Draw a crosswalk across a street."""
    for across, heading in enumerate(street.lanes):
        row, col = (along, street.first + across) if is_column else (street.first + across, along)
        if heading is not None:
            words[row][col] = "=" + SIGN[heading]


def bend(words: list[list[str]], street: Street, is_column: bool, stretch: list[int]) -> None:
    """Let a one-way street leave its row or column in a stretch, and come back to it: four bends."""
    heading = street.lanes[0]
    assert heading is not None
    there, back = (EAST, WEST) if is_column else (SOUTH, NORTH)
    path = stretch if heading in (EAST, SOUTH) else stretch[::-1]
    for n, along in enumerate(path[1:-1]):
        is_first, is_last = n == 0, n == len(path) - 3
        turn = there if is_first else back if is_last else None
        for across, word in enumerate((sign(heading, turn) if turn is not None else ".", sign(heading, turn))):
            row, col = (along, street.first + across) if is_column else (street.first + across, along)
            words[row][col] = word


def entries(across: Street, along: Street, size: tuple[int, int]) -> list[tuple[int, int, int]]:
    """(row, col, heading) of the cells before a crossing, whether there is a street or not."""
    rows, cols = size
    found = []
    for n, heading in enumerate(across.lanes):
        if heading is not None:
            found.append((across.first + n, (along.first - 1 if heading == EAST else along.end) % cols, heading))
    for n, heading in enumerate(along.lanes):
        if heading is not None:
            found.append(((across.first - 1 if heading == SOUTH else across.end) % rows, along.first + n, heading))
    return found


@st.composite
def networks(draw: Any, controls: tuple[int, ...] = CONTROLS) -> Network:
    """Networks of up to nine junctions with these controls."""
    ups, cols = draw(streets((SOUTH, NORTH), 1))
    acrosses, rows = draw(streets((WEST, EAST), 1))
    words = [["."] * cols for _ in range(rows)]
    for street, others in [(street, len(ups)) for street in acrosses] + [(street, len(acrosses)) for street in ups]:
        if others > 1 and len(street.lanes) > 1:
            street.missing = draw(st.sets(st.integers(0, others - 1), max_size=1))
    for street in acrosses:
        pave(words, street, False, spans(ups, cols))
    for street in ups:
        pave(words, street, True, spans(acrosses, rows))
    junctions = []
    for across in acrosses:
        for up in ups:
            control = draw(st.sampled_from(controls))
            box = {"row": across.first, "col": up.first, "height": len(across.lanes), "width": len(up.lanes)}
            if len(across.lanes) == len(up.lanes) == WITH_MEDIAN and draw(st.booleans()):
                roundabout(words, across.first, up.first)
            else:
                for n, along in enumerate(across.lanes):
                    for m, heading in enumerate(up.lanes):
                        words[across.first + n][up.first + m] = sign(along, heading)
            ranks = draw(st.sampled_from([(0, 1, 0, 1), (1, 0, 1, 0), (1, 0, 0, 0)])) if control == YIELD else (0,) * 4
            green_0, green_1 = draw(st.integers(6, 12)), draw(st.integers(6, 12))
            timing = {"green_0": green_0, "green_1": green_1, "yellow": 5, "all_red": 2}
            junctions.append({**box, **(timing if control == SIGNALS else {}), "control": control, "ranks": ranks})
            for row, col, heading in entries(across, up, (rows, cols)):
                if words[row][col] == SIGN[heading] and draw(st.booleans()):
                    words[row][col] = "|" + SIGN[heading]
    for street, others, is_column in [(street, ups, False) for street in acrosses] + [
        (street, acrosses, True) for street in ups
    ]:
        for n, stretch in enumerate(spans(others, cols if not is_column else rows)):
            what = draw(st.sampled_from(["", "bend", "crosswalk"])) if n not in street.missing else ""
            if what == "bend" and len(street.lanes) == 1 and len(stretch) >= 5:
                bend(words, street, is_column, stretch)
            elif what == "crosswalk":
                cross(words, street, is_column, stretch[draw(st.integers(1, len(stretch) - 2))])
    return Network(words, junctions)


# --- traffic ---------------------------------------------------------------------------------------------------------
def free_lanes(situation: Situation) -> list[tuple[int, int, int]]:
    """(row, col, heading) of the cells on which traffic may stand and which one heading may be driven in."""
    map = situation.map
    found = []
    for row in range(int(map.rows)):
        for col in range(int(map.cols)):
            cell = situation.cell(row, col)
            mask = int(map.ground[cell]) & 15
            if mask in (1, 2, 4, 8) and not is_within(map, cell):
                found.append((row, col, mask.bit_length() - 1))
    return found


def storage_left(situation: Situation) -> int | None:
    """How many vehicles may drive here, None if nobody may; found with those that are here."""
    scratch = np.zeros(NUM_PLANES * len(situation.map.ground), np.int64)
    reason, cell = certify(situation.map, situation.world, situation.options[0], scratch)
    if reason == CYCLE_IS_FULL:
        cycle = cycle_of(situation.map, cell, scratch)
        return sum(not is_within(situation.map, situation.cell(*where)) for where in cycle) - 1
    return len(situation.names) if reason == FINE else None


@st.composite
def traffic(
    draw: Any, network: Network, num_egos: int = 0, fastest: int = 5, options: dict[str, Any] | None = None
) -> Situation:
    """A network with as many vehicles as it may carry, or fewer, at rest; their egos head for no goal."""

    def fill(cars: dict[str, tuple[int, int, Car]]) -> Situation:
        words = [list(line) for line in network.words]
        for name, (row, col, _) in cars.items():
            words[row][col] = name
        situation = from_ascii(
            "\n".join(" ".join(line) for line in words),
            LEGEND,
            options,
            network.junctions,
            is_periodic=True,
            **{name: car for name, (_, _, car) in cars.items()},
        )
        for heading in range(4):  # and after one destination, any that does not lead back at once
            situation.map.goals[heading].next = ALL_HEADINGS & ~(1 << turned(heading, 2))
        return situation

    places = draw(st.permutations(free_lanes(fill({}))))[:MOST_VEHICLES]
    cars = {}
    for n, (row, col, heading) in enumerate(places):
        top_speed, turn = draw(st.integers(1, fastest)), draw(st.integers(-1, 1))
        name = f"E{n}" if n < num_egos else f"c{n}"
        car = Car(heading, 0, top_speed if n >= num_egos else 5, turn, on=network.words[row][col])
        cars[name] = (row, col, car)
    left = storage_left(fill(cars))
    assume(left is not None and left > num_egos)
    kept = draw(st.integers(num_egos + 1, left))
    return fill({name: cars[name] for name in list(cars)[:kept]})


def picture(network: Network, situation: Situation) -> str:
    """A network and who is where, for whoever reads a failure."""
    found = [repr(network)]
    for name in situation.names:
        vehicle = situation.vehicle(name)
        facts = f"heading {SIGN[int(vehicle.heading)]} top speed {vehicle.top_speed} to {vehicle.destination}"
        found.append(f"{name} at {situation.at(name)} {facts}")
    return "\n".join(found)
