"""Levels in files that somebody is drawing: looked at again and again, and read anew when they have changed."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from drivesim.config import EnvConfig
from drivesim.levels.library import are_texts, files_of

if TYPE_CHECKING:
    from drivesim.render.window import Window

__all__ = ["Drawing", "LevelFiles"]

FAULT_WIDTH = 60  # characters in a line that tells what is wrong


class LevelFiles:
    """The levels of an environment for one driver, as their files are now.

    Args:
        levels: files, patterns of files, names of the gallery or texts; none = those of the environment.

    Raises:
        ValueError, OSError: if there is something wrong with them at the beginning.
    """

    def __init__(self, levels: tuple[str, ...]) -> None:
        self.fault = ""
        """What is wrong with the files, with line and column; nothing while they are what `texts` says."""
        self.texts: tuple[str, ...] = ()
        """The last levels with nothing wrong, canonical."""
        self._levels = levels
        self._stamps = self._stamps_now()
        if levels:
            self.texts = self._read()

    @property
    def title(self) -> str:
        """The name of the file if there is but one, without its ending; else nothing."""
        return Path(self._stamps[0][0]).stem if len(self._stamps) == 1 else ""

    def have_changed(self) -> bool:
        """Looks at the files, and tells whether they hold other levels than before.

        Files are read where time, size or number have changed; what is faulty leaves the levels as they were.
        """
        if not self._levels:
            return False
        stamps = self._stamps_now()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            texts = self._read()
        except (ValueError, OSError) as error:
            gone = [given for given in self._levels if not are_texts(given) and not files_of(given)]
            self.fault = f"{gone[0]} is gone; the drive goes on until it is back" if gone else str(error)
            return False
        self.fault = ""
        before, self.texts = self.texts, texts
        return texts != before

    def _read(self) -> tuple[str, ...]:
        """The canonical texts, if one driver can drive them."""
        config = EnvConfig(scenario="Custom", levels=self._levels)
        config.dtypes(num_egos=1)
        texts: tuple[str, ...] = config.levels
        return texts

    def _stamps_now(self) -> list[tuple[str, int, int, int]]:
        """What tells one content of the files from another without reading them."""
        stamps = []
        for path in files_of(self._levels):
            try:
                facts = path.stat()
            except OSError:  # it went in this moment
                continue
            stamps.append((str(path), facts.st_ino, facts.st_mtime_ns, facts.st_size))
        return stamps


class Drawing:
    """Levels that somebody may be drawing while they are driven; the window says what is wrong with them.

    Raises:
        ValueError, OSError: if something is at the beginning.
    """

    def __init__(self, levels: tuple[str, ...], window: Window) -> None:
        self.files = LevelFiles(levels)
        self.window = window
        self.lines: tuple[str, ...] = ()
        """What else the window says."""
        self.is_new = False
        """Whether the levels have changed since an environment was made of them."""

    def look(self) -> bool:
        """Looks at the files; whether there is a new environment to be made."""
        self.is_new = self.files.have_changed() or self.is_new
        fault = textwrap.wrap(self.files.fault, FAULT_WIDTH, break_on_hyphens=False)
        self.window.banner = (*self.lines, *([""] if self.lines and fault else []), *fault)
        return self.is_new
