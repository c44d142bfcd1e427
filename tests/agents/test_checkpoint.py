"""Checkpoints: whole or skipped, and never pickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from agents.checkpoint import (
    Checkpoint,
    CheckpointError,
    find_checkpoints,
    load_checkpoint,
    load_latest_checkpoint,
    save_checkpoint,
)


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


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 200):
        save_checkpoint(sample(step), tmp_path, "last", step)
    save_checkpoint(sample(1), tmp_path, "best", 1)
    names = [path.name for path in find_checkpoints(tmp_path, "last")]
    assert names == ["last-000000000200", "last-000000000010"]
    assert load_latest_checkpoint(tmp_path, "best").values["step"] == 1


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
