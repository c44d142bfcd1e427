"""Replays of episodes that were driven in the window, each in a file of its own."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

from drivesim.files import printable
from drivesim.render.window import Window

__all__ = ["Saving", "saved"]

_NOT_SAVED = "the replay could not be saved"


class Saving:
    """Saves the replays of finished episodes that --save asks for, and remembers whether it could."""

    def __init__(self, folder: Path | None, window: Window) -> None:
        self.folder = folder
        self.window = window
        self.has_failed = False

    def __call__(self, env: Any) -> None:
        """Saves an episode, if it is asked to; the window says where, and the terminal too why it could not."""
        if self.folder is not None:
            note = saved(env, self.folder)
            self.window.note(note)
            if note.startswith(_NOT_SAVED):
                self.has_failed = True
                print(f"error: {printable(note)}", file=sys.stderr)  # noqa: T201


def saved(env: Any, folder: Path) -> str:
    """Saves an episode, as far as it was driven, in a file that was not there; says where, or why it could not."""
    replay = env.replay
    name = f"{replay.env_id.rpartition('/')[2]}-{replay.seed}-{replay.episode}"
    names = (f"{name}.json" if n == 1 else f"{name}-{n}.json" for n in itertools.count(1))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = next(path for path in map(folder.joinpath, names) if not path.exists())
        replay.save(path)
    except OSError as error:
        return f"{_NOT_SAVED}: {error}"
    return f"saved as {path.absolute()}"
