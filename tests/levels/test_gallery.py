"""The levels of the gallery: good texts that a person can read and drive, under names of their own."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from blameless import CUSTOM, blameless_drive

import drivesim
from drivesim.levels.library import GALLERY, canonical_texts, library_of
from drivesim.levels.text import read, write

ROOT = Path(__file__).parents[2]
PACKAGE = Path(drivesim.__file__).parent
WIDTH = 120  # characters of a line


def levels_of(given: Any) -> tuple[str, ...]:
    levels: tuple[str, ...] = gym.make(CUSTOM, levels=given).unwrapped.config.levels  # type: ignore[attr-defined]
    return levels


@pytest.mark.parametrize("name", GALLERY)
class TestLevel:
    def test_comes_back_from_its_canonical_text_to_the_byte(self, name: str) -> None:
        (canonical,) = canonical_texts(name)  # certified
        drawn, again = read(GALLERY[name].read_text(encoding="utf-8"), name), read(canonical)
        assert drawn.maps.tobytes() == again.maps.tobytes()
        assert drawn.worlds.tobytes() == again.worlds.tobytes()
        assert write(again.maps[0], again.worlds[0], **again.options) == canonical

    def test_reads_as_a_remark_a_head_and_a_table_in_line(self, name: str) -> None:
        lines = GALLERY[name].read_text(encoding="utf-8").split("\n")
        assert lines[0].startswith("# ")
        assert max(map(len, lines)) <= WIDTH
        begin = lines.index("") + 1
        starts = [[n for n, sign in enumerate(line) if sign != " " and line[n - 1 : n] in ("", " ")] for line in lines]
        assert len({tuple(found) for found in starts[begin:-1]}) == 1

    def test_can_be_driven_to_its_goal_in_time_without_a_fault(self, name: str) -> None:
        actions = blameless_drive(name)
        assert actions is not None
        env = gym.make(CUSTOM, levels=name)
        env.reset(seed=0)
        *_, terminated, _, info = [env.step(action) for action in actions][-1]
        assert terminated
        assert info["success"]


def test_a_level_that_cannot_be_driven_is_noticed() -> None:
    assert blameless_drive("max_steps = 9\n\n> > > > > > > > > >G\n>E > # > > > > > > .\n") is not None
    assert blameless_drive("max_steps = 2\n\n> > > > > > > > > >G\n>E > # > > > > > > .\n") is None
    assert blameless_drive("max_steps = 9\n\n>E > /> # /> >G\n@< <a1 /< /<a0 /< <a0\n") is None


def test_the_gallery_is_large_and_all_of_it_is_one_environment() -> None:
    assert len(GALLERY) >= 12
    texts = levels_of("gallery/*")
    assert texts == tuple(canonical_texts(name)[0] for name in sorted(GALLERY))
    heads = {text.partition("\n\n")[0] for text in texts}
    assert {tomllib.loads(head)["max_steps"] for head in heads} == {library_of(texts).options["max_steps"]}
    assert levels_of(["gallery/z*", "gallery/chicane"]) == (texts[-1], *canonical_texts("gallery/chicane"))


def test_a_name_of_the_gallery_gives_way_to_a_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (ours,) = levels_of("gallery/chicane")
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "chicane").write_text("^G\n^E\n", encoding="utf-8")
    assert levels_of("gallery/chicane") == canonical_texts("^G\n^E\n") != (ours,)
    assert levels_of("gallery/*") == canonical_texts("^G\n^E\n"), "a pattern that some file has is one of files"
    assert len(levels_of("gallery/zip*")) == 1


def test_who_asks_for_no_level_of_the_gallery_is_told_which_there_are() -> None:
    with pytest.raises(ValueError, match="there is no file 'gallery/chicanery'; the gallery has") as caught:
        gym.make(CUSTOM, levels="gallery/chicanery")
    assert all(name in str(caught.value) for name in GALLERY)


def test_whatever_is_no_python_in_the_package_is_in_the_wheel() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packed = {path for pattern in patterns["package-data"]["drivesim"] for path in PACKAGE.glob(pattern)}
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    files -= set((PACKAGE / "objects").glob("*"))  # which are made where the wheel is
    assert {path for path in files if path.suffix != ".py"} == packed
    assert set(GALLERY.values()) <= packed
