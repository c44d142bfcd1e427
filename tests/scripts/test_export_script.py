"""The command line of the export, from a real run to files that drive."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loading import load_script

from agents.export import export_run as exporting
from agents.export.numpy_form import NumpyForm
from agents.run_config import read_configs
from agents.warm_start import driver_of

TRAIN = [
    "--env", "drivesim/LaneKeep-v1", "--agent", "ppo", "--observation", "features", "--num-envs", "8", "--num-steps",
    "8", "--minibatches", "2", "--memory-size", "8", "--network.hidden-sizes", "16", "--eval-episodes", "8",
    "--num-threads", "1", "--no-tensorboard", "--no-progress", "--final-episodes", "8", "--total-steps", "512",
]  # fmt: skip


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert load_script("train").main([*TRAIN, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.export.verification._median_seconds", lambda call, seconds: 1.0)


@pytest.mark.usefixtures("hasty")
def test_a_trained_driver_becomes_checked_files_and_one_json_object(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # of which nothing may lie beside the files
    out = tmp_path / "export"
    capsys.readouterr()
    assert (
        load_script("export").main([str(run_dir), "--out", str(out), "--int8", "--observations", "390", "--json"]) == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert report["environment"] == "drivesim/LaneKeep-v1"
    assert report["run"].startswith("tiny")
    (own, *_) = json.loads((run_dir / "evaluation.json").read_text())
    assert report["success"] == f"{own['success_rate']:.4f} of 8 held-out episodes"
    of_training = exporting._success(tmp_path, read_configs(run_dir)[0], driver_of(run_dir))
    assert of_training.endswith("held-out episodes, the best evaluation of training, which chose this driver")
    (tmp_path / "evaluation.json").write_text(json.dumps([{**own, "global_step": 1}]))  # of another driver
    assert exporting._success(tmp_path, read_configs(run_dir)[0], driver_of(run_dir)) == of_training
    (tmp_path / "evaluation.json").unlink()
    assert report["observations"] == 400  # 20 envs, 20 steps
    forms: dict[str, dict[str, Any]] = {record["form"]: record for record in report["forms"]}
    assert list(forms) == ["torch", "onnx", "onnx int8", "numpy", "numpy int8"]
    assert sorted(path.name for path in out.iterdir()) == [
        "policy.onnx", "policy.py", "policy_int8.onnx", "policy_int8.py",
    ]  # fmt: skip
    for name, record in forms.items():
        assert record["microseconds_batch_1"] == record["microseconds_batch_1024"] == 1e6
        if name != "torch":
            assert record["bytes"] == (out / record["file"]).stat().st_size
        if "int8" not in name:
            assert record["disagreements"] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    docstring = (out / "policy.py").read_text().split('"""')[1]
    for said in ("drivesim/LaneKeep-v1", "observation=features", "float32 (108,)", "tiny, best checkpoint", "held-out"):
        assert said in docstring
    assert str(run_dir.parent) not in docstring


@pytest.mark.usefixtures("hasty")
def test_the_table_has_a_row_per_form(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(run_dir), "--out", str(tmp_path), "--formats", "numpy", "--observations", "16"]
    assert load_script("export").main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["torch", "numpy"]
    assert "100.0000%" in lines[-1]
    assert "policy.py" in lines[-1]


@pytest.mark.usefixtures("hasty")
def test_a_form_that_drives_otherwise_is_refused_and_leaves_what_was_there(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(NumpyForm):
        def __call__(self, obs: Any, action_masks: Any) -> Any:
            scores, actions = super().__call__(obs, action_masks)
            return scores, np.where(np.arange(len(actions)) == 3, scores.argmin(axis=1), actions)

    monkeypatch.setattr(exporting, "NumpyForm", Wrong)
    (tmp_path / "policy.py").write_text("earlier")
    arguments = [str(run_dir), "--out", str(tmp_path), "--formats", "numpy", "--observations", "100"]
    assert load_script("export").main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error: the numpy form chose another action than the network on 10 of 100 observations" in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["policy.py"]
    assert (tmp_path / "policy.py").read_text() == "earlier"
    assert not list(tmp_path.parent.glob(".partial-*"))


def test_wrong_arguments_say_what_is_wrong(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_script("export").main([str(tmp_path / "missing")]) == 2
    assert "missing does not exist" in capsys.readouterr().err
    assert load_script("export").main([str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert load_script("export").main([str(run_dir), "--observations", "0"]) == 2
    assert "observations must be at least 1, got 0" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        load_script("export").main([str(run_dir), "--formats", "tflite"])
    assert stop.value.code == 2
    assert "onnx" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert load_script("export").main([str(run_dir), "--out", str(tmp_path / "none")]) == 2
    assert "install drivesim[export], or choose --formats numpy" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
