"""Episodes in notebooks: a replay as the last line of a cell is shown as the page that plays it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from drivesim.decimals import decimal
from drivesim.render.moment import Moment
from drivesim.replay_file import Replay, ReplayError, config_of

__all__ = ["about_page", "framed"]

HEIGHT = 720  # pixels of the frame: a cell of a notebook leaves its width open and nothing else
CELL = 32  # pixels along a cell's side in the pictures: notebooks keep them, and half the size is a third of the bytes


def about_page(replay: Replay, moments: Sequence[Moment], driver: str | None = None) -> dict[str, Any]:
    """What `write_page` and `page_text` want to know of an episode beside its moments: actions, title and facts."""
    options = {name: str(value) for name, value in replay.options.items() if name != "observation"}
    facts = {
        "environment": replay.env_id,
        **({} if driver is None else {"driver": driver}),
        "seed": str(replay.seed),
        "level": str(int(moments[0].world["level_seed"])),
        **options,
        "success": "yes" if replay.outcome["success"] else "no",
        "return": decimal(replay.outcome["return"], 3),
    }
    actions = config_of(replay.entry, dict(replay.options)).actions
    return {"action_names": actions, "title": f"{replay.env_id}, seed {replay.seed}", "facts": facts}


def framed(replay: Replay) -> str:
    """The page of an episode as a part of another page: in a frame, so that neither's styles and names reach the other.

    Its script runs, and can reach nothing outside the frame. An episode that goes another way here than it was recorded
    is a line that says so.
    """
    from drivesim.render.page import page_text
    from drivesim.replay import all_moments

    try:
        moments = all_moments(replay)
    except ReplayError as error:
        return f"<p>{html.escape(str(error))}</p>"
    page = html.escape(page_text(moments, **about_page(replay, moments), cell=CELL))
    title = html.escape(f"An episode of {replay.env_id}")
    style = f"width: 100%; height: {HEIGHT}px; border: 0"
    return f'<iframe title="{title}" sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'
