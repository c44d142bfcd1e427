"""The race's rivals learn, and tell what the race wants to know."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from loading import SCRIPTS, load_script

pytest.importorskip("stable_baselines3")

SETTINGS: dict[str, Any] = {
    "num_envs": 128,
    "num_steps": 16,
    "batch_size": 512,
    "epochs": 2,
    "learning_rate": 1e-3,
    "annealed_over": None,
    "gamma": 0.99,
    "lam": 0.95,
    "clip": 0.2,
    "entropy_coefficient": 0.01,
    "value_coefficient": 0.5,
    "max_grad_norm": 0.5,
    "hidden_sizes": [64, 64],
    "activation": "relu",
    "layer_norm": True,
    "shared": True,
}


@pytest.mark.parametrize("entrant", ["sb3", "sbx"])
def test_a_rival_trains_until_its_time_is_over_and_is_looked_at(entrant, monkeypatch, capsys) -> None:
    if entrant == "sbx":
        pytest.importorskip("sbx")
    request = {
        "entrant": entrant,
        "env": "drivesim/LaneKeep-v1",
        "seed": 0,
        "settings": SETTINGS,
        "options": {"observation": "features"},
        "reward_weights": {"collision": -0.5, "off_road": -0.5},
        "first_level": 1_000_000,
        "levels": 100,
        "optimum_levels": 100,
        "optimum": 1.88,
        "goals": {"10 %": [0, 0.1], "200 %": [0, 2.0]},
        "interval": 1.0,
        "max_seconds": 8.0,
    }
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.setattr(sys, "argv", ["rivals_entrant.py", json.dumps(request)])
    assert load_script("rivals_entrant").main() == 0
    record = json.loads(capsys.readouterr().out)
    assert 8.0 <= record["cpu_seconds"] < 12.0
    assert record["times"]["10 %"] is not None
    assert record["times"]["200 %"] is None
    assert record["steps"] == record["looks"][-1][0] > 20_000
    steps = [look[0] for look in record["looks"]]
    assert len(steps) > 1
    assert steps == sorted(set(steps))
    assert record["best_success"] > 0.5  # of random drivers none arrives
