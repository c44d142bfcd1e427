"""A run folder's driver as files for deployment, each checked against the network before it is given a name."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias

import gymnasium as gym
from torch.export import ExportedProgram

from agents.checkpoint import Checkpoint, find_checkpoints, load_latest_checkpoint
from agents.environments import make_envs
from agents.export.numpy_form import NumpyForm, write_numpy
from agents.export.onnx_form import OnnxForm, write_onnx
from agents.export.tracing import Driver, trace
from agents.export.verification import Drives, Form, TorchForm, compare, median_microseconds, record_drives
from agents.run_config import TrainConfig
from agents.run_folder import MAX_CONFIG_BYTES
from agents.training import load_policy
from agents.validation import check_at_least, check_unit_interval, require
from drivesim.files import read_bounded

__all__ = ["ExportError", "FormName", "export_run"]

FormName: TypeAlias = Literal["onnx", "numpy"]
_SUFFIXES: dict[FormName, str] = {"onnx": ".onnx", "numpy": ".py"}
_BATCH_SIZES = (1, 1024)  # whose latency is measured


class ExportError(Exception):
    """A form cannot be written, or does not drive as the network does."""


def export_run(
    run_dir: Path,
    folder: Path,
    *,
    checkpoint: str = "best",
    formats: tuple[FormName, ...] = ("onnx", "numpy"),
    int8: bool = False,
    observations: int = 10_000,
    timing_seconds: float = 0.2,
) -> dict[str, Any]:
    """Writes ``policy.onnx`` and ``policy.py``, and with ``int8`` also ``policy_int8.onnx`` and ``policy_int8.py``.

    The float forms must choose the network's action on every recorded observation, ties apart; how often the
    8-bit ones do is reported. Nothing is written if that fails.

    Args:
        run_dir: folder of the run.
        folder: to write to; files of these names are replaced.
        checkpoint: "best" or "last"; a run without a best one gives its last.
        formats: which forms.
        int8: also write each form with its weights as 8-bit integers.
        observations: least number to compare actions on, from held-out levels.
        timing_seconds: wall-clock time to spend on each latency.

    Returns:
        A report that JSON can hold: where to, the run, and a record per form with its name, file, size in bytes,
        median latencies in microseconds by batch size, and agreement.

    Raises:
        ValueError: a wrong argument.
        FileNotFoundError: ``run_dir`` is not a run folder.
        CheckpointError: it has no undamaged checkpoint.
        ExportError: a form lacks an operation of the network, or disagrees with it.
    """
    require("formats", formats, bool(formats) and set(formats) <= set(_SUFFIXES), f"some of {sorted(_SUFFIXES)}")
    require("observations", observations, observations >= 1, "at least 1")
    if "onnx" in formats:
        _require_onnx()
    policy, config = load_policy(run_dir, checkpoint)
    with contextlib.closing(make_envs(config, 1, "test")) as envs:
        space: Any = envs.single_observation_space
        num_actions = int(getattr(envs.single_action_space, "n", 0))
    driver = Driver(policy)
    program = trace(driver, space, num_actions)
    about = _about(run_dir, checkpoint, config, space, num_actions)
    drives = record_drives(policy, config, observations)
    records = [_measure("torch", TorchForm(policy), drives, timing_seconds)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".partial-{folder.name}-", dir=folder.parent))
    try:
        for name in dict.fromkeys(formats):
            for is_int8 in (False, True) if int8 else (False,):
                path = partial / f"policy{'_int8' if is_int8 else ''}{_SUFFIXES[name]}"
                form = _write(name, path, driver, program, space, about, is_int8)
                record = _measure(f"{name} int8" if is_int8 else name, form, drives, timing_seconds)
                if record["disagreements"] and not is_int8:
                    raise ExportError(
                        f"the {name} form chose another action than the network on {record['disagreements']} of "
                        f"{drives.actions.size} observations; scores differ by up to {record['max_score_difference']:g}"
                    )
                records.append(record | {"file": path.name, "bytes": path.stat().st_size})
        folder.mkdir(exist_ok=True)
        for path in sorted(partial.iterdir()):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(partial)
    return {
        "run": str(run_dir),
        "folder": str(folder),
        **about,
        "observations": int(drives.actions.size),
        "forms": records,
    }


def _write(
    name: FormName,
    path: Path,
    driver: Driver,
    program: ExportedProgram,
    space: gym.spaces.Box,
    about: dict[str, str],
    is_int8: bool,
) -> Form:
    about = about | {"weights": "8-bit integers, a scale per output" if is_int8 else "float32"}
    if name == "onnx":
        write_onnx(path, driver, program, about, int8=is_int8)
        return OnnxForm(path)
    try:
        write_numpy(path, driver, program, space, about, int8=is_int8)
    except ValueError as error:
        raise ExportError(str(error)) from error
    return NumpyForm(path)


def _measure(name: str, form: Form, drives: Drives, seconds: float) -> dict[str, Any]:
    record = {"form": name, "file": None, "bytes": None, **dataclasses.asdict(compare(form, drives))}
    for size in _BATCH_SIZES:
        record[f"microseconds_batch_{size}"] = median_microseconds(form, drives, size, seconds)
    return record


def _about(run_dir: Path, kind: str, config: TrainConfig, space: gym.spaces.Box, num_actions: int) -> dict[str, str]:
    """Says where a driver comes from; of paths only the run's name, since files travel."""
    checkpoints = run_dir / "checkpoints"
    kind = kind if find_checkpoints(checkpoints, kind) else "last"
    checkpoint = load_latest_checkpoint(checkpoints, kind, only="network")
    options = ", ".join(f"{name}={value}" for name, value in config.options().items())
    return {
        "environment": config.env,
        "options": options or "defaults",
        "observation": f"{space.dtype} {space.shape}",
        "actions": str(num_actions),
        "agent": config.agent,
        "run": f"{run_dir.resolve().name}, {kind} checkpoint",
        "success": _success(run_dir, config, checkpoint),
    }


def _success(run_dir: Path, config: TrainConfig, checkpoint: Checkpoint) -> str:
    """How often it arrives, as measured once training had ended: what chose a driver among others flatters it."""
    measured = _measured(run_dir, config, checkpoint)
    if measured:
        episodes = sum(record["episodes"] for record in measured)
        successes = sum(record["success_rate"] * record["episodes"] for record in measured)
        return f"{successes / episodes:.4f} of {episodes} held-out episodes"
    evaluation = checkpoint.values.get("evaluation")
    if evaluation is None:
        return "not measured with this checkpoint"
    of_training = f"{evaluation['success_rate']:.4f} of {evaluation['episodes']} held-out episodes"
    return f"{of_training}, the best evaluation of training, which chose this driver"


def _measured(run_dir: Path, config: TrainConfig, checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """The records of evaluation.json that are of this very driver; none of a file that holds something else."""
    try:
        records = json.loads(read_bounded(run_dir / "evaluation.json", MAX_CONFIG_BYTES))
        step = checkpoint.values["global_step"]
        own = [each for each in records if each["agent"] == config.agent and each.get("global_step", step) == step]
        for each in own:
            check_unit_interval(SimpleNamespace(**each), "success_rate")
            check_at_least(SimpleNamespace(**each), 1, "episodes")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return own


def _require_onnx() -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExportError(
                f"the onnx form needs the package {package}: install drivesim[export], or choose --formats numpy"
            ) from error
