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
    assert named(str(tmp_path / "latest/export/policy.py")) == ("policy", str(newest / "export/policy.py"))
    (tmp_path / "latest").mkdir()  # of something else
    assert run_at(tmp_path / "latest") == newest
    assert run_at(tmp_path / "latest" / "no" / "file") == newest / "no" / "file"
    (tmp_path / "latest" / "file").touch()
    assert run_at(tmp_path / "latest" / "file") == tmp_path / "latest" / "file"
    assert run_at(tmp_path / "elsewhere" / "d" / "x") == tmp_path / "elsewhere" / "d" / "x"


def test_no_new_run_is_called_latest_and_one_that_is_stays_one(tmp_path, capsys) -> None:
    assert load_script("train").main(["--out", str(tmp_path / "latest")]) == 2
    assert "latest is the newest run" in capsys.readouterr().err
    assert not (tmp_path / "latest").exists()
    make_run(tmp_path / "a", age=1)
    own = make_run(tmp_path / "latest", age=2)
    assert run_at(own) == own


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("evaluate", ["runs/latest"]),
        ("export", ["runs/latest"]),
        ("leaderboard", ["runs/latest", "random"]),
        ("leaderboard", ["runs/latest/export/policy.py", "random"]),
        ("make_page", ["--run", "runs/latest"]),
        ("play", ["--watch", "runs/latest"]),
        ("plot", ["curve", "runs/latest"]),
        ("plot", ["compare", "runs/latest"]),
        ("plot", ["regret", "runs/latest"]),
        ("record", ["runs/latest"]),
        ("train", ["--out", "runs/latest", "--resume"]),
        ("train", ["--begin-with", "runs/latest"]),
    ],
)
def test_where_there_is_no_run_yet_a_line_says_how_to_make_one(
    script, arguments, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_script(script).main(arguments) == 2
    assert "runs holds no run yet; `make train` makes one" in capsys.readouterr().err
