"""Why levels may not be driven, in words: the certificate's answers for whoever drew them."""

from typing import Any

import numpy as np

from drivesim.core.certificate import CYCLE_IS_FULL, REASONS, certify
from drivesim.core.cycles import BEFORE, NUM_PLANES
from drivesim.core.jit import entry
from drivesim.core.map import MAP
from drivesim.core.memory import BatchType, BlockType, Frame, FrameType, opener
from drivesim.core.options import OPTIONS
from drivesim.core.world import WORLD

FRAME = FrameType(
    "certificate",
    maps=BatchType(MAP),
    worlds=BatchType(WORLD),
    options=BlockType(OPTIONS),  # (1,)
    scratch=BlockType("i8"),  # NUM_PLANES for the cells of one map
)
open_frame = opener(FRAME)


@entry
def certify_level(argument, i):
    """`certify` for level i of a frame, as one number: reason + 256 · cell."""
    frame = open_frame(argument)
    reason, cell = certify(frame.maps[i], frame.worlds[i], frame.options[0], frame.scratch)
    return reason + 256 * cell


# Plain Python from here on: a kernel that is given a record itself is compiled anew for every size of a map.
def place_of(map: Any, cell: int) -> tuple[int, int]:
    """(row, col) of a cell."""
    row, col = divmod(int(cell), int(map["width"]))
    return row - 1, col - 1


def cycle_of(map: Any, cell: int, scratch: Any) -> list[int]:
    """The cells on which traffic may stand of the cycle that `certify` has found, in the order in which it drives."""
    before = plane(map, scratch, BEFORE)
    cells = [int(cell)]
    while before[cells[-1]] != cell:
        cells.append(int(before[cells[-1]]))
    return cells[::-1]


def plane(map: Any, scratch: Any, number: int) -> Any:
    """A plane of scratch memory, see `core.cycles`."""
    num_cells = (int(map["rows"]) + 2) * int(map["width"])
    return scratch[number * num_cells : (number + 1) * num_cells]


def describe(map: Any, reason: int, cell: int, scratch: Any) -> str:
    """The answer of `certify` in words, with cells and cycles as (row, col); scratch is as it has left it."""
    cycle = cycle_of(map, cell, scratch) if reason == CYCLE_IS_FULL else []
    places = [place_of(map, member) for member in cycle]
    return REASONS[reason].format(cell=place_of(map, cell), cycle=places, storage=len(cycle))


def refusals(maps: Any, worlds: Any, options: Any) -> list[tuple[str, tuple[int, int]]]:
    """Why levels may not be driven, in words, and a cell (row, col) at which that shows; ("", …) for those that may.

    Args:
        maps: MAP records (N,).
        worlds: WORLD records (N,), at tick 0.
        options: OPTIONS record (1,).
    """
    scratch = np.zeros(NUM_PLANES * maps["ground"].shape[1], np.int64)
    frame = Frame(FRAME)
    frame.set(maps=maps, worlds=worlds, options=options, scratch=scratch)
    found = []
    for i in range(len(maps)):
        answer = int(certify_level(frame.argument, i))
        reason, cell = answer % 256, answer // 256
        found.append((describe(maps[i], reason, cell, scratch), place_of(maps[i], cell)))
    return found
