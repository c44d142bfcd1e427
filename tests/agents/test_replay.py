"""The replay ring: windows, true successors, storage."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.replay import ReplayBuffer

GAMMA = 0.5
NUM_ENVS = 3
SPACE = gym.spaces.Box(-1e6, 1e6, (1,), np.float32)


class Recorder:
    """Feeds a buffer with random episodes and remembers every step in plain lists.

    Each observation is a number of its own, so that a sampled one tells where it came from.
    """

    def __init__(self, buffer: ReplayBuffer, seed: int, end_rate: float) -> None:
        self.buffer = buffer
        self.rng = np.random.default_rng(seed)
        self.end_rate = end_rate
        self.steps: dict[float, tuple[int, int]] = {}  # first observation -> (time, lane)
        self.rows: list[dict[str, np.ndarray]] = []
        self.count = seed * 10_000
        self.obs = self.numbers()
        buffer.begin(self.obs)

    def numbers(self) -> np.ndarray:
        self.count += NUM_ENVS
        return np.arange(self.count, self.count + NUM_ENVS, dtype=np.float32)[:, None]

    def step(self) -> None:
        for lane in range(NUM_ENVS):
            self.steps[float(self.obs[lane, 0])] = (len(self.rows), lane)
        terminated, truncated = self.rng.random((2, NUM_ENVS)) < self.end_rate
        following, final_obs = self.numbers(), self.numbers()
        ended = terminated | truncated
        row = {
            "actions": self.rng.integers(5, size=NUM_ENVS),
            "rewards": self.rng.normal(size=NUM_ENVS),
            "terminated": terminated,
            "truncated": truncated,
        }
        shown = np.where(ended[:, None], final_obs, np.nan).astype(np.float32)
        self.buffer.add(**row, next_obs=following, final_obs=shown if ended.any() else None)
        self.rows.append({**row, "successors": np.where(ended[:, None], final_obs, following)})
        self.obs = following

    def window(self, time: int, lane: int, n: int) -> tuple[float, float, float]:
        """Return, discount and successor by definition."""
        total = 0.0
        for k in range(n):
            row = self.rows[time + k]
            total += GAMMA**k * row["rewards"][lane]
            if row["terminated"][lane]:
                return total, 0.0, row["successors"][lane, 0]
            if row["truncated"][lane] or k == n - 1:
                return total, GAMMA ** (k + 1), row["successors"][lane, 0]
        raise AssertionError


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("end_rate", [0.0, 0.15, 0.9])
def test_every_sampled_window_equals_its_definition(n: int, end_rate: float) -> None:
    """Before the ring is full, and after it has gone round several times."""
    buffer = ReplayBuffer(SPACE, NUM_ENVS, buffer_size=NUM_ENVS * 8, n_step=n)
    recorder = Recorder(buffer, seed=n, end_rate=end_rate)
    rng = np.random.default_rng(0)
    for time in range(45):
        recorder.step()
        if buffer.num_starts == 0:
            continue
        batch = buffer.sample(200, GAMMA, rng)
        seen = set()
        for index, number in enumerate(batch.obs[:, 0].tolist()):
            start, lane = recorder.steps[number]
            seen.add((start, lane))
            total, discount, successor = recorder.window(start, lane, n)
            assert batch.returns[index].item() == pytest.approx(total, abs=1e-5)
            assert batch.discounts[index].item() == pytest.approx(discount)
            assert batch.next_obs[index, 0].item() == successor
            assert batch.actions[index].item() == recorder.rows[start]["actions"][lane]
        # Exactly the stored steps with n complete successors can be drawn, and all of them are.
        oldest = max(0, time + 1 - 8)
        assert seen == {(t, i) for t in range(oldest, time + 2 - n) for i in range(NUM_ENVS)}


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
    buffer.add(np.zeros(2), np.zeros(2), nothing, nothing, obs, None)
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
    buffer.add(np.zeros(NUM_ENVS), np.ones(NUM_ENVS), nothing, ended, obs, final_obs)
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
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("num_steps", [4, 50])
def test_a_restored_buffer_continues_like_the_original(num_steps: int) -> None:
    buffers = [ReplayBuffer(SPACE, NUM_ENVS, buffer_size=30, n_step=2) for _ in range(2)]
    recorder = Recorder(buffers[0], seed=0, end_rate=0.5)
    for _ in range(num_steps):
        recorder.step()
    buffers[1].load_state(*buffers[0].state())
    twin = Recorder(ReplayBuffer(SPACE, NUM_ENVS, 30, 2), seed=9, end_rate=0.5)
    twin.buffer, twin.obs, count = buffers[1], recorder.obs, recorder.count
    state = recorder.rng.bit_generator.state
    for player in (recorder, twin):
        player.rng.bit_generator.state, player.count = state, count
        for _ in range(20):
            player.step()
    batches = [buffer.sample(99, GAMMA, np.random.default_rng(1)) for buffer in buffers]
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


def test_a_buffer_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer_size must be at least"):
        ReplayBuffer(SPACE, NUM_ENVS, buffer_size=5, n_step=2)


def test_an_end_without_its_last_observation_is_refused() -> None:
    buffer = ReplayBuffer(SPACE, NUM_ENVS, buffer_size=9, n_step=1)
    obs = np.zeros((NUM_ENVS, 1), np.float32)
    ended = np.ones(NUM_ENVS, np.bool_)
    buffer.begin(obs)
    with pytest.raises(ValueError, match="final_obs must be given"):
        buffer.add(np.zeros(NUM_ENVS), np.zeros(NUM_ENVS), ended, ~ended, obs, None)
