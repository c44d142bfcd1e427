"""The README's picture and those of the environments' pages can be drawn again."""

from __future__ import annotations

from itertools import islice

import numpy as np
from PIL import Image

from agents.environments import EnvChoice
from agents.scripted import SCENARIOS, make_scripted
from drivesim.registry import ENTRIES
from scripts import make_media

NAMES = [
    "drivers.gif",
    *(f"{entry.module.rpartition('.')[2]}.gif" for entry in ENTRIES if entry.name in SCENARIOS),
]


def test_the_pictures_move_and_hold_all_frames(tmp_path) -> None:
    arguments = ["--out", str(tmp_path / "new"), "--num-frames", "3", "--width", "320", "--size", "96"]
    assert make_media.main(arguments) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(NAMES)
    for name in NAMES:
        with Image.open(tmp_path / "new" / name) as picture:
            assert picture.n_frames == 3 if name == "drivers.gif" else picture.n_frames > 10
            first = np.asarray(picture.convert("RGB"))
            picture.seek(2)
            assert (np.asarray(picture.convert("RGB")) != first).any()


def test_drives_follow_one_another_without_end() -> None:
    driver = make_scripted("drivesim/Autodrive-v1")
    config = EnvChoice(env="drivesim/Autodrive-v1", observation=driver.observation)
    frames = list(islice(make_media.drives(driver, config, 0, 128), 300))  # more than one drive can last
    assert len({frame.shape for frame in frames}) == 1


def test_missing_runs_are_said_in_a_line(tmp_path, capsys) -> None:
    assert make_media.main(["--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "Autodrive-v1__ppo__0" in capsys.readouterr().err
