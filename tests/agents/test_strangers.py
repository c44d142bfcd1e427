"""Run folders and replays that somebody else made: data, bounded, and nothing that leads out of them."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loading import load_script

from agents.algorithms import MAX_NETWORK_BYTES
from agents.checkpoint import CheckpointError, find_checkpoints
from agents.metrics import MetricsWriter, read_metrics
from agents.run_config import read_configs
from agents.training import load_policy, resume
from agents.videos import record, write_gif
from drivesim.files import read_bounded, write_whole
from drivesim.replay import Replay, ReplayError, all_moments

LONG = 240  # ticks


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with everything that a folder can hold."""
    folder = tmp_path_factory.mktemp("original") / "run"
    command = [
        "--env", "drivesim/LaneKeep-v1", "--agent", "ppo", "--num-envs", "8", "--num-steps", "7", "--minibatches", "2",
        "--network.hidden-sizes", "16", "--total-steps", "112", "--eval-episodes", "8", "--num-threads", "1",
        "--no-progress", "--final-episodes", "10", "--out", str(folder),
    ]  # fmt: skip
    assert load_script("train").main(command) == 0
    return folder


@pytest.fixture
def given(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "given")
    return tmp_path / "given"


NAMES = (
    "metrics.csv", "metrics.partial", "config.json.partial", "episode-0.html", "episode-0.mp4", "episode-0.json",
    ".episode-0.mp4.partial.mp4", "evaluation.json", "learning_curve.png", "learning_curve.svg", "versions.json",
    "training.lock", "checkpoints/.partial-last-000000000224", "tensorboard/events.out.tfevents.1.a.1.0",
    "wandb", "wandb/debug.log", "wandb/run-1/logs/debug.log",
)  # fmt: skip


def uses(folder: Path) -> list[Callable[[], int]]:
    script = [str(folder), "--formats", "html", "gif", "--size", "64"]
    return [
        lambda: load_script("train").main(["--out", str(folder), "--resume", "--total-steps", "224"]),
        lambda: load_script("evaluate").main([str(folder), "--episodes", "4"]),
        lambda: load_script("record").main(script),
        lambda: load_script("plot").main(["curve", str(folder)]),
    ]


@pytest.mark.parametrize("name", [*NAMES, "checkpoints", "tensorboard"])
def test_nothing_is_written_or_read_through_a_link(
    given: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = given / name, tmp_path / "target"
    if path.is_dir():
        path.rename(target)
    else:
        target.write_text("mine")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    before = {each: each.read_bytes() for each in target.rglob("*") if each.is_file()}
    path.symlink_to(target)
    for use in uses(given):
        assert use() == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{path} must be a file or a folder, and no link" in line
    assert path.is_symlink()
    assert {each: each.read_bytes() for each in target.rglob("*") if each.is_file()} == before
    assert target.is_dir() or target.read_text() == "mine"


def test_the_links_of_weights_and_biases_may_lead_to_its_own_files_alone(given: Path) -> None:
    logs = given / "wandb" / "run-1" / "logs"
    logs.mkdir(parents=True)
    (given / "wandb" / "debug.log").symlink_to("run-1/logs/debug.log")
    (given / "wandb" / "latest-run").symlink_to("run-1")
    read_configs(given)
    (logs / "debug.log").symlink_to("../../../config.json")  # of the folder, but not of wandb/
    with pytest.raises(ValueError, match="must be a file or a folder, and no link"):
        read_configs(given)
    (logs / "debug.log").unlink()
    (given / "latest").symlink_to("wandb/run-1")  # leads there, but does not lie there
    with pytest.raises(ValueError, match="must be a file or a folder, and no link"):
        read_configs(given)


def test_a_link_that_appears_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "mine"
    assert (tmp_path / "link").read_text() == "new"
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        read_bounded(tmp_path / "link", 100)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path} must be a file")):
        read_bounded(tmp_path, 100)


def test_names_and_values_of_metrics_are_numbers_or_refused(given: Path, tmp_path: Path) -> None:
    text = (given / "metrics.csv").read_text()
    header, *body = text.splitlines()
    for changed in (
        "\n".join([f"{header},$(touch {tmp_path}/ran)", *(f"{row},1" for row in body)]),
        "\n".join([f"{header},=cmd()", *(f"{row},1" for row in body)]),
        "\n".join([f"{header},\x1b[2J", *(f"{row},1" for row in body)]),
        "\n".join([f"{header},x", *(f"{row},`id`" for row in body)]),
        "\n".join([f"{header},x", *(f"{row},1,2" for row in body)]),
        "\n".join([header, *body, "x" * 200_000]),
        ",".join(f"a{n}" for n in range(2000)),
        "global_step\none",
    ):
        (given / "metrics.csv").write_text(changed + "\n")
        for use in (lambda: resume(given), lambda: read_metrics(given / "metrics.csv", "loss/policy")):
            with pytest.raises(ValueError, match=r"metrics\.csv is not the metrics of a run"):
                use()
        assert (given / "metrics.csv").read_text() == changed + "\n"
    writer = MetricsWriter(tmp_path, tensorboard=False)
    writer.write(1, {"event/$(touch ran)": 1.0})
    assert (tmp_path / "metrics.csv").read_text() == "global_step,event/__touch_ran_\n1,1.0\n"
    if shutil.which("sh"):
        subprocess.run(["sh", "-c", ". ./metrics.csv"], cwd=tmp_path, capture_output=True, check=False)
    assert not (tmp_path / "ran").exists()


def test_nothing_in_a_folder_reaches_the_terminal_as_more_than_text(
    given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((given / "config.json").read_text())
    for name, value in (("env", "drivesim/\x1b[2J-v1"), ("env", "$\\frac{-v1"), ("agent", "\u202eoqd")):
        changed = {**config, "train": {**config["train"], name: value}}
        (given / "config.json").write_text(json.dumps(changed))
        for use in uses(given):
            assert use() == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.isprintable()


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("network", "hidden_sizes", [16_000] * 3),
        ("network", "hidden_sizes", [10**9]),
        ("network", "hidden_sizes", [1] * 10_000),
        ("network", "attention_width", 4 * 10**9),
        ("agent", "memory_size", 10**6),
        ("agent", "num_steps", 10**9),
        ("agent", "num_envs", 10**9),
        ("train", "eval_episodes", 10**12),
    ],
)
def test_huge_settings_are_refused_before_anything_is_allocated(given: Path, part: str, name: str, value: Any) -> None:
    record = json.loads((given / "config.json").read_text())
    (record["agent"]["network"] if part == "network" else record[part])[name] = value
    (given / "config.json").write_text(json.dumps(record))
    tracemalloc.start()
    for use in (load_policy, resume):
        if use is load_policy and name in ("num_steps", "num_envs"):
            continue  # which a driver does not need
        with pytest.raises((ValueError, CheckpointError), match=r"must|fit this run"):
            use(given)
    assert tracemalloc.get_traced_memory()[1] < MAX_NETWORK_BYTES
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["config.json", "metrics.csv"])
def test_sparse_files_are_refused_before_they_are_read(given: Path, name: str) -> None:
    os.truncate(given / name, 1 << 36)
    with pytest.raises(ValueError, match=rf"{name} must have at most .* bytes"):
        resume(given)


@pytest.mark.parametrize("size", [1 << 30, 1 << 36])
def test_sparse_checkpoints_are_refused_before_they_are_read(given: Path, size: int) -> None:
    for kind in ("last", "best"):
        (directory,) = find_checkpoints(given / "checkpoints", kind)
        path = directory / "network.safetensors"
        os.truncate(path, size)
        manifest = json.loads((directory / "MANIFEST.json").read_text())
        manifest["files"][path.name]["bytes"] = size
        (directory / "MANIFEST.json").write_text(json.dumps(manifest))
    for use in (load_policy, resume):
        with (
            pytest.warns(UserWarning, match="its files must have at most"),
            pytest.raises(CheckpointError, match="no undamaged checkpoint"),
        ):
            use(given)


def test_a_driver_is_loaded_without_what_it_was_trained_on(given: Path) -> None:
    """The last checkpoint of a run may hold gigabytes of steps."""
    shutil.rmtree(find_checkpoints(given / "checkpoints", "best")[0])
    (directory,) = find_checkpoints(given / "checkpoints", "last")
    (directory / "rollout.safetensors").write_bytes(b"damaged")
    assert load_policy(given)[1].agent == "ppo"


def test_a_film_holds_a_few_pictures_however_long_it_is(tmp_path: Path) -> None:
    def frames(number: int) -> Any:
        for n in range(number):
            picture = np.zeros((400, 600, 3), np.uint8)
            picture[n % 400, n % 500 : n % 500 + 90] = 255
            yield picture

    peaks = []
    for number in (10, LONG):
        tracemalloc.start()
        write_gif(frames(number), tmp_path / f"{number}.gif", 10, sample=list(frames(1)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    from PIL import Image

    with Image.open(tmp_path / f"{LONG}.gif") as film:
        assert film.n_frames == LONG
        for n, picture in ((0, 0), (7, 7), (LONG - 1, LONG - 1)):
            film.seek(n)
            shown = np.asarray(film.convert("RGB"))
            assert shown[picture % 400, picture % 500 + 5].tolist() == [255, 255, 255]
            assert int((shown == 255).all(axis=2).sum()) == 90


def test_an_episode_that_is_too_long_to_be_held_is_refused() -> None:
    replay = Replay.of("drivesim/LaneKeep-v1", {}, seed=0, actions=[0], max_episode_steps=-1)
    long = Replay(**{**replay.__dict__, "actions": (0,) * 500_000})
    with pytest.raises(ReplayError, match="at most 10,000 ticks can be shown, got 500,000"):
        all_moments(long)
    shown = all_moments(replay)
    assert shown[0].state.map is shown[1].state.map


def test_a_pace_that_would_fill_the_disk_is_refused(tmp_path: Path) -> None:
    replay = Replay.of("drivesim/LaneKeep-v1", {}, seed=0, actions=[0])
    with pytest.raises(ValueError, match="at most 240"):
        record(replay, all_moments(replay), tmp_path / "a.gif", frames_per_second=1e6)
    assert not list(tmp_path.iterdir())


# --- other types ----------------------------------------------------------------------------------

VALUES = [None, True, -1, 1, 10**30, 1.5, 1e300, float("nan"), float("inf"), "", "4",
          [1], ["a\nb"], [[1]], {}, {"collision": 1}, {"x": "y"}]  # fmt: skip


def places(record: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(record, dict):
        return [path]
    return [path, *(place for key in record for place in places(record[key], (*path, key)))]


def test_whatever_a_configuration_holds_it_is_taken_or_refused_with_the_documented_error(given: Path) -> None:
    """Every field with every value, and fields that are missing or unknown."""
    original = (given / "config.json").read_text()
    num_taken = num_refused = 0
    for path in places(json.loads(original)):
        for value in VALUES if path else []:
            record = json.loads(original)
            parent: Any = record
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = value
            (given / "config.json").write_text(json.dumps(record))
            try:
                read_configs(given)
                num_taken += 1
            except ValueError as error:
                assert "config.json is not the configuration of a run" in str(error)  # noqa: PT017
                num_refused += 1
    assert num_refused > 500
    assert num_taken > 60


def test_a_folder_with_another_configuration_is_driven_or_refused(given: Path) -> None:
    """What is taken can still not fit the checkpoint or the environment."""
    original, rng = (given / "config.json").read_text(), random.Random(0)
    every = [path for path in places(json.loads(original)) if len(path) > 1]
    num_driven = 0
    for _ in range(60):
        record = json.loads(original)
        for path in rng.sample(every, 1):
            parent: Any = record
            for key in path[:-1]:
                parent = parent[key] if isinstance(parent, dict) and key in parent else {}
            if isinstance(parent, dict):
                parent[path[-1]] = rng.choice([*VALUES, 2, 8, 0.25, 64])
        (given / "config.json").write_text(json.dumps(record))
        try:
            load_policy(given)
            num_driven += 1
        except (ValueError, CheckpointError):
            pass
    assert num_driven > 3
