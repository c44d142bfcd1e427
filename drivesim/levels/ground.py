"""What the words of a map say of its ground."""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.core.map import ALL_HEADINGS, NO_CONTROL, PORTAL, SIGNALS, STOP_LINE
from drivesim.core.texts import UNSAID
from drivesim.levels.alphabet import Word

Facts = tuple[int, int, int, bool, int, bool, int]
"""The first fields of an `alphabet.Word`."""


class Ground:
    """The ground of a map, for quick reading.

    Args:
        map: a MAP record.
    """

    def __init__(self, map: Any) -> None:
        self.rows, self.cols, self.width = int(map["rows"]), int(map["cols"]), int(map["width"])
        self._ground = map["ground"].tolist()
        num_cells = (self.rows + 2) * self.width
        nowhere = [0] * num_cells
        self._junction = map["junction"].tolist() if map["num_junctions"] else nowhere
        self._passing = map["passing"].tolist() if map["num_passing"] else nowhere
        self._leads_to = map["leads_to"].tolist() if map["num_portals"] else nowhere
        self._steps = map["steps"].tolist()
        self._controls = map["junctions"]["control"].tolist()
        self.goals: dict[int, int] = {}
        """Of which destinations a cell is one, a bit each."""
        num, layers = int(map["num_destinations"]), 4 if map["has_goal_headings"] else 1
        distances = map["distances"][: num * layers * num_cells].reshape(num, layers, num_cells)
        for destination in range(num):
            for cell in np.flatnonzero((distances[destination] == 0).any(axis=0)).tolist():
                self.goals[cell] = self.goals.get(cell, 0) | 1 << destination

    def only_heading(self, cell: int) -> int:
        """The heading of a cell that has one, else UNSAID."""
        return {1: 0, 2: 1, 4: 2, 8: 3}.get(self._ground[cell] & ALL_HEADINGS, UNSAID)

    def facts(self, cell: int, has_numbers: bool) -> Facts:
        """What a cell is, without who stands there; its junction with its number, if `has_numbers`."""
        bits, junction = self._ground[cell], self._junction[cell]
        kind = bits >> 4 & 7
        return (
            kind,
            bits & ALL_HEADINGS,
            self._line_control(cell) if kind == STOP_LINE else UNSAID,
            bits & PORTAL != 0,
            UNSAID if junction == 0 else junction if has_numbers else 0,
            self._passing[cell] != 0,
            self.goals.get(cell, 0),
        )

    def word(self, cell: int, has_numbers: bool) -> Word:
        """The word of `facts`."""
        return Word(*self.facts(cell, has_numbers))

    def _line_control(self, cell: int) -> int:
        """The control that the line on a cell shows: that of the junction behind it; SIGNALS if there is none."""
        bits = self._ground[cell]
        for heading in range(4):
            if bits >> heading & 1:
                leads_to = self._leads_to[cell]
                ahead = leads_to >> 2 if bits & PORTAL and leads_to & 3 == heading else cell + self._steps[heading]
                if self._junction[ahead]:
                    control = int(self._controls[self._junction[ahead] - 1])
                    return SIGNALS if control == NO_CONTROL else control
        return SIGNALS
