"""Train a driver with TorchRL's PPO, in a minute on one core: python scripts/examples/torchrl_ppo.py [rollouts]."""

import sys

import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import RewardSum, TransformedEnv
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from drivesim.integrations.torchrl import make_env

ID, NUM_ENVS, FRAMES, EPOCHS, MINIBATCHES = "drivesim/LaneKeep-v1", 64, 2048, 4, 4
OPTIONS = {"auto_register_policy_transforms": False}  # the network is not recurrent


def mlp(num_outputs: int, num_inputs: int) -> nn.Sequential:
    """A network with one hidden layer."""
    return nn.Sequential(nn.Linear(num_inputs, 64), nn.Tanh(), nn.Linear(64, num_outputs))


def train(rollouts: int = 40, seed: int = 0) -> list[float]:
    """The mean return of the episodes that ended in each rollout; NaN where none did."""
    torch.manual_seed(seed)
    env = TransformedEnv(make_env(ID, NUM_ENVS, observation="features"), RewardSum())
    env.set_seed(seed)
    size, num_actions = env.observation_spec["observation"].shape[-1], env.action_spec.n
    logits = TensorDictModule(mlp(num_actions, size), ["observation"], ["logits"])
    actor = ProbabilisticActor(
        logits, in_keys=["logits"], distribution_class=torch.distributions.Categorical, return_log_prob=True
    )
    critic = ValueOperator(mlp(1, size), in_keys=["observation"])
    gae = GAE(gamma=0.99, lmbda=0.95, value_network=critic, average_gae=True)
    loss_of = ClipPPOLoss(actor, critic, entropy_coeff=0.01)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=2e-3)
    returns: list[float] = []
    batches = Collector(env, actor, frames_per_batch=FRAMES, total_frames=rollouts * FRAMES, **OPTIONS)
    for batch in batches:
        ended = batch["next", "done"]
        returns.append(batch["next", "episode_reward"][ended].mean().item())
        for _ in range(EPOCHS):
            with torch.no_grad():
                gae(batch)
            rows = batch.reshape(-1)
            for chosen in torch.randperm(len(rows)).chunk(MINIBATCHES):
                losses = loss_of(rows[chosen])
                optimizer.zero_grad()
                (losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]).backward()
                nn.utils.clip_grad_norm_(loss_of.parameters(), 0.5)
                optimizer.step()
        print(f"{len(returns) * FRAMES:7d} steps: return {returns[-1]:6.2f}")
    batches.shutdown()
    return returns


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose time on more
    train(*map(int, sys.argv[1:]))
