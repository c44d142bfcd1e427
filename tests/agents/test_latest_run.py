"""`runs/latest` is the newest run in `runs`, on every command line that takes a run."""

from __future__ import annotations

import os

import pytest
from loading import load_script

from agents.entrants import named
from agents.run_folder import run_at


def make_run(folder, age):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    os.utime(folder / "config.json", (1_000_000 - age, 1_000_000 - age))
    return folder


def test_the_newest_run_is_that_whose_configuration_was_written_last(tmp_path) -> None:
    make_run(tmp_path / "a", age=3)
    newest = make_run(tmp_path / "b", age=1)
    make_run(tmp_path / "c", age=2)
    (tmp_path / "no_run").mkdir()
    (tmp_path / "link").symlink_to(make_run(tmp_path / "elsewhere" / "d", age=0))
    assert run_at(tmp_path / "latest") == newest
    assert named(str(tmp_path / "latest")) == ("b", str(newest))
    assert named(f"mine={tmp_path / 'latest'}") == ("mine", str(newest))
    assert run_at(tmp_path / "a") == tmp_path / "a"


def test_a_run_may_be_called_latest(tmp_path) -> None:
    make_run(tmp_path / "a", age=1)
    own = make_run(tmp_path / "latest", age=2)
    assert run_at(own) == own


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("evaluate", ["runs/latest"]),
        ("export", ["runs/latest"]),
        ("leaderboard", ["runs/latest", "random"]),
        ("play", ["--watch", "runs/latest"]),
        ("plot", ["curve", "runs/latest"]),
        ("record", ["runs/latest"]),
        ("train", ["--out", "runs/latest", "--resume"]),
    ],
)
def test_where_there_is_no_run_yet_a_line_says_how_to_make_one(
    script, arguments, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_script(script).main(arguments) == 2
    assert "runs holds no run yet; `make train` makes one" in capsys.readouterr().err
