"""The command line that turns replays and runs into films and pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from drivesim.decimals import DASH
from drivesim.replay import Replay
from scripts import evaluate, record, train

TRAIN = [
    "--env", "drivesim/LaneKeep-v1", "--agent", "pqn", "--observation", "features", "--num-envs", "8",
    "--network.hidden-sizes", "16", "--eval-episodes", "8", "--num-threads", "1", "--no-tensorboard", "--no-progress",
    "--final-episodes", "8", "--total-steps", "1024",
]  # fmt: skip


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert train.main([*TRAIN, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    path = tmp_path / "drive.json"
    Replay.of("drivesim/LaneKeep-v1", {"observation": "grid"}, seed=1, actions=[3, 1, 1, 1]).save(path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_training_leaves_replay_film_and_page(run_dir):
    assert {"episode.json", "episode.gif", "episode.html", "learning_curve.png", "learning_curve.svg"} <= set(
        names(run_dir)
    )
    assert Replay.load(run_dir / "episode.json").env_id == "drivesim/LaneKeep-v1"


def test_run_becomes_films_of_as_many_episodes_as_asked_for(run_dir, tmp_path, capsys):
    out = tmp_path / "films"
    arguments = [str(run_dir), "--episodes", "2", "--seed", "7", "--formats", "gif", "html", "--size", "160"]
    assert record.main([*arguments, "--out", str(out), "--no-panel"]) == 0
    files = [f"episode-{seed}.{suffix}" for seed in (7, 8) for suffix in ("gif", "html", "json")]
    assert names(out) == files
    assert [Replay.load(out / f"episode-{seed}.json").seed for seed in (7, 8)] == [7, 8]
    assert capsys.readouterr().out.count("ticks") == 4


def test_a_run_is_judged_and_filmed_on_other_levels_than_it_was_trained_on(run_dir, tmp_path, capsys):
    choice = ["--difficulty", "easy", "--level-options", "length", "20", "wander", "0"]
    assert evaluate.main([str(run_dir), *choice, "--episodes", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    wanted = {"difficulty": "easy", "length": 20, "wander": 0}
    assert wanted.items() <= told.items()
    out = tmp_path / "films"
    assert record.main([str(run_dir), *choice, "--formats", "gif", "--size", "160", "--out", str(out)]) == 0
    assert wanted.items() <= Replay.load(out / "episode-0.json").options.items()
    for script in (evaluate, record):
        assert script.main([str(run_dir), "--levels", "gallery/chicane"]) == 2
        assert "LaneKeep-v1 makes its own" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            script.main(["--help"])
        assert "drivesim/Highway-v1" in capsys.readouterr().out


def test_levels_that_are_given_to_a_driver_without_a_run_need_no_env(tmp_path, capsys):
    words = ["--baseline", "rule-based", "--levels", "gallery/chicane"]
    assert evaluate.main([*words, "--episodes", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["env"], told["success_rate"]) == ("drivesim/Custom-v1", 1.0)
    small = ["--formats", "gif", "--size", "64", "--fps", "5", "--out", str(tmp_path)]
    assert record.main([*words, *small]) == 0
    assert Replay.load(tmp_path / "Custom-v1-episode-0.json").env_id == "drivesim/Custom-v1"
    for script in (evaluate, record):
        assert script.main([*words, "--env", "drivesim/Highway-v1"]) == 2
        assert "Highway-v1 makes its own" in capsys.readouterr().err


def test_what_a_record_lacks_is_shown_as_missing():
    told = evaluate.text_of({"collision_rate": None, "mean_length": 12.25})
    assert told.split() == ["collision_rate", DASH, "mean_length", "12.25"]


def test_others_are_shown_beside_a_run_and_the_best_drive_beside_a_replay(run_dir, replay, tmp_path, capsys):
    out = tmp_path / "films"
    flags = ["--formats", "gif", "--size", "64", "--fps", "5", "--out", str(out)]
    assert record.main([str(run_dir), "--seed", "7", "--beside", "optimum", "rule-based", *flags]) == 0
    assert names(out) == ["LaneKeep-v1-episode-7-side-by-side.gif"]
    said = capsys.readouterr().out
    assert re.search(r": pqn, seed 0 \N{MINUS SIGN}?\d\.\d{3}, optimum 1\.\d{3}, rule-based 1\.\d{3}, ", said)
    assert record.main([str(replay), "--beside", "optimum", *flags]) == 0
    assert names(out)[1:] == ["drive-side-by-side.gif"]


def test_replay_becomes_a_film_beside_it_and_is_left_as_it_was(replay, tmp_path):
    replay.write_text(json.dumps(json.loads(replay.read_text())))  # not as this command would write it
    before = replay.read_bytes()
    assert record.main([str(replay), "--formats", "mp4", "--size", "160", "--xray"]) == 0
    assert names(tmp_path) == ["drive.json", "drive.mp4"]
    assert replay.read_bytes() == before


def test_another_driver_says_what_it_would_do_in_a_replay(replay, run_dir, tmp_path):
    assert record.main([str(replay), "--watch", str(run_dir), "--formats", "html"]) == 0
    with_thoughts = (tmp_path / "drive.html").read_text(encoding="utf-8")
    assert record.main([str(replay), "--formats", "html"]) == 0
    without = (tmp_path / "drive.html").read_text(encoding="utf-8")
    assert len(with_thoughts) > len(without)


def test_a_replay_that_does_not_go_as_recorded_is_an_error_and_leaves_no_film(replay, tmp_path, capsys):
    replay.write_text(replay.read_text().replace('"3111"', '"3113"'))
    assert record.main([str(replay), "--formats", "gif"]) == 2
    assert "error: " in capsys.readouterr().err
    assert names(tmp_path) == ["drive.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.json"], "nothing.json"),
        (["."], "config.json"),
        (["drive.json", "--episodes", "0"], "episodes must be at least 1"),
        (["drive.json", "--env", "drivesim/Exit-v1"], "env must be that of the replay, drivesim/LaneKeep-v1"),
        (["drive.json", "--fps", "1"], "ticks_per_second must be"),
        (["drive.json", "--size", "9"], "size must be in"),
        (["drive.json", "--beside", "optimum"], "formats must be among gif and mp4"),
        (["drive.json", "--beside", "rule-based", "--formats", "gif"], "beside a replay can stand 'optimum' alone"),
    ],
)
def test_what_cannot_be_recorded_is_said_in_a_line(arguments, message, replay, monkeypatch, capsys):
    monkeypatch.chdir(replay.parent)
    assert record.main(arguments) == 2
    assert message in capsys.readouterr().err
