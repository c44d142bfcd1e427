"""Checkpoints: whole or skipped, never pickled, and of nothing but this run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import AGENT, RECURRENT_PPO_AGENT

from agents.checkpoint import (
    Checkpoint,
    CheckpointError,
    find_checkpoints,
    load_checkpoint,
    load_latest_checkpoint,
    save_checkpoint,
)
from agents.networks import NetworkConfig
from agents.optimizers import OptimizerName, load_optimizer_tensors, make_optimizer, optimizer_tensors
from agents.run_config import AgentConfig, TrainConfig
from agents.training import load_policy, resume, train

RUN = replace(small_runs.RUN, total_steps=480, eval_interval=400, eval_episodes=8)


def sample(step: int) -> Checkpoint:
    return Checkpoint(
        values={"step": step, "huge": 2**127},
        tensors={"network": {"weight": torch.full((2, 3), float(step))}},
        arrays={"replay.obs": np.full((4, 2), step, np.uint8)},
    )


def test_a_checkpoint_reads_back_exactly(tmp_path: Path) -> None:
    directory = save_checkpoint(sample(7), tmp_path, "last", 7)
    loaded = load_checkpoint(directory)
    assert loaded.values == {"step": 7, "huge": 2**127}
    assert torch.equal(loaded.tensors["network"]["weight"], torch.full((2, 3), 7.0))
    assert loaded.arrays["replay.obs"].dtype == np.uint8
    assert {path.suffix for path in directory.iterdir()} == {".json", ".npy", ".safetensors"}


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes on Windows")
@pytest.mark.parametrize("mask", [0o022, 0o077], ids=oct)
def test_every_file_of_a_checkpoint_has_the_mode_of_the_users_mask(mask: int, tmp_path: Path) -> None:
    """The weights could be read by nobody else, so that a group that shares a folder could read all but them."""
    before = os.umask(mask)
    try:
        directory = save_checkpoint(sample(7), tmp_path, "last", 7)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o666 & ~mask}


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 200):
        save_checkpoint(sample(step), tmp_path, "last", step)
    save_checkpoint(sample(1), tmp_path, "best", 1)
    names = [path.name for path in find_checkpoints(tmp_path, "last")]
    assert names == ["last-000000000200", "last-000000000010"]
    assert load_latest_checkpoint(tmp_path, "best").values["step"] == 1


def test_a_step_that_was_given_up_is_no_longer_the_newest(tmp_path: Path) -> None:
    """A run that goes back behind a damaged checkpoint keeps what it writes, even if it keeps one only."""
    (save_checkpoint(sample(30), tmp_path, "last", 30) / "values.json").write_text("{}")
    save_checkpoint(sample(20), tmp_path, "last", 20, keep=1)
    assert [path.name for path in find_checkpoints(tmp_path, "last")] == ["last-000000000020"]
    assert load_latest_checkpoint(tmp_path, "last").values["step"] == 20


def test_a_step_is_written_anew(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        directory = save_checkpoint(Checkpoint(values={"value": value}), tmp_path, "last", 7)
    assert load_checkpoint(directory).values == {"value": 2.0}


def test_folders_with_other_names_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "last-of-all").mkdir()
    save_checkpoint(sample(1), tmp_path, "last", 1, keep=1)
    assert [path.name for path in find_checkpoints(tmp_path, "last")] == ["last-000000000001"]
    assert (tmp_path / "last-of-all").is_dir()


@pytest.mark.parametrize("name", ["network.safetensors", "replay.obs.npy", "values.json", "MANIFEST.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_checkpoint_is_skipped_with_a_warning(tmp_path: Path, name: str, damage: str) -> None:
    save_checkpoint(sample(1), tmp_path, "last", 1)
    path = save_checkpoint(sample(2), tmp_path, "last", 2) / name
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()
    with pytest.warns(UserWarning, match="checkpoint skipped: .*last-000000000002"):
        assert load_latest_checkpoint(tmp_path, "last").values["step"] == 1


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    checkpoint = Checkpoint(arrays={"objects": np.array([{}, None], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        save_checkpoint(checkpoint, tmp_path, "last", 1)
    assert find_checkpoints(tmp_path, "last") == []


def test_a_half_written_checkpoint_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(sample(1), tmp_path, "last", 1)
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            save_checkpoint(sample(2), tmp_path, "last", 2)
    assert load_latest_checkpoint(tmp_path, "last").values["step"] == 1
    save_checkpoint(sample(3), tmp_path, "last", 3)
    assert not list(tmp_path.glob(".partial-*"))


def test_no_checkpoint_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no undamaged checkpoint"):
        load_latest_checkpoint(tmp_path, "last")


# --- files that were made to do harm ------------------------------------------------------------


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.sentinel),)


def reseal(directory: Path) -> None:
    """Makes the manifest vouch for whatever lies there."""
    path = directory / "MANIFEST.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        content = (directory / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    path.write_text(json.dumps(manifest))


def add_file(directory: Path, name: str, content: bytes | None = None) -> None:
    """Makes the manifest name a file, and writes it if there is something to write."""
    if content is not None:
        (directory / name).write_bytes(content)
    path = directory / "MANIFEST.json"
    manifest = json.loads(path.read_text())
    entry = {"bytes": len(content or b""), "sha256": sha256(content or b"").hexdigest()}
    manifest["files"][name] = entry
    path.write_text(json.dumps(manifest))


def pickled(payload: Payload) -> bytes:
    return pickle.dumps(payload)


def torch_file(payload: Payload) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": payload}, stream)
    return stream.getvalue()


def object_array(payload: Payload) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([payload], dtype=object), allow_pickle=True)
    return stream.getvalue()


def structured_objects(payload: Payload) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([(1, payload)], dtype=[("a", np.int64), ("b", object)]), allow_pickle=True)
    return stream.getvalue()


def archive(payload: Payload) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.array([payload], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["replay.obs.npy", "network.safetensors", "values.json", "MANIFEST.json"])
@pytest.mark.parametrize("make", [pickled, torch_file, object_array, structured_objects, archive])
def test_nothing_in_a_file_is_run(tmp_path: Path, name: str, make: Callable[[Payload], bytes]) -> None:
    sentinel = tmp_path / "sentinel"
    directory = save_checkpoint(sample(1), tmp_path, "last", 1)
    (directory / name).write_bytes(make(Payload(sentinel)))
    if name != "MANIFEST.json":
        reseal(directory)
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        load_checkpoint(directory)
    assert not sentinel.exists()


def test_the_sentinel_would_show() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pickle.loads(pickled(Payload(Path(folder, "sentinel"))))
        assert Path(folder, "sentinel").exists()


@pytest.mark.parametrize(
    "name",
    ["../secret.npy", "/etc/secret.npy", "a/b.npy", "a\\b.npy", "..npy", ".npy", "", ".", "MANIFEST.json",
     "run.py", "values.json.npy/", "C:secret.npy", "nul\x00.npy"],
)  # fmt: skip
def test_a_manifest_may_only_name_files_of_its_directory(tmp_path: Path, name: str) -> None:
    directory = save_checkpoint(sample(1), tmp_path, "last", 1)
    np.save(tmp_path / "secret.npy", np.zeros(2))
    add_file(directory, name)
    with pytest.raises(CheckpointError, match=r"MANIFEST\.json cannot be read: files names"):
        load_checkpoint(directory)


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.npy"
    np.save(outside, np.zeros(2))
    directory = save_checkpoint(sample(1), tmp_path / "run", "last", 1)
    add_file(directory, "extra.npy", outside.read_bytes())
    assert "extra" in load_checkpoint(directory).arrays
    (directory / "extra.npy").unlink()
    (directory / "extra.npy").symlink_to(outside)
    with pytest.raises(CheckpointError, match=r"extra\.npy cannot be read: it is missing or not a regular file"):
        load_checkpoint(directory)
    (tmp_path / "link").symlink_to(save_checkpoint(sample(2), tmp_path / "run", "last", 2))
    with pytest.raises(CheckpointError, match="no links"):
        load_checkpoint(tmp_path / "link")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    directory = save_checkpoint(sample(1), tmp_path, "last", 1)
    (directory / "values.json").unlink()
    os.mkfifo(directory / "values.json")
    with pytest.raises(CheckpointError, match="not a regular file"):
        load_checkpoint(directory)


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def tensors(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


HUGE = 10**15


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("replay.obs.npy", npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({HUGE},)}}")),
        ("replay.obs.npy", npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**62}, {2**62})}}")),
        ("replay.obs.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-2, -2)}", b"1234")),
        ("replay.obs.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"x" * 8)),
        ("replay.obs.npy", npy("__import__('os').getpid()")),
        ("replay.obs.npy", npy("(" * 100)),
        ("replay.obs.npy", b"\x93NUMPY\x09\x00"),
        ("replay.obs.npy", b""),
        ("network.safetensors", b""),
        ("network.safetensors", (2**63).to_bytes(8, "little") + b"{}"),
        ("network.safetensors", tensors({"a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}})),
        ("network.safetensors", tensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2]}}, b"12")),
        ("network.safetensors", tensors({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, b"12345678")),
        ("network.safetensors", tensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234")),
        ("network.safetensors", b"\xff" * 100),
        ("values.json", b"[1]"),
        ("values.json", b"[" * 100_000),
        ("values.json", b"9" * 10_000),
        ("values.json", b"\xff\xfe\x00"),
        ("values.json", b""),
        ("MANIFEST.json", b"[]"),
        ("MANIFEST.json", b"{}"),
        ("MANIFEST.json", b'{"format": 2, "files": {}}'),
        ("MANIFEST.json", b'{"format": 1, "files": []}'),
        ("MANIFEST.json", b'{"format": 1, "files": {}}'),
        ("MANIFEST.json", b'{"format": 1, "files": {"values.json": null}}'),
        ("MANIFEST.json", b'{"format": 1, "files": {"values.json": {"bytes": 1e999, "sha256": 1}}}'),
        ("MANIFEST.json", b'{"format": 1, "files": {"values.json": {"bytes": "1", "sha256": ""}, "gone.npy": {}}}'),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_should_be_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    directory = save_checkpoint(sample(1), tmp_path, "last", 1)
    (directory / name).write_bytes(content)
    if name != "MANIFEST.json":
        reseal(directory)
    with pytest.raises(CheckpointError, match=r"last-000000000001/.*(npy|json|safetensors) cannot be read"):
        load_checkpoint(directory)


def test_a_manifest_that_names_a_missing_group_is_refused(tmp_path: Path) -> None:
    directory = save_checkpoint(sample(1), tmp_path, "last", 1)
    add_file(directory, "target_network.safetensors")
    with pytest.raises(CheckpointError, match=r"target_network\.safetensors cannot be read: it is missing"):
        load_checkpoint(directory)


def test_names_that_would_leave_the_directory_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"names in a checkpoint must match"):
        save_checkpoint(Checkpoint(arrays={"../outside": np.zeros(1)}), tmp_path / "run", "last", 1)
    assert not list(tmp_path.rglob("*.npy"))


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_whatever_bytes_are_changed_a_checkpoint_is_read_or_refused(data: st.DataObject) -> None:
    """Never another exception: with the manifest as it was, and with one that vouches for the damage."""
    with tempfile.TemporaryDirectory() as folder:
        directory = save_checkpoint(sample(1), Path(folder), "last", 1)
        name = data.draw(st.sampled_from(sorted(path.name for path in directory.iterdir())))
        content = bytearray((directory / name).read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, max(len(content) - 1, 0)))
            if data.draw(st.booleans()):
                content[place : place + 1] = data.draw(st.binary(max_size=3))
            else:
                del content[place:]
        (directory / name).write_bytes(content)
        if name != "MANIFEST.json" and data.draw(st.booleans()):
            reseal(directory)
        with contextlib.suppress(CheckpointError):
            load_checkpoint(directory)


# --- checkpoints of something else --------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    train(RUN, AGENT, folder / "dqn")
    train(replace(RUN, agent="ppo"), RECURRENT_PPO_AGENT, folder / "ppo")
    return {"dqn": folder / "dqn", "ppo": folder / "ppo"}


def newest(folder: Path, kind: str = "last") -> Path:
    return find_checkpoints(folder / "checkpoints", kind)[0]


def saved_again(runs: dict[str, Path], name: str, folder: Path, change: Callable[[Checkpoint], object]) -> Path:
    """A copy of a run whose newest checkpoint was changed, with a manifest that vouches for it."""
    shutil.copytree(runs[name], folder, dirs_exist_ok=True)
    path = newest(folder)
    checkpoint = load_checkpoint(path)
    change(checkpoint)
    shutil.rmtree(path)
    save_checkpoint(checkpoint, path.parent, "last", int(path.name[-12:]))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


OTHER_RUNS: list[tuple[str, TrainConfig, AgentConfig]] = [
    ("dqn", RUN, replace(AGENT, network=NetworkConfig(hidden_sizes=(17,)))),
    ("dqn", RUN, replace(AGENT, network=NetworkConfig(hidden_sizes=(16, 16)))),
    ("dqn", RUN, replace(AGENT, num_envs=9)),
    ("dqn", RUN, replace(AGENT, buffer_size=160)),
    ("dqn", RUN, replace(AGENT, optimizer="sgd")),
    ("dqn", replace(RUN, agent="ppo"), RECURRENT_PPO_AGENT),
    ("ppo", RUN, AGENT),
    ("ppo", replace(RUN, agent="ppo"), replace(RECURRENT_PPO_AGENT, memory_size=0)),
    ("ppo", replace(RUN, agent="ppo"), replace(RECURRENT_PPO_AGENT, memory_size=5)),
    ("ppo", replace(RUN, agent="ppo"), replace(RECURRENT_PPO_AGENT, num_steps=2)),
    ("ppo", replace(RUN, agent="ppo"), replace(RECURRENT_PPO_AGENT, separate_critic=True)),
    ("ppo", replace(RUN, agent="ppo", env="drivesim/Autodrive-v1"), RECURRENT_PPO_AGENT),
]


@pytest.mark.parametrize(("name", "config", "agent_config"), OTHER_RUNS)
def test_the_checkpoint_of_another_run_is_refused_and_nothing_is_written(
    runs: dict[str, Path], tmp_path: Path, name: str, config: TrainConfig, agent_config: AgentConfig
) -> None:
    train(replace(config, total_steps=agent_config.num_envs), agent_config, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    shutil.copytree(runs[name] / "checkpoints", tmp_path / "checkpoints")
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match="last-000000000480 does not fit this run"):
        resume(tmp_path)
    assert contents(tmp_path) == before


def count_from_the_end(checkpoint: Checkpoint) -> None:
    """A cursor at which slices are as long as they should be: 7 - 3 = 4 rows, as saved."""
    assert checkpoint.values["rollout"]["cursor"] == 4
    checkpoint.values["rollout"] = {"cursor": -3, "cut_rows": []}
    for name in list(checkpoint.tensors["rollout"]):
        if name.startswith(("lanes.", "last_obs.", "memories.")):
            del checkpoint.tensors["rollout"][name]


CHANGES: list[tuple[str, Callable[[Checkpoint], object]]] = [
    ("dqn", lambda c: c.values.pop("global_step")),
    ("dqn", lambda c: c.values.update(global_step="480")),
    ("dqn", lambda c: c.values.update(global_step=None)),
    ("dqn", lambda c: c.values.update(global_step=-480)),
    ("dqn", lambda c: c.values.update(unknown=1)),
    ("dqn", lambda c: c.values.update(sums=[])),
    ("dqn", lambda c: c.values.update(generator={})),
    ("dqn", lambda c: c.values["generator"].update(bit_generator="MT19937")),
    ("dqn", lambda c: c.values["training"].update(best=[1.0])),
    ("dqn", lambda c: c.values["training"].update(best="ab")),
    ("dqn", lambda c: c.values["training"].update(seconds="a minute")),
    ("dqn", lambda c: c.values["training"].update(episodes=[])),
    ("dqn", lambda c: c.values["replay"].update(cursor=10**6)),
    ("dqn", lambda c: c.values["replay"].update(cursor=-1)),
    ("dqn", lambda c: c.values["replay"].update(num_complete=3)),
    ("dqn", lambda c: c.values["replay"].update(next_final=10**18)),
    ("dqn", lambda c: c.values["replay"].update(first_final=10**6)),
    ("dqn", lambda c: c.tensors.pop("target_network")),
    ("dqn", lambda c: c.tensors.update(extra={"a": torch.zeros(1)})),
    ("dqn", lambda c: c.tensors["network"].popitem()),
    ("dqn", lambda c: c.tensors["network"].update(extra=torch.zeros(1))),
    ("dqn", lambda c: c.tensors["optimizer"].pop("0.exp_avg")),
    ("dqn", lambda c: c.tensors["optimizer"].update({"0.exp_avg": torch.zeros(1)})),
    ("dqn", lambda c: c.tensors["optimizer"].update({"99.step": torch.zeros(())})),
    ("dqn", lambda c: c.tensors["optimizer"].update(step=torch.zeros(()))),
    ("dqn", lambda c: c.arrays.pop("worlds")),
    ("dqn", lambda c: c.arrays.update(extra=np.zeros(1))),
    ("dqn", lambda c: c.arrays.update(worlds=c.arrays["worlds"][:-1])),
    ("dqn", lambda c: c.arrays.update(waits=np.zeros(1, np.bool_))),
    ("dqn", lambda c: c.arrays.update({"replay.rewards": c.arrays["replay.rewards"].astype(np.float64)})),
    ("dqn", lambda c: c.arrays.update({"replay.rewards": c.arrays["replay.rewards"][:, :1]})),
    ("dqn", lambda c: c.arrays.update({"replay.finals": c.arrays["replay.finals"][1:]})),
    ("ppo", lambda c: c.values["rollout"].update(cursor=100)),
    ("ppo", lambda c: c.values["rollout"].update(cursor=-1)),
    ("ppo", count_from_the_end),
    ("ppo", lambda c: c.values["rollout"]["cut_rows"].append(0)),
    ("ppo", lambda c: c.values["rollout"].update(cut_rows=[-1] * len(c.values["rollout"]["cut_rows"]))),
    ("ppo", lambda c: c.tensors["rollout"].update({"lanes.0": c.tensors["rollout"]["lanes.0"] - 8})),
    ("ppo", lambda c: c.tensors["rollout"].update({"lanes.0": c.tensors["rollout"]["lanes.0"] + 8})),
    ("ppo", lambda c: c.tensors["rollout"].update({"last_obs.0": torch.zeros(1)})),
    ("ppo", lambda c: c.tensors["rollout"].update(rewards=c.tensors["rollout"]["rewards"][:, :1])),
    ("ppo", lambda c: c.tensors["rollout"].pop("lanes_memory")),
    ("ppo", lambda c: c.tensors["rollout"].update(lanes_memory=torch.zeros(8, 1))),
    ("ppo", lambda c: c.arrays.update(starts=np.zeros(8, np.int64))),
    ("ppo", lambda c: c.values["metrics"].update({"loss/policy": "low"})),
    ("ppo", lambda c: c.values["metrics"].update({"loss/policy": "1.0"})),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_a_changed_checkpoint_is_refused_whatever_its_manifest_says(
    runs: dict[str, Path], tmp_path: Path, name: str, change: Callable[[Checkpoint], object]
) -> None:
    folder = saved_again(runs, name, tmp_path, change)
    with pytest.raises(CheckpointError, match="last-000000000480 does not fit this run"):
        resume(folder)


def test_an_unchanged_checkpoint_is_taken(runs: dict[str, Path], tmp_path: Path) -> None:
    for name in runs:
        folder = saved_again(runs, name, tmp_path / name, lambda _: None)
        assert resume(folder).global_step == 480


def test_a_driver_of_another_network_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["dqn"], tmp_path, dirs_exist_ok=True)
    path = newest(tmp_path, "best")
    shutil.rmtree(path)
    other = {"network": {"weight": torch.zeros(3)}}
    save_checkpoint(Checkpoint(tensors=other), path.parent, "best", int(path.name[-12:]))
    with pytest.raises(CheckpointError, match=f"{path.name} does not fit this run"):
        load_policy(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_whatever_values_a_checkpoint_holds_it_is_taken_or_refused(runs: dict[str, Path], data: st.DataObject) -> None:
    def change(checkpoint: Checkpoint) -> None:
        place: Any = checkpoint.values
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not place[key] or not isinstance(place[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
                break
            place = place[key]
        place[key] = data.draw(JSON)

    with tempfile.TemporaryDirectory() as temporary:
        folder = saved_again(runs, data.draw(st.sampled_from(["dqn", "ppo"])), Path(temporary), change)
        with contextlib.suppress(CheckpointError):
            resume(folder)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "adagrad", "sgd"])
def test_an_optimizer_takes_what_it_saved_and_nothing_else(name: OptimizerName) -> None:
    def stepped(width: int) -> torch.optim.Optimizer:
        parameters = [torch.ones(3, width, requires_grad=True), torch.ones(2, requires_grad=True)]
        optimizer = make_optimizer(name, parameters, 0.1)
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        return optimizer

    saved = optimizer_tensors(stepped(4))
    taker = stepped(4)
    load_optimizer_tensors(taker, {key: tensor + 1 for key, tensor in saved.items()})
    assert all(torch.equal(tensor, saved[key] + 1) for key, tensor in optimizer_tensors(taker).items())
    with pytest.raises(ValueError, match="allowed"):
        load_optimizer_tensors(stepped(5), saved)
    with pytest.raises(ValueError, match="allowed"):
        load_optimizer_tensors(stepped(4), {**saved, "7.step": torch.zeros(())})
