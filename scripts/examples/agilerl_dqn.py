"""Evolve drivers with AgileRL, in a minute on one core: python scripts/examples/agilerl_dqn.py [steps]."""

import random
import sys

import gymnasium as gym
import numpy as np
import torch
from agilerl.algorithms import DQN
from agilerl.hpo.mutation import Mutations
from agilerl.hpo.tournament import TournamentSelection
from agilerl.training.train_off_policy import train_off_policy

import drivesim  # noqa: F401  registers its ids
from drivesim.integrations.agilerl import RealReplayBuffer, RealRows

ID = "drivesim/LaneKeep-v1"


def train(max_steps: int = 30_000, seed: int = 0) -> tuple[float, float]:
    """The mean returns of an untrained agent and of the better of two after so many steps each, on held-out levels."""
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)  # noqa: NPY002  AgileRL draws from all three
    envs = RealRows(gym.make_vec(ID, 32, observation="features"))
    test_envs = gym.make_vec(ID, 64, observation="features", split="test")
    envs.reset(seed=seed), test_envs.reset(seed=seed)
    settings = {"batch_size": 128, "lr": 1e-3, "learn_step": 16, "gamma": 0.97, "tau": 0.02}
    agents = DQN.population(2, envs.single_observation_space, envs.single_action_space, **settings)
    memory = RealReplayBuffer(envs, 50_000)
    selection = TournamentSelection(tournament_size=2, elitism=True, population_size=2)
    mutation = Mutations(
        0.5, architecture=0.2, new_layer_prob=0.2, parameters=0, activation=0, rl_hp=0.3, rand_seed=seed
    )
    before = agents[0].test(test_envs)
    exploration = {"eps_start": 1.0, "eps_end": 0.05, "eps_decay": 0.99}
    schedule = {"max_steps": max_steps, "evo_steps": 5_000, "verbose": False}
    agents, _ = train_off_policy(
        envs, ID, "DQN", agents, memory, selection_strategy=selection, mutation=mutation, **exploration, **schedule
    )
    after = max(agent.test(test_envs) for agent in agents)
    print(f"mean return on held-out levels: {before:.2f} before, {after:.2f} after training")
    return before, after


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose time on more
    train(*map(int, sys.argv[1:]))
