"""PPO of SBX, which is Stable-Baselines3 in JAX, learns to follow a winding road.

    pip install -e '.[sbx]'
    python scripts/examples/sbx_ppo.py [STEPS]

It takes the same envs as Stable-Baselines3; its rollouts ask for a value only where the time limit cut an episode.
"""

from __future__ import annotations

import sys
from typing import Any

from sbx import PPO
from stable_baselines3.common.evaluation import evaluate_policy

from drivesim.integrations.stable_baselines3 import make_vec_env

ENV = "drivesim/LaneKeep-v1"


def success_rate(model: PPO, num_levels: int = 500) -> float:
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
    model = PPO(
        "MlpPolicy",
        make_vec_env(ENV, n_envs=256, observation="features", reward_weights={"off_road": -0.5}),
        n_steps=32,
        batch_size=1024,
        n_epochs=2,
        learning_rate=2e-3,
        seed=0,
    )
    model.learn(num_steps)
    success = success_rate(model)
    print(f"{model.num_timesteps} steps: success on held-out levels {success:.1%}")
    return success


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:]))
