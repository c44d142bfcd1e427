"""Checkpoints: directories of safetensors, .npy and JSON with a manifest, written atomically.

A checkpoint is written beside its final place, flushed to the disk and then renamed, so that a run
killed at any instant leaves the previous one whole. The manifest holds the size and the SHA-256 of
every file; a damaged checkpoint is skipped with a warning. Nothing is ever pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "find_checkpoints",
    "load_checkpoint",
    "load_latest_checkpoint",
    "save_checkpoint",
]

FORMAT = 1  # of the directory's layout
_MANIFEST = "MANIFEST.json"
_VALUES = "values.json"


class CheckpointError(Exception):
    """A checkpoint is missing, incomplete or damaged."""


@dataclass
class Checkpoint:
    """What a checkpoint holds, by name."""

    values: dict[str, Any] = field(default_factory=dict)
    """Anything that JSON can hold."""
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """Groups of tensors; each group is one safetensors file."""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays; each is one .npy file."""


def save_checkpoint(checkpoint: Checkpoint, folder: Path, kind: str, step: int, keep: int = 2) -> Path:
    """Writes ``folder/kind-step`` and then deletes all but the ``keep`` newest of that kind.

    Args:
        checkpoint: what to write.
        folder: holds the checkpoints of a run; created if missing.
        kind: such as "last" or "best".
        step: environment steps so far; the higher, the newer.
        keep: how many of this kind to leave, at least 1.

    Returns:
        The directory written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{kind}-{step:012d}"
    partial = folder / f".partial-{target.name}"
    for leftover in folder.glob(".partial-*"):  # of a run that was killed while writing
        _remove(leftover)
    partial.mkdir()
    for name, tensors in checkpoint.tensors.items():
        contiguous = {key: tensor.detach().contiguous() for key, tensor in tensors.items()}
        save_file(contiguous, str(partial / f"{name}.safetensors"))
    for name, array in checkpoint.arrays.items():
        np.save(partial / f"{name}.npy", array, allow_pickle=False)
    (partial / _VALUES).write_text(json.dumps(checkpoint.values, indent=1))
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in sorted(partial.iterdir())}
    manifest = {"format": FORMAT, "step": step, "files": files}
    (partial / _MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in partial.iterdir():
        _flush(path)
    _flush(partial)
    _remove(target)
    partial.rename(target)
    _flush(folder)
    for old in find_checkpoints(folder, kind)[keep:]:
        _remove(old)
    return target


def load_checkpoint(directory: Path) -> Checkpoint:
    """Reads one checkpoint after checking every file against the manifest.

    Raises:
        CheckpointError: something is missing or was changed.
    """
    try:
        manifest = json.loads((directory / _MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise CheckpointError(f"{directory} has format {manifest['format']}, allowed is {FORMAT}")
        checkpoint = Checkpoint()
        for name, entry in manifest["files"].items():
            path = directory / name
            if path.stat().st_size != entry["bytes"] or _digest(path) != entry["sha256"]:
                raise CheckpointError(f"{path} differs from its manifest")
            if path.suffix == ".safetensors":
                checkpoint.tensors[path.stem] = load_file(str(path))
            elif path.suffix == ".npy":
                checkpoint.arrays[path.stem] = np.load(path, allow_pickle=False)
            elif name == _VALUES:
                checkpoint.values = json.loads(path.read_text())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise CheckpointError(f"{directory} is not a whole checkpoint: {error!r}") from error
    return checkpoint


def find_checkpoints(folder: Path, kind: str) -> list[Path]:
    """Returns the checkpoints of a kind, newest first, without looking inside."""
    return sorted((path for path in folder.glob(f"{kind}-*") if path.is_dir()), reverse=True)


def load_latest_checkpoint(folder: Path, kind: str) -> Checkpoint:
    """Reads the newest undamaged checkpoint of a kind and warns about every one it skips.

    Raises:
        CheckpointError: there is none.
    """
    for directory in find_checkpoints(folder, kind):
        try:
            return load_checkpoint(directory)
        except CheckpointError as error:
            warnings.warn(f"checkpoint skipped: {error}", stacklevel=2)
    raise CheckpointError(f"{folder} holds no undamaged checkpoint '{kind}-*'")


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


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
