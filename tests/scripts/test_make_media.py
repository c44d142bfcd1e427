"""The README's picture can be drawn again."""

from __future__ import annotations

import importlib.util
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def make_media() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scripts_make_media", SCRIPTS / "make_media.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_picture_moves_and_holds_all_frames(make_media, tmp_path) -> None:
    path = tmp_path / "new" / "drivers.gif"
    assert make_media.main(["--out", str(path), "--num-frames", "3", "--height", "96"]) == 0
    with Image.open(path) as picture:
        assert picture.n_frames == 3
        first = np.asarray(picture.convert("RGB"))
        picture.seek(2)
        assert (np.asarray(picture.convert("RGB")) != first).any()


def test_drives_follow_one_another_without_end(make_media) -> None:
    frames = list(islice(make_media.frames("drivesim/Autodrive-v0", seed=0), 70))  # more than one drive can last
    assert len({frame.shape for frame in frames}) == 1
