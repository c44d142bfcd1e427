"""The reliability matrix: what fails is noticed, nothing is counted twice, and every row runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from effort import effort
from loading import SCRIPTS, load_script

ROOT = SCRIPTS.parent
ROWS = ("interpreter", "batches", "stateful", "hostile", "kills", "endurance", "caches", "reports")


@pytest.fixture
def soak(monkeypatch, tmp_path) -> ModuleType:
    """The script, with rows of the test's own in tmp_path/tests/soak."""
    monkeypatch.syspath_prepend(SCRIPTS)  # as Python does for a script, whose neighbours it imports
    script = load_script("soak")
    (tmp_path / "tests" / "soak").mkdir(parents=True)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "FOLDERS", (ROOT, ROOT / "tests" / "soak"))
    monkeypatch.setattr(script, "ROWS", {"sample": script.Row("a sample", 1000, "cases", max_mib=400)})
    monkeypatch.setattr(script, "PERIOD", 0.1)
    return script


def write_row(folder: Path, body: str) -> None:
    """A row whose piece does this."""
    lines = ["import os, sys, time", "import work", "def piece(number, folder):", f"    {body}", "work.run(piece)"]
    (folder / "tests" / "soak" / "sample.py").write_text("\n".join(lines), encoding="utf-8")


def run(soak: ModuleType, folder: Path, seconds: float = 0.5) -> dict:
    """The row's figures after some more seconds."""
    arguments = ["--minutes", str(seconds / 60), "--out", str(folder / "out"), "--rows", "sample"]
    status = soak.main(arguments)
    record = json.loads((folder / "out" / "sample.json").read_text(encoding="utf-8"))
    assert status == int(bool(record["failures"]))
    return record


def test_the_same_command_goes_on_and_adds_to_what_was_counted(soak, tmp_path, capsys) -> None:
    write_row(tmp_path, "time.sleep(0.05); print('told elsewhere'); yield 5")
    first = run(soak, tmp_path)
    second = run(soak, tmp_path)
    for record in (first, second):
        assert record["count"] == 5 * record["pieces"]
    assert second["pieces"] > first["pieces"] > 0
    assert second["wall_seconds"] > first["wall_seconds"]
    assert second["cpu_seconds"] > first["cpu_seconds"] > 0
    assert "| a sample | 1,000 cases |" in capsys.readouterr().out


def test_figures_of_other_code_are_begun_anew(soak, tmp_path, monkeypatch, capsys) -> None:
    write_row(tmp_path, "yield 5")
    before = run(soak, tmp_path)
    monkeypatch.setattr(soak, "code", lambda: "other")
    write_row(tmp_path, "time.sleep(0.4); yield 5")
    assert run(soak, tmp_path)["count"] < before["count"]
    assert "begun anew" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("work.doing('the impossible'); raise ValueError('no'); yield 1", "ValueError: no"),
        ("work.doing('the impossible'); os.kill(os.getpid(), 11); yield 1", "ended with -11"),
        ("work.doing('the impossible'); time.sleep(60); yield 1", "no sign of life"),
        (
            "work.doing('the impossible'); x = b'x' * (500 << 20); time.sleep(9); yield 1",
            "MiB of memory, more than 400",
        ),
    ],
    ids=["error", "crash", "hang", "memory"],
)
def test_a_piece_that_fails_is_kept_with_what_it_did_and_the_next_one_follows(body, said, soak, tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "QUIET", 5.0)
    write_row(tmp_path, f"if number: yield 1; time.sleep(0.2); return\n    {body}")
    record = run(soak, tmp_path, seconds=effort(8.0, 8.0))
    (failure,) = record["failures"]
    assert said in failure["error"]
    assert (failure["piece"], failure["doing"]) == (0, "the impossible")
    assert record["count"] == record["pieces"] - 1 > 0


def test_a_row_that_only_fails_is_given_up(soak, tmp_path) -> None:
    write_row(tmp_path, "raise ValueError('no'); yield 1")
    assert len(run(soak, tmp_path, seconds=60)["failures"]) == soak.MAX_FAILURES


def test_nothing_of_a_row_outlives_its_time(soak, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(soak, "LATE", 0.5)
    child = "import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(77.125)'])"
    write_row(tmp_path, f"{child}; time.sleep(30); yield 1")
    started = time.monotonic()
    record = run(soak, tmp_path, seconds=2)
    assert time.monotonic() - started < 20
    assert record["failures"] == []
    assert "77.125" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("text", ['{"a":', "{}", "[1]"])
def test_a_file_that_holds_no_figures_is_named_in_a_line(text, soak, tmp_path, capsys) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sample.json").write_text(text)
    for more in (["--table"], ["--minutes", "0.01"]):
        assert soak.main(["--out", str(tmp_path / "out"), "--rows", "sample", *more]) == 2
        said = capsys.readouterr().err
        assert "sample.json must hold the figures of a row" in said
        assert len(said.splitlines()) == 1


def test_a_folder_without_the_page_is_refused_before_any_work(soak, tmp_path, capsys) -> None:
    write_row(tmp_path, "yield 5")
    docs = tmp_path / "documents"
    assert (
        soak.main(["--rows", "sample", "--minutes", "0.01", "--out", str(tmp_path / "out"), "--docs", str(docs)]) == 2
    )
    assert "docs must be the folder of reliability.md" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not docs.exists()


def test_a_row_that_there_is_not_is_refused(soak, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.main(["--rows", "nonsense", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "rows must be among ['sample'], got 'nonsense'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_every_row_finds_nothing_in_a_piece_or_two(row, tmp_path) -> None:
    options = ["--minutes", str(effort(0.02, 1.0)), "--out", tmp_path, "--rows", row]
    command = [sys.executable, SCRIPTS / "soak.py", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / f"{row}.json").read_text(encoding="utf-8"))["count"] > 0
