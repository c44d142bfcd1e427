"""PPO with a recurrent memory: what it learns from is what it acted on, across the ends of episodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from noise import NoiseVectorEnv
from numpy.typing import NDArray
from on_policy import act_and_record, begin, drive, fill_rollout, make_agent
from torch import Tensor

from agents import ppo
from agents.networks import NetworkConfig
from agents.ppo import PPO, PPOConfig
from agents.stepping import Stepper

MODES = list(AutoresetMode)
CONFIG = PPOConfig(
    num_envs=6,
    num_steps=8,
    gamma=0.9,
    minibatches=2,
    learning_rate=1e-2,
    memory_size=4,
    network=NetworkConfig(hidden_sizes=(8,), layer_norm=False),
)


def replayed_one_by_one(agent: PPO, obs: Tensor, memory: Tensor, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (T, N, num_actions), values (T, N) and memories (T, N, memory_size), one step at a time."""
    logits, values, memories = [], [], []
    with torch.no_grad():
        for t in range(len(obs)):
            memory = memory * ~starts[t][:, None]
            now = agent.network(obs[t], memory)
            memory = now[2]
            for rows, row in zip((logits, values, memories), now, strict=True):
                rows.append(row)
    return torch.stack(logits), torch.stack(values), torch.stack(memories)


@pytest.mark.parametrize("separate_critic", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_what_is_replayed_is_what_was_acted_on(mode: AutoresetMode, separate_critic: bool) -> None:
    agent = make_agent(replace(CONFIG, separate_critic=separate_critic))
    stepper = Stepper(NoiseVectorEnv(CONFIG.num_envs, mode))
    obs = begin(agent, stepper)
    for _ in range(3):  # the second and third rollout begin with what is remembered of the one before
        experience = fill_rollout(agent, stepper, obs)
        obs = stepper.envs.obs
        rollout = agent.rollout
        assert rollout.starts.any()
        assert not rollout.starts.all()
        with torch.no_grad():
            logits, values = agent.network.unroll(rollout.obs, rollout.memory, rollout.starts)
        log_probs = logits.log_softmax(dim=2).gather(2, rollout.actions[..., None])[..., 0]
        torch.testing.assert_close(values, rollout.values, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(log_probs, rollout.log_probs, rtol=1e-5, atol=1e-6)
        one_by_one = replayed_one_by_one(agent, experience.obs, rollout.memory, rollout.starts)
        torch.testing.assert_close(logits, one_by_one[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(values, one_by_one[1], rtol=1e-5, atol=1e-6)
        agent.update()
    assert rollout.memory.abs().sum() > 0


@pytest.mark.parametrize("mode", MODES)
def test_the_memory_is_empty_exactly_where_an_episode_begins(mode: AutoresetMode) -> None:
    agent, stepper = make_agent(CONFIG), Stepper(NoiseVectorEnv(CONFIG.num_envs, mode))
    obs = begin(agent, stepper)
    starts = []
    for _ in range(20):
        step = act_and_record(agent, stepper, obs)
        agent.update()
        assert agent.memory is not None
        is_empty = (agent.memory == 0.0).all(dim=1).numpy()
        np.testing.assert_array_equal(is_empty, step.starts)
        starts.append(step.starts)
        obs = step.next_obs
    assert 0.1 < np.mean(starts) < 0.5


@pytest.mark.parametrize("mode", MODES)
def test_a_truncated_episode_bootstraps_with_the_memory_that_it_had(
    mode: AutoresetMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[tuple[Any, ...]] = []
    gae = ppo.gae

    def spy(*arguments: Any) -> Tensor:
        known.append(arguments)
        return gae(*arguments)

    monkeypatch.setattr(ppo, "gae", spy)
    agent, stepper = make_agent(CONFIG), Stepper(NoiseVectorEnv(CONFIG.num_envs, mode))
    experience = fill_rollout(agent, stepper, begin(agent, stepper))
    memory, starts = agent.rollout.memory.clone(), agent.rollout.starts.clone()
    _, _, memories = replayed_one_by_one(agent, experience.obs, memory, starts)
    with torch.no_grad():
        expected = [
            agent.network(seen.nan_to_num(), memory)[1]
            for seen, memory in zip(experience.successors, memories, strict=True)
        ]
    agent.update()
    ((_, _, next_values, terminated, truncated, _, _),) = known
    matters = experience.is_real & ~terminated
    assert (truncated & matters).any()
    torch.testing.assert_close(next_values[matters], torch.stack(expected)[matters], rtol=1e-5, atol=1e-6)


def test_beginning_anew_forgets_everything() -> None:
    agent, stepper = make_agent(CONFIG), Stepper(NoiseVectorEnv(CONFIG.num_envs))
    drive(agent, stepper, begin(agent, stepper), 11)
    obs = begin(agent, stepper, seed=1)
    agent.act(obs)
    with torch.no_grad():
        expected = agent.network(torch.from_numpy(obs))[1]
    torch.testing.assert_close(agent.rollout.values[0], expected, rtol=1e-5, atol=1e-6)


# --- a task that takes a memory ---------------------------------------------------------------------------------------


class CueVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """Shows -1 or 1 in the first step and 0 in the second, whose action 0 or 1 must answer to what was shown first."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.single_action_space = gym.spaces.Discrete(2)
        self.cues = np.zeros(num_envs)
        self.is_second = False  # all envs are in step

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        self.rng = np.random.default_rng(seed)
        return self._begin(), {}

    def step(self, actions: NDArray[Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        no, zeros = np.zeros(self.num_envs, np.bool_), np.zeros((self.num_envs, 1), np.float32)
        if not self.is_second:
            self.is_second = True
            return zeros, np.zeros(self.num_envs), no, no, {}
        rewards = np.where((actions == 1) == (self.cues > 0), 1.0, -1.0)
        return self._begin(), rewards, ~no, no, {"final_obs": zeros}

    def _begin(self) -> NDArray[np.float32]:
        self.is_second = False
        self.cues = self.rng.choice([-1.0, 1.0], self.num_envs)
        return self.cues.astype(np.float32)[:, None]


def answers_after_training(memory_size: int) -> list[int]:
    """What the driver does in the second step after each cue."""
    config = replace(CONFIG, num_envs=32, num_steps=8, memory_size=memory_size, entropy_coefficient=0.02)
    envs = CueVectorEnv(32)
    agent = PPO(envs.single_observation_space, envs.single_action_space, config, seed=0, total_steps=32 * 8 * 40)
    stepper = Stepper(envs)
    drive(agent, stepper, begin(agent, stepper), 8 * 40)
    policy = agent.policy()
    policy.begin()
    policy(np.array([[-1.0], [1.0]], np.float32))
    return policy(np.zeros((2, 1), np.float32)).tolist()


def test_only_with_a_memory_can_an_answer_depend_on_what_was_shown_before() -> None:
    assert answers_after_training(memory_size=8) == [0, 1]
    first, second = answers_after_training(memory_size=0)
    assert first == second
