"""What the page on Minari shows, and the example, work as they stand."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from docs_blocks import DOCS, blocks_of, run_block
from loading import load_script

pytest.importorskip("minari.dataset")  # a folder of tests is called minari as well
pytest.importorskip("h5py")

import minari
from minari_episodes_helpers import OBSTACLES, human_replays

from drivesim.integrations.minari import replays_of


def test_the_page_works_as_written(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (before, first), (between, second), (after, third) = blocks_of(
        DOCS / "integrations" / "minari.md", "{code-block} python"
    )
    names: dict[str, Any] = {}
    run_block(first, "minari.md", before, names)
    assert (tmp_path / "first.json").exists()
    folder = tmp_path / "replays"
    folder.mkdir()
    replays = human_replays(OBSTACLES, [{"seed": 5}, {}])
    for replay in replays:
        replay.save(folder / f"Obstacles-v1-5-{replay.episode}.json")
    run_block(second, "minari.md", between, names)
    assert replays_of(minari.load_dataset("obstacles/human-v0")) == replays
    run_block(third, "minari.md", after, names)


@pytest.fixture
def example() -> ModuleType:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    return load_script("examples/minari_cloning")


def test_the_example_clones_its_teacher(example) -> None:
    rules, learnt = example.clone(episodes=60, updates=300)
    assert rules > 0.995
    assert learnt > 0.8
    episodes = list(minari.load_dataset("obstacles/rules-v0"))
    assert len(episodes) == 60
    assert all(episode.observations.shape[1:] == (108,) for episode in episodes)
    assert all(episode.terminations[-1] for episode in episodes)
