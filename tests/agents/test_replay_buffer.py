"""The replay ring: windows, true successors, priorities, storage. The reference is a list that forgets nothing."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.replay_buffer import Batch, ReplayBuffer
from agents.stepping import Step

GAMMA = 0.5
NUM_ENVS = 3
SPACE = gym.spaces.Box(-1e6, 1e6, (1,), np.float32)


class Recorder:
    """Feeds a buffer with random episodes and remembers every step in plain lists.

    Each observation is a number of its own, so that a sampled one tells where it came from. With ``waits`` the row
    after an end is none of an episode, as under next-step autoreset; what it holds is garbage.
    """

    def __init__(self, buffer: ReplayBuffer, seed: int, end_rate: float, *, waits: bool = False) -> None:
        self.buffer = buffer
        self.rng = np.random.default_rng(seed)
        self.end_rate = end_rate
        self.waits = waits
        self.steps: dict[float, tuple[int, int]] = {}  # first observation -> (time, env)
        self.rows: list[dict[str, np.ndarray]] = []
        self.count = seed * 10_000
        self.ended = np.zeros(NUM_ENVS, np.bool_)
        self.obs = self.numbers()
        buffer.begin(self.obs)

    def numbers(self) -> np.ndarray:
        self.count += NUM_ENVS
        return np.arange(self.count, self.count + NUM_ENVS, dtype=np.float32)[:, None]

    def step(self) -> None:
        for i in range(NUM_ENVS):
            self.steps[float(self.obs[i, 0])] = (len(self.rows), i)
        is_real = ~(self.ended & self.waits)
        terminated, truncated = (self.rng.random((2, NUM_ENVS)) < self.end_rate) & is_real
        following, final_obs = self.numbers(), self.numbers()
        self.ended = terminated | truncated
        row = {
            "actions": self.rng.integers(5, size=NUM_ENVS),
            "rewards": np.where(is_real, self.rng.normal(size=NUM_ENVS), np.nan),
            "terminated": terminated,
            "truncated": truncated,
            "is_real": is_real,
        }
        shown = np.where(self.ended[:, None], final_obs, np.nan).astype(np.float32)
        self.buffer.add(
            Step(**row, next_obs=following, final_obs=shown if self.ended.any() else None, starts=self.ended)
        )
        self.rows.append({**row, "successors": np.where(self.ended[:, None], final_obs, following)})
        self.obs = following

    def starts(self, n: int) -> set[tuple[int, int]]:
        """The steps, as (time, env), that the ring holds with n complete successors."""
        oldest = max(0, len(self.rows) - (self.buffer.num_rows - 1))
        times = range(oldest, len(self.rows) + 1 - n)
        return {(t, i) for t in times for i in range(NUM_ENVS) if self.rows[t]["is_real"][i]}

    def ring_index(self, time: int, i: int) -> int:
        return time % self.buffer.num_rows * NUM_ENVS + i

    def window(self, time: int, i: int, n: int) -> tuple[float, float, float, int]:
        """Return, discount, successor and length by definition."""
        total = 0.0
        for k in range(n):
            row = self.rows[time + k]
            total += GAMMA**k * row["rewards"][i]
            if row["terminated"][i]:
                return total, 0.0, row["successors"][i, 0], k + 1
            if row["truncated"][i] or k == n - 1:
                return total, GAMMA ** (k + 1), row["successors"][i, 0], k + 1
        raise AssertionError

    def check(self, batch: Batch, n: int) -> set[tuple[int, int]]:
        """Compares a batch with the definition and returns the starts, as (time, env), that are in it."""
        seen = set()
        for index, number in enumerate(batch.obs[:, 0].tolist()):
            start, i = self.steps[number]
            seen.add((start, i))
            total, discount, successor, length = self.window(start, i, n)
            assert batch.returns[index].item() == pytest.approx(total, abs=1e-5)
            assert batch.discounts[index].item() == pytest.approx(discount)
            assert batch.next_obs[index, 0].item() == successor
            assert batch.actions[index].item() == self.rows[start]["actions"][i]
            assert batch.steps[index] == self.ring_index(start, i)
            if batch.windows is not None:
                factors = batch.windows.factors[:, index].tolist()
                assert factors == [GAMMA**k if k < length else 0.0 for k in range(n)]
                for k in range(length):
                    assert self.steps[batch.windows.obs[k, index, 0].item()] == (start + k, i)
                    assert batch.windows.actions[k, index].item() == self.rows[start + k]["actions"][i]
        return seen


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("end_rate", [0.0, 0.15, 0.9])
@pytest.mark.parametrize("waits", [False, True])
def test_every_sampled_window_equals_its_definition(n: int, end_rate: float, waits: bool) -> None:
    """Before the ring is full, and after it has gone round several times; all starts are drawn and nothing else."""
    buffer = ReplayBuffer(SPACE, NUM_ENVS, buffer_size=NUM_ENVS * 8, n_step=n)
    recorder = Recorder(buffer, seed=n, end_rate=end_rate, waits=waits)
    rng = np.random.default_rng(0)
    for _ in range(30):
        recorder.step()
        expected = recorder.starts(n)
        assert buffer.num_starts == len(expected)
        if expected:
            assert recorder.check(buffer.sample(200, GAMMA, rng, with_windows=True), n) == expected


def test_a_buffer_of_rows_without_a_transition_draws_none() -> None:
    """Drawing again until a row is real would never end."""
    buffer = ReplayBuffer(SPACE, NUM_ENVS, buffer_size=NUM_ENVS * 2, n_step=1)
    obs, no, yes = np.zeros((NUM_ENVS, 1), np.float32), np.zeros(NUM_ENVS, np.bool_), np.ones(NUM_ENVS, np.bool_)
    buffer.begin(obs)
    for is_real, num_starts in ((yes, 3), (no, 3), (no, 0)):  # the third row overwrites the first
        buffer.add(Step(np.zeros(NUM_ENVS, np.int64), np.zeros(NUM_ENVS), no, no, obs, None, is_real, no))
        assert buffer.num_starts == num_starts
    with pytest.raises(ValueError, match="2 stored steps hold no window of 1"):
        buffer.sample(4, GAMMA, np.random.default_rng(0))


@given(
    n=st.integers(1, 4),
    num_more_rows=st.integers(0, 5),
    end_rate=st.sampled_from([0.0, 0.2, 0.7]),
    waits=st.booleans(),
    alpha=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_priorities_follow_their_steps_through_the_ring(
    n: int, num_more_rows: int, end_rate: float, waits: bool, alpha: float, seed: int
) -> None:
    """Steps without n complete successors, overwritten ones and rows without a transition have none."""
    buffer = ReplayBuffer(SPACE, NUM_ENVS, NUM_ENVS * (n + num_more_rows), n, priority_exponent=alpha)
    recorder = Recorder(buffer, seed, end_rate, waits=waits)
    rng = np.random.default_rng(seed)
    errors: dict[tuple[int, int], float] = {}  # of all starts
    largest = 1.0
    for _ in range(3 * buffer.num_rows):
        recorder.step()
        starts = recorder.starts(n)
        errors = {start: errors.get(start, largest) for start in starts}
        expected = np.zeros(buffer.num_rows * NUM_ENVS)
        for start, error in errors.items():
            expected[recorder.ring_index(*start)] = error**alpha
        np.testing.assert_allclose(buffer.tree.leaves, expected, rtol=1e-12)
        assert buffer.num_starts == len(starts)
        if not starts:
            continue
        batch = buffer.sample(6, GAMMA, rng, importance_exponent=0.7)
        assert recorder.check(batch, n) <= starts
        # (N P(i))**-0.7, divided by its largest in the batch.
        chances = expected[batch.steps] / expected.sum()
        weights = (len(starts) * chances) ** -0.7
        assert batch.weights is not None
        np.testing.assert_allclose(batch.weights, weights / weights.max(), rtol=1e-5)
        of_step = {step: rng.uniform(0.0, 3.0) for step in sorted(set(batch.steps.tolist()))}
        sizes = np.array([of_step[step] for step in batch.steps.tolist()], np.float32)
        buffer.set_errors(batch.steps, sizes)
        for number, size in zip(batch.obs[:, 0].tolist(), sizes.tolist(), strict=True):
            errors[recorder.steps[number]] = size + 1e-6
            largest = max(largest, size + 1e-6)


def test_windows_are_drawn_in_proportion_to_their_priorities() -> None:
    """One draw from each of B equal shares: a step of chance p has parts of two shares at most."""
    buffer = ReplayBuffer(SPACE, NUM_ENVS, NUM_ENVS * 9, 2, priority_exponent=0.5)
    recorder = Recorder(buffer, seed=0, end_rate=0.2, waits=True)
    for _ in range(30):
        recorder.step()
    steps = np.flatnonzero(buffer.tree.leaves)
    buffer.set_errors(steps, np.arange(len(steps), dtype=np.float32) ** 2)  # the priorities are 0.001, 1, 2, 3, ...
    priorities = np.maximum(np.arange(len(steps)), 0.001)
    batch = buffer.sample(5000, GAMMA, np.random.default_rng(0))
    counts = np.bincount(batch.steps, minlength=len(buffer.tree.leaves))
    assert counts.sum() == counts[steps].sum() == 5000
    np.testing.assert_allclose(counts[steps], 5000 * priorities / priorities.sum(), atol=2.0)


def test_errors_are_refused_without_priorities() -> None:
    buffer = ReplayBuffer(SPACE, NUM_ENVS, 9, 1)
    with pytest.raises(ValueError, match="set_errors needs a buffer with a priority_exponent"):
        buffer.set_errors(np.zeros(1, np.int64), np.zeros(1, np.float32))


def test_last_observations_are_freed_with_their_steps() -> None:
    """The side ring stays as large as the ends that the ring holds, however long the run is."""
    buffer = ReplayBuffer(SPACE, NUM_ENVS, buffer_size=NUM_ENVS * 8, n_step=1)
    recorder = Recorder(buffer, seed=0, end_rate=0.9)
    for _ in range(500):
        recorder.step()
    assert buffer.next_final - buffer.first_final <= NUM_ENVS * 8
    assert len(buffer.finals) <= 2 * NUM_ENVS * 8


def test_bytes_stay_bytes() -> None:
    space = gym.spaces.Box(0, 255, (2, 3, 3), np.uint8)
    buffer = ReplayBuffer(space, 2, buffer_size=10, n_step=1)
    obs = np.full((2, 2, 3, 3), 200, np.uint8)
    nothing = np.zeros(2, np.bool_)
    buffer.begin(obs)
    buffer.add(Step(np.zeros(2, np.int64), np.zeros(2), nothing, nothing, obs, None, ~nothing, nothing))
    batch = buffer.sample(4, GAMMA, np.random.default_rng(0))
    assert batch.obs.dtype == batch.next_obs.dtype == torch.uint8
    assert batch.obs.unique().tolist() == [200]


def test_what_is_stored_does_not_change_with_the_caller_s_arrays() -> None:
    """Vector environments overwrite their views in the next step."""
    buffer = ReplayBuffer(SPACE, NUM_ENVS, buffer_size=9, n_step=1)
    obs = np.ones((NUM_ENVS, 1), np.float32)
    nothing = np.zeros(NUM_ENVS, np.bool_)
    ended = np.ones(NUM_ENVS, np.bool_)
    final_obs = np.full((NUM_ENVS, 1), 7.0, np.float32)
    buffer.begin(obs)
    obs[:] = 2.0
    actions, is_real = np.zeros(NUM_ENVS, np.int64), ~nothing
    buffer.add(Step(actions, np.ones(NUM_ENVS), nothing, ended, obs, final_obs, is_real, ended))
    obs[:] = ended[:] = final_obs[:] = 0
    batch = buffer.sample(5, GAMMA, np.random.default_rng(0))
    assert batch.obs.unique().tolist() == [1.0]
    assert batch.next_obs.unique().tolist() == [7.0]
    assert batch.discounts.unique().tolist() == [GAMMA]


def test_samples_depend_on_the_caller_s_generator_alone() -> None:
    buffer = ReplayBuffer(SPACE, NUM_ENVS, buffer_size=60, n_step=2)
    recorder = Recorder(buffer, seed=0, end_rate=0.2)
    for _ in range(30):
        recorder.step()
    first, second = (buffer.sample(50, GAMMA, np.random.default_rng(4)) for _ in range(2))
    assert equal(first, second)


@pytest.mark.parametrize("num_steps", [1, 4, 50])
@pytest.mark.parametrize("alpha", [None, 0.6])
def test_a_restored_buffer_continues_like_the_original(num_steps: int, alpha: float | None) -> None:
    buffers = [ReplayBuffer(SPACE, NUM_ENVS, 30, 2, priority_exponent=alpha) for _ in range(2)]
    recorder = Recorder(buffers[0], seed=0, end_rate=0.5, waits=True)
    twin = Recorder(buffers[1], seed=9, end_rate=0.5, waits=True)
    for _ in range(num_steps):
        recorder.step()
        set_random_errors(buffers[0])
    arrays, counters = buffers[0].state()
    buffers[1].load_state({name: array.copy() for name, array in arrays.items()}, counters)
    twin.obs, twin.count, twin.ended = recorder.obs, recorder.count, recorder.ended
    twin.rng.bit_generator.state = recorder.rng.bit_generator.state
    for player, buffer in zip((recorder, twin), buffers, strict=True):
        for _ in range(20):
            player.step()
            set_random_errors(buffer)
    assert buffers[0].num_starts == buffers[1].num_starts
    assert equal(*(buffer.sample(99, GAMMA, np.random.default_rng(1)) for buffer in buffers))


def set_random_errors(buffer: ReplayBuffer) -> None:
    if buffer.priority_exponent is not None and buffer.num_starts:
        steps = np.unique(buffer.sample(8, GAMMA, np.random.default_rng(buffer.cursor)).steps)
        buffer.set_errors(steps, np.random.default_rng(buffer.cursor).random(len(steps), np.float32) * 3.0)


def equal(first: Batch, second: Batch) -> bool:
    pairs: list[tuple[Any, Any]] = list(zip(first, second, strict=True))
    return all((a is None and b is None) or torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in pairs)


def test_a_buffer_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer_size must be at least"):
        ReplayBuffer(SPACE, NUM_ENVS, buffer_size=5, n_step=2)


def test_an_end_without_its_last_observation_is_refused() -> None:
    buffer = ReplayBuffer(SPACE, NUM_ENVS, buffer_size=9, n_step=1)
    obs = np.zeros((NUM_ENVS, 1), np.float32)
    ended = np.ones(NUM_ENVS, np.bool_)
    buffer.begin(obs)
    with pytest.raises(ValueError, match="final_obs must be given"):
        buffer.add(Step(np.zeros(NUM_ENVS, np.int64), np.zeros(NUM_ENVS), ended, ~ended, obs, None, ended, ended))
