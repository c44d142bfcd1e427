"""Checkpoints: directories of safetensors, .npy and JSON with a manifest, written atomically.

A checkpoint is written beside its final place, flushed to the disk and then renamed, so that a run
killed at any instant leaves the previous one whole; one of the same step is put aside before and
removed afterwards. The manifest holds the size and the SHA-256 of
every file; a damaged checkpoint is skipped with a warning. Nothing is ever pickled, and nothing that
is read can run: whatever does not have the expected form is a :class:`CheckpointError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.torch
from numpy.typing import NDArray
from torch import Tensor

from drivesim.files import cannot_write, printable, read_bounded

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "check_form",
    "find_checkpoints",
    "fitting",
    "foreign",
    "load_checkpoint",
    "load_latest_checkpoint",
    "save_checkpoint",
]

FORMAT = 1  # of the directory's layout
_MANIFEST = "MANIFEST.json"
_VALUES = "values.json"
_TENSORS, _ARRAY = ".safetensors", ".npy"
_ASIDE = ".aside"  # after the name of a checkpoint that is being replaced by one of the same step
MAX_BYTES = 1 << 33
"""Of a checkpoint that is read."""
MAX_MANIFEST_BYTES = 1 << 20
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)  # of a group or an array: nothing that leaves the directory
_Rows = TypeVar("_Rows", Tensor, NDArray[Any])


class CheckpointError(Exception):
    """A checkpoint is missing, incomplete, damaged or of something else."""


@dataclass
class Checkpoint:
    """Contents of a checkpoint, by name."""

    values: dict[str, Any] = field(default_factory=dict)
    """Anything that JSON can hold."""
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """Groups of tensors; each group is one safetensors file."""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays; each is one .npy file."""
    path: Path | None = None
    """The directory that it was read from."""


def save_checkpoint(checkpoint: Checkpoint, folder: Path, kind: str, step: int, keep: int = 2) -> Path:
    """Writes ``folder/kind-step`` and then deletes all but the ``keep`` newest of that kind.

    Checkpoints of later steps are deleted as well: a run goes back behind one only if it is damaged or given up.

    Args:
        checkpoint: what to write.
        folder: holds the checkpoints of a run; created if missing.
        kind: such as "last" or "best".
        step: environment steps so far; the higher, the newer.
        keep: how many of this kind to leave, at least 1.

    Returns:
        The directory written.

    Raises:
        OSError: it cannot be written; names the directory and the cause. Nothing was saved, what was there is whole.
        ValueError: a name cannot be a file's, or an array holds Python objects; nothing was saved.
    """
    for name in (*checkpoint.tensors, *checkpoint.arrays):
        if not _NAME.fullmatch(name):
            raise ValueError(f"names in a checkpoint must match {_NAME.pattern}, got {name!r}")
    target = folder / f"{kind}-{step:012d}"
    partial = folder / f".partial-{target.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".partial-*"):  # of a run that was killed while writing
            shutil.rmtree(leftover)
        _write(checkpoint, partial, step)
        if target.exists():
            aside = target.with_name(f"{target.name}{_ASIDE}")
            if aside.exists():
                _remove(aside)
            target.rename(aside)
        partial.rename(target)
        _flush(folder)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError | safetensors.SafetensorError):
            raise cannot_write(target, error) from error
        raise
    found = find_checkpoints(folder, kind)
    kept = [path for path in found if _step(path) <= step and not path.name.endswith(_ASIDE)][:keep]
    for path in found:
        if path not in kept:
            _remove(path)
    return target


def _write(checkpoint: Checkpoint, directory: Path, step: int) -> None:
    """Writes all files of a checkpoint into a new directory and flushes them."""
    directory.mkdir()
    for name, tensors in checkpoint.tensors.items():
        contiguous = {key: tensor.detach().contiguous() for key, tensor in tensors.items()}
        safetensors.torch.save_file(contiguous, str(directory / f"{name}{_TENSORS}"))
    for name, array in checkpoint.arrays.items():
        np.save(directory / f"{name}{_ARRAY}", array, allow_pickle=False)
    (directory / _VALUES).write_text(json.dumps(checkpoint.values, indent=1))
    for (
        name
    ) in checkpoint.tensors:  # safetensors lets nobody else read its file; the others are as the user's mask says
        shutil.copymode(directory / _VALUES, directory / f"{name}{_TENSORS}")
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in sorted(directory.iterdir())}
    manifest = {"format": FORMAT, "step": step, "files": files}
    (directory / _MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in directory.iterdir():
        _flush(path)
    _flush(directory)


def load_checkpoint(directory: Path, *, only: str | None = None, max_bytes: int = MAX_BYTES) -> Checkpoint:
    """Reads one checkpoint after checking every file against the manifest.

    Args:
        directory: of the checkpoint.
        only: the group of tensors that is read, with the values and nothing else; None reads all.
        max_bytes: of all the files that are read, which are counted before.

    Raises:
        CheckpointError: something is missing, was changed, or is not what it should be; names the file.
    """
    checkpoint = Checkpoint(path=directory)
    files = _read_manifest(directory)
    names = [name for name in files if only is None or name in (_VALUES, f"{only}{_TENSORS}")]
    with _readable(directory):
        num_bytes = sum((directory / name).lstat().st_size for name in names if (directory / name).exists())
        if num_bytes > max_bytes:
            raise ValueError(f"its files must have at most {max_bytes:,} bytes, got {num_bytes:,}")
    for name in names:
        path = directory / name
        with _readable(path):
            content = _read(path, files[name])
            if path.suffix == _TENSORS:
                checkpoint.tensors[path.stem] = safetensors.torch.load(content)
            elif path.suffix == _ARRAY:
                checkpoint.arrays[path.stem] = _parse_array(content)
            else:
                checkpoint.values = _parse_object(content)
    return checkpoint


def find_checkpoints(folder: Path, kind: str) -> list[Path]:
    """Returns the checkpoints of a kind, newest first, without looking inside."""
    named = re.compile(rf"{re.escape(kind)}-[0-9]{{12,}}({re.escape(_ASIDE)})?")
    found = [path for path in folder.glob(f"{kind}-*") if named.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: (_step(path), not path.name.endswith(_ASIDE)), reverse=True)


def load_latest_checkpoint(
    folder: Path, kind: str, *, only: str | None = None, max_bytes: int = MAX_BYTES
) -> Checkpoint:
    """Reads the newest undamaged checkpoint of a kind and warns about every one it skips.

    Args:
        folder: holds the checkpoints of a run, which may be going on.
        kind: such as "last" or "best".
        only: as in :func:`load_checkpoint`.
        max_bytes: as there.

    Raises:
        CheckpointError: there is none.
    """
    found = find_checkpoints(folder, kind)
    for directory in found:
        try:
            return load_checkpoint(directory, only=only, max_bytes=max_bytes)
        except CheckpointError as error:
            if find_checkpoints(folder, kind) != found:  # the run has removed it and written a newer one
                return load_latest_checkpoint(folder, kind, only=only, max_bytes=max_bytes)
            warnings.warn(f"checkpoint skipped: {error}", stacklevel=2)
    raise CheckpointError(f"{folder} holds no undamaged checkpoint '{kind}-*'")


@contextlib.contextmanager
def foreign(checkpoint: Checkpoint) -> Iterator[None]:
    """Turns whatever goes wrong while a checkpoint is taken over into a :class:`CheckpointError` with its name.

    Take it over into fresh objects, since those that fail are left half done.
    """
    try:
        yield
    except Exception as error:  # its content is not ours: there is no list of what it may break
        raise CheckpointError(f"{checkpoint.path} does not fit this run: {error!r}") from error


def check_form(checkpoint: Checkpoint, taken: Checkpoint) -> None:
    """Checks that what was taken over from a checkpoint is all of it and nothing else.

    Args:
        checkpoint: as read.
        taken: what would be saved now, before anything else has happened.

    Raises:
        ValueError: names, shapes, dtypes or values differ.
    """
    for (name, was), (_, now) in zip(_form(checkpoint), _form(taken), strict=True):
        for key in sorted(was.keys() | now.keys()):
            if was.get(key) != now.get(key):
                raise ValueError(f"{name} {key} is {was.get(key, 'missing')}, allowed is {now.get(key, 'none')}")


def fitting(name: str, rows: _Rows, like: _Rows) -> _Rows:
    """Returns ``rows`` if it has the shape and the dtype of ``like``.

    Raises:
        ValueError: it has not.
    """
    if rows.shape != like.shape or rows.dtype != like.dtype:
        form, allowed = (f"{tuple(x.shape)} {x.dtype}" for x in (rows, like))
        raise ValueError(f"{name} is {form}, allowed is {allowed}")
    return rows


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / _MANIFEST
    with _readable(path):
        if directory.is_symlink() or path.is_symlink():
            raise ValueError("a checkpoint must hold no links")
        manifest = _parse_object(read_bounded(path, MAX_MANIFEST_BYTES))
        if manifest.get("format") != FORMAT:
            raise ValueError(f"format is {manifest.get('format')!r}, allowed is {FORMAT}")
        files = manifest.get("files")
        if not isinstance(files, dict) or _VALUES not in files:
            raise ValueError(f"files must be an object that names {_VALUES}")
        for name in files:
            is_data = Path(name).suffix in (_TENSORS, _ARRAY) and _NAME.fullmatch(Path(name).stem)
            if name != _VALUES and not (is_data and Path(name).name == name):
                raise ValueError(f"files names {name!r}, which no checkpoint holds")
    return files


def _read(path: Path, entry: object) -> bytes:
    """Reads a file that the manifest vouches for; what is checked here is what will be parsed."""
    if path.is_symlink() or not path.is_file():
        raise ValueError("it is missing or not a regular file")
    if not isinstance(entry, dict) or path.stat().st_size != entry.get("bytes"):
        raise ValueError("it differs from its manifest")
    content = path.read_bytes()
    if entry != {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}:
        raise ValueError("it differs from its manifest")
    return content


def _parse_array(content: bytes) -> NDArray[Any]:
    """Parses a .npy file of numbers; sizes are checked before anything is allocated."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version is {version}, allowed are (1, 0) and (2, 0)")
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    num_bytes = len(content) - stream.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != num_bytes:
        raise ValueError(f"its header says shape {shape} of {dtype}, but {num_bytes} bytes follow")
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _parse_object(content: bytes) -> dict[str, Any]:
    parsed = json.loads(content)
    if not isinstance(parsed, dict):
        raise ValueError(f"it must hold a JSON object, got {type(parsed).__name__}")
    return parsed


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong while a file is read into a :class:`CheckpointError` with its name."""
    try:
        yield
    except Exception as error:  # also what parsers raise only for files made to confuse them
        raise CheckpointError(printable(f"{path} cannot be read: {error}")) from error


def _form(checkpoint: Checkpoint) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names, shapes and dtypes of what is in a checkpoint, and the values as JSON writes them."""
    yield "value", {name: json.dumps(value, sort_keys=True) for name, value in checkpoint.values.items()}
    tensors = {f"{group}.{name}": x for group, part in checkpoint.tensors.items() for name, x in part.items()}
    yield "tensor group", dict.fromkeys(checkpoint.tensors, "present")
    yield "tensor", {name: f"{tuple(x.shape)} {x.dtype}" for name, x in tensors.items()}
    yield "array", {name: f"{x.shape} {x.dtype}" for name, x in checkpoint.arrays.items()}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Forces a file or a directory's entries to the disk, where the system can do so."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _step(path: Path) -> int:
    return int(path.name.removesuffix(_ASIDE).rsplit("-", 1)[1])


def _remove(directory: Path) -> None:
    """Deletes a checkpoint; one that is half deleted is none."""
    unnamed = directory.with_name(f".partial-removed-{directory.name}")
    directory.rename(unnamed)
    shutil.rmtree(unnamed)
