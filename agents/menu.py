"""The menu of a window: all environments and the levels of the gallery, by name, with what is to be done there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym

from agents.environments import CUSTOM, EnvChoice, generates_levels
from agents.keyboard import ENTER, STEERING
from drivesim.config import DIFFICULTIES
from drivesim.levels.library import GALLERY, remark_of
from drivesim.registry import entries
from drivesim.render.banner import TEXT as BANNER_TEXT
from drivesim.render.moment import Moment
from drivesim.render.panel import wrapped
from drivesim.render.state import State
from drivesim.render.window import Window
from drivesim.rendering import state_of

__all__ = ["Item", "choose", "items", "title_of"]

KEYS = "arrows choose, enter begins, esc closes"
TASK_LINES = 5  # of what is to be done, so that the list stays where it is
TASK_WIDTH = 500  # pixels


class Item(NamedTuple):
    """What there is to choose."""

    env: str
    """Id of the environment."""
    levels: tuple[str, ...] = ()
    task: str = ""
    """What is to be done."""


def title_of(env_id: str) -> str:
    """The name of an environment, in words."""
    name = env_id.rpartition("/")[2].rpartition("-v")[0]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def items() -> dict[str, Item]:
    """All that there is to choose, by name."""
    roads = {
        title_of(entry.id): Item(entry.id, (), f"{entry.summary[0].upper()}{entry.summary[1:]}.") for entry in entries()
    }
    drawn = {
        f"Gallery: {path.stem.replace('_', ' ')}": Item(CUSTOM, (name,), remark_of(name))
        for name, path in GALLERY.items()
    }
    return roads | drawn


def around(names: Sequence[str], chosen: str, room: int) -> list[str]:
    """As many names as there is room for, the chosen one marked and about in the middle; dots are for more of them."""
    marks = ["> " + name if name == chosen else name for name in names]
    room = max(3, room)
    if len(marks) <= room:
        return marks
    first = min(max(names.index(chosen) - room // 2, 0), len(marks) - room)
    shown = marks[first : first + room]
    if first > 0:
        shown[0] = "..."
    if first + room < len(marks):
        shown[-1] = "..."
    return shown


def choose(
    window: Window, menu: dict[str, Item], name: str, difficulty: str, config_of: Callable[[Item, str], EnvChoice]
) -> tuple[str, str] | None:
    """Lets the player choose, and a difficulty.

    Args:
        window: that shows the names over a picture of the level.
        menu: what there is to choose, by name.
        name: chosen at the beginning, the first if there is no such.
        difficulty: at the beginning.
        config_of: the environment of an item and a difficulty.

    Returns:
        A name and a difficulty; None if the window was closed.
    """
    names = list(menu)
    name = name if name in menu else names[0]
    window.begin("drivesim", (), 1)
    window.note("")  # what was said of another drive
    window.banner_is_aside = True
    while True:
        item = menu[name]
        window.banner = lines_of(window, names, name, item, difficulty)
        state = window.load(name, partial(beginning_of, config_of(item, difficulty)))
        if state is not None:
            window.show(Moment(state))
            window.wait_for_key()
        key = window.keys.pop(0) if window.keys and window.is_open else None
        if key is None or key in ENTER:
            window.banner, window.banner_is_aside = (), False
            return None if key is None else (name, difficulty)
        if key in STEERING["FASTER"] + STEERING["SLOWER"]:
            step = 1 if key in STEERING["SLOWER"] else -1
            name = names[(names.index(name) + step) % len(names)]
        elif key in STEERING["LEFT"] + STEERING["RIGHT"]:
            step = 1 if key in STEERING["RIGHT"] else -1
            difficulty = DIFFICULTIES[(DIFFICULTIES.index(difficulty) + step) % len(DIFFICULTIES)]


def lines_of(window: Window, names: Sequence[str], name: str, item: Item, difficulty: str) -> tuple[str, ...]:
    """What the menu says: the names, the task of the chosen one, its difficulties and the keys."""
    task = wrapped(item.task, BANNER_TEXT, TASK_WIDTH)
    difficulties = "   ".join(f"[ {each} ]" if each == difficulty else each for each in DIFFICULTIES)
    has_difficulties = generates_levels(item.env)
    below = (
        "",
        *task,
        *[""] * (TASK_LINES - len(task)),
        "",
        difficulties if has_difficulties else "a drawn level",
        KEYS,
    )
    return (*around(names, name, window.banner_room - len(below)), *below)


def beginning_of(config: EnvChoice) -> State:
    """An environment's first level at its beginning."""
    env: gym.Env[Any, Any] = gym.make(config.env, **config.options())
    env.reset(seed=0)
    state = state_of(env)
    env.close()
    return state
