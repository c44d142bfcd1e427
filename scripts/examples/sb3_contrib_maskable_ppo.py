"""MaskablePPO of sb3-contrib learns to keep the lane, choosing only among actions that do something.

    pip install -e '.[sb3]'
    python scripts/examples/sb3_contrib_maskable_ppo.py [STEPS]

An action that does what IDLE does is masked: SLOWER at a standstill, FASTER at top speed, a turn that is none.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy

from drivesim.integrations.stable_baselines3 import make_vec_env

ENV = "drivesim/LaneKeep-v1"


def success_rate(model: MaskablePPO, num_levels: int = 500) -> float:
    """The share of held-out levels that the model drives, one in each env."""
    successes: list[bool] = []

    def note(scope: dict[str, Any], _: dict[str, Any]) -> None:
        if scope["done"]:
            successes.append(scope["info"]["is_success"])

    envs = make_vec_env(ENV, num_levels, seed=0, observation="features", split="test")
    evaluate_policy(model, envs, num_levels, callback=note, warn=False)
    return sum(successes) / num_levels


def main(num_steps: int = 600_000) -> float:
    """Train, evaluate, and return the success rate."""
    torch.set_num_threads(1)  # networks this small lose time on more
    model = MaskablePPO(
        "MlpPolicy",
        make_vec_env(ENV, n_envs=256, observation="features", reward_weights={"off_road": -0.5}),
        n_steps=32,
        batch_size=1024,
        n_epochs=2,
        learning_rate=2e-3,
        seed=0,
        device="cpu",
    )
    model.learn(num_steps)
    success = success_rate(model)
    print(f"{model.num_timesteps} steps: success on held-out levels {success:.1%}")
    return success


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:]))
