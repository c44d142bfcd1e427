"""From a map and a world to a text: the words of the cells, and what does not follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from drivesim.core.map import PORTAL, SIGNALS
from drivesim.core.memory import Array
from drivesim.core.texts import A_VEHICLE, A_WALKER, ALL_RED_TICKS, AN_EGO, GREEN_TICKS, UNSAID, YELLOW_TICKS
from drivesim.core.world import DRIVING, NOT_STARTED
from drivesim.levels import head as keys
from drivesim.levels.alphabet import Word, aligned, class_name, word_text
from drivesim.levels.building import Level, begun, build
from drivesim.levels.faults import LevelError
from drivesim.levels.ground import Facts, Ground
from drivesim.levels.head import line_text
from drivesim.levels.reading import split

IDENTITY = ("level_seed", "episode", "key_0", "key_1", "attempt", "scenario", "stage")
"""What of a world no text says."""


class Writer:
    """Writes one level.

    Args:
        maps: MAP (1,), as tight as can be.
        worlds: WORLD (1,), likewise.
        options: of the environment.
    """

    def __init__(self, maps: Array, worlds: Array, options: dict[str, int]) -> None:
        self.maps, self.worlds = maps, worlds
        self.map, self.world = maps[0], worlds[0]
        self.options = options
        self.ground = Ground(self.map)
        self.rows, self.cols, self.width = self.ground.rows, self.ground.cols, self.ground.width
        self.num_egos = int(self.world["num_egos"])
        self.classes: dict[tuple[int, ...], str] = {}
        self.who = dict(self.inhabitants())
        self.words: dict[Facts, str] = {}
        """Words where nobody stands."""

    # --- the cells -----------------------------------------------------------------------------------------------

    def inhabitants(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Cells, and what a word says of who stands there; classes are numbered on the way.

        Raises:
            ValueError: for an order, or a status, that no text can say.
        """
        vehicles = self.world["vehicles"][: int(self.world["num_vehicles"])]
        if (vehicles["status"] != DRIVING).any():
            raise ValueError("a vehicle that does not drive cannot be written")
        for k in range(self.num_egos):
            yield int(vehicles["cell"][k]), {"who": AN_EGO, "number": k}
        traffic = vehicles[self.num_egos :]
        if (np.diff(traffic["cell"]) <= 0).any():
            raise ValueError("vehicles that are not numbered in reading order cannot be written")
        for vehicle in traffic:
            cell, heading = int(vehicle["cell"]), int(vehicle["heading"])
            facts = (
                UNSAID if heading == self.ground.only_heading(cell) else heading,
                *(int(vehicle[name]) for name in ("top_speed", "style", "destination")),
            )
            name = self.classes.setdefault(facts, class_name(len(self.classes)))
            yield cell, {"who": A_VEHICLE, "name": name, "pace": int(vehicle["speed"])}
        people = self.world["people"][: int(self.world["num_people"])]
        if (np.diff(people["cell"]) <= 0).any():
            raise ValueError("walkers that are not numbered in reading order cannot be written")
        for person in people:
            yield int(person["cell"]), {"who": A_WALKER, "pace": int(person["heading"])}

    def word(self, cell: int, has_numbers: bool) -> str:
        """The word of a cell; its junction with its number, if `has_numbers`."""
        facts = self.ground.facts(cell, has_numbers)
        if cell in self.who:
            return word_text(Word(*facts, **self.who[cell]))
        if facts not in self.words:
            self.words[facts] = word_text(Word(*facts))
        return self.words[facts]

    def table(self, has_numbers: bool) -> str:
        """The table of words, its columns in line."""
        words = [
            [self.word((row + 1) * self.width + col + 1, has_numbers) for col in range(self.cols)]
            for row in range(self.rows)
        ]
        return aligned(words)

    # --- the head ------------------------------------------------------------------------------------------------

    def base(self) -> dict[str, Any]:
        """What the head says without regard to what would follow, but for junctions and lanes."""
        head: dict[str, Any] = {name: int(self.options[name]) for name in keys.OPTIONS if name in self.options}
        for name in ("speed_limit", "half_lane", "ring_rows", "ring_cols", "has_reverse"):
            head[name] = int(self.map[name])
        head["is_mirrored"] = int(self.world["is_mirrored"])
        num_goals = int(self.map["num_destinations"])
        facts = self.map["goals"][:num_goals]
        found = max(self.ground.goals.values(), default=0).bit_length()
        head["num_destinations"] = num_goals if num_goals != found else UNSAID
        has_headings = int(self.map["has_goal_headings"])
        head["has_goal_headings"] = has_headings if has_headings != (facts["heading"] > 0).any() else UNSAID
        has_ways = self.map["has_ways"] != 0
        would_have = bool(self.map["num_junctions"]) or any(facts[3] >= 0 for facts in self.classes)
        head["has_ways"] = int(has_ways) if has_ways != would_have else UNSAID
        for name in keys.GOALS:
            head[f"goals.{name}"] = (facts[name] - (name != "next")).tolist()
        head |= self.egos()
        people = self.world["people"][: int(self.world["num_people"])]
        for name in keys.WALKERS:
            head[f"walkers.{name}"] = people[name].tolist()
        for key, letters in self.classes.items():
            for name, value in zip(keys.CLASS, key, strict=True):
                head[f"{letters}.{name}"] = value
        return head

    def egos(self) -> dict[str, list[int]]:
        """What the head says of the egos, UNSAID what follows."""
        vehicles, egos = self.world["vehicles"][: self.num_egos], self.world["egos"][: self.num_egos]
        lists: dict[str, list[int]] = {f"egos.{name}": [] for name in keys.EGOS}
        for k in range(self.num_egos):
            heading = int(vehicles["heading"][k])
            facts = {
                "heading": UNSAID if heading == self.ground.only_heading(int(vehicles["cell"][k])) else heading,
                "speed": int(vehicles["speed"][k]),
                "top_speed": int(vehicles["top_speed"][k]),
                "goal": int(egos["goal"][k]),
                "next_turn": int(egos["next_turn"][k]),
                "remaining": int(egos["remaining"][k]),
            }
            for name, value in facts.items():
                lists[f"egos.{name}"].append(value)
        has_one_goal = self.map["num_destinations"] <= 1
        around = max(int(self.map["ring_rows"]), int(self.map["ring_cols"]))
        follows = {
            "egos.goal": [0 if has_one_goal else k for k in range(self.num_egos)],
            "egos.remaining": [around] * self.num_egos if around else lists["egos.remaining"],
        }
        return {name: numbers for name, numbers in lists.items() if numbers != follows.get(name)}

    def portals(self) -> list[int]:
        """The heading of every portal, and the row and column that it leads to."""
        ends: list[int] = []
        for cell in np.flatnonzero(self.map["ground"] & PORTAL).tolist():
            target, heading = divmod(int(self.map["leads_to"][cell]), 4)
            ends += [heading, target // self.width - 1, target % self.width - 1]
        return ends

    def lanes(self, draft: Level) -> list[int]:
        """Row, column, lane and offset of every cell in which these do not follow from the draft."""
        lanes: list[int] = []
        for cell in np.flatnonzero(self.map["lanes"] != draft.maps[0]["lanes"]).tolist():
            lane = int(self.map["lanes"][cell])
            lanes += [cell // self.width - 1, cell % self.width - 1, lane >> 4, (lane & 15) - 8]
        return lanes

    def junctions(self, draft: Level) -> dict[str, Any]:
        """What the head says of junctions."""
        head: dict[str, Any] = {}
        for s in range(int(self.map["num_junctions"])):
            facts, drafted = self.map["junctions"][s], draft.maps[0]["junctions"][s]
            has_signals = int(facts["control"] == SIGNALS)
            said: dict[str, Any] = {}
            if facts["control"] != drafted["control"]:
                said["control"] = int(facts["control"])
            if (facts["ranks"] != drafted["ranks"]).any():
                said["ranks"] = facts["ranks"].tolist()
            green = [int(facts["green_0"]), int(facts["green_1"])]
            if green != [GREEN_TICKS * has_signals] * 2:
                said["green"] = green
            for name, ticks in (("yellow", YELLOW_TICKS), ("all_red", ALL_RED_TICKS)):
                if facts[name] != ticks * has_signals:
                    said[name] = int(facts[name])
            said["cycle_start"] = int(self.world["lamps"]["cycle_start"][s])
            head |= {f"junction{s + 1}.{name}": said[name] for name in keys.JUNCTION if name in said}
        return head

    # --- all of it -----------------------------------------------------------------------------------------------

    def draft(self, head: dict[str, Any], has_numbers: bool) -> Level | None:
        """The level that a text with this head would be, None if it would be none."""
        try:
            return build(split(composed(head, self.table(has_numbers))))
        except LevelError:
            return None

    def text(self) -> str:
        """The canonical text.

        Raises:
            ValueError: if it would read as another level.
        """
        head = self.base()
        has_numbers = False
        if self.map["num_portals"]:
            head["portals"] = self.portals()
        draft = self.draft(head, has_numbers)
        if draft is None or (draft.maps[0]["junction"] != self.map["junction"]).any():
            has_numbers = True
            draft = self.draft(head, has_numbers)
        shorter = {name: value for name, value in head.items() if name != "portals"}
        plain = self.draft(shorter, has_numbers) if "portals" in head else None
        if plain is not None and (plain.maps[0]["leads_to"] == self.map["leads_to"]).all():
            head, draft = shorter, plain
        if draft is not None:
            head["lanes"] = self.lanes(draft)
            head |= self.junctions(draft)
        text = composed(head, self.table(has_numbers))
        self.check(text)
        return text

    def check(self, text: str) -> None:
        """Refuse a text that is not the level.

        Raises:
            ValueError: naming what it does not say.
        """
        try:
            level = build(split(text))
        except LevelError as error:
            raise ValueError(f"this level cannot be written: {error}") from None
        maps, worlds = level.maps, level.worlds
        if self.world["stage"] != NOT_STARTED:
            maps, worlds = begun(level)
        for name in IDENTITY:
            worlds[name] = self.worlds[name]
        for ours, theirs in ((self.maps, maps), (self.worlds, worlds)):
            for name in ours.dtype.names or ():
                if ours[name].tobytes() != theirs[name].tobytes():
                    raise ValueError(f"this level cannot be written: a text cannot say its {name}")


def composed(head: dict[str, Any], table: str) -> str:
    """A text: the lines of a head that say something, and the table."""
    lines = []
    for name, value in head.items():
        key = keys.key_of(name)
        assert key is not None
        if value != key.default and not (isinstance(value, list) and all(number == key.default for number in value)):
            lines.append(line_text(name, value) + "\n")
    return "".join(lines) + "\n" * bool(lines) + table
