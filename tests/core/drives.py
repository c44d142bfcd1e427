"""Every drive of some ticks from a state: all actions in every tick, states that were met before met once.

Two states are one if all that decides what happens next is the same in both, so that 5 ** 12 drives come to some
thousand states.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from ascii_map import EVENTS
from records import frame_of, open_frame, rows_and_cols

from drivesim.core.jit import kernel
from drivesim.core.tick import tick
from drivesim.core.world import DRIVING
from drivesim.levels.building import tight

NUM_ACTIONS = 5
ACCOUNTS = (
    "return_sum",
    "events",
    "events_seen",
    "remaining",
    "remaining_before",
    "ticks",
    "offset_sum",
    "speed_sum",
    "jerk_sum",
    "jerk",
    "offset",
    "cut_in_at",
    "num_lane_changes",
    "ticks_standing",
)
"""What is noted of an ego and decides nothing."""
DERIVED = ("next_cell", "next_speed", "acceleration", "stopping_room", "leader", "lane_shift", "turn_now")
"""What of a vehicle is found anew in every tick."""


class Step(NamedTuple):
    """One tick of one drive of ego 0."""

    before: Any
    """The world."""
    action: int
    after: Any
    path: list[int]
    """The cells that the ego has entered, in order."""
    events: int
    """Those of the tick, as bits."""

    def has(self, event: str) -> bool:
        """Whether an event happened in this tick."""
        return bool(self.events & EVENTS[event])


@kernel
def tick_on_one_map(argument, num_worlds, num_egos):
    """One tick of every world on the first map."""
    frame = open_frame(argument)
    for i in range(num_worlds):
        tick(frame.maps[0], frame.worlds[i], frame.options[0], frame.actions, i * num_egos)


def path_of(map: Any, before: Any, after: Any) -> list[int]:
    """The cells that an ego entered in a tick, from where it was before and after: beside it, then straight on."""
    heading, start, end = int(after["heading"]), int(before["cell"]), int(after["cell"])
    step = int(map["steps"][heading])
    (row, end_row), (col, end_col) = rows_and_cols(map, [start, end])
    path = []
    across, along = (end_col - col, end_row - row) if heading % 2 == 0 else (end_row - row, end_col - col)
    if across:
        start = start + (across if heading % 2 == 0 else across * int(map["width"]))
        path.append(start)
    return path + [start + step * n * (1 if along * step > 0 else -1) for n in range(1, abs(int(along)) + 1)]


def key_of(worlds: np.ndarray) -> np.ndarray:
    """The worlds with all that decides nothing blanked."""
    worlds = worlds.copy()
    for name in ACCOUNTS:
        worlds["egos"][name] = 0
    for name in DERIVED:
        worlds["vehicles"][name] = 0
    return worlds


def every_drive(
    maps: np.ndarray,
    worlds: np.ndarray,
    options: np.ndarray,
    ticks: int,
    others: tuple[int, ...] = (),
    is_over: Callable[[Step], bool] = lambda step: False,
) -> Iterator[Step]:
    """Every step of all drives of ego 0; the egos 1, 2, … take the actions `others` throughout.

    Args:
        maps: (1,)
        worlds: (N,) where the drives begin.
        options: (1,)
        ticks: how long they are.
        others: an action for every further ego.
        is_over: whether a drive is of no more interest after a step.
    """
    maps, _ = tight(maps, worlds[:1])
    states = np.concatenate([tight(maps, worlds[i : i + 1])[1] for i in range(len(worlds))])
    known: set[bytes] = set()
    actions = np.array([(action, *others) for action in range(NUM_ACTIONS)])
    for _ in range(ticks):
        before = np.repeat(states, NUM_ACTIONS)
        after = before.copy()
        frame = frame_of(maps, after, options, np.tile(actions, (len(states), 1)).reshape(-1))
        tick_on_one_map(frame.argument, len(after), 1 + len(others))
        keys = key_of(after)
        following = []
        for n in range(len(after)):
            was, is_now = before["vehicles"][n, 0], after["vehicles"][n, 0]
            path = path_of(maps[0], was, is_now)
            step = Step(before[n], n % NUM_ACTIONS, after[n], path, int(after["egos"]["events"][n, 0]))
            yield step
            key = keys[n].tobytes()
            if is_now["status"] == DRIVING and key not in known and not is_over(step):
                known.add(key)
                following.append(n)
        states = after[following]
