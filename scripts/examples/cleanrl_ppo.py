"""PPO in one file, in the style of CleanRL: read it from top to bottom, copy it, change it.

    python scripts/examples/cleanrl_ppo.py --env-id drivesim/Obstacles-v1 --difficulty easy
    tensorboard --logdir runs

It differs from most scripts of its kind in one point: an episode that is cut by the time limit still bootstraps, from
the last observation of its own, which a SAME_STEP environment returns in `infos["final_obs"]`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

import drivesim  # noqa: F401 (registers the environments)


@dataclass(frozen=True)
class Args:
    """Settings of a run; every field is a flag."""

    env_id: str = "drivesim/LaneKeep-v1"
    """id of the environment"""
    difficulty: str = "easy"
    """easy, medium or hard"""
    seed: int = 1
    """of the network, the actions and the levels"""
    total_timesteps: int = 1_000_000
    """steps of all envs together"""
    num_envs: int = 128
    """envs driven at once"""
    num_steps: int = 32
    """steps per env between two updates"""
    learning_rate: float = 2e-3
    """of Adam at the start; it falls to 0 over the run"""
    gamma: float = 0.99
    """discount"""
    gae_lambda: float = 0.95
    """mixing of one-step (0) and Monte Carlo (1) advantages"""
    num_minibatches: int = 4
    """minibatches per epoch"""
    update_epochs: int = 3
    """passes over a rollout"""
    clip_coef: float = 0.2
    """how far the policy may move in one update"""
    ent_coef: float = 0.01
    """weight of the entropy bonus"""
    vf_coef: float = 0.5
    """weight of the value loss"""
    max_grad_norm: float = 0.5
    """longest gradient"""
    eval_episodes: int = 500
    """episodes on held-out levels at the end"""
    log_dir: Path = Path("runs")
    """where TensorBoard looks"""
    cuda: bool = False
    """train on the GPU"""


def make_envs(args: Args, num_envs: int, split: str) -> gym.vector.VectorEnv[Any, Any, Any]:
    """The envs. Under SAME_STEP every row is a transition, and what belongs to an ended episode is in `infos`."""
    return gym.make_vec(
        args.env_id,
        num_envs=num_envs,
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
        observation="features",
        difficulty=args.difficulty,
        split=split,
    )


def layer(num_inputs: int, num_outputs: int, gain: float = 2**0.5) -> nn.Linear:
    """A linear layer with orthogonal weights."""
    linear = nn.Linear(num_inputs, num_outputs)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    """Actor and critic, without shared layers."""

    def __init__(self, num_inputs: int, num_actions: int, width: int = 64) -> None:
        super().__init__()
        hidden = [nn.Sequential(layer(num_inputs, width), nn.Tanh(), layer(width, width), nn.Tanh()) for _ in range(2)]
        self.critic = nn.Sequential(hidden[0], layer(width, 1, gain=1.0))
        self.actor = nn.Sequential(hidden[1], layer(width, num_actions, gain=0.01))

    def value(self, obs: Tensor) -> Tensor:
        """What is still to be gained (N,) from observations (N, num_inputs)."""
        values: Tensor = self.critic(obs)
        return values.squeeze(-1)

    def log_probs(self, obs: Tensor) -> Tensor:
        """Logarithms of the probabilities of all actions (N, num_actions) for observations (N, num_inputs)."""
        return torch.log_softmax(self.actor(obs), dim=-1)


class Rollout(NamedTuple):
    """`num_steps` steps of all envs: tensors (T, N), observations (T, N, num_inputs)."""

    obs: Tensor
    actions: Tensor
    log_probs: Tensor
    rewards: Tensor
    values: Tensor
    next_values: Tensor
    terminations: Tensor
    truncations: Tensor


@torch.no_grad()
def collect(envs: Any, agent: Any, obs: Tensor, args: Args) -> tuple[Rollout, Tensor, list[dict[str, float]]]:
    """Drives on from `obs` and returns the rollout, the next observations and the episodes that ended."""
    rows: list[tuple[Tensor, ...]] = []
    final_values: list[Tensor] = []  # what the last observation of an ended episode is worth, 0 in other envs
    episodes: list[dict[str, float]] = []
    for _ in range(args.num_steps):
        log_probs = agent.log_probs(obs)
        actions = torch.multinomial(log_probs.exp(), num_samples=1)  # (N, 1)
        log_probs, actions = log_probs.gather(1, actions).squeeze(1), actions.squeeze(1)
        next_obs, rewards, terminations, truncations, infos = envs.step(actions.cpu().numpy())
        final_values.append(torch.zeros_like(actions, dtype=torch.float32))
        if "final_obs" in infos:
            ended = infos["_final_obs"]
            final_obs = torch.as_tensor(infos["final_obs"][ended], device=obs.device)
            final_values[-1][torch.as_tensor(ended, device=obs.device)] = agent.value(final_obs)
            names = ("episode_return", "episode_length", "success")
            columns = [infos["final_info"][name][ended].tolist() for name in names]
            episodes += [dict(zip(names, map(float, column), strict=True)) for column in zip(*columns, strict=True)]
        numbers = [
            torch.as_tensor(array, device=obs.device)
            for array in (rewards.astype(np.float32), terminations, truncations)
        ]
        rows.append((obs, actions, log_probs, agent.value(obs), *numbers))
        obs = torch.as_tensor(next_obs, device=obs.device)
    all_obs, actions, log_probs, values, rewards, terminated, truncated = map(torch.stack, zip(*rows, strict=True))
    # The successor's value is the next row's, but not across an end: there the next row is of another episode.
    values_after = torch.cat([values[1:], agent.value(obs).unsqueeze(0)])
    next_values = torch.where(terminated | truncated, torch.stack(final_values), values_after)
    rollout = Rollout(all_obs, actions, log_probs, rewards, values, next_values, terminated, truncated)
    return rollout, obs, episodes


@torch.no_grad()
def advantages_of(rollout: Rollout, gamma: float, gae_lambda: float) -> Tensor:
    """Generalised advantage estimates (T, N).

    A termination drops the successor's value, a truncation keeps it; either one cuts the sum over time.
    """
    advantages = torch.zeros_like(rollout.rewards)
    later = torch.zeros_like(rollout.rewards[0])
    ended = rollout.terminations | rollout.truncations
    for t in reversed(range(len(advantages))):
        bootstrap = rollout.next_values[t].masked_fill(rollout.terminations[t], 0.0)
        delta = rollout.rewards[t] + gamma * bootstrap - rollout.values[t]
        later = delta + gamma * gae_lambda * later.masked_fill(ended[t], 0.0)
        advantages[t] = later
    return advantages


def update(agent: Agent, optimizer: torch.optim.Optimizer, rollout: Rollout, args: Args) -> dict[str, float]:
    """Learns from a rollout and returns what to log."""
    advantages = advantages_of(rollout, args.gamma, args.gae_lambda).flatten()
    returns = advantages + rollout.values.flatten()
    obs = rollout.obs.flatten(0, 1)
    actions, old_log_probs = rollout.actions.flatten(), rollout.log_probs.flatten()
    logged: dict[str, float] = {}
    for _ in range(args.update_epochs):
        for batch in torch.randperm(len(obs), device=obs.device).chunk(args.num_minibatches):
            log_probs = agent.log_probs(obs[batch])
            entropy = -(log_probs.exp() * log_probs).sum(dim=-1).mean()
            log_ratio = log_probs.gather(1, actions[batch].unsqueeze(1)).squeeze(1) - old_log_probs[batch]
            ratio = log_ratio.exp()
            advantage = advantages[batch]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
            policy_loss = -torch.minimum(advantage * ratio, advantage * clipped).mean()
            value_loss = 0.5 * (agent.value(obs[batch]) - returns[batch]).square().mean()
            loss = policy_loss + args.vf_coef * value_loss - args.ent_coef * entropy
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
            optimizer.step()
            logged = {
                "loss/policy": policy_loss.item(),
                "loss/value": value_loss.item(),
                "policy/entropy": entropy.item(),
                "policy/approx_kl": (ratio - 1 - log_ratio).mean().item(),
                "policy/clip_fraction": ((ratio - 1).abs() > args.clip_coef).float().mean().item(),
            }
    return logged


@torch.no_grad()
def evaluate(agent: Agent, args: Args, device: torch.device) -> dict[str, float]:
    """Drives held-out levels without chance: the first episode of each env, so that short ones do not count twice."""
    envs = make_envs(args, args.eval_episodes, split="test")
    obs, _ = envs.reset(seed=args.seed)
    totals = {"episode_return": 0.0, "episode_length": 0.0, "success": 0.0}
    is_running = np.ones(args.eval_episodes, np.bool_)
    while is_running.any():
        actions = agent.log_probs(torch.as_tensor(obs, device=device)).argmax(dim=-1)
        obs, _, terminations, truncations, infos = envs.step(actions.cpu().numpy())
        ended = is_running & (terminations | truncations)
        if ended.any():
            totals = {name: total + float(infos["final_info"][name][ended].sum()) for name, total in totals.items()}
        is_running &= ~ended
    envs.close()
    return {f"eval/{name}": total / args.eval_episodes for name, total in totals.items()}


def train(args: Args) -> tuple[Agent, dict[str, float]]:
    """Trains an agent, evaluates it and returns both it and what came out."""
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if args.cuda else "cpu")
    run_name = f"{args.env_id.rpartition('/')[2]}__cleanrl_ppo__{args.seed}__{time.strftime('%Y%m%d-%H%M%S')}"
    writer = SummaryWriter(str(args.log_dir / run_name))
    writer.add_text("settings", "\n".join(f"- {name}: {value}" for name, value in asdict(args).items()))

    envs = make_envs(args, args.num_envs, split="train")
    # One seed per env: with seed=1 and seed=2 all envs but one would drive the same levels in both runs.
    seeds = np.random.SeedSequence(args.seed).generate_state(args.num_envs, np.uint64).tolist()
    first_obs, _ = envs.reset(seed=seeds)
    obs = torch.as_tensor(first_obs, device=device)
    assert isinstance(envs.single_action_space, gym.spaces.Discrete)
    agent = Agent(obs.shape[1], int(envs.single_action_space.n)).to(device)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    steps_per_update = args.num_envs * args.num_steps
    num_updates = args.total_timesteps // steps_per_update
    start = time.perf_counter()
    for number in range(num_updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - number / num_updates)
        rollout, obs, episodes = collect(envs, agent, obs, args)
        logged = update(agent, optimizer, rollout, args)

        global_step = (number + 1) * steps_per_update
        for name in episodes[0] if episodes else ():
            logged[f"rollout/{name}"] = float(np.mean([episode[name] for episode in episodes]))
        logged["time/steps_per_second"] = global_step / (time.perf_counter() - start)
        for name, value in logged.items():
            writer.add_scalar(name, value, global_step)
        if number % 20 == 0:
            print(f"step {global_step:>9,}  success {logged.get('rollout/success', float('nan')):.2f}")
    envs.close()

    result = evaluate(agent, args, device)
    for name, value in result.items():
        writer.add_scalar(name, value, num_updates * steps_per_update)
    writer.close()
    return agent, result


if __name__ == "__main__":
    for name, value in train(tyro.cli(Args, description=__doc__))[1].items():
        print(f"{name}: {value:.3f}")
