"""Given levels: texts and files, read once and kept as one block of records.

    canonical_texts("roads/*.txt")                # what a spec, a replay and a checkpoint hold
    library_of(canonical_texts(["…", "…"]))       # what the kernels read

A string with a line break is a text, any other a path or a pattern of paths; a list holds either. Where there is no
such file, a name such as `"gallery/chicane"` or a pattern of names, `"gallery/*"`, is that of a level of the gallery,
which comes with the package.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drivesim.core.map import MAP
from drivesim.core.memory import Structure
from drivesim.core.world import WORLD
from drivesim.levels.text import Level, certify, read, write

Array = np.ndarray[Any, Any]

MAX_BYTES = 1 << 20  # of a file
MAX_TEXTS = 1 << 16
LINE_BREAK = "\n"
ALLOWED = "the text of a level, a path, a pattern of paths such as 'roads/*.txt', or a list of these"
GALLERY = {f"gallery/{path.stem}": path for path in sorted((Path(__file__).parent / "gallery").glob("*.txt"))}
"""The files of the gallery's levels by name, in the order of the names."""


def remark_of(name: str) -> str:
    """What the author of a level of the gallery says of it, in a line."""
    lines = GALLERY[name].read_text(encoding="utf-8").split("\n")
    return " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))


@dataclass(frozen=True)
class Library:
    """The levels of an environment."""

    texts: tuple[str, ...]
    """Canonical."""
    maps: Array
    """MAP (L,), each of its own size in a record that has room for the largest; read-only."""
    worlds: Array
    """WORLD (L,) likewise, at tick 0 and of no env."""
    options: dict[str, Any]
    """What all heads say of the environment."""
    num_egos: int
    """In every level."""

    @property
    def shape(self) -> tuple[int, int]:
        """Most rows and most columns of a map."""
        return int(self.maps["rows"].max()), int(self.maps["cols"].max())


def canonical_texts(levels: Any) -> tuple[str, ...]:
    """The canonical texts of given levels.

    Args:
        levels: see the module; files are read as they are now.

    Raises:
        TypeError: for anything else.
        ValueError: for a file that is not there or no text, a text that is no level, or levels that do not go together.
    """
    named = list(_named_texts(levels))
    found = [read(text, name) for name, text in named]
    for (name, text), level in zip(named, found, strict=True):
        certify(level, text, name)
    first = _shared(found[0])
    for (name, _), level in zip(named, found, strict=True):
        other = _shared(level)
        for what in sorted(first.keys() | other.keys()):
            if first.get(what) != other.get(what):
                values = f"{first.get(what)} in {named[0][0]} and {other.get(what)} in {name}"
                raise ValueError(f"levels of one environment must have the same {what}, got {values}")
    return tuple(write(level.maps[0], level.worlds[0], **level.options) for level in found)


def files_of(levels: Any) -> list[Path]:
    """The files that given levels are in now, in order; those that are not there are left out.

    Args:
        levels: see the module.
    """
    entries = levels if isinstance(levels, (list, tuple)) else [levels]
    files: list[Path] = []
    for entry in entries:
        if not are_texts(entry):
            with contextlib.suppress(ValueError):
                files += _paths_of(os.fspath(entry))
    return files


def are_texts(levels: Any) -> bool:
    """Whether given levels are texts, one or a list of them, and no paths."""
    entries = levels if isinstance(levels, (list, tuple)) else [levels]
    return all(isinstance(entry, str) and LINE_BREAK in entry for entry in entries)


@lru_cache(maxsize=16)
def library_of(texts: tuple[str, ...]) -> Library:
    """The library of canonical texts that go together."""
    found = [read(text, f"levels[{n}]") for n, text in enumerate(texts)]
    maps = gathered(MAP, [level.maps for level in found])
    worlds = gathered(WORLD, [level.worlds for level in found])
    return Library(texts, maps, worlds, dict(found[0].options), found[0].num_egos)


@lru_cache(maxsize=16)
def certify_for(texts: tuple[str, ...], driver_model: int) -> None:
    """Refuse canonical texts whose levels may not be driven by traffic of a driver model.

    Raises:
        LevelError: for the first.
    """
    for n, text in enumerate(texts):
        name = f"levels[{n}]"
        certify(read(text, name), text, name, driver_model)


def gathered(structure: Structure, parts: list[Array]) -> Array:
    """Structures (1,) of different lengths as a batch (L,) whose blocks are as long as the longest; read-only."""
    lengths = {name: max(part[name].shape[1] for part in parts) for name, _ in structure.blocks}
    batch = np.zeros(len(parts), structure.dtype(**lengths))
    for n, part in enumerate(parts):
        for name, _ in structure.head:
            batch[name][n] = part[name][0]
        for name, _ in structure.blocks:
            batch[name][n, : part[name].shape[1]] = part[name][0]
    batch.flags.writeable = False
    return batch


def _named_texts(levels: Any) -> Any:
    """(name, text) of every given level, in order."""
    entries = levels if isinstance(levels, (list, tuple)) else [levels]
    is_list = entries is levels
    if not entries:
        raise ValueError(f"levels must be {ALLOWED}, got an empty {type(levels).__name__}")
    count = 0
    for n, entry in enumerate(entries):
        if isinstance(entry, str) and LINE_BREAK in entry:
            here = [(f"levels[{n}]" if is_list else "levels", entry)]
        elif isinstance(entry, (str, os.PathLike)):
            here = [(str(path), _content_of(path)) for path in _paths_of(os.fspath(entry))]
        else:
            raise TypeError(f"levels must be {ALLOWED}, got {entry!r}")
        count += len(here)
        if count > MAX_TEXTS:
            raise ValueError(f"levels must be at most {MAX_TEXTS}, got more")
        yield from here


def _paths_of(given: Any) -> list[Path]:
    """The files of a path, a pattern or a name, sorted."""
    if not isinstance(given, str) or "\0" in given:
        raise ValueError(f"levels must be {ALLOWED}, got {given!r}")
    if os.path.isdir(given):
        raise ValueError(f"levels must be {ALLOWED}, got the folder {given!r}: write {os.path.join(given, '*.txt')!r}")
    found = [given] if os.path.isfile(given) else sorted(filter(os.path.isfile, glob.glob(given, recursive=True)))
    if found:
        return [Path(path) for path in found]
    named = [path for name, path in GALLERY.items() if fnmatch.fnmatchcase(name, given)]
    if not named:
        raise ValueError(f"levels must be {ALLOWED}: there is no file {given!r}; the gallery has {', '.join(GALLERY)}")
    return named


def _content_of(path: Path) -> str:
    """The text in a file."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path} is no level: it has more than {MAX_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no level: it is not in UTF-8, see byte {error.start}") from error


def _shared(level: Level) -> dict[str, Any]:
    """What all levels of an environment must have in common."""
    return {"number of egos": level.num_egos, **level.options}
