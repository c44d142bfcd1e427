"""Clone the rule-based driver from a Minari dataset: python scripts/examples/minari_cloning.py [episodes] [updates]."""

import os
import sys
import tempfile
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from agents.environments import EnvChoice
from agents.evaluation import evaluate
from agents.scripted import make_scripted
from drivesim.integrations.minari import record, verify

ID, NUM_ENVS, NUM_LEVELS = "drivesim/Obstacles-v1", 64, 2000
RULES = make_scripted(ID, max_speed=1)  # faster, they look further ahead than the features tell, and cannot be cloned
SEEN, FEATURES = EnvChoice(ID, observation=RULES.observation), EnvChoice(ID, observation="features")


def teach(episodes: int) -> Any:
    """Record the features of the states in which the rules drive, which see the grid."""
    # Their own environment goes in lock-step: same seeds, same actions, next episodes at once, as when recording.
    twins = gym.make_vec(ID, min(NUM_ENVS, episodes), autoreset_mode="SameStep", **SEEN.options())
    grids = [twins.reset(seed=0)[0]]

    def teacher(features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        actions = RULES(grids.pop())
        grids.append(twins.step(actions)[0])
        return actions

    name, options = "obstacles/rules-v0", FEATURES.options()
    about: Any = {"algorithm_name": "rules", "author": "me", "author_email": "", "code_permalink": ""}
    return record(ID, teacher, episodes, seed=0, dataset_id=name, options=options, num_envs=NUM_ENVS, **about)


def clone(episodes: int = 400, updates: int = 3000) -> tuple[float, float]:
    """The shares of held-out levels that the rules solve, and that the network does which imitates them."""
    dataset = teach(episodes)
    verify(dataset)  # every recorded episode can be driven again, to the last bit
    obs = torch.from_numpy(np.concatenate([episode.observations[:-1] for episode in dataset]))
    actions = torch.from_numpy(np.concatenate([episode.actions for episode in dataset]))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(obs.shape[1], 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 5))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for rows in torch.randint(len(obs), (updates, 256)):
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(network(obs[rows]), actions[rows]))
        optimizer.step()
    pairs = (RULES, SEEN), (lambda x: network(torch.from_numpy(x)).argmax(1).numpy(), FEATURES)
    rules, learnt = (evaluate(*pair, episodes=NUM_LEVELS, seed=0)["success_rate"] for pair in pairs)
    print(f"{len(obs)} ticks; of {NUM_LEVELS} held-out levels, the rules solve {rules:.2%}, the clone {learnt:.2%}")
    return rules, learnt


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose time on more
    os.environ.setdefault("MINARI_DATASETS_PATH", tempfile.mkdtemp())
    clone(*map(int, sys.argv[1:]))
