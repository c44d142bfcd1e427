"""What a run leaves behind: configuration, provenance, checkpoints, a curve and a recording.

::

    config.json          the configuration dataclasses, from which the run can be repeated
    env_spec.json        gymnasium's specification of the training environment
    versions.json        versions and git revision
    metrics.csv          every metric at every log point
    tensorboard/         the same for TensorBoard
    checkpoints/         last-<step> (everything, for --resume) and best-<step> (the driver)
    learning_curve.png   success and return over environment steps
    episode.gif          one held-out episode of the best driver
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
import numpy as np

from agents.environments import EnvConfig, require_registered
from agents.metrics import read_metrics
from agents.policy import NetworkPolicy, Policy

__all__ = [
    "config_from_dict",
    "default_folder",
    "plot_learning_curve",
    "read_config",
    "record_episode",
    "write_config",
    "write_provenance",
]

_FRAME_MILLISECONDS = 150
_Config = TypeVar("_Config")


def default_folder(env_id: str, agent: str, seed: int) -> Path:
    """Returns ``runs/<env>__<agent>__<seed>__<time>``."""
    name = env_id.rsplit("/", 1)[-1]
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


def plot_learning_curve(folder: Path, title: str) -> Path | None:
    """Draws success and return over steps from metrics.csv; None if nothing was measured."""
    from matplotlib.figure import Figure  # no window system, no global state

    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    is_empty = True
    for axes, name, label in (
        (panels[0], "success_rate", "success"),
        (panels[1], "mean_return", "return per episode"),
    ):
        rollout = {"success_rate": "rollout/success", "mean_return": "rollout/episode_return"}[name]
        for metric, style, source in (
            (rollout, "-", "while training (exploring)"),
            (f"eval/{name}", "o-", "held-out levels (greedy)"),
        ):
            steps, values = read_metrics(folder / "metrics.csv", metric)
            if steps:
                is_empty = False
                axes.plot(steps, values, style, markersize=4, label=source)
                axes.legend(loc="lower right", frameon=False)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_ylim(-0.02, 1.02)
    panels[0].set_title(title)
    panels[1].set_xlabel("environment steps")
    if is_empty:
        return None
    path = folder / "learning_curve.png"
    figure.savefig(path, dpi=120)
    return path


def record_episode(policy: Policy, config: EnvConfig, path: Path, *, seed: int, split: str = "test") -> Path | None:
    """Writes one episode as an animated GIF.

    Args:
        policy: the driver; one with a memory or masks gets what it needs.
        config: environment and options.
        path: of the GIF.
        seed: of the level.
        split: stream of levels.

    Returns:
        The path, or None if the environment cannot be rendered as an array.
    """
    from PIL import Image

    require_registered(config.env)
    if gym.spec(config.env).entry_point is None:
        return None
    env = gym.make(config.env, render_mode="rgb_array", split=split, **config.options())
    try:
        obs, _ = env.reset(seed=seed)
        if isinstance(policy, NetworkPolicy):
            policy.begin()
        frames = [_frame(env)]
        is_over = False
        while not is_over:
            if isinstance(policy, NetworkPolicy) and policy.uses_action_masks:
                masks = env.unwrapped.action_masks()  # type: ignore[attr-defined]
                actions = policy(np.asarray(obs)[None], masks[None])
            else:
                actions = policy(np.asarray(obs)[None])
            obs, _, terminated, truncated, _ = env.step(actions[0])
            is_over = terminated or truncated
            frames.append(_frame(env))
    finally:
        env.close()
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=_FRAME_MILLISECONDS, loop=0)
    return path


def _frame(env: gym.Env[Any, Any]) -> np.ndarray:
    frame = env.render()
    if not isinstance(frame, np.ndarray):
        raise TypeError(f"render() must return an array, got {type(frame).__name__}")
    return frame.copy()


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
