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
"""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import time
import types
import typing
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym

__all__ = [
    "config_from_dict",
    "default_folder",
    "read_config",
    "write_config",
    "write_provenance",
]

_Config = TypeVar("_Config")


def default_folder(env_id: str, agent: str, seed: int) -> Path:
    """Returns ``runs/<env>__<agent>__<seed>__<time>``."""
    name = "+".join(part.rsplit("/", 1)[-1] for part in env_id.split(","))
    return Path("runs") / f"{name}__{agent}__{seed}__{time.strftime('%Y%m%d-%H%M%S')}"


def write_config(folder: Path, train_config: object, agent_config: object) -> None:
    """Writes both dataclasses into config.json."""
    record = {}
    for name, config in (("train", train_config), ("agent", agent_config)):
        if not dataclasses.is_dataclass(config) or isinstance(config, type):
            raise TypeError(f"{name} config must be a dataclass, got {config!r}")
        record[name] = dataclasses.asdict(config)
    partial = folder / "config.json.partial"
    partial.write_text(json.dumps(record, indent=2) + "\n")
    partial.replace(folder / "config.json")


def read_config(folder: Path) -> dict[str, dict[str, Any]]:
    """Reads config.json as nested dicts: "train" and "agent".

    Raises:
        FileNotFoundError: ``folder`` is not a run folder.
        ValueError: the file does not hold both.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        raise FileNotFoundError(f"run folder {folder} does not exist")
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no config.json")
    try:
        record: dict[str, dict[str, Any]] = json.loads(path.read_text())
        if not all(isinstance(record[name], dict) for name in ("train", "agent")):
            raise TypeError("'train' and 'agent' must be objects")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not the configuration of a run: {error!r}") from error
    return record


def config_from_dict(kind: type[_Config], record: dict[str, Any]) -> _Config:
    """Builds a configuration dataclass from what ``dataclasses.asdict`` and JSON made of it."""
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(record) - set(hints))
    if unknown:
        raise ValueError(f"{kind.__name__} has no fields {unknown}; allowed are {sorted(hints)}")
    values: dict[str, Any] = {}
    for name, value in record.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            values[name] = config_from_dict(hint, value)
        elif isinstance(hint, types.GenericAlias) and typing.get_origin(hint) is tuple:
            values[name] = tuple(value)
        else:
            values[name] = value
    return kind(**values)


def write_provenance(folder: Path, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
    """Writes env_spec.json and versions.json."""
    spec = envs.unwrapped.spec
    if spec is not None:
        (folder / "env_spec.json").write_text(spec.to_json() + "\n")
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in ("drivesim", "gymnasium", "numba", "numpy", "safetensors", "torch"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    versions["platform"] = platform.platform()
    versions["git_revision"] = _git("rev-parse", "HEAD")
    versions["git_changes"] = _git("status", "--porcelain", "--untracked-files=no")
    (folder / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


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
