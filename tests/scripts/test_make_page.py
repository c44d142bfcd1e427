"""The page is made with drives that go as they say, or one line tells why it is not."""

import json
from pathlib import Path

import pytest
from loading import load_script

from drivesim.browser import page
from drivesim.replay_file import Replay

DRIVER = Path(__file__).resolve().parents[2] / "docs" / "drivers" / "obstacles.json"


def test_the_drives_by_rules_are_those_of_their_levels():
    options = {"difficulty": "easy", "split": "test"}
    drives = load_script("make_page").driven("drivesim/Obstacles-v1", 3, **options)
    for seed, digits in enumerate(drives):
        replay = Replay.of("drivesim/Obstacles-v1", options, seed, map(int, digits))
        assert replay.outcome["success"]
        assert replay.outcome["length"] == len(digits)


def test_without_a_linker_one_line_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(page, "is_fresh", lambda: False)
    monkeypatch.setattr(page, "build", lambda targets: 1)
    path = tmp_path / "play.html"
    assert load_script("make_page").main(["--no-rules", "-o", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: the page needs the kernels as WebAssembly, which could not be built, see above"
    ]
    assert not path.exists()


def test_what_is_no_driver_or_there_twice_is_refused(tmp_path, capsys):
    main = load_script("make_page").main
    assert main(["--driver", str(DRIVER), str(DRIVER), "--no-rules", "-o", str(tmp_path / "page.html")]) == 2
    assert main(["--driver", str(tmp_path / "none.json")]) == 2
    assert main(["--run", str(tmp_path), "--keep", str(tmp_path / "kept.json")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in told] == [True] * 3
    assert list(tmp_path.iterdir()) == []


def test_a_driver_is_kept_as_a_small_file_without_code(tmp_path):
    kept = tmp_path / "kept.json"
    assert load_script("make_page").main(["--driver", str(DRIVER), "--keep", str(kept)]) == 0
    assert json.loads(kept.read_text(encoding="utf-8")) == json.loads(DRIVER.read_text(encoding="utf-8"))
    assert kept.stat().st_size < 200_000


@pytest.mark.parametrize("text", ["# no JSON", "[]", "{}"])
def test_a_file_that_holds_no_driver_is_named(text, tmp_path, capsys) -> None:
    path = tmp_path / "driver.json"
    path.write_text(text)
    assert load_script("make_page").main(["--driver", str(path), "-o", str(tmp_path / "page.html")]) == 2
    assert f"driver must be a file that --keep wrote, got '{path}'" in capsys.readouterr().err
