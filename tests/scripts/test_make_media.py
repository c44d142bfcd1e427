"""The README's picture and those of the environments' pages can be drawn again."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
from PIL import Image
from scenario_facts import MEASURED

from agents.environments import EnvChoice, generates_levels
from agents.scripted import SCENARIOS, make_scripted
from drivesim.registry import ENTRIES, entry_of_id
from scripts import make_media

NAMES = [
    "drivers.gif",
    *(f"{entry.module.rpartition('.')[2]}.gif" for entry in ENTRIES if entry.name in SCENARIOS),
]


def test_the_pictures_move_and_hold_all_frames(tmp_path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- film -->\nold\n<!-- /film -->\nafter\n")
    arguments = ["--out", str(tmp_path / "new"), "--num-frames", "3", "--width", "320", "--size", "96"]
    assert make_media.main([*arguments, "--readme", str(readme)]) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted([*NAMES, "drivers.json"])
    drivers = json.loads((tmp_path / "new" / "drivers.json").read_text())
    assert drivers == {name: "rules" for row in make_media.ROWS for name in row}
    caption = make_media.caption(drivers)
    assert readme.read_text() == f"before\n<!-- film -->\n{caption}\n<!-- /film -->\nafter\n"
    for name in NAMES:
        with Image.open(tmp_path / "new" / name) as picture:
            assert picture.n_frames == 3 if name == "drivers.gif" else picture.n_frames > 10
            first = np.asarray(picture.convert("RGB"))
            picture.seek(2)
            assert (np.asarray(picture.convert("RGB")) != first).any()


def test_every_road_is_in_the_film_of_all() -> None:
    shown = [name for row in make_media.ROWS for name in row]
    assert sorted(shown) == sorted(entry_of_id(env_id).name for env_id in MEASURED if generates_levels(env_id))


def test_the_film_of_all_is_cut_until_it_is_small(tmp_path, monkeypatch) -> None:
    noise = np.random.default_rng(0)
    frames = [noise.integers(256, size=(40, 40, 3), dtype=np.uint8) for _ in range(20)]
    monkeypatch.setattr(make_media, "sheets", lambda arguments: iter(frames))
    make_media.write_sheets(make_media.Arguments(), tmp_path / "whole.gif")
    whole = (tmp_path / "whole.gif").stat().st_size
    monkeypatch.setattr(make_media, "MOST_BYTES", whole // 2)
    make_media.write_sheets(make_media.Arguments(), tmp_path / "cut.gif")
    assert (tmp_path / "cut.gif").stat().st_size < whole // 2
    with Image.open(tmp_path / "cut.gif") as picture:
        assert 2 < picture.n_frames < 12


def test_the_caption_names_who_drives() -> None:
    assert ": the rule-based drivers." in make_media.caption({"City": "rules", "Exit": "rules"})
    assert "`City` and `Exit`, on" in make_media.caption({"City": "ppo", "Exit": "ppo"})
    assert "trained drivers (PPO, " in make_media.caption({"City": "ppo", "Exit": "ppo"})
    assert "most), in `Exit` the rule-based one." in make_media.caption({"City": "ppo", "Exit": "rules"}).replace(
        "\n", " "
    )


def test_drives_follow_one_another_without_end() -> None:
    driver = make_scripted("drivesim/Autodrive-v1")
    config = EnvChoice(env="drivesim/Autodrive-v1", observation=driver.observation)
    frames = list(islice(make_media.drives(driver, config, 0, 128), 300))  # more than one drive can last
    assert len({frame.shape for frame in frames}) == 1


def test_missing_runs_are_said_in_a_line(tmp_path, capsys) -> None:
    assert make_media.main(["--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "Autodrive-v1__ppo__0" in capsys.readouterr().err
