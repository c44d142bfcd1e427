"""The folder of a run: configuration, provenance, checkpoints, a curve and a recording.

::

    config.json          the configuration dataclasses, from which the run can be repeated
    env_spec.json        gymnasium's specification of the training environment
    versions.json        versions and git revision
    metrics.csv          every metric at every log point
    tensorboard/         the same for TensorBoard
    checkpoints/         last-<step> (everything, for --resume) and best-<step> (the driver)
    learning_curve.png   success and return over environment steps, also as .svg (agents/plots)
    episode.json         a replay of one held-out episode of the best driver
    episode.gif          its film
    episode.html         the same with a player, figures and what the driver made of it
    evaluation.json      the driver and simpler ones on held-out levels
    training.lock        held by the process that trains

A folder may be somebody else's. What it holds is data: files and folders of its own, read up to a bound, checked field
by field, and never a link that leads out of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import os
import platform
import sqlite3
import subprocess
import time
import types
import typing
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym

from agents.validation import require
from drivesim.files import read_bounded, remove_partial_files, require_plain, write_whole
from drivesim.registry import with_module

__all__ = [
    "claimed",
    "config_from_dict",
    "default_folder",
    "locked",
    "read_config",
    "require_new",
    "run_at",
    "write_config",
    "write_provenance",
]

LATEST = "latest"
MAX_CONFIG_BYTES = 1 << 24  # with the texts of levels

_Config = TypeVar("_Config")


def default_folder(env_id: str, agent: str, seed: int) -> Path:
    """Returns ``runs/<env>__<agent>__<seed>__<time>``."""
    name = "+".join(part.rsplit("/", 1)[-1] for part in env_id.split(","))
    return Path("runs") / f"{name}__{agent}__{seed}__{time.strftime('%Y%m%d-%H%M%S')}"


def run_at(path: Path) -> Path:
    """Returns what a path names: ``runs/latest`` is the newest run in ``runs``, and so anywhere.

    A path below it, such as ``runs/latest/export/policy.py``, is one of that run. Whatever reads a run, or a file that
    may lie in one, asks this function.

    Raises:
        FileNotFoundError: the newest is asked for, and there is none.
    """
    place = next((each for each in (path, *path.parents) if each.name == LATEST), None)
    if place is None or (place / "config.json").exists() or (place != path and path.exists()):
        return path
    configs = (config for config in place.parent.glob("*/config.json") if not config.parent.is_symlink())
    try:
        newest = max(configs, key=lambda config: (config.stat().st_mtime_ns, config.parent.name)).parent
    except ValueError:
        if place.exists():
            return path
        raise FileNotFoundError(f"{place.parent} holds no run yet; `make train` makes one in runs") from None
    return newest / path.relative_to(place)


def require_new(folder: Path) -> None:
    """Checks that a run may begin in a folder.

    Raises:
        FileExistsError: it holds one.
        ValueError: its name is that of the newest run, whatever that is.
    """
    require("folder of a run", str(folder), folder.name != LATEST, f"of another name: {LATEST} is the newest run")
    if (folder / "config.json").exists():
        raise FileExistsError(f"{folder} already holds a run; resume it or choose another folder")


def write_config(folder: Path, train_config: object, agent_config: object) -> None:
    """Writes both dataclasses into config.json; an id with the module that registers it, if it is not of the suite."""
    record: dict[str, dict[str, Any]] = {}
    for name, config in (("train", train_config), ("agent", agent_config)):
        if not dataclasses.is_dataclass(config) or isinstance(config, type):
            raise TypeError(f"{name} config must be a dataclass, got {config!r}")
        record[name] = dataclasses.asdict(config)
    if "env" in record["train"]:
        record["train"]["env"] = ",".join(map(with_module, record["train"]["env"].split(",")))
    write_whole(folder / "config.json", json.dumps(record, indent=2) + "\n")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keeps other processes from training in a folder, which must exist, and removes what a killed one left half done.

    Raises:
        FileExistsError: another process is training in it.
        OSError: it cannot be locked, as where nothing may be written to it.
        ValueError: it holds a link.
    """
    require_plain(folder, linked="wandb")
    with locked(folder / "training.lock") as is_ours:
        if not is_ours:
            raise FileExistsError(f"another process is training in {folder}; wait for it, or choose another folder")
        remove_partial_files(folder)
        yield


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Holds a file's lock, unless another process does; says which.

    SQLite's is the lock in the standard library that works on every system and ends with its process, however that
    ends.

    Raises:
        OSError: it cannot be locked by anybody; names it and the cause.
    """
    try:
        connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    except sqlite3.Error as error:
        raise _cannot_lock(path, error) from error
    with contextlib.closing(connection):
        is_ours = True
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise _cannot_lock(path, error) from error
            is_ours = False
        yield is_ours


def _cannot_lock(path: Path, error: Exception) -> OSError:
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.W_OK):
            return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
    return OSError(f"cannot lock {path}: {error}")


def read_config(folder: Path) -> dict[str, dict[str, Any]]:
    """Reads config.json as nested dicts: "train" and "agent".

    Raises:
        FileNotFoundError: ``folder`` is not a run folder.
        ValueError: the file does not hold both, or the folder holds a link.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        raise FileNotFoundError(f"run folder {folder} does not exist")
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no config.json")
    require_plain(folder, linked="wandb")  # whose own files are linked with each other
    content = read_bounded(path, MAX_CONFIG_BYTES)
    try:
        record: dict[str, dict[str, Any]] = json.loads(content)
        if not all(isinstance(record[name], dict) for name in ("train", "agent")):
            raise TypeError("'train' and 'agent' must be objects")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not the configuration of a run: {error!r}") from error
    return record


def config_from_dict(kind: type[_Config], record: dict[str, Any]) -> _Config:
    """Builds a configuration dataclass from what ``dataclasses.asdict`` and JSON made of it.

    Raises:
        ValueError: a field is unknown, or has a value that cannot be its own; names it.
    """
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(record) - set(hints))
    if unknown:
        raise ValueError(f"{kind.__name__} has no fields {unknown}; allowed are {sorted(hints)}")
    return kind(**{name: _as_field(name, value, hints[name]) for name, value in record.items()})


def _as_field(name: str, value: Any, hint: Any) -> Any:
    """A value read from JSON as what a field is annotated with.

    Raises:
        ValueError: it is of another type, or no finite number.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return config_from_dict(hint, value)
    if origin is types.UnionType and value is not None:
        return _as_field(name, value, next(part for part in parts if part is not types.NoneType))
    if origin is tuple and isinstance(value, list):
        return tuple(_as_field(name, item, parts[0]) for item in value)
    if origin is dict and isinstance(value, dict):
        return {key: _as_field(f"{name} {key!r}", item, parts[1]) for key, item in value.items()}
    is_fitting = {
        int: type(value) is int and abs(value) < 2**63,
        float: type(value) in (int, float) and abs(value) < 2**63 and math.isfinite(value),
        bool: type(value) is bool,
        str: type(value) is str,
    }
    if not (is_fitting.get(hint, False) or (value is None and origin is types.UnionType)):
        if origin is typing.Literal and value in parts and type(value) is str:
            return value
        raise ValueError(f"{name} must be of type {_name_of(hint)}, got {str(value)[:80]!r}")
    return value


def _name_of(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def write_provenance(folder: Path, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
    """Writes env_spec.json and versions.json."""
    spec = envs.unwrapped.spec
    if spec is not None:
        write_whole(folder / "env_spec.json", spec.to_json() + "\n")
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in ("drivesim", "gymnasium", "numba", "numpy", "safetensors", "torch"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    versions["platform"] = platform.platform()
    versions["git_revision"] = _git("rev-parse", "HEAD")
    versions["git_changes"] = _git("status", "--porcelain", "--untracked-files=no")
    write_whole(folder / "versions.json", json.dumps(versions, indent=2) + "\n")


def _git(*arguments: str) -> str | None:
    """Asks git about the checkout that holds this package; None outside one, or without git."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
