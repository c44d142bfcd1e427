"""TD targets and advantages: pure functions, float32 in and out, without gradients.

The boundary contract is the same everywhere in this file:

* ``next_values[t]`` is the value of the **true** successor of step ``t``; where an episode ended
  that is the final observation, not the first observation of the next episode. It may be NaN where
  ``terminated``.
* ``terminated`` masks the bootstrap (by selection, never by multiplication, since ``0 * nan`` is
  ``nan``).
* ``terminated | truncated`` cuts every recursion. A truncated step therefore bootstraps and cuts.
* The last row of a segment bootstraps from ``next_values``, like a truncated step.

``td_target`` and ``double_dqn_target`` are elementwise; every other function takes tensors of shape
(T, N), time first (further or fewer trailing axes work as well).
"""

from __future__ import annotations

import math
from numbers import Integral, Real

import torch
from torch import Tensor

__all__ = [
    "double_dqn_target",
    "gae",
    "lambda_returns",
    "n_step_returns",
    "n_step_window",
    "td_target",
    "vtrace",
]


@torch.no_grad()
def td_target(rewards: Tensor, next_values: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """One-step target ``r + gamma * V(s')``, without the bootstrap where ``terminated``.

    Sutton & Barto, *Reinforcement Learning* (2nd ed., 2018), equation 6.2; with ``next_values =
    max_a Q(s', a)`` it is the target of Q-learning (equation 6.8) and of DQN (Mnih et al. 2015).

    Args:
        rewards: float32, any shape.
        next_values: float32, same shape; may be NaN where terminated.
        terminated: bool, same shape. Truncated steps bootstrap, hence truncation is not an
            argument.
        gamma: discount in [0, 1].

    Returns:
        float32 targets of the same shape.
    """
    gamma = _check_unit_interval("gamma", gamma)
    _check_tensors(rewards, floats={"next_values": next_values}, ends={"terminated": terminated})
    return rewards + gamma * next_values.masked_fill(terminated, 0.0)


@torch.no_grad()
def double_dqn_target(
    rewards: Tensor,
    next_q_online: Tensor,
    next_q_target: Tensor,
    terminated: Tensor,
    gamma: float,
) -> Tensor:
    """Double Q-learning target ``r + gamma * Q_target(s', argmax_a Q_online(s', a))``.

    Van Hasselt, Guez & Silver, *Deep Reinforcement Learning with Double Q-learning* (2016),
    equation 4: the online network chooses the action, the target network prices it.

    Args:
        rewards: float32, shape (...).
        next_q_online: float32, shape (..., num_actions).
        next_q_target: float32, shape (..., num_actions).
        terminated: bool, shape (...).
        gamma: discount in [0, 1].

    Returns:
        float32 targets of the shape of ``rewards``.
    """
    _check_tensors(rewards)
    _check_float32("next_q_online", next_q_online)
    shape = tuple(next_q_online.shape)
    if shape[:-1] != tuple(rewards.shape) or len(shape) != rewards.ndim + 1 or shape[-1] == 0:
        raise ValueError(
            "next_q_online must have the shape of rewards and one more axis of at least one "
            f"action, {(*rewards.shape, 'num_actions')}, got {shape}"
        )
    _check_tensors(next_q_online, floats={"next_q_target": next_q_target}, like="next_q_online")
    best_actions = next_q_online.argmax(dim=-1, keepdim=True)  # (..., 1)
    next_values = next_q_target.gather(-1, best_actions).squeeze(-1)  # (...)
    return td_target(rewards, next_values, terminated, gamma)


@torch.no_grad()
def n_step_window(
    rewards: Tensor, terminated: Tensor, truncated: Tensor, gamma: float, n: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Discounted rewards of up to ``n`` steps, and where and how strongly to bootstrap after them.

    Sutton & Barto (2018), equation 7.1, cut at the ends of episodes. Step ``t`` owns a window of
    ``m = min(n, steps up to and including the first end, T - t)`` steps, and its target is::

        returns[t] + discounts[t] * next_values[t + offsets[t]]

    Args:
        rewards: float32, shape (T, N).
        terminated: bool, shape (T, N).
        truncated: bool, shape (T, N).
        gamma: discount in [0, 1].
        n: number of steps, at least 1.

    Returns:
        ``returns`` (float32): the sum of ``gamma**k * r[t + k]`` for ``k < m``. ``discounts``
        (float32): ``gamma**m``, or 0 if the window ends in a termination. ``offsets`` (int64): ``m
        - 1``, from ``t`` to the window's last step.
    """
    gamma = _check_unit_interval("gamma", gamma)
    num_steps = _check_step_count("n", n)
    _check_tensors(rewards, ends={"terminated": terminated, "truncated": truncated})
    length = _check_time_axis("rewards", rewards)
    goes_on = ~(terminated | truncated)
    returns = torch.zeros_like(rewards)
    discounts = torch.zeros_like(rewards)
    offsets = torch.zeros_like(rewards, dtype=torch.int64)
    is_open = torch.ones_like(terminated)  # the window of step t reaches step t + k
    for k in range(min(num_steps, length)):
        rows = length - k  # steps t for which step t + k exists
        is_open = is_open[:rows]
        returns[:rows] += torch.where(is_open, gamma**k * rewards[k:], 0.0)
        bootstrap = torch.where(terminated[k:], 0.0, gamma ** (k + 1))
        discounts[:rows] = torch.where(is_open, bootstrap.to(rewards.dtype), discounts[:rows])
        offsets[:rows] = torch.where(is_open, k, offsets[:rows])
        is_open = is_open & goes_on[k:]
    return returns, discounts, offsets


@torch.no_grad()
def n_step_returns(
    rewards: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    n: int,
) -> Tensor:
    """n-step returns on the windows of :func:`n_step_window`.

    ``G[t] = returns[t] + discounts[t] * next_values[t + offsets[t]]``: Sutton & Barto (2018),
    equation 7.1; the multi-step target of Rainbow (Hessel et al. 2018). With ``n = 1`` it equals
    :func:`td_target`.

    Args:
        rewards: float32, shape (T, N).
        next_values: float32, shape (T, N), of the true successors; may be NaN where terminated.
        terminated: bool, shape (T, N).
        truncated: bool, shape (T, N).
        gamma: discount in [0, 1].
        n: number of steps, at least 1.

    Returns:
        float32 returns, shape (T, N).
    """
    _check_tensors(rewards, floats={"next_values": next_values})
    returns, discounts, offsets = n_step_window(rewards, terminated, truncated, gamma, n)
    times = torch.arange(rewards.shape[0], device=rewards.device)  # (T,)
    last_steps = times.reshape(-1, *[1] * (rewards.ndim - 1)) + offsets  # (T, N)
    values = next_values.masked_fill(terminated, 0.0).gather(0, last_steps)
    return returns + discounts * values


@torch.no_grad()
def lambda_returns(
    rewards: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Lambda returns after Peng's Q(lambda), uncut, by a backward recursion.

    ``G[t] = r[t] + gamma * ((1 - lam) * next_values[t] + lam * G[t + 1])``: Peng & Williams,
    *Incremental Multi-Step Q-Learning* (1996), in the backward form that PQN uses (Gallici et al.
    2024). "Uncut" means that the trace survives exploratory actions, unlike Watkins's. At an end,
    and in the last row, ``G[t] = r[t] + gamma * next_values[t]``, without the bootstrap where
    terminated.

    Args:
        rewards: float32, shape (T, N).
        next_values: float32, shape (T, N), ``max_a Q`` of the true successors; may be NaN where
            terminated.
        terminated: bool, shape (T, N).
        truncated: bool, shape (T, N).
        gamma: discount in [0, 1].
        lam: mixing of one-step (0) and longest possible (1) returns, in [0, 1].

    Returns:
        float32 returns, shape (T, N).
    """
    gamma = _check_unit_interval("gamma", gamma)
    lam = _check_unit_interval("lam", lam)
    _check_tensors(
        rewards,
        floats={"next_values": next_values},
        ends={"terminated": terminated, "truncated": truncated},
    )
    length = _check_time_axis("rewards", rewards)
    bootstrap = next_values.masked_fill(terminated, 0.0)
    is_end = terminated | truncated
    returns = rewards + gamma * bootstrap  # right at every end and in the last row
    for t in reversed(range(length - 1)):
        mixed = rewards[t] + gamma * ((1.0 - lam) * bootstrap[t] + lam * returns[t + 1])
        returns[t] = torch.where(is_end[t], returns[t], mixed)
    return returns


@torch.no_grad()
def gae(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Generalised advantage estimation.

    Inside an episode ``A[t] = delta[t] + gamma * lam * A[t + 1]`` with ``delta[t] = r[t] + gamma *
    next_values[t] - values[t]``; at an end, and in the last row, ``A[t] = delta[t]``: Schulman et
    al., *High-Dimensional Continuous Control Using Generalized Advantage Estimation* (2016),
    equation 16. The matching returns are ``A + values``.

    Args:
        rewards: float32, shape (T, N).
        values: float32, shape (T, N), of the observations acted on.
        next_values: float32, shape (T, N), of the true successors; may be NaN where terminated.
        terminated: bool, shape (T, N).
        truncated: bool, shape (T, N).
        gamma: discount in [0, 1].
        lam: mixing of one-step (0) and Monte Carlo (1) advantages, in [0, 1].

    Returns:
        float32 advantages, shape (T, N).
    """
    gamma = _check_unit_interval("gamma", gamma)
    lam = _check_unit_interval("lam", lam)
    _check_tensors(
        rewards,
        floats={"values": values, "next_values": next_values},
        ends={"terminated": terminated, "truncated": truncated},
    )
    length = _check_time_axis("rewards", rewards)
    is_end = terminated | truncated
    advantages = td_target(rewards, next_values, terminated, gamma) - values  # delta
    for t in reversed(range(length - 1)):
        advantages[t] += (gamma * lam * advantages[t + 1]).masked_fill(is_end[t], 0.0)
    return advantages


@torch.no_grad()
def vtrace(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    log_rhos: Tensor,
    gamma: float,
    lam: float = 1.0,
    rho_clip: float = 1.0,
    c_clip: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """V-trace value targets and policy-gradient advantages for off-policy segments.

    Espeholt et al., *IMPALA* (2018), equation 1 in its recursive form (Remark 1), with ``c`` scaled
    by ``lam`` (Remark 2). Inside an episode, with ``ratio = pi(a|s) / mu(a|s)``::

        v[t] = V[t] + rho[t] * delta[t] + gamma * c[t] * (v[t + 1] - V[t + 1])
        delta[t] = r[t] + gamma * next_values[t] - V[t]
        rho = min(rho_clip, ratio),  c = lam * min(c_clip, ratio)
        advantage[t] = rho[t] * (r[t] + gamma * v[t + 1] - V[t])

    At an end, and in the last row, the recursion stops and ``next_values[t]`` takes the place of
    ``v[t + 1]``. On-policy (``log_rhos = 0``, clips at least 1) ``targets - values`` equals
    :func:`gae`.

    Args:
        rewards: float32, shape (T, N).
        values: float32, shape (T, N), of the observations acted on.
        next_values: float32, shape (T, N), of the true successors; may be NaN where terminated.
        terminated: bool, shape (T, N).
        truncated: bool, shape (T, N).
        log_rhos: float32, shape (T, N), ``log pi(a|s) - log mu(a|s)``.
        gamma: discount in [0, 1].
        lam: mixing of one-step (0) and longest possible (1) targets, in [0, 1].
        rho_clip: upper bound of ``rho``, at least 0; it decides what the values converge to.
        c_clip: upper bound of ``c`` before ``lam``, at least 0; it decides how fast.

    Returns:
        ``targets`` and ``advantages``, float32, shape (T, N).
    """
    gamma = _check_unit_interval("gamma", gamma)
    lam = _check_unit_interval("lam", lam)
    rho_clip = _check_clip("rho_clip", rho_clip)
    c_clip = _check_clip("c_clip", c_clip)
    _check_tensors(
        rewards,
        floats={"values": values, "next_values": next_values, "log_rhos": log_rhos},
        ends={"terminated": terminated, "truncated": truncated},
    )
    length = _check_time_axis("rewards", rewards)
    is_end = terminated | truncated
    ratios = log_rhos.exp()
    rhos = ratios.clamp(max=rho_clip)
    cs = lam * ratios.clamp(max=c_clip)
    corrections = rhos * (td_target(rewards, next_values, terminated, gamma) - values)  # v - V
    for t in reversed(range(length - 1)):
        corrections[t] += (gamma * cs[t] * corrections[t + 1]).masked_fill(is_end[t], 0.0)
    targets = values + corrections
    # v[t + 1] inside an episode, the true successor's value at its end and in the last row.
    next_targets = next_values.clone()
    next_targets[:-1] = torch.where(is_end[:-1], next_values[:-1], targets[1:])
    advantages = rhos * (td_target(rewards, next_targets, terminated, gamma) - values)
    return targets, advantages


def _check_unit_interval(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number in [0, 1], got {value!r} of {type(value).__name__}")
    if not 0.0 <= float(value) <= 1.0:
        raise ValueError(f"{name} must be in [0, 1], got {value!r}")
    return float(value)


def _check_clip(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number >= 0, got {value!r} of {type(value).__name__}")
    if math.isnan(float(value)) or float(value) < 0.0:
        raise ValueError(f"{name} must be a number >= 0, got {value!r}")
    return float(value)


def _check_step_count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer >= 1, got {value!r} of {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {value!r}")
    return int(value)


def _check_time_axis(name: str, tensor: Tensor) -> int:
    if tensor.ndim == 0:
        raise ValueError(f"{name} must have a time axis, shape (T, N), got a scalar")
    return int(tensor.shape[0])


def _check_float32(name: str, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a float32 torch.Tensor, got {type(tensor).__name__}")
    if tensor.dtype != torch.float32:
        raise TypeError(f"{name} must be a float32 tensor, got {tensor.dtype}")


def _check_tensors(
    reference: Tensor,
    floats: dict[str, Tensor] | None = None,
    ends: dict[str, Tensor] | None = None,
    like: str = "rewards",
) -> None:
    """Checks that everything has the reference's shape, is float32, or bool for the ends."""
    _check_float32(like, reference)
    for name, tensor in (floats or {}).items():
        _check_float32(name, tensor)
        _check_shape(name, tensor, like, reference)
    for name, tensor in (ends or {}).items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a bool torch.Tensor, got {type(tensor).__name__}")
        if tensor.dtype != torch.bool:
            raise TypeError(f"{name} must be a bool tensor, got {tensor.dtype}")
        _check_shape(name, tensor, like, reference)


def _check_shape(name: str, tensor: Tensor, like: str, reference: Tensor) -> None:
    if tensor.shape != reference.shape:
        shapes = f"{tuple(reference.shape)}, got {tuple(tensor.shape)}"
        raise ValueError(f"{name} must have the shape of {like}, {shapes}")
