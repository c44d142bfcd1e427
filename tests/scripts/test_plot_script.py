"""The command line of the figures, from a real run to files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from loading import load_script
from PIL import Image

SCRIPTS = Path(__file__).parents[2] / "scripts"
TRAIN = [
    "--env", "probes/Action-v0", "--agent", "dqn", "--seed", "3", "--num-envs", "8",
    "--batch-size", "32", "--buffer-size", "400", "--learning-starts", "64",
    "--train-frequency", "8", "--network.hidden-sizes", "16", "--eval-episodes", "16", "--eval-interval", "200",
    "--log-interval", "200", "--num-threads", "1", "--no-tensorboard", "--no-progress", "--final-episodes", "20",
    "--total-steps", "800",
]  # fmt: skip


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "probe"
    assert load_script("train").main([*TRAIN, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def seeds(run_dir: Path, tmp_path: Path) -> list[str]:
    """The run, and the same one as if it had had another seed."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(run_dir / "metrics.csv", other)
    config = (run_dir / "config.json").read_text()
    (other / "config.json").write_text(config.replace('"seed": 3', '"seed": 4'))
    return [str(run_dir), str(other)]


def is_drawn(path: Path) -> bool:
    """Whether there is more in a picture than paper."""
    with Image.open(path) as picture:
        return len(picture.convert("RGB").getcolors(1 << 24)) > 100


def test_training_ends_with_a_learning_curve_that_can_be_drawn_again(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png, svg = run_dir / "learning_curve.png", run_dir / "learning_curve.svg"
    before = png.read_bytes(), svg.read_bytes()
    assert is_drawn(png)
    png.unlink()
    assert load_script("plot").main(["curve", str(run_dir)]) == 0
    assert capsys.readouterr().out.split() == [str(png), str(svg)]
    assert (png.read_bytes(), svg.read_bytes()) == before


def test_seeds_share_a_figure(
    seeds: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_script("plot").main(["curve", *seeds]) == 0
    assert capsys.readouterr().out.split()[0] == "plots/learning_curve__Action-v0__dqn.png"
    assert load_script("plot").main(["compare", *seeds]) == 0
    assert sorted(path.name for path in Path("plots").iterdir()) == [
        "comparison.png", "comparison.svg", "learning_curve__Action-v0__dqn.png", "learning_curve__Action-v0__dqn.svg",
    ]  # fmt: skip
    assert is_drawn(Path("plots/comparison.png"))


def test_files_go_where_they_are_wanted(seeds: list[str], tmp_path: Path) -> None:
    assert load_script("plot").main(["curve", seeds[0], "--out", str(tmp_path / "a")]) == 0
    assert load_script("plot").main(["compare", *seeds, "--out", str(tmp_path / "b")]) == 0
    assert is_drawn(tmp_path / "a" / "learning_curve.png")
    assert is_drawn(tmp_path / "b" / "comparison.png")


def test_traffic_is_measured_and_drawn(tmp_path: Path) -> None:
    assert load_script("plot").main(["traffic", "--out", str(tmp_path), "--worlds", "2", "--ticks", "2"]) == 0
    assert is_drawn(tmp_path / "traffic.png")


def test_what_is_wrong_is_said_in_one_line(
    run_dir: Path, seeds: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    shutil.copytree(seeds[1], empty)
    (empty / "metrics.csv").write_text("")
    out = ["--out", str(tmp_path / "out")]
    for arguments, message in (
        (["curve", str(tmp_path / "missing")], "missing does not exist"),
        (["curve", str(tmp_path)], "is not a run folder"),
        (["curve", str(empty)], "metrics.csv holds none of rollout/success"),
        (["compare", str(run_dir), str(run_dir), *out], "both have seed 3"),
        (["curve", *out], "at least one run folder"),
        (["compare", str(run_dir), "--out", str(run_dir / "config.json")], "config.json"),
        (["traffic", "--ticks", "0", *out], "ticks must be at least 1, got 0"),
    ):
        capsys.readouterr()
        assert load_script("plot").main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert message in captured.err
        assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_needs_neither_pyplot_nor_a_window(run_dir: Path, tmp_path: Path) -> None:
    program = (
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as stop: print(stop.code)\n"
        "print([name for name in sys.modules if name in ('matplotlib.pyplot', 'pygame', 'tkinter')])\n"
    )
    arguments = [str(SCRIPTS / "plot.py"), "curve", str(run_dir), "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-2:] == ["0", "[]"]
    assert is_drawn(tmp_path / "learning_curve.png")
