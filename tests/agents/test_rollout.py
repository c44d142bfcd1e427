"""The rollout: true successors at every kind of end, memories at cuts, storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agents.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from agents.rollout import Rollout
from agents.stepping import Step
from agents.targets import lambda_returns

NUM_ACTIONS = 3
MEMORY_SIZE = 2
SPACE = gym.spaces.Box(-1e6, 1e6, (1,), np.float32)
TENSORS = ("obs", "actions", "values", "log_probs", "rewards", "terminated", "truncated", "is_real", "starts", "memory")


def value_of(obs: Tensor, memory: Tensor) -> Tensor:
    """A value that tells which observation and which memory it was made of."""
    assert not obs.isnan().any()  # only last observations of truncated episodes have a value
    return obs[:, 0] + memory.sum(dim=1) / 1024.0


class Player:
    """Plays random rows into a rollout and remembers them in plain lists; every observation is a number of its own.

    The rows are those of any autoreset mode: an env may end in one row and begin in the next, which is then not real.
    """

    def __init__(self, num_steps: int, num_envs: int, memory_size: int, end_rate: float, seed: int) -> None:
        self.rollout = Rollout(SPACE, NUM_ACTIONS, num_steps, num_envs, memory_size=memory_size, has_masks=True)
        self.num_envs, self.memory_size, self.end_rate = num_envs, memory_size, end_rate
        self.rng = np.random.default_rng(seed)
        self.count = 0
        self.obs = self.numbers()
        self.memory = torch.from_numpy(self.rng.integers(9, size=(num_envs, memory_size))).float()
        self.starts = np.ones(num_envs, np.bool_)
        self.is_begun_next = np.zeros(num_envs, np.bool_)
        self.rows: list[dict[str, Any]] = []
        self.rollout.clear(self.starts, self.memory)

    def numbers(self) -> np.ndarray:
        self.count += self.num_envs
        return np.arange(self.count, self.count + self.num_envs, dtype=np.float32)[:, None]

    def play(self) -> None:
        num_envs, rng = self.num_envs, self.rng
        actions = rng.integers(NUM_ACTIONS, size=num_envs)
        masks = rng.random((num_envs, NUM_ACTIONS)) < 0.5
        values, log_probs = torch.from_numpy(rng.integers(-99, 99, (2, num_envs))).float()
        self.rollout.put(torch.from_numpy(self.obs), torch.from_numpy(actions), values, log_probs, masks)
        is_real = ~self.is_begun_next
        terminated, truncated = (rng.random((2, num_envs)) < self.end_rate) & is_real
        ended = terminated | truncated
        begins_later = ended & (rng.random(num_envs) < 0.5)
        starts = self.is_begun_next | (ended & ~begins_later)
        final_obs, next_obs = self.numbers(), self.numbers()
        next_obs[begins_later] = final_obs[begins_later]
        cut = truncated & ~terminated
        shown = np.where(cut[:, None], final_obs, np.nan).astype(np.float32)
        rewards = rng.integers(-9, 9, num_envs).astype(np.float64)
        self.memory = torch.from_numpy(rng.integers(9, size=(num_envs, self.memory_size))).float()
        step = Step(actions, rewards, terminated, truncated, next_obs, shown if cut.any() else None, is_real, starts)
        kept = Step(*(None if part is None else part.copy() for part in step))
        self.rows.append(
            {"obs": self.obs, "starts": self.starts, "values": values, "log_probs": log_probs, "masks": masks}
            | {name: getattr(kept, name) for name in ("actions", "rewards", "terminated", "truncated", "is_real")}
            | {"cut_values": value_of(torch.from_numpy(np.nan_to_num(shown)), self.memory)}
            | {"step": kept, "memory": self.memory}
        )
        self.rollout.add(step, self.memory if self.memory_size else None)
        for overwritten in (rewards, terminated, truncated, shown, is_real):  # as a vector environment's views are
            overwritten[:] = 1
        self.obs, self.starts, self.is_begun_next = next_obs, starts, begins_later
        self.memory = torch.where(torch.from_numpy(starts)[:, None], 0.0, self.memory)

    def begin_next(self) -> None:
        self.rollout.clear(self.starts, self.memory)
        self.rows = []

    def last_values(self) -> Tensor:
        return value_of(torch.from_numpy(self.obs), self.memory) + 0.5

    def true_next_value(self, time: int, i: int) -> float:
        """By definition, for a step that was not terminated."""
        if self.rows[time]["truncated"][i]:
            return float(self.rows[time]["cut_values"][i])
        if time + 1 == len(self.rows):
            return float(self.last_values()[i])
        return float(self.rows[time + 1]["values"][i])

    def true_return(self, time: int, i: int, gamma: float) -> float:
        """The discounted sum of rewards to the end of the episode or the rollout, and what the rest is worth."""
        row = self.rows[time]
        if row["terminated"][i]:
            return float(row["rewards"][i])
        if row["truncated"][i] or time + 1 == len(self.rows):
            return float(row["rewards"][i]) + gamma * self.true_next_value(time, i)
        return float(row["rewards"][i]) + gamma * self.true_return(time + 1, i, gamma)


players = st.builds(
    Player,
    num_steps=st.integers(1, 8),
    num_envs=st.integers(1, 4),
    memory_size=st.sampled_from([0, MEMORY_SIZE]),
    end_rate=st.sampled_from([0.0, 0.2, 0.7]),
    seed=st.integers(0, 2**32 - 1),
)


@settings(deadline=None, max_examples=60)
@given(players)
def test_every_successor_is_valued_by_definition_in_rollout_after_rollout(player: Player) -> None:
    """The next row's observation, the last one of a truncated episode, or the one after the rollout."""
    rollout = player.rollout
    for _ in range(2):
        while not rollout.is_full:
            player.play()
        next_values = rollout.next_values(value_of, player.last_values())
        returns = lambda_returns(rollout.rewards, next_values, rollout.terminated, rollout.truncated, 0.5, 1.0)
        for time, row in enumerate(player.rows):
            for i in np.flatnonzero(row["is_real"]):
                assert float(returns[time, i]) == pytest.approx(player.true_return(time, i, 0.5), rel=1e-5)
                if not row["terminated"][i]:
                    assert float(next_values[time, i]) == player.true_next_value(time, i)
        player.begin_next()


@settings(deadline=None, max_examples=30)
@given(players)
def test_a_full_rollout_holds_what_was_played(player: Player) -> None:
    """The environment's and the agent's arrays have been overwritten since."""
    memory = player.memory.clone()
    while not player.rollout.is_full:
        player.play()
    assert torch.equal(player.rollout.memory, memory)
    for time, row in enumerate(player.rows):
        for name in (
            "obs",
            "values",
            "log_probs",
            "masks",
            "starts",
            "actions",
            "rewards",
            "terminated",
            "truncated",
            "is_real",
        ):
            np.testing.assert_array_equal(getattr(player.rollout, name)[time].numpy(), row[name], err_msg=name)


@settings(deadline=None, max_examples=40)
@given(players, st.data())
def test_a_rollout_restored_at_any_cursor_continues_like_the_original(player: Player, data: st.DataObject) -> None:
    rollout = player.rollout
    before = data.draw(st.integers(0, rollout.num_steps), label="cursor")
    for _ in range(before):
        player.play()
    tensors, counters = rollout.state()
    twin = Rollout(
        SPACE, NUM_ACTIONS, rollout.num_steps, rollout.num_envs, memory_size=player.memory_size, has_masks=True
    )
    twin.load_state({name: tensor.clone() for name, tensor in tensors.items()}, counters)
    assert twin.cursor == before
    while not rollout.is_full:
        player.play()
    for row in player.rows[before:]:  # the same once more
        actions = torch.from_numpy(row["actions"])
        twin.put(torch.from_numpy(row["obs"]), actions, row["values"], row["log_probs"], row["masks"])
        twin.add(row["step"], row["memory"])
    for name in (*TENSORS, "masks"):
        assert torch.equal(getattr(twin, name), getattr(rollout, name)), name
    last = player.last_values()
    assert torch.equal(twin.next_values(value_of, last), rollout.next_values(value_of, last))


@pytest.mark.parametrize("memory_size", [0, MEMORY_SIZE])
def test_a_half_full_rollout_survives_the_disk(memory_size: int, tmp_path: Path) -> None:
    player = Player(num_steps=6, num_envs=3, memory_size=memory_size, end_rate=0.5, seed=1)
    for _ in range(5):
        player.play()
    tensors, counters = player.rollout.state()
    assert len(counters["cut_rows"]) > 1
    saved = save_checkpoint(Checkpoint(values=counters, tensors={"rollout": tensors}), tmp_path, "last", 0)
    checkpoint = load_checkpoint(saved)
    twin = Rollout(SPACE, NUM_ACTIONS, 6, 3, memory_size=memory_size, has_masks=True)
    twin.load_state(checkpoint.tensors["rollout"], checkpoint.values)
    again, counters_again = twin.state()
    assert counters_again == counters
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_the_successors_of_hand_worked_rows() -> None:
    # One env, T = 4, values 10, 20, 30, 40 of the rows, 50 after the last. The first step is truncated in 7 with a
    # memory of 3 + 4, the second goes on, the third terminates (and is cut), the fourth is the last.
    rollout = Rollout(SPACE, NUM_ACTIONS, 4, 1, memory_size=MEMORY_SIZE)
    rollout.clear(np.array([True]), torch.zeros(1, MEMORY_SIZE))
    for time, (terminated, truncated) in enumerate([(0, 1), (0, 0), (1, 1), (0, 0)]):
        rollout.put(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), torch.tensor([10.0 * (time + 1)]))
        ends = np.array([[terminated], [truncated]], np.bool_)
        final_obs = np.array([[7.0]], np.float32) if truncated and not terminated else None
        yes = np.array([True])
        step = Step(
            np.zeros(1, np.int64), np.zeros(1), *ends, np.zeros((1, 1), np.float32), final_obs, yes, ends.any(0)
        )
        rollout.add(step, torch.tensor([[3.0, 4.0]]))
    next_values = rollout.next_values(lambda obs, memory: 100.0 * obs[:, 0] + memory.sum(dim=1), torch.tensor([50.0]))
    assert next_values[:, 0][~rollout.terminated[:, 0]].tolist() == [707.0, 30.0, 50.0]
    assert rollout.starts[:, 0].tolist() == [True, True, False, True]


def test_bytes_stay_bytes() -> None:
    rollout = Rollout(gym.spaces.Box(0, 255, (2, 3, 3), np.uint8), NUM_ACTIONS, 2, 1)
    rollout.put(torch.full((1, 2, 3, 3), 200, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), torch.zeros(1))
    assert rollout.obs.dtype == torch.uint8
    assert rollout.obs[0].unique().tolist() == [200]


def test_a_truncation_without_its_last_observation_is_refused() -> None:
    rollout = Rollout(SPACE, NUM_ACTIONS, 2, 1)
    no, yes, obs = np.array([False]), np.array([True]), np.zeros((1, 1), np.float32)
    with pytest.raises(ValueError, match=r"final_obs must be given: the episodes of envs \[0\] ended"):
        rollout.add(Step(np.zeros(1, np.int64), np.zeros(1), no, yes, obs, None, yes, yes))
