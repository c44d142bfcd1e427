"""Tools of the tests of on-policy learners: filling a rollout, and the definitions of advantages as plain sums."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from noise import NoiseVectorEnv
from numpy.typing import NDArray
from torch import Tensor

from agents.ppo import PPO, PPOConfig
from agents.stepping import Step, Stepper

TOTAL_STEPS = 4000


class Experience(NamedTuple):
    """T steps of N envs, as they came from the environment."""

    obs: Tensor
    """(T, N, num_features)."""
    successors: Tensor
    """(T, N, num_features), the true ones."""
    actions: Tensor
    """(T, N)."""
    rewards: Tensor
    """(T, N)."""
    terminated: Tensor
    """(T, N)."""
    truncated: Tensor
    """(T, N)."""
    is_real: Tensor
    """(T, N)."""
    masks: Tensor
    """(T, N, num_actions)."""


def make_agent(config: PPOConfig, seed: int = 0) -> PPO:
    envs = NoiseVectorEnv(config.num_envs)
    return PPO(envs.single_observation_space, envs.single_action_space, config, seed=seed, total_steps=TOTAL_STEPS)


def begin(agent: PPO, stepper: Stepper, seed: int = 0) -> NDArray[np.float32]:
    obs = stepper.begin([seed])
    agent.begin(obs)
    return obs


def act_and_record(agent: PPO, stepper: Stepper, obs: NDArray[np.float32]) -> Step:
    step = stepper.step(agent.act(obs, stepper.action_masks() if agent.config.mask_actions else None))
    agent.record(step)
    return step


def drive(agent: PPO, stepper: Stepper, obs: NDArray[np.float32], num_steps: int) -> NDArray[np.float32]:
    for _ in range(num_steps):
        obs = act_and_record(agent, stepper, obs).next_obs
        agent.update()
    return obs


def fill_rollout(agent: PPO, stepper: Stepper, obs: NDArray[np.float32]) -> Experience:
    """Drives until the rollout is full and not yet learnt from."""
    rows: list[tuple[Any, ...]] = []
    for _ in range(agent.config.num_steps):
        masks = stepper.action_masks()
        step = act_and_record(agent, stepper, obs)
        ended = step.ended[:, None]
        successors = step.next_obs if step.final_obs is None else np.where(ended, step.final_obs, step.next_obs)
        ends = (step.terminated, step.truncated)
        rows.append((obs, successors, step.actions, step.rewards, *ends, step.is_real, masks))
        obs = step.next_obs
    return Experience(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))


def advantages_by_definition(
    experience: Experience, values: Tensor, next_values: Tensor, gamma: float, lam: float
) -> Tensor:
    """Sums of (gamma lam)**k delta[t + k] up to the end; all (T, N)."""
    return _sums(experience, values, next_values, np.full(values.shape, lam), np.ones(values.shape), gamma)


def vtrace_by_definition(
    experience: Experience, values: Tensor, next_values: Tensor, ratios: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Targets and advantages (T, N) after equation 1 of the IMPALA paper, with clips of 1."""
    rhos = np.minimum(ratios.numpy().astype(np.float64), 1.0)
    targets = values + _sums(experience, values, next_values, lam * rhos, rhos, gamma)
    advantages = torch.zeros(values.shape)
    for t, i in np.ndindex(values.shape):
        ended = experience.terminated[t, i] or experience.truncated[t, i]
        bootstrap = next_values[t, i] if ended or t == len(values) - 1 else targets[t + 1, i]
        if experience.terminated[t, i]:
            bootstrap = torch.zeros(())
        delta = float(experience.rewards[t, i]) + gamma * float(bootstrap) - float(values[t, i])
        advantages[t, i] = rhos[t, i] * delta
    return targets, advantages


def _sums(
    experience: Experience,
    values: Tensor,
    next_values: Tensor,
    traces: NDArray[Any],
    weights: NDArray[Any],
    gamma: float,
) -> Tensor:
    """Sums over k of gamma**k traces[t] ... traces[t + k - 1] weights[t + k] delta[t + k], up to the end."""
    sums = torch.zeros(values.shape)
    length = len(values)
    for t, i in np.ndindex(values.shape):
        total, factor = 0.0, 1.0
        for s in range(t, length):
            bootstrap = 0.0 if experience.terminated[s, i] else float(next_values[s, i])
            delta = float(experience.rewards[s, i]) + gamma * bootstrap - float(values[s, i])
            total += factor * weights[s, i] * delta
            if experience.terminated[s, i] or experience.truncated[s, i]:
                break
            factor *= gamma * traces[s, i]
        sums[t, i] = total
    return sums


def weights(agent: PPO) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in agent.parameters]


def are_equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
