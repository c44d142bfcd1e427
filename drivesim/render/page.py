"""A recorded episode as one web page that replays it: no server, no network, nothing beside the file.

The page does not hold a film. It holds the tiles of the ground, one picture of every look, and for every tick which
pieces of a `Scene` are where; a script draws them at the browser's own rate and resolution.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from drivesim.files import write_whole
from drivesim.render import palette
from drivesim.render.frame import TINT
from drivesim.render.ground import ground_of, level_of
from drivesim.render.moment import EVENTS, GOOD_EVENTS, MILD_EVENTS, Decision, Moment
from drivesim.render.motion import MIDDLE, is_next
from drivesim.render.png import encode_png
from drivesim.render.scene import Piece, Scene
from drivesim.render.sprites import EGO, Look, sprite
from drivesim.render.state import Record, State
from drivesim.render.tiles import tile
from drivesim.render.view import EGO_COL, EGO_ROW

Array = np.ndarray[Any, Any]

SMALLEST_CELL, LARGEST_CELL = 8, 128  # pixels along a cell's side
DIGITS = 6  # after the point, of every number in the page
SCRIPTS = ("player_picture.js", "player_charts.js", "player.js")
COLOURS = {
    "good": palette.BLUISH_GREEN,
    "grave": palette.VERMILION,
    "mild": palette.SKY_BLUE,
    "blue": palette.BLUE,
    "sky": palette.SKY_BLUE,
    "grass": palette.GRASS,
    "saliency": palette.SALIENCY,
}
"""Names under which the page's style knows colours of the palette."""

FIELDS = {
    "look": 0,
    "row": 0,
    "col": 0,
    "turn": 0,
    "down": 0,
    "right": 0,
    "row_bend": 0,
    "col_bend": 0,
    "turns": 0,
    "leans": 0,
    "last_look": -1,
}
"""How the page holds a `Piece`: a list of these, without what is at its end and as usual.

`look` and `last_look` are numbers of pictures, -1 = the same. The piece starts at `row` and `col` and moves by `down`
and `right` in the tick; at `motion.MIDDLE` it is by `row_bend` and `col_bend` off even motion.
"""


def write_page(
    path: str | PathLike[str],
    moments: Sequence[Moment],
    *,
    action_names: Sequence[str],
    title: str,
    facts: Mapping[str, str] | None = None,
    ticks_per_second: float = 5.0,
    cell: int = 64,
) -> None:
    """Write a page that replays an episode, or a part of one; the same bytes for the same arguments.

    Args:
        path: of the HTML file; one that is there is replaced.
        moments: the episode's, each one tick after the one before.
        action_names: of the actions 0, 1, …
        title: of the page.
        facts: what else is known of the episode, by name: its id, seed, driver …
        ticks_per_second: the pace at which the page plays when its speed is 1.
        cell: pixels along a cell's side in the page's pictures, 8 … 128; the browser scales them to its window.

    Raises:
        ValueError: for arguments that do not fit together or are out of range, before anything is written.
    """
    text = page_text(
        moments, action_names=action_names, title=title, facts=facts, ticks_per_second=ticks_per_second, cell=cell
    )
    write_whole(Path(path), text)


def page_text(
    moments: Sequence[Moment],
    *,
    action_names: Sequence[str],
    title: str,
    facts: Mapping[str, str] | None = None,
    ticks_per_second: float = 5.0,
    cell: int = 64,
) -> str:
    """The page that `write_page` writes, of the same arguments."""
    _check(moments, action_names, ticks_per_second, cell)
    episode = {
        "title": title,
        "facts": [[str(name), str(value)] for name, value in (facts or {}).items()],
        "actions": list(action_names),
        "ticks_per_second": ticks_per_second,
        "grave_events": [name for name in EVENTS.values() if name not in GOOD_EVENTS + MILD_EVENTS],
        "good_events": list(GOOD_EVENTS),
        **_ground(moments[0].state, cell),
        **_motion(moments, cell),
    }
    text = json.dumps(episode, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {
        "title": html.escape(title),
        "colours": "".join(f"--{name}:rgb{colour};" for name, colour in COLOURS.items()).replace(" ", ""),
        "style": _template("player.css"),
        "script": "\n".join(_template(name) for name in SCRIPTS),
        "episode": text,
    }
    return re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], _template("player.html"))


def _template(name: str) -> str:
    """The text of a file beside this one."""
    return files("drivesim.render").joinpath(name).read_text(encoding="utf-8")


# --- what goes in -------------------------------------------------------------------------------------------------


def _check(moments: Sequence[Moment], action_names: Sequence[str], ticks_per_second: float, cell: int) -> None:
    """Raise ValueError for what `write_page` cannot show."""
    if not (math.isfinite(ticks_per_second) and ticks_per_second > 0):
        raise ValueError(f"ticks_per_second must be a finite number above 0, got {ticks_per_second}")
    if not SMALLEST_CELL <= cell <= LARGEST_CELL:
        raise ValueError(f"cell must be {SMALLEST_CELL} … {LARGEST_CELL} pixels, got {cell}")
    if isinstance(action_names, str) or not action_names:
        raise ValueError(f"action_names must be a list of at least one name, got {action_names!r}")
    if not moments:
        raise ValueError("moments must hold at least one moment, got none")
    level = level_of(moments[0].state)
    for n, moment in enumerate(moments):
        if n and not is_next(moments[n - 1].state, moment.state):
            raise ValueError(
                f"moments[{n}] must be one tick after moments[{n - 1}] in the same episode, got "
                f"{_place(moment.world)} after {_place(moments[n - 1].world)}"
            )
        if level_of(moment.state) != level:
            raise ValueError(f"moments[{n}] must be on the map of moments[0], got another map")
        _check_moment(f"moments[{n}]", moment, n == 0, len(action_names))


def _place(world: Record) -> str:
    """The episode of a world, and its place in it."""
    return f"tick {world['tick']} of episode {world['episode']} on level {world['level_seed']}"


def _check_moment(name: str, moment: Moment, is_first: bool, num_actions: int) -> None:
    """Raise ValueError for figures of a moment that are missing, out of range or not finite."""
    is_without = moment.action is None and is_first
    if not is_without and (moment.action is None or not 0 <= moment.action < num_actions):
        raise ValueError(f"{name}.action must be 0 … {num_actions - 1}, as many as action_names, got {moment.action}")
    _check_finite(f"{name}.reward", [moment.reward])
    _check_finite(f"{name}.reward_terms", moment.reward_terms.values())
    decision = moment.decision
    if decision is None:
        return
    if len(decision.scores) != num_actions:
        raise ValueError(
            f"{name}.decision.scores must be {num_actions}, as many as action_names, got {len(decision.scores)}"
        )
    _check_finite(f"{name}.decision.scores", decision.scores)
    _check_finite(f"{name}.decision.value", [] if decision.value is None else [decision.value])
    rows, cols = int(moment.state.map["rows"]), int(moment.state.map["cols"])
    for row, col, weight in decision.saliency:
        if not (0 <= row < rows and 0 <= col < cols and 0 <= weight <= 1):
            raise ValueError(
                f"{name}.decision.saliency must name cells of the map of {rows} x {cols} cells and weights in [0, 1], "
                f"got {(row, col, weight)}"
            )


def _check_finite(name: str, values: Iterable[float]) -> None:
    """Raise ValueError for a value that JSON does not know."""
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value}")


# --- the ground ---------------------------------------------------------------------------------------------------


def _ground(state: State, cell: int) -> dict[str, Any]:
    """The map: the picture of each distinct tile, which of them every cell shows, and which part is in view."""
    level = level_of(state)
    numbers, places = np.unique(ground_of(level), return_inverse=True)
    tiles = np.concatenate([tile(cell, number) for number in numbers.tolist()])
    return {
        "cell": cell,
        "rows": {"cells": level.rows, "ego": EGO_ROW, **asdict(level.shown_rows)},
        "cols": {"cells": level.cols, "ego": EGO_COL, **asdict(level.shown_cols)},
        "num_tiles": len(numbers),
        "tiles": _data_uri(tiles),
        "ground": places.ravel().tolist(),
        "tint": TINT,
    }


def _data_uri(picture: Array) -> str:
    """A picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode("ascii")


def look_image(look: Look, cell: int) -> dict[str, Any]:
    """The picture of a look that heads north, and its corner in pixels from its middle."""
    shape = sprite(cell, look, 0.0)
    opacity = 1.0 - shape.through / 256.0
    rgba = np.concatenate([shape.colour / np.maximum(opacity, 1 / 256), 255.0 * opacity], axis=2)
    return {"top": shape.top, "left": shape.left, "image": _data_uri(np.rint(rgba.clip(0, 255)).astype(np.uint8))}


# --- what moves ---------------------------------------------------------------------------------------------------


def _motion(moments: Sequence[Moment], cell: int) -> dict[str, Any]:
    """The looks, the distinct pieces, and every tick with the numbers of its pieces, the lowest first."""
    looks: dict[Look, int] = {}
    pieces: dict[tuple[float, ...], int] = {}
    ticks = []
    before = None
    for moment in moments:
        scene = Scene(moment.state, before)
        before = moment.state
        shown = [_number(pieces, _exported(piece, looks)) for piece in scene.pieces]
        focus = _number(pieces, _exported(_focus(scene), looks))
        ticks.append({**_figures(moment), "pieces": shown, "focus": focus})
    return {
        "middle": MIDDLE,
        "fields": FIELDS,
        "looks": [look_image(look, cell) for look in looks],
        "pieces": list(pieces),
        "ticks": ticks,
    }


def _focus(scene: Scene) -> Piece:
    """A piece that moves as the ego does, on the road or off it."""
    (row, col), (middle_row, middle_col), (last_row, last_col) = (scene.focus(share) for share in (0.0, MIDDLE, 1.0))
    return Piece(Look(EGO), (row, middle_row, last_row), (col, middle_col, last_col))


def _number(numbers: dict[Any, int], key: Hashable) -> int:
    """The number of a key in the order in which they came up."""
    return numbers.setdefault(key, len(numbers))


def _exported(piece: Piece, looks: dict[Look, int]) -> tuple[float, ...]:
    """A piece in the order of `FIELDS`; `looks` numbers the looks that have come up so far."""
    down, right = piece.rows[2] - piece.rows[0], piece.cols[2] - piece.cols[0]
    values = [
        _number(looks, piece.look),
        piece.rows[0],
        piece.cols[0],
        piece.turn,
        down,
        right,
        piece.rows[1] - piece.rows[0] - MIDDLE * down,
        piece.cols[1] - piece.cols[0] - MIDDLE * right,
        piece.turns,
        piece.leans,
        -1 if piece.last_look is None else _number(looks, piece.last_look),
    ]
    short = [_short(value) for value in values]
    usual = list(FIELDS.values())
    while short and short[-1] == usual[len(short) - 1]:
        short.pop()
    return tuple(short)


def _short(value: float) -> float:
    """A number with as few digits as it needs, at most `DIGITS` after the point."""
    rounded = round(float(value), DIGITS)
    return int(rounded) if rounded.is_integer() else rounded


def _figures(moment: Moment) -> dict[str, Any]:
    """What the page tells beside a tick's picture."""
    figures: dict[str, Any] = {
        "tick": int(moment.world["tick"]),
        "speed": int(moment.world["vehicles"]["speed"][0]),
        "completion": _short(moment.completion),
        "action": moment.action,
        "reward": _short(moment.reward),
        "terms": {name: _short(value) for name, value in moment.reward_terms.items() if value},
        "events": list(moment.events),
    }
    if moment.decision is not None:
        figures["decision"] = _decision(moment.decision)
    return figures


def _decision(decision: Decision) -> dict[str, Any]:
    """A decision in terms of JSON."""
    return {
        "scores": [_short(score) for score in decision.scores],
        "is_probability": decision.is_probability,
        "value": None if decision.value is None else _short(decision.value),
        "saliency": [[row, col, _short(weight)] for row, col, weight in decision.saliency],
    }
