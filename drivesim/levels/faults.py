"""What is wrong with a text, in words."""

from __future__ import annotations

from drivesim.core import texts
from drivesim.core.texts import MAX_JUNCTIONS, MAX_SLOTS

FAULTS = {
    texts.TOO_MANY_JUNCTIONS: f"`{{word}}` begins one junction too many; there may be {MAX_JUNCTIONS}",
    texts.MISSING_JUNCTION: "`{word}` is not of the next junction; they are numbered 1, 2, … without a gap",
    texts.PORTAL_LEADS_NOWHERE: (
        "`{word}` leads nowhere; a portal is left over the edge of the map, or in one of its headings, by `portals`"
    ),
    texts.PORTAL_TARGET_IS_NO_ROAD: "`{word}` leads to a cell that may not be driven in its heading",
    texts.PORTAL_TARGET_IS_TAKEN: "`{word}` leads to the same cell as another portal; each needs one of its own",
    texts.TOO_MANY_SLOTS: f"`{{word}}`: there are more than {MAX_SLOTS} cells in and behind junctions",
    texts.SEVERAL_CONTROLS: "`{word}` is another line than the junction's others; `|`, `!` and `?` do not mix",
    texts.EGO_TWICE: "`{word}` is there twice",
    texts.EGO_IS_NOT_NEXT: "`{word}` is not the next ego; they are numbered 0, 1, … without a gap",
    texts.NO_GOAL: "`{word}` has no goal; its cells are marked `G`, or the map is a ring",
    texts.NO_SUCH_GOAL: "`{word}` has a goal that is not there; the destinations are those that `G` marks",
    texts.NO_ROAD: "`{word}`: nobody can drive there; vehicles stand on a road",
    texts.NO_HEADING: "`{word}` has several headings; `egos.heading`, or `heading` of the class, tells which",
    texts.NO_SUCH_DESTINATION: (
        "`{word}` goes to a destination that is not there; it is one of those that `G` marks, to which there are ways"
    ),
    texts.NO_GOAL_IN_ITS_HEADING: "`{word}` may not be driven in the heading that `goals.heading` asks for",
    texts.GOAL_OFF_THE_ROAD: "`{word}` is a goal where nobody can drive; goals are marked on cells with a heading",
    texts.WALKS_ON_THE_ROAD: "`{word}`: nobody walks there; walkers wait on the verge, `.`, or cross a crosswalk, `=`",
    texts.WALKS_NOWHERE: "`{word}` looks at no crosswalk; who waits has one, such as `=^`, right ahead",
    texts.ENDS_ON_THE_ROAD: (
        "`{word}` is on a crosswalk that ends on the road; it leads from verge to verge, `.`, across all lanes"
    ),
    texts.WALKS_OFF_THE_MAP: "`{word}` walks off the map; at either end of a crosswalk is a cell to wait on",
}
"""By the fault of `core.levels.build`, with the `{word}` that has it."""


MOST_SHOWN = 40  # characters


def shown(text: str) -> str:
    """A piece of a text for a message: not too long, and what cannot be seen is spelt out."""
    text = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


class LevelError(ValueError):
    """A text that is no level: what is wrong, and where."""

    def __init__(self, message: str, line: int, column: int, name: str = "text") -> None:
        super().__init__(message, line, column, name)
        self.message = message
        self.name = name
        self.line = line
        """From 1."""
        self.column = column
        """From 1, in characters."""

    def __str__(self) -> str:
        """In one line."""
        return f"{self.name}, line {self.line}, column {self.column}: {self.message}"
