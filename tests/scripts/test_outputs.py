"""Where a command cannot write what it shall write, it says so before the work and not after it."""

from __future__ import annotations

import os

import pytest
from loading import SCRIPTS, load_script

COMMANDS = [
    ("difficulty", ["--summary", "{}"]),
    ("export", ["run", "--out", "{}"]),
    ("leaderboard", ["rule-based", "--env", "drivesim/LaneKeep-v1", "--out", "{}"]),
    ("leaderboard", ["rule-based", "--env", "drivesim/LaneKeep-v1", "--save", "{}"]),
    ("make_media", ["--out", "{}", "--readme", "{}"]),
    ("make_page", ["-o", "{}"]),
    ("optimum", ["--summary", "{}"]),
    ("play", ["--env", "drivesim/LaneKeep-v1", "--demo", "--episodes", "1", "--save", "{}"]),
    ("plot", ["traffic", "--out", "{}"]),
    ("record", ["--baseline", "random", "--out", "{}"]),
    ("results", ["--summary", "{}"]),
    ("results", ["--out", "{}"]),
    ("rivals", ["--summary", "{}"]),
    ("solvable", ["--summary", "{}"]),
]


@pytest.mark.parametrize(("script", "arguments"), COMMANDS)
def test_a_place_that_cannot_be_written_to_is_named_before_the_work(
    script, arguments, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPTS)
    module = load_script(script)
    monkeypatch.setattr("drivesim.vector_env.DriveVectorEnv.reset", lambda *_, **__: pytest.fail("it works"))
    monkeypatch.setattr("drivesim.env.DriveEnv.reset", lambda *_, **__: pytest.fail("it works"))
    (tmp_path / "taken").touch()
    words = [word.format(tmp_path / "taken" / "there") for word in arguments]
    assert module.main(words) == 2
    assert "Not a directory" in capsys.readouterr().err
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode & os.W_OK == 0 and access(path, mode))  # as root may all
    words = [word.format(tmp_path / "new") for word in arguments]
    assert module.main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"error: [Errno 13] Permission denied: '{tmp_path}'"
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
