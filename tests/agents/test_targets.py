"""TD targets against hand-worked numbers, the definitions, and dynamic programming."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agents.targets import (
    double_dqn_target,
    gae,
    lambda_returns,
    n_step_returns,
    n_step_window,
    td_target,
    vtrace,
)

NAN = math.nan


def column(*values: float) -> Tensor:
    """One env, time first: shape (T, 1)."""
    return torch.tensor(values, dtype=torch.float32)[:, None]


def flags(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.bool)[:, None]


def assert_equal(actual: Tensor, *expected: float) -> None:
    assert actual.dtype == torch.float32
    np.testing.assert_allclose(actual[:, 0].numpy(), expected, rtol=1e-6, atol=1e-7)


# Five steps of one env: an ordinary one, a truncated one, one that is both terminated and
# truncated, an ordinary one, and the segment's last. gamma = 0.5.
REWARDS = column(1.0, 2.0, 3.0, 4.0, 5.0)
NEXT_VALUES = column(10.0, 20.0, NAN, 40.0, 50.0)
TERMINATED = flags(0, 0, 1, 0, 0)
TRUNCATED = flags(0, 1, 1, 0, 0)


def test_one_step_target_bootstraps_unless_terminated() -> None:
    # 1 + 5; 2 + 10 (truncated: bootstraps); 3 (terminated, though truncated too); 4 + 20; 5 + 25
    actual = td_target(REWARDS, NEXT_VALUES, TERMINATED, 0.5)
    assert_equal(actual, 6.0, 12.0, 3.0, 24.0, 30.0)


def test_double_dqn_target_prices_the_online_choice_with_the_target_network() -> None:
    rewards = torch.tensor([1.0, 1.0, 1.0])
    next_q_online = torch.tensor([[3.0, 2.0], [0.0, 1.0], [NAN, NAN]])
    next_q_target = torch.tensor([[10.0, 20.0], [10.0, 20.0], [NAN, NAN]])
    terminated = torch.tensor([False, False, True])
    # online prefers action 0, worth 10: 1 + 0.5 * 10; then action 1: 1 + 0.5 * 20; terminated: 1
    actual = double_dqn_target(rewards, next_q_online, next_q_target, terminated, 0.5)
    assert actual.tolist() == [6.0, 11.0, 1.0]


def test_n_step_window_stops_at_ends_and_at_the_segment() -> None:
    returns, discounts, offsets = n_step_window(REWARDS, TERMINATED, TRUNCATED, 0.5, 3)
    # t=0: steps 0, 1 (truncated):      1 + 0.5 * 2 = 2,  discount 0.25, last step 1 later
    # t=1: step 1 (truncated):          2,                discount 0.5,  last step itself
    # t=2: step 2 (terminated):         3,                discount 0,    itself
    # t=3: steps 3, 4 (segment's end):  4 + 0.5 * 5,      discount 0.25, 1 later
    # t=4: step 4:                      5,                discount 0.5,  itself
    assert_equal(returns, 2.0, 2.0, 3.0, 6.5, 5.0)
    assert_equal(discounts, 0.25, 0.5, 0.0, 0.25, 0.5)
    assert offsets[:, 0].tolist() == [1, 0, 0, 1, 0]
    assert offsets.dtype == torch.int64


def test_n_step_returns_bootstrap_where_the_window_ends() -> None:
    # 2 + 0.25 * 20; 2 + 0.5 * 20; 3; 6.5 + 0.25 * 50; 5 + 0.5 * 50
    actual = n_step_returns(REWARDS, NEXT_VALUES, TERMINATED, TRUNCATED, 0.5, 3)
    assert_equal(actual, 7.0, 12.0, 3.0, 19.0, 30.0)


def test_lambda_returns_mix_backwards_and_are_cut_at_ends() -> None:
    # lam = 0.5. t=4: 5 + 0.5 * 50 = 30.  t=3: 4 + 0.5 * (0.5 * 40 + 0.5 * 30) = 21.5.  t=2: 3.
    # t=1 (truncated): 2 + 0.5 * 20 = 12.  t=0: 1 + 0.5 * (0.5 * 10 + 0.5 * 12) = 6.5.
    actual = lambda_returns(REWARDS, NEXT_VALUES, TERMINATED, TRUNCATED, 0.5, 0.5)
    assert_equal(actual, 6.5, 12.0, 3.0, 21.5, 30.0)


def test_gae_accumulates_errors_backwards_and_is_cut_at_ends() -> None:
    values = column(1.0, 1.0, 1.0, 1.0, 1.0)
    # delta = td_target - 1 = 5, 11, 2, 23, 29; gamma * lam = 0.25.
    # t=3: 23 + 0.25 * 29 = 30.25.  t=0: 5 + 0.25 * 11 = 7.75.  Ends: delta alone.
    actual = gae(REWARDS, values, NEXT_VALUES, TERMINATED, TRUNCATED, 0.5, 0.5)
    assert_equal(actual, 7.75, 11.0, 2.0, 30.25, 29.0)


def test_vtrace_clips_ratios_and_is_cut_at_ends() -> None:
    values = column(1.0, 1.0, 1.0, 1.0, 1.0)
    log_rhos = column(math.log(0.5), math.log(4.0), 0.0, math.log(0.5), math.log(2.0))
    # rho = c = 0.5, 1 (clipped), 1, 0.5, 1 (clipped); delta = 5, 11, 2, 23, 29; gamma = 0.5.
    # v - V: t=4: 29.  t=3: 0.5 * 23 + 0.5 * 0.5 * 29 = 18.75.  t=2: 2.  t=1: 11.
    #        t=0: 0.5 * 5 + 0.5 * 0.5 * 11 = 5.25.
    targets, advantages = vtrace(REWARDS, values, NEXT_VALUES, TERMINATED, TRUNCATED, log_rhos, 0.5)
    assert_equal(targets, 6.25, 12.0, 3.0, 19.75, 30.0)
    # rho * (r + 0.5 * v[t+1] - 1), next_values at ends. t=0: 0.5 * (1 + 6 - 1).  t=1: 2 + 10 - 1.
    # t=2: 3 - 1.  t=3: 0.5 * (4 + 15 - 1).  t=4: 5 + 25 - 1.
    assert_equal(advantages, 3.0, 11.0, 2.0, 9.0, 29.0)


# --- by definition --------------------------------------------------------------------------------

segments = st.tuples(
    st.integers(1, 7),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)


class Segment:
    """Random data with NaN wherever nothing may be read, and every target by its definition."""

    gamma, lam, n = 0.97, 0.9, 3
    rho_clip, c_clip = 1.5, 1.2

    def __init__(self, length: int, num_envs: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shape = (length, num_envs)
        self.terminated = torch.from_numpy(rng.random(shape) < 0.25)
        self.truncated = torch.from_numpy(rng.random(shape) < 0.25)
        self.rewards = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
        self.values = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
        next_values = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
        next_values[self.terminated] = NAN
        self.next_values = next_values
        self.log_rhos = torch.from_numpy(rng.normal(size=shape).astype(np.float32))

    def is_last(self, t: int, i: int) -> bool:
        return bool(self.terminated[t, i] | self.truncated[t, i]) or t == len(self.rewards) - 1

    def next_value(self, t: int, i: int) -> float:
        return 0.0 if self.terminated[t, i] else float(self.next_values[t, i])

    def delta(self, t: int, i: int) -> float:
        reward, value = float(self.rewards[t, i]), float(self.values[t, i])
        return reward + self.gamma * self.next_value(t, i) - value

    def n_step_return(self, t: int, i: int) -> float:
        total, k = 0.0, 0
        while True:
            total += self.gamma**k * float(self.rewards[t + k, i])
            k += 1
            if k == self.n or self.is_last(t + k - 1, i):
                return total + self.gamma**k * self.next_value(t + k - 1, i)

    def lambda_return(self, t: int, i: int) -> float:
        if self.is_last(t, i):
            return float(self.rewards[t, i]) + self.gamma * self.next_value(t, i)
        mixed = (1 - self.lam) * self.next_value(t, i) + self.lam * self.lambda_return(t + 1, i)
        return float(self.rewards[t, i]) + self.gamma * mixed

    def advantage(self, t: int, i: int) -> float:
        rest = 0.0 if self.is_last(t, i) else self.advantage(t + 1, i)
        return self.delta(t, i) + self.gamma * self.lam * rest

    def ratio(self, t: int, i: int, clip: float) -> float:
        return min(clip, math.exp(float(self.log_rhos[t, i])))

    def vtrace_target(self, t: int, i: int) -> float:
        value = float(self.values[t, i]) + self.ratio(t, i, self.rho_clip) * self.delta(t, i)
        if self.is_last(t, i):
            return value
        correction = self.vtrace_target(t + 1, i) - float(self.values[t + 1, i])
        return value + self.gamma * self.lam * self.ratio(t, i, self.c_clip) * correction

    def vtrace_advantage(self, t: int, i: int) -> float:
        last = self.is_last(t, i)
        following = self.next_value(t, i) if last else self.vtrace_target(t + 1, i)
        error = float(self.rewards[t, i]) + self.gamma * following - float(self.values[t, i])
        return self.ratio(t, i, self.rho_clip) * error

    def tabulate(self, definition: Callable[[int, int], float]) -> np.ndarray:
        length, num_envs = self.rewards.shape
        return np.array([[definition(t, i) for i in range(num_envs)] for t in range(length)])


@settings(max_examples=60, deadline=None)
@given(segments)
def test_every_recursion_equals_its_definition(
    case: tuple[int, int, float, float, int, int],
) -> None:
    length, num_envs, gamma, lam, n, seed = case
    s = Segment(length, num_envs, seed)
    s.gamma, s.lam, s.n = gamma, lam, n
    ends = (s.terminated, s.truncated)
    targets, advantages = vtrace(
        s.rewards, s.values, s.next_values, *ends, s.log_rhos, gamma, lam, s.rho_clip, s.c_clip
    )
    for actual, definition in (
        (n_step_returns(s.rewards, s.next_values, *ends, gamma, n), s.n_step_return),
        (lambda_returns(s.rewards, s.next_values, *ends, gamma, lam), s.lambda_return),
        (gae(s.rewards, s.values, s.next_values, *ends, gamma, lam), s.advantage),
        (targets, s.vtrace_target),
        (advantages, s.vtrace_advantage),
    ):
        expected = s.tabulate(definition)
        np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_on_policy_vtrace_is_gae() -> None:
    s = Segment(20, 4, 3)
    ends = (s.terminated, s.truncated)
    targets, _ = vtrace(s.rewards, s.values, s.next_values, *ends, torch.zeros(20, 4), 0.97, 0.9)
    advantages = gae(s.rewards, s.values, s.next_values, *ends, 0.97, 0.9)
    torch.testing.assert_close(targets - s.values, advantages)


def test_one_step_special_cases_agree() -> None:
    s = Segment(9, 3, 5)
    ends = (s.terminated, s.truncated)
    expected = td_target(s.rewards, s.next_values, s.terminated, 0.9)
    torch.testing.assert_close(n_step_returns(s.rewards, s.next_values, *ends, 0.9, 1), expected)
    torch.testing.assert_close(lambda_returns(s.rewards, s.next_values, *ends, 0.9, 0.0), expected)
    torch.testing.assert_close(gae(s.rewards, s.values, s.next_values, *ends, 0.9, 0.0) + s.values, expected)


# --- dynamic programming --------------------------------------------------------------------------

NUM_STATES, NUM_ACTIONS, GAMMA = 12, 3, 0.9


def enumerated_mdp() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A deterministic MDP: successors, rewards, terminations, optimal action values."""
    rng = np.random.default_rng(0)
    successors = rng.integers(NUM_STATES, size=(NUM_STATES, NUM_ACTIONS))
    rewards = rng.normal(size=(NUM_STATES, NUM_ACTIONS)).astype(np.float32)
    terminated = rng.random((NUM_STATES, NUM_ACTIONS)) < 0.2
    q_values = np.zeros((NUM_STATES, NUM_ACTIONS))
    for _ in range(500):
        bootstrap = np.where(terminated, 0.0, q_values[successors].max(-1))
        q_values = rewards + GAMMA * bootstrap
    return successors, rewards, terminated, q_values


def test_optimal_values_are_a_fixed_point_of_the_double_dqn_target() -> None:
    successors, rewards, terminated, q_values = enumerated_mdp()
    next_q = torch.from_numpy(q_values[successors].astype(np.float32))
    next_q[torch.from_numpy(terminated)] = NAN
    actual = double_dqn_target(torch.from_numpy(rewards), next_q, next_q, torch.from_numpy(terminated), GAMMA)
    np.testing.assert_allclose(actual.numpy(), q_values, atol=1e-5)


def test_with_exact_values_every_target_is_the_exact_value() -> None:
    """Along paths of a fixed policy that start anew at random: cuts must not move any target."""
    successors, rewards, terminated, _ = enumerated_mdp()
    policy = np.arange(NUM_STATES) % NUM_ACTIONS
    states = np.arange(NUM_STATES)
    values = np.zeros(NUM_STATES)
    for _ in range(500):
        bootstrap = np.where(terminated[states, policy], 0.0, values[successors[states, policy]])
        values = rewards[states, policy] + GAMMA * bootstrap
    rng = np.random.default_rng(1)
    rows: list[tuple[float, float, float, bool, bool]] = []
    state = 0
    for _ in range(300):
        action = int(policy[state])
        successor = int(successors[state, action])
        is_terminated = bool(terminated[state, action])
        is_truncated = bool(rng.random() < 0.2)
        next_value = NAN if is_terminated else values[successor]
        rows.append((rewards[state, action], values[state], next_value, is_terminated, is_truncated))
        is_over = is_terminated or is_truncated
        state = int(rng.integers(NUM_STATES)) if is_over else successor
    r, v, next_v = (column(*[row[k] for row in rows]) for k in range(3))
    ends = tuple(flags(*[row[k] for row in rows]) for k in (3, 4))
    assert ends[0].any()
    assert (ends[1] & ~ends[0]).any()
    for target in (
        td_target(r, next_v, ends[0], GAMMA),
        n_step_returns(r, next_v, *ends, GAMMA, 4),
        lambda_returns(r, next_v, *ends, GAMMA, 0.8),
        gae(r, v, next_v, *ends, GAMMA, 0.95) + v,
        vtrace(r, v, next_v, *ends, torch.randn(300, 1), GAMMA)[0],
    ):
        torch.testing.assert_close(target, v, atol=1e-4, rtol=0.0)


# --- wrong input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [-0.1, 1.1, NAN])
def test_gamma_outside_the_unit_interval_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match="gamma must be in"):
        td_target(REWARDS, NEXT_VALUES, TERMINATED, gamma)


def test_each_wrong_argument_is_named() -> None:
    with pytest.raises(ValueError, match="lam must be in"):
        gae(REWARDS, REWARDS, NEXT_VALUES, TERMINATED, TRUNCATED, 0.9, 2.0)
    with pytest.raises(ValueError, match="n must be an integer >= 1, got 0"):
        n_step_window(REWARDS, TERMINATED, TRUNCATED, 0.9, 0)
    with pytest.raises(TypeError, match="n must be an integer"):
        n_step_window(REWARDS, TERMINATED, TRUNCATED, 0.9, 1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="truncated must be a bool tensor"):
        n_step_window(REWARDS, TERMINATED, TRUNCATED.int(), 0.9, 1)
    with pytest.raises(TypeError, match="next_values must be a float32 tensor"):
        td_target(REWARDS, NEXT_VALUES.double(), TERMINATED, 0.9)
    with pytest.raises(ValueError, match="terminated must have the shape of rewards"):
        td_target(REWARDS, NEXT_VALUES, TERMINATED[:2], 0.9)
    with pytest.raises(ValueError, match="next_q_online must have the shape"):
        double_dqn_target(REWARDS, NEXT_VALUES[:2], NEXT_VALUES, TERMINATED, 0.9)


def test_targets_carry_no_gradient() -> None:
    next_values = torch.ones(3, 2, requires_grad=True)
    zeros = torch.zeros(3, 2)
    ends = torch.zeros(3, 2, dtype=torch.bool)
    assert not td_target(zeros, next_values, ends, 0.9).requires_grad
    assert not gae(zeros, next_values, next_values, ends, ends, 0.9, 0.9).requires_grad
