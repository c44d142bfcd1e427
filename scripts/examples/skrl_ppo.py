"""Train a driver with skrl's PPO, in half a minute on one core: python scripts/examples/skrl_ppo.py [timesteps]."""

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from skrl.agents.torch.ppo import PPO
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from skrl.utils.model_instantiators.torch import categorical_model, deterministic_model

import drivesim  # noqa: F401  registers its ids

ID, NUM_ENVS, ROLLOUT = "drivesim/LaneKeep-v1", 64, 32


class ExactPPO(PPO):  # type: ignore[misc]  # its types are not looked at
    """PPO that values an episode cut by the time limit by its own last observation, not by the next one's first."""

    returns: list[float]  # of all episodes that have ended

    def record_transition(self, *, infos: dict[str, Any], **step: Any) -> None:
        """Store a step of all envs."""
        if "final_obs" in infos:
            final_obs = torch.tensor(infos["final_obs"], dtype=torch.float32).flatten(1)
            ended = step["terminated"] | step["truncated"]
            step["next_observations"] = torch.where(ended, final_obs, step["next_observations"])
            step["truncated"] = step["truncated"] & ~step["terminated"]  # the last step allowed may also end in a crash
            self.returns.extend(infos["final_info"]["episode_return"][infos["_final_info"]].tolist())
        super().record_transition(infos=infos, **step)


def train(timesteps: int = 1000, seed: int = 0) -> list[float]:
    """The mean returns of ten equal shares of the episodes driven in so many steps of all envs, in their order."""
    set_seed(seed)
    env = wrap_env(gym.make_vec(ID, NUM_ENVS, observation="features", autoreset_mode="SameStep", copy=False))
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    layers = [{"name": "net", "input": "OBSERVATIONS", "layers": [64, 64], "activations": "tanh"}]
    models = {
        "policy": categorical_model(**spaces, network=layers, output="ACTIONS"),
        "value": deterministic_model(**spaces, network=layers, output="ONE"),
    }
    cfg: dict[str, Any] = {"rollouts": ROLLOUT, "learning_epochs": 4, "mini_batches": 4, "value_loss_scale": 0.5}
    cfg |= {"time_limit_bootstrap": True, "experiment": {"write_interval": 0, "checkpoint_interval": 0}}
    agent = ExactPPO(models=models, memory=RandomMemory(memory_size=ROLLOUT, num_envs=NUM_ENVS), cfg=cfg, **spaces)
    agent.returns = []
    trainer_cfg = {"timesteps": timesteps, "headless": True, "close_environment_at_exit": False}
    SequentialTrainer(env=env, agents=agent, cfg=trainer_cfg).train()
    env.close()
    means = [float(share.mean()) for share in np.array_split(agent.returns, 10)]
    print("mean return of every tenth of the episodes:", *(f"{mean:.2f}" for mean in means))
    return means


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose time on more
    train(*map(int, sys.argv[1:]))
