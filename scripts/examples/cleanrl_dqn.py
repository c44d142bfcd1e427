"""Double DQN in one file, in the style of CleanRL: read it from top to bottom, copy it, change it.

    python scripts/examples/cleanrl_dqn.py --env-id drivesim/Obstacles-v1 --difficulty easy
    tensorboard --logdir runs

What is stored as the successor of a step is the step's own, also where an episode ended: a SAME_STEP environment
returns it in `infos["final_obs"]`. Only a termination drops its value; the time limit does not.
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
from numpy.typing import NDArray
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
    total_timesteps: int = 300_000
    """steps of all envs together"""
    num_envs: int = 128
    """envs driven at once"""
    learning_rate: float = 1e-3
    """of Adam at the start; it falls to 0 over the run"""
    buffer_size: int = 200_000
    """steps remembered"""
    learning_starts: int = 10_000
    """steps before the first update"""
    batch_size: int = 512
    """steps per update"""
    updates_per_step: int = 2
    """updates after every step of all envs"""
    gamma: float = 0.95
    """discount; the closer to 1, the less a greedy driver minds waiting, down to parking for good"""
    tau: float = 0.01
    """how far the target network follows after every update"""
    epsilon_start: float = 1.0
    """share of random actions at the start"""
    epsilon_end: float = 0.02
    """share of random actions at the end"""
    exploration_fraction: float = 0.2
    """share of the run over which it falls"""
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


class QNetwork(nn.Module):
    """What each action is worth."""

    def __init__(self, num_inputs: int, num_actions: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(num_inputs, 128), nn.LayerNorm(128), nn.ReLU()),
            *(nn.Linear(128, 128), nn.LayerNorm(128), nn.ReLU()),
            nn.Linear(128, num_actions),
        )

    def forward(self, obs: Tensor) -> Tensor:
        """Values of all actions (N, num_actions) for observations (N, num_inputs)."""
        q_values: Tensor = self.layers(obs)
        return q_values


class Transitions(NamedTuple):
    """A batch of steps with their true successors; truncations are not needed: they bootstrap as any other step."""

    obs: Tensor  # (B, num_inputs)
    actions: Tensor  # (B,)
    rewards: Tensor  # (B,)
    next_obs: Tensor  # (B, num_inputs)
    terminations: Tensor  # (B,)


class ReplayBuffer:
    """The last `size` steps, in rows of one step of all envs."""

    def __init__(self, size: int, num_envs: int, num_inputs: int) -> None:
        self.num_rows = max(size // num_envs, 1)
        shape = (self.num_rows, num_envs)
        self.columns = Transitions(
            obs=torch.zeros(*shape, num_inputs),
            actions=torch.zeros(shape, dtype=torch.int64),
            rewards=torch.zeros(shape),
            next_obs=torch.zeros(*shape, num_inputs),
            terminations=torch.zeros(shape, dtype=torch.bool),
        )
        self.num_added = 0

    def add(self, row: Transitions) -> None:
        """Remembers one step of all envs and forgets the oldest, if there is no room."""
        for column, values in zip(self.columns, row, strict=True):
            column[self.num_added % self.num_rows] = values
        self.num_added += 1

    def sample(self, batch_size: int, device: torch.device) -> Transitions:
        """Any `batch_size` of the steps, with replacement."""
        num_envs = self.columns.rewards.shape[1]
        rows = torch.randint(min(self.num_added, self.num_rows), (batch_size,))
        envs = torch.randint(num_envs, (batch_size,))
        return Transitions(*(column[rows, envs].to(device) for column in self.columns))


def step(envs: Any, obs: NDArray[Any], actions: NDArray[Any]) -> tuple[Transitions, NDArray[Any], dict[str, Any]]:
    """Steps all envs; returns the transitions, the observations to act on next, and what ended episodes were like."""
    next_obs, rewards, terminations, _, infos = envs.step(actions)
    successors = next_obs
    if "final_obs" in infos:  # of an ended env, `next_obs` belongs to the next episode
        successors = next_obs.copy()
        successors[infos["_final_obs"]] = infos["final_obs"][infos["_final_obs"]]
    arrays = (obs, actions, rewards.astype(np.float32), successors, terminations)
    return Transitions(*map(torch.as_tensor, arrays)), next_obs, infos.get("final_info", {})


@torch.no_grad()
def td_target(batch: Transitions, q_network: Any, target_network: Any, gamma: float) -> Tensor:
    """Targets (B,) of double Q-learning: the online network chooses the next action, the target network prices it."""
    best_actions = q_network(batch.next_obs).argmax(dim=-1, keepdim=True)  # (B, 1)
    next_values: Tensor = target_network(batch.next_obs).gather(1, best_actions).squeeze(1)  # (B,)
    return batch.rewards + gamma * next_values.masked_fill(batch.terminations, 0.0)


def update(
    q_network: QNetwork,
    target_network: QNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Transitions,
    args: Args,
) -> dict[str, float]:
    """Learns from a batch, lets the target network follow, and returns what to log."""
    targets = td_target(batch, q_network, target_network, args.gamma)
    q_values = q_network(batch.obs).gather(1, batch.actions.unsqueeze(1)).squeeze(1)
    loss = nn.functional.smooth_l1_loss(q_values, targets)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    with torch.no_grad():
        for target, online in zip(target_network.parameters(), q_network.parameters(), strict=True):
            target.lerp_(online, args.tau)
    return {"loss/td": loss.item(), "q/mean": q_values.mean().item()}


@torch.no_grad()
def greedy(q_network: QNetwork, obs: NDArray[Any], device: torch.device) -> NDArray[Any]:
    """The best actions (N,) for observations (N, num_inputs)."""
    actions: NDArray[Any] = q_network(torch.as_tensor(obs, device=device)).argmax(dim=-1).cpu().numpy()
    return actions


def evaluate(q_network: QNetwork, args: Args, device: torch.device) -> dict[str, float]:
    """Drives held-out levels without chance: the first episode of each env, so that short ones do not count twice."""
    envs = make_envs(args, args.eval_episodes, split="test")
    obs, _ = envs.reset(seed=args.seed)
    totals = {"episode_return": 0.0, "episode_length": 0.0, "success": 0.0}
    is_running = np.ones(args.eval_episodes, np.bool_)
    while is_running.any():
        obs, _, terminations, truncations, infos = envs.step(greedy(q_network, obs, device))
        ended = is_running & (terminations | truncations)
        if ended.any():
            totals = {name: total + float(infos["final_info"][name][ended].sum()) for name, total in totals.items()}
        is_running &= ~ended
    envs.close()
    return {f"eval/{name}": total / args.eval_episodes for name, total in totals.items()}


def train(args: Args) -> tuple[QNetwork, dict[str, float]]:
    """Trains a network, evaluates it and returns both it and what came out."""
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    device = torch.device("cuda" if args.cuda else "cpu")
    run_name = f"{args.env_id.rpartition('/')[2]}__cleanrl_dqn__{args.seed}__{time.strftime('%Y%m%d-%H%M%S')}"
    writer = SummaryWriter(str(args.log_dir / run_name))
    writer.add_text("settings", "\n".join(f"- {name}: {value}" for name, value in asdict(args).items()))

    envs = make_envs(args, args.num_envs, split="train")
    assert isinstance(envs.single_action_space, gym.spaces.Discrete)
    num_actions = int(envs.single_action_space.n)
    # One seed per env: with seed=1 and seed=2 all envs but one would drive the same levels in both runs.
    seeds = np.random.SeedSequence(args.seed).generate_state(args.num_envs, np.uint64).tolist()
    obs, _ = envs.reset(seed=seeds)
    q_network = QNetwork(obs.shape[1], num_actions).to(device)
    target_network = QNetwork(obs.shape[1], num_actions).to(device)
    target_network.load_state_dict(q_network.state_dict())
    optimizer = torch.optim.Adam(q_network.parameters(), lr=args.learning_rate)
    buffer = ReplayBuffer(args.buffer_size, args.num_envs, obs.shape[1])

    logged: dict[str, float] = {}
    successes: list[float] = []
    start = time.perf_counter()
    num_rows = args.total_timesteps // args.num_envs
    for number in range(num_rows):
        global_step = (number + 1) * args.num_envs
        progress = min(1.0, number / max(1, args.exploration_fraction * num_rows))
        epsilon = args.epsilon_start + progress * (args.epsilon_end - args.epsilon_start)
        random_actions = rng.integers(num_actions, size=args.num_envs)
        actions = np.where(rng.random(args.num_envs) < epsilon, random_actions, greedy(q_network, obs, device))
        row, obs, ended = step(envs, obs, actions)
        buffer.add(row)
        if ended:
            successes += ended["success"][ended["_success"]].tolist()
        if global_step >= args.learning_starts:
            optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - number / num_rows)
            for _ in range(args.updates_per_step):
                batch = buffer.sample(args.batch_size, device)
                logged = update(q_network, target_network, optimizer, batch, args)

        if number % 100 == 99:
            logged["schedule/epsilon"] = epsilon
            logged["time/steps_per_second"] = global_step / (time.perf_counter() - start)
            if successes:
                logged["rollout/success"] = float(np.mean(successes[-500:]))
            for name, value in logged.items():
                writer.add_scalar(name, value, global_step)
        if number % 400 == 399:
            print(f"step {global_step:>9,}  success {logged.get('rollout/success', float('nan')):.2f}")
    envs.close()

    result = evaluate(q_network, args, device)
    for name, value in result.items():
        writer.add_scalar(name, value, num_rows * args.num_envs)
    writer.close()
    return q_network, result


if __name__ == "__main__":
    for name, value in train(tyro.cli(Args, description=__doc__))[1].items():
        print(f"{name}: {value:.3f}")
