"""Road networks drawn at random, as texts: streets around a torus that bend, cross, merge and meet in junctions.

Streets run north-south and east-west and lead on at the opposite edge of the map: one way, two lanes one way of which
one may end in a stretch, or both ways with or without a median. Where two cross there is a junction of any control:
crossroads, a T where a stretch is missing, or a roundabout of one lane, also one that takes in two crossings and has up
to six arms; or one street ends beside the other as a ramp. Some stretches bend, some have crosswalks with walkers.

What is drawn keeps to `drivesim.core.certificate`; a network that does not is drawn again, and carries fewer vehicles
than its smallest cycle stores.
"""

from dataclasses import dataclass, field
from random import Random

from drivesim.core.map import ALL_WAY_STOP, EAST, NO_CONTROL, NORTH, SIGNALS, SOUTH, WEST, YIELD, turned

CONTROLS = {SIGNALS: "signals", ALL_WAY_STOP: "all_way_stop", YIELD: "yield", NO_CONTROL: "none"}
LINES = {SIGNALS: "|", ALL_WAY_STOP: "!", YIELD: "?"}
SIGNS = "^>v<"
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
ONE_WAY, TWO_LANES, TWO_WAY, WITH_MEDIAN = "one way", "two lanes one way", "two ways", "two ways with a median"


SHAPES = ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 2), (3, 2), (2, 3), (3, 3))  # columns and rows of streets


# --- the sheet on which a network is drawn ----------------------------------------------------------------------------
@dataclass
class Cell:
    """A cell that is being drawn."""

    headings: set[int] = field(default_factory=set)
    mark: str = ""
    junction: int = 0
    goals: set[int] = field(default_factory=set)
    who: str = ""

    @property
    def is_lane(self) -> bool:
        """Whether somebody may stand here, and in one heading only."""
        return len(self.headings) == 1 and self.mark != "=" and self.junction == 0


class Sheet:
    """A map that is being drawn, around whose edges everything leads on."""

    def __init__(self, rows: int, cols: int) -> None:
        self.rows, self.cols = rows, cols
        self.cells = [[Cell() for _ in range(cols)] for _ in range(rows)]

    def at(self, row: int, col: int) -> Cell:
        """The cell there."""
        return self.cells[row % self.rows][col % self.cols]

    def ahead(self, row: int, col: int, heading: int) -> Cell:
        """The cell ahead of another one."""
        return self.at(row + STEPS[heading][0], col + STEPS[heading][1])

    def is_portal(self, row: int, col: int) -> bool:
        """Whether a lane leads over the edge of the map there."""
        ends = (row == 0, col == self.cols - 1, row == self.rows - 1, col == 0)
        return any(ends[h] and h in self.ahead(row, col, h).headings for h in self.at(row, col).headings)

    def word(self, row: int, col: int) -> str:
        """The cell's word of the text."""
        cell = self.at(row, col)
        if not cell.headings:
            return "." + cell.who
        junction = f"*{cell.junction}" if cell.junction else ""
        signs = "".join(SIGNS[heading] for heading in sorted(cell.headings))
        goals = "".join(f"G{goal}" for goal in sorted(cell.goals))
        return f"{'@' if self.is_portal(row, col) else ''}{junction}{cell.mark}{signs}{goals}{cell.who}"

    def text(self, head: dict[str, object]) -> str:
        """The text of the level."""
        words = [[self.word(row, col) for col in range(self.cols)] for row in range(self.rows)]
        widths = [max(len(line[col]) for line in words) for col in range(self.cols)]
        table = [" ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in words]
        return "\n".join([*(f"{name} = {value}" for name, value in head.items()), "", *table]) + "\n"

    def lanes(self) -> list[tuple[int, int]]:
        """(row, col) of all cells on which somebody may stand."""
        return [(row, col) for row in range(self.rows) for col in range(self.cols) if self.at(row, col).is_lane]


# --- streets ----------------------------------------------------------------------------------------------------------
@dataclass
class Street:
    """A street: for each of its rows or columns the heading of the lane there, None = the median."""

    kind: str
    is_column: bool
    first: int
    """Its first row or column."""
    lanes: list[int | None]
    missing: set[int] = field(default_factory=set)
    """Numbers of the stretches that it does not have: n leads from crossing n to the next one."""
    plain: set[int] = field(default_factory=set)
    """Numbers of the stretches in which nothing else is drawn."""

    @property
    def end(self) -> int:
        """The row or column behind it."""
        return self.first + len(self.lanes)

    def place(self, across: int, along: int) -> tuple[int, int]:
        """(row, col) of a cell, `across` lanes from its first one."""
        return (along, self.first + across) if self.is_column else (self.first + across, along)


def draw_streets(dice: Random, is_column: bool, count: int) -> tuple[list[Street], int]:
    """So many parallel streets, and the size of the map across them; traffic keeps to the right."""
    headings = (SOUTH, NORTH) if is_column else (WEST, EAST)
    longest = dice.choice((4, 6, 9, 14))
    found = []
    at = dice.randint(1, 3)
    for _ in range(count):
        kind = dice.choice((ONE_WAY, TWO_LANES, TWO_WAY, TWO_WAY, WITH_MEDIAN))
        heading = dice.choice(headings)
        lanes: dict[str, list[int | None]] = {
            ONE_WAY: [heading],
            TWO_LANES: [heading, heading],
            TWO_WAY: [headings[0], headings[1]],
            WITH_MEDIAN: [headings[0], None, headings[1]],
        }
        found.append(Street(kind, is_column, at, lanes[kind]))
        at += len(lanes[kind]) + dice.randint(3, longest)
    return found, at if count > 0 else dice.randint(8, 20)


def stretches(streets: list[Street], size: int) -> list[list[int]]:
    """For each stretch between one street and the next, around the torus, its rows or columns; not modulo the size."""
    if not streets:
        return [list(range(size))]
    ends = [street.first for street in streets[1:]] + [streets[0].first + size]
    return [list(range(street.end, end)) for street, end in zip(streets, ends, strict=True)]


def pave(sheet: Sheet, street: Street, others: list[list[int]]) -> None:
    """Draw the stretches that a street has."""
    for n, stretch in enumerate(others):
        for along in stretch if n not in street.missing else []:
            for across, heading in enumerate(street.lanes):
                if heading is not None:
                    sheet.at(*street.place(across, along)).headings = {heading}


def bend(sheet: Sheet, street: Street, stretch: list[int]) -> None:
    """Let a one-way street leave its row or column in a stretch, and come back to it: four bends."""
    heading = street.lanes[0]
    assert heading is not None
    there, back = (EAST, WEST) if street.is_column else (SOUTH, NORTH)
    path = stretch if heading in (EAST, SOUTH) else stretch[::-1]
    for n, along in enumerate(path[1:-1]):
        turn = {there} if n == 0 else {back} if n == len(path) - 3 else set()
        sheet.at(*street.place(0, along)).headings = {heading} | turn if turn else set()
        sheet.at(*street.place(1, along)).headings = {heading} | turn


def end_lane(dice: Random, sheet: Sheet, street: Street, stretch: list[int]) -> None:
    """Let one of two lanes end in a stretch, so that its traffic must merge, and begin again behind a gap."""
    heading = street.lanes[0]
    path = stretch if heading in (EAST, SOUTH) else stretch[::-1]
    first = dice.randint(1, len(path) - 2)
    across = dice.randint(0, 1)
    for along in path[first : dice.randint(first + 1, len(path))]:
        sheet.at(*street.place(across, along)).headings = set()


def cross(dice: Random, sheet: Sheet, street: Street, stretch: list[int]) -> None:
    """Draw a crosswalk across a street, and perhaps somebody who wants to cross."""
    along = dice.choice(stretch)
    for across, heading in enumerate(street.lanes):
        if heading is not None:
            sheet.at(*street.place(across, along)).mark = "="
    towards = (EAST, WEST) if street.is_column else (SOUTH, NORTH)
    for across, heading in ((-1, towards[0]), (len(street.lanes), towards[1])):
        verge = sheet.at(*street.place(across, along))
        if not verge.headings and dice.random() < 0.3:
            verge.who = "p" + SIGNS[heading]


# --- the network ------------------------------------------------------------------------------------------------------
@dataclass
class Network:
    """A network that is being drawn."""

    dice: Random
    sheet: Sheet
    ups: list[Street]
    acrosses: list[Street]
    controls: tuple[int, ...]
    head: dict[str, object] = field(default_factory=dict)
    boxes: list[tuple[int, int, int, int, bool]] = field(default_factory=list)
    """(row, col, height, width, whether its edge is driven round) of every junction."""
    ramps: list[tuple[int, Street, list[int], set[int]]] = field(default_factory=list)
    """(row, column that ends there, columns beside the other street, its heading)."""

    def others(self, street: Street) -> list[list[int]]:
        """The stretches of a street."""
        if street.is_column:
            return stretches(self.acrosses, self.sheet.rows)
        return stretches(self.ups, self.sheet.cols)


def plan_ramp(network: Network, n: int, m: int) -> bool:
    """Plan that the column number m ends beside the row number n and merges; whether there is room for that."""
    up, across = network.ups[m], network.acrosses[n]
    num_rows, num_cols = len(network.acrosses), len(network.ups)
    if up.kind != ONE_WAY or num_rows < 2:
        return False
    is_northbound = up.lanes[0] == NORTH
    heading = across.lanes[-1 if is_northbound else 0]
    beyond, before = ((n - 1) % num_rows, n) if is_northbound else (n, (n - 1) % num_rows)
    stretch = m if heading == EAST else (m - 1) % num_cols
    cols = network.others(across)[stretch]
    if before in up.missing or stretch in across.missing | across.plain or len(cols) < 4:
        return False
    up.missing.add(beyond)
    up.plain.add(before)
    across.plain.add(stretch)
    path = cols if heading == EAST else cols[::-1]
    row = across.end if is_northbound else across.first - 1
    network.ramps.append((row, up, path[: network.dice.randint(2, len(path) - 1)], {heading}))  # type: ignore[arg-type]
    return True


def plan_crossing(network: Network, n: int, m: int) -> None:
    """Plan what there is where row number n and column number m meet."""
    dice, up, across = network.dice, network.ups[m], network.acrosses[n]
    if any(box[0] == across.first and box[1] <= up.first < box[1] + box[3] for box in network.boxes):
        return  # a roundabout with the column before
    if dice.random() < 0.3 and plan_ramp(network, n, m):
        return
    kinds = {up.kind, across.kind}
    end = up.end
    ring = across.kind in (TWO_WAY, WITH_MEDIAN) and TWO_LANES not in kinds and dice.random() < 0.5
    if ring and m + 1 < len(network.ups) and network.ups[m + 1].kind != TWO_LANES and dice.random() < 0.5:
        end = network.ups[m + 1].end
        across.missing.add(m)
    ring = ring and end - up.first > 1
    network.boxes.append((across.first, up.first, len(across.lanes), end - up.first, ring))


def gates(sheet: Sheet, box: tuple[int, int, int, int, bool]) -> list[tuple[Cell, tuple[int, int], int]]:
    """(cell of a box, place of the cell beside it outside, heading from one to the other), all around."""
    row, col, height, width, _ = box
    found = [((row, c), NORTH) for c in range(col, col + width)]
    found += [((row + height - 1, c), SOUTH) for c in range(col, col + width)]
    found += [((r, col), WEST) for r in range(row, row + height)]
    found += [((r, col + width - 1), EAST) for r in range(row, row + height)]
    return [(sheet.at(r, c), (r + STEPS[heading][0], c + STEPS[heading][1]), heading) for (r, c), heading in found]


def lanes_at(streets: list[Street], at: int) -> set[int]:
    """The headings of the lane in a row or column, if one is there."""
    lanes = {street.lanes[at - street.first] for street in streets if street.first <= at < street.end}
    return {heading for heading in lanes if heading is not None}


def draw_box(network: Network, number: int, box: tuple[int, int, int, int, bool]) -> None:
    """Draw a junction: its cells, its control and some of its lines."""
    dice, sheet = network.dice, network.sheet
    row, col, height, width, is_ring = box
    for r in range(row, row + height):
        for c in range(col, col + width):
            edges = ((r == row, WEST), (c == col, SOUTH), (r == row + height - 1, EAST), (c == col + width - 1, NORTH))
            headings = {heading for is_edge, heading in edges if is_edge}
            if not is_ring:
                headings = lanes_at(network.acrosses, r) | lanes_at(network.ups, c)
            sheet.at(r, c).headings = headings
            sheet.at(r, c).junction = number if headings else 0
    control = dice.choice(network.controls)
    entries = set()
    for cell, (r, c), outward in gates(sheet, box):
        outside = sheet.at(r, c).headings
        if outward in outside:
            cell.headings.add(outward)
        if turned(outward, 2) in outside:
            cell.headings.add(turned(outward, 2))
            entries.add((r, c))
    for r, c in sorted(entries):
        if control in LINES and dice.random() < 0.5:
            sheet.at(r, c).mark = LINES[control]
    name = f"junction{number}"
    network.head[f"{name}.control"] = f'"{CONTROLS[control]}"'
    if control == YIELD:
        ranks = dice.choice(([0, 1, 0, 1], [1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 2, 3], [2, 1, 1, 0]))
        network.head[f"{name}.ranks"] = ranks
    if control == SIGNALS:
        network.head[f"{name}.green"] = [dice.randint(6, 12), dice.randint(6, 12)]
        network.head[f"{name}.yellow"], network.head[f"{name}.all_red"] = 5, 2
        network.head[f"{name}.cycle_start"] = dice.randint(0, 20)


def decorate(network: Network, street: Street) -> None:
    """Draw bends, ends of lanes and crosswalks in the stretches of a street."""
    dice = network.dice
    for n, stretch in enumerate(network.others(street)):
        if n in street.missing | street.plain:
            continue
        what = dice.choice(("", "special", "crosswalk"))
        if what == "special" and street.kind == ONE_WAY and len(stretch) >= 5:
            bend(network.sheet, street, stretch)
        elif what == "special" and street.kind == TWO_LANES and len(stretch) >= 4:
            end_lane(dice, network.sheet, street, stretch)
        elif what == "crosswalk":
            cross(dice, network.sheet, street, stretch)


def draw_network(dice: Random, controls: tuple[int, ...]) -> Network:
    """A network without destinations and vehicles."""
    num_ups, num_acrosses = dice.choice(
        ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 2), (3, 2), (2, 3), (3, 3))
    )
    ups, cols = draw_streets(dice, True, num_ups)
    acrosses, rows = draw_streets(dice, False, num_acrosses)
    network = Network(dice, Sheet(rows, cols), ups, acrosses, controls)
    for street in ups + acrosses:
        num_stretches = len(network.others(street))
        if num_stretches > 1 and dice.random() < 0.4:
            street.missing.add(dice.randrange(num_stretches))
    for n in range(len(acrosses)):
        for m in range(len(ups)):
            plan_crossing(network, n, m)
    for street in ups + acrosses:
        pave(network.sheet, street, network.others(street))
    for row, up, path, heading in network.ramps:
        network.sheet.at(row, up.first).headings |= heading
        for col in path:
            network.sheet.at(row, col).headings = set(heading)
        across = next(street for street in acrosses if row in (street.first - 1, street.end))
        for k, lane in enumerate(across.lanes):
            network.sheet.at(across.first + k, up.first).headings = {lane} - {None}
    for number, box in enumerate(network.boxes, 1):
        draw_box(network, number, box)
    for street in ups + acrosses:
        decorate(network, street)
    return network


def exits(network: Network) -> dict[int, list[Cell]]:
    """For each heading, the cells behind junctions on which traffic may stand."""
    found: dict[int, list[Cell]] = {heading: [] for heading in range(4)}
    for box in network.boxes:
        for _, (row, col), heading in gates(network.sheet, box):
            while network.sheet.at(row, col).mark == "=":
                row, col = row + STEPS[heading][0], col + STEPS[heading][1]
            if network.sheet.at(row, col).headings == {heading}:
                found[heading].append(network.sheet.at(row, col))
    return found


def draw_destinations(network: Network) -> int:
    """Mark the cells of the destinations: all exits of a heading, or any cells; how many destinations there are."""
    dice = network.dice
    by_heading = {heading: cells for heading, cells in exits(network).items() if cells}
    if by_heading and dice.random() < 0.5:
        after = []
        for goal, (heading, cells) in enumerate(by_heading.items()):
            after.append(sum(1 << n for n, other in enumerate(by_heading) if other != turned(heading, 2)))
            for cell in cells:
                cell.goals.add(goal)
        network.head["goals.next"] = after
        return len(by_heading)
    lanes = network.sheet.lanes()
    num_goals = dice.randint(2, 6)
    for goal in range(num_goals):
        for row, col in dice.sample(lanes, dice.choice((1, 1, 2))):
            network.sheet.at(row, col).goals.add(goal)
    return num_goals
