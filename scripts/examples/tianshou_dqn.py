"""Train a driver with Tianshou's DQN, in a minute on one core: python scripts/examples/tianshou_dqn.py [epochs]."""

import sys

import torch
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, CollectStats, VectorReplayBuffer
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

from drivesim.integrations.tianshou import TianshouVecEnv

ID, NUM_ENVS, NUM_TESTS = "drivesim/LaneKeep-v1", 32, 64


def train(epochs: int = 8, seed: int = 0) -> tuple[float, float]:
    """The mean return on held-out levels before and after so many epochs of 5,120 steps."""
    torch.manual_seed(seed)
    env = TianshouVecEnv(ID, NUM_ENVS, observation="features")
    test_env = TianshouVecEnv(ID, NUM_TESTS, observation="features", split="test")
    env.seed(seed)
    test_env.seed(seed)
    space, obs_space = env.action_space[0], env.observation_space[0]
    policy = DiscreteQLearningPolicy(
        model=Net(state_shape=obs_space.shape, action_shape=space.n, hidden_sizes=(128, 128)),
        action_space=space,
        observation_space=obs_space,
        eps_training=0.1,
    )
    algorithm = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=0.97,
        n_step_return_horizon=3,
        target_update_freq=100,
    )
    collector = Collector[CollectStats](algorithm, env, VectorReplayBuffer(50_000, NUM_ENVS), exploration_noise=True)
    test_collector = Collector[CollectStats](algorithm, test_env)
    collector.collect(n_step=64 * NUM_ENVS, random=True, reset_before_collect=True)
    before = test_collector.collect(n_episode=NUM_TESTS, reset_before_collect=True).returns.mean()
    params = OffPolicyTrainerParams(
        training_collector=collector,
        max_epochs=epochs,
        epoch_num_steps=16 * 10 * NUM_ENVS,
        collection_step_num_env_steps=10 * NUM_ENVS,
        update_step_num_gradient_steps_per_sample=0.1,
        batch_size=128,
        show_progress=False,
    )
    algorithm.run_training(params)
    after = test_collector.collect(n_episode=NUM_TESTS, reset_before_collect=True).returns.mean()
    print(f"mean return on {NUM_TESTS} held-out levels: {before:.2f} before, {after:.2f} after training")
    return float(before), float(after)


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose time on more
    train(*map(int, sys.argv[1:]))
