"""A trained driver's network computes in the page what it computes in numpy with the same weights of 8 bits."""

import base64
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from scripts_in_node import answer

from agents.export import numpy_operations
from agents.export.int8 import Int8Weight

DRIVER = Path(__file__).resolve().parents[2] / "docs" / "drivers" / "obstacles.json"
ASK = """
const driver = new Trained(input.driver);
console.log(JSON.stringify(input.observations.map((one) => driver.judge(fromBase64(one), "f4", []))));
"""


def in_numpy(form, obs):
    """The scores (B, actions) of observations (B, …), operation by operation."""
    weights = {}
    for name, weight in form["weights"].items():
        decoded = {key: base64.b64decode(value) for key, value in weight.items() if key != "shape"}
        if "codes" in decoded:
            scales = np.frombuffer(decoded["scales"], np.float32).reshape(-1, *[1] * (len(weight["shape"]) - 1))
            weights[name] = Int8Weight(
                np.frombuffer(decoded["codes"], np.int8).reshape(weight["shape"]), scales
            ).dequantise()
        else:
            weights[name] = np.frombuffer(decoded["values"], np.float32).reshape(weight["shape"])
    results = [obs]
    for name, arguments, _, _ in form["ops"]:
        values = [
            one[0] if isinstance(one, list) else weights[one] if isinstance(one, str) else results[one]
            for one in arguments
        ]
        results.append(getattr(numpy_operations, name)(*values))
    return results[form["scores"]]


def test_scores_and_actions_are_those_of_numpy(node):
    form = json.loads(DRIVER.read_text(encoding="utf-8"))
    envs = gym.make_vec("drivesim/Obstacles-v1", num_envs=64, observation=form["observation"])
    obs, _ = envs.reset(seed=0)
    seen = [obs]
    for _ in range(10):
        obs, *_ = envs.step(in_numpy(form, obs).argmax(axis=1))
        seen.append(obs)
    seen = np.concatenate(seen)
    scores = in_numpy(form, seen)
    found = answer(node, ASK, driver=form, observations=[base64.b64encode(one.tobytes()).decode() for one in seen])
    assert [one["action"] for one in found] == scores.argmax(axis=1).tolist()
    chances = numpy_operations.softmax(scores, 1)
    np.testing.assert_allclose([one["scores"] for one in found], chances, atol=1e-4)


def test_a_driver_with_a_memory_or_options_of_its_own_is_refused(tmp_path, monkeypatch):
    from agents.export import page_form
    from agents.export.export_run import ExportError
    from agents.run_config import TrainConfig

    config = TrainConfig(env="drivesim/Obstacles-v1", level_options={"num_lanes": 3})
    monkeypatch.setattr(page_form, "load_policy", lambda run: (None, config))
    with pytest.raises(ExportError, match="without options"):
        page_form.driver_for_page(tmp_path)
