"""A scenario without a rule-based driver trains, evaluates and plays."""

from __future__ import annotations

import json

import gymnasium as gym
import pygame
import pytest
from loading import load_script

import drivesim
from drivesim import registry
from drivesim.render.window import Window
from drivesim.scenarios.lane_keep import LaneKeep

SMALL = [
    "--num-envs", "8", "--num-steps", "8", "--minibatches", "1", "--epochs", "1", "--network.hidden-sizes", "8",
    "--total-steps", "128", "--eval-interval", "64", "--eval-episodes", "4", "--final-episodes", "8",
    "--num-threads", "1", "--no-tensorboard", "--no-progress", "--observation", "features",
]  # fmt: skip


@pytest.fixture
def env_id(monkeypatch) -> str:
    for place, name in ((registry, "_entries"), (registry, "_scenarios"), (gym.envs.registration, "registry")):
        monkeypatch.setattr(place, name, dict(getattr(place, name)))
    monkeypatch.setattr(gym, "registry", gym.envs.registration.registry)
    own = {name: value for name, value in vars(LaneKeep).items() if not name.startswith("__")}
    scenario = type("Ribbon", (LaneKeep.__base__,), {"__module__": __name__, **own})
    return drivesim.register_scenario(scenario, max_episode_steps=100, reward_threshold=1.7, summary="follow it")


def test_a_scenario_without_a_rule_based_driver_trains_evaluates_and_plays(
    env_id, tmp_path, monkeypatch, capsys
) -> None:
    out = tmp_path / "run"
    assert load_script("train").main(["--env", env_id, "--out", str(out), *SMALL]) == 0
    assert [record["agent"] for record in json.loads((out / "evaluation.json").read_text())] == ["ppo", "random"]
    assert load_script("evaluate").main([str(out), "--episodes", "4", "--json"]) == 0
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
    monkeypatch.chdir(tmp_path)
    play = load_script("play")
    assert play.main(["--env", env_id, "--wait", "--ticks-per-second", "100000"]) == 0
    assert said[-1][0].startswith("you: ")
    assert not any("rules" in line for line in said[-1])
    assert play.main(["--env", env_id, "--demo"]) == 2
    assert "rule-based driver" in capsys.readouterr().err
