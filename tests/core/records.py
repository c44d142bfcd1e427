"""Maps and worlds as the tests hold them, and the loop that plays them.

Kernels called from Python compile anew for every type of record; so drawings and levels live in records of one type
with room for all of them. What plays worlds for long goes through a frame, as the environments do, and takes any size.
"""

from typing import Any

import numpy as np

from drivesim.core.jit import kernel
from drivesim.core.map import MAP, map_dtype
from drivesim.core.memory import BatchType, BlockType, Frame, FrameType, opener
from drivesim.core.options import OPTIONS
from drivesim.core.tick import tick
from drivesim.core.world import MAX_EGOS, WORLD, world_dtype

ROOMY_MAP = map_dtype(
    40, 40, junctions=9, destinations=4, has_portals=True, has_ways=True, has_passing=True, has_goal_headings=True
)
ROOMY_WORLD = world_dtype(40, 40, vehicles=150, egos=MAX_EGOS, people=10, junctions=9, slots=120)

PLAY = FrameType(
    "play",
    maps=BatchType(MAP),  # (N,)
    worlds=BatchType(WORLD),  # (N,), changed in place
    options=BlockType(OPTIONS),  # (1,)
    actions=BlockType("i8"),  # (N * E,)
)
open_frame = opener(PLAY)


@kernel
def tick_worlds(argument, num_worlds, num_egos):
    """One tick of every world."""
    frame = open_frame(argument)
    for i in range(num_worlds):
        tick(frame.maps[i], frame.worlds[i], frame.options[0], frame.actions, i * num_egos)


def frame_of(maps: np.ndarray, worlds: np.ndarray, options: np.ndarray, actions: Any = (0,)) -> Frame:
    """What the tests' loops take: its `argument`, as long as the frame itself is kept."""
    frame = Frame(PLAY)
    frame.set(maps=maps, worlds=worlds, options=options, actions=np.ascontiguousarray(actions, np.int64))
    return frame


def tick_all(maps: np.ndarray, worlds: np.ndarray, options: np.ndarray, actions: Any, num_egos: int = 1) -> None:
    """One tick of every world, with `num_egos` actions for each."""
    frame = frame_of(maps, worlds, options, actions)
    tick_worlds(frame.argument, len(worlds), num_egos)


def rows_and_cols(map: Any, cells: Any) -> tuple[Any, Any]:
    """Rows and columns of cells."""
    rows, cols = np.divmod(np.asarray(cells, int), int(map.width))
    return rows - 1, cols - 1
