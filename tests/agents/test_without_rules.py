"""A scenario of somebody's own, without a rule-based driver, is driven by the commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

import gymnasium as gym
import pygame
import pytest
from gymnasium.envs import registration
from loading import load_script

from drivesim import registry
from drivesim.bindings import bindings_of
from drivesim.render.window import Window

SMALL = [
    "--num-envs", "8", "--num-steps", "8", "--minibatches", "1", "--epochs", "1", "--network.hidden-sizes", "8",
    "--total-steps", "128", "--eval-interval", "64", "--eval-episodes", "4", "--final-episodes", "8",
    "--num-threads", "1", "--no-tensorboard", "--no-progress", "--observation", "features",
]  # fmt: skip


MODULE = """
import drivesim
from drivesim.scenarios.lane_keep import LaneKeep

own = {name: value for name, value in vars(LaneKeep).items() if not name.startswith("__")}
Ribbon = type("Ribbon", (LaneKeep.__base__,), {"__module__": __name__, **own})
drivesim.register_scenario(
    Ribbon, max_episode_steps=100, reward_threshold=1.7, summary="follow it", namespace="mine"
)
"""
LONG = "ribbons:mine/Ribbon-v0"


@pytest.fixture
def forget(tmp_path, monkeypatch) -> Iterator[Callable[[], None]]:
    """Makes this process one that has never heard of the module, which lies where it is."""
    places = ((registry, "_entries"), (registry, "_scenarios"), (registry, "_modules"), (registration, "registry"))
    before = {pair: dict(getattr(*pair)) for pair in places}

    def start_anew() -> None:
        sys.modules.pop("ribbons", None)
        for (place, name), known in before.items():
            monkeypatch.setattr(place, name, dict(known))
        monkeypatch.setattr(gym, "registry", registration.registry)
        bindings_of.cache_clear()

    (tmp_path / "ribbons.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    start_anew()
    yield start_anew
    sys.modules.pop("ribbons", None)


def test_a_scenario_of_ones_own_trains_evaluates_and_plays_by_the_id_with_its_module(
    forget, tmp_path, monkeypatch, capsys
) -> None:
    out = tmp_path / "run"
    assert load_script("train").main(["--env", LONG, "--out", str(out), *SMALL]) == 0
    assert [record["agent"] for record in json.loads((out / "evaluation.json").read_text())] == ["ppo", "random"]
    assert json.loads((out / "config.json").read_text())["train"]["env"] == LONG
    forget()
    for command in ("evaluate", "record", "export", "leaderboard"):  # the folder may be somebody else's
        assert load_script(command).main([str(out)]) == 2
        assert f"if you trust this one, say --env {LONG}" in capsys.readouterr().err
    assert "ribbons" not in sys.modules
    assert load_script("evaluate").main([str(out), "--env", LONG, "--episodes", "4", "--json"]) == 0
    forget()
    assert load_script("evaluate").main(["--baseline", "random", "--env", LONG, "--episodes", "4", "--json"]) == 0
    assert load_script("evaluate").main([str(out), "--episodes", "4", "--json"]) == 0  # it is imported by now
    said = []
    present = Window._present

    def press(window, share) -> None:
        present(window, share)
        said.append(window.banner)
        if any("you: " in line for line in window.banner):
            window.close()
        elif not window.keys:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_UP))

    monkeypatch.setattr(Window, "_present", press)
    play = load_script("play")
    assert play.main(["--env", LONG, "--wait", "--ticks-per-second", "100000"]) == 0
    assert said[-1][0].startswith("you: ")
    assert not any("rules" in line for line in said[-1])
    assert play.main(["--env", LONG, "--demo"]) == 2
    assert "rule-based driver" in capsys.readouterr().err
