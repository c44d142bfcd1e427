"""What the page on Minari shows, and the example, work as they stand."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("minari.dataset")  # a folder of tests is called minari as well
pytest.importorskip("h5py")

import minari
from minari_episodes_helpers import OBSTACLES, human_replays

from drivesim.integrations.minari import replays_of

ROOT = Path(__file__).resolve().parents[3]
BLOCK = re.compile(r"^```\{code-block\} python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"^(.+)  # -> (.+)$", flags=re.MULTILINE)


def test_the_page_works_as_written(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = BLOCK.findall((ROOT / "docs" / "integrations" / "minari.md").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    exec(first, names)
    ((expression, value),) = SHOWN.findall(first)
    assert repr(eval(expression, names)) == value
    assert (tmp_path / "first.json").exists()
    folder = tmp_path / "replays"
    folder.mkdir()
    replays = human_replays(OBSTACLES, [{"seed": 5}, {}])
    for replay in replays:
        replay.save(folder / f"Obstacles-v0-5-{replay.episode}.json")
    exec(second, names)
    assert replays_of(minari.load_dataset("obstacles/human-v0")) == replays


@pytest.fixture
def example() -> ModuleType:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    spec = importlib.util.spec_from_file_location("minari_cloning", ROOT / "scripts/examples/minari_cloning.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_clones_its_teacher(example) -> None:
    rules, learnt = example.clone(episodes=60, updates=300)
    assert rules > 0.995
    assert learnt > 0.8
    episodes = list(minari.load_dataset("obstacles/rules-v0"))
    assert len(episodes) == 60
    assert all(episode.observations.shape[1:] == (69,) for episode in episodes)
    assert all(episode.terminations[-1] for episode in episodes)
