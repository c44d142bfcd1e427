"""PQN: returns at every kind of end, exploration, schedules, and a state that continues it exactly."""

from __future__ import annotations

import copy
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from noise import NUM_ACTIONS, NoiseVectorEnv
from numpy.typing import NDArray
from torch import Tensor

from agents.networks import NetworkConfig
from agents.pqn import PQN, PQNConfig
from agents.stepping import Step, Stepper

MODES = list(AutoresetMode)
CONFIG = PQNConfig(
    num_envs=4,
    num_steps=8,
    gamma=0.9,
    lam=0.7,
    epochs=2,
    minibatches=3,
    learning_rate=1e-2,
    epsilon_end=0.3,
    exploration_fraction=0.5,
    network=NetworkConfig(hidden_sizes=(8,)),
)
TOTAL_STEPS = 2000


def make_agent(config: PQNConfig = CONFIG, seed: int = 0) -> PQN:
    envs = NoiseVectorEnv(config.num_envs)
    return PQN(
        envs.single_observation_space, envs.single_action_space, config, seed=seed, total_steps=TOTAL_STEPS
    )  # fmt: skip


def begin(agent: PQN, stepper: Stepper, seed: int = 0) -> NDArray[np.float32]:
    obs = stepper.begin([seed])
    agent.begin(obs)
    return obs


def act_and_record(agent: PQN, stepper: Stepper, obs: NDArray[np.float32]) -> Step:
    step = stepper.step(agent.act(obs))
    agent.record(step)
    return step


def drive(agent: PQN, stepper: Stepper, obs: NDArray[np.float32], num_steps: int) -> NDArray[np.float32]:
    for _ in range(num_steps):
        obs = act_and_record(agent, stepper, obs).next_obs
        agent.update()
    return obs


def weights(agent: PQN) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in agent.parameters]


def are_equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# --- returns ----------------------------------------------------------------------------------------------------------


def mixture_of_n_step_returns(steps: list[Step], successors: list[NDArray[np.float32]], values: Tensor) -> NDArray:
    """G (T, N) by its definition: n-step returns up to the end weigh (1 - lam) lam**(n - 1), the longest the rest.

    Args:
        steps: T.
        successors: T times (N, num_features), the true ones.
        values: (T, N), max_a Q of them.
    """
    gamma, lam = CONFIG.gamma, CONFIG.lam
    returns = np.zeros(values.shape)
    for t, i in np.ndindex(returns.shape):
        end = t
        while end < len(steps) - 1 and not steps[end].ended[i]:
            end += 1
        longest = end - t + 1
        for n in range(1, longest + 1):
            last = t + n - 1
            rewards = sum(gamma**k * steps[t + k].rewards[i] for k in range(n))
            bootstrap = 0.0 if steps[last].terminated[i] else gamma**n * float(values[last, i])
            weight = lam ** (n - 1) * (1.0 if n == longest else 1.0 - lam)
            returns[t, i] += weight * (rewards + bootstrap)
    return returns


@pytest.mark.parametrize("mode", MODES)
def test_the_returns_are_those_of_the_definition_at_every_kind_of_end(mode: AutoresetMode) -> None:
    config = replace(CONFIG, num_envs=32)
    agent, stepper = make_agent(config), Stepper(NoiseVectorEnv(32, mode))
    obs = begin(agent, stepper)
    steps, successors = [], []
    for _ in range(config.num_steps):
        step = act_and_record(agent, stepper, obs)
        obs = step.next_obs
        steps.append(step)
        successors.append(np.where(step.ended[:, None], 0.0 if step.final_obs is None else step.final_obs, obs))
    kinds = {(bool(a), bool(b)) for s in steps for a, b in zip(s.terminated, s.truncated, strict=True)}
    assert len(kinds) == 4  # neither, either, both
    with torch.no_grad():
        values = (
            agent.network(torch.from_numpy(np.stack(successors)).float().flatten(0, 1))
            .amax(dim=1)
            .unflatten(0, (-1, 32))
        )
    expected = mixture_of_n_step_returns(steps, successors, values)
    is_real = np.stack([step.is_real for step in steps])
    assert is_real.all() == (mode is not AutoresetMode.NEXT_STEP)
    actual = agent.returns(agent.rollout).numpy()
    np.testing.assert_allclose(actual[is_real], expected[is_real], rtol=1e-5, atol=1e-5)


def test_one_pass_in_one_batch_follows_the_gradient_of_half_the_mean_squared_error() -> None:
    config = replace(CONFIG, epochs=1, minibatches=1, optimizer="sgd", max_grad_norm=1e9, anneal_learning_rate=False)
    agent, stepper = make_agent(config), Stepper(NoiseVectorEnv(4))
    obs = begin(agent, stepper)
    for _ in range(config.num_steps):
        obs = act_and_record(agent, stepper, obs).next_obs
    network, rollout = copy.deepcopy(agent.network), agent.rollout
    values = network(rollout.obs.flatten(0, 1)).gather(1, rollout.actions.flatten()[:, None])[:, 0]
    errors = values - agent.returns(rollout).flatten()
    gradients = torch.autograd.grad((errors**2).sum() / (2 * errors.numel()), list(network.parameters()))
    expected = [w - config.learning_rate * g for w, g in zip(weights(agent), gradients, strict=True)]
    agent.update()
    for actual, wanted in zip(weights(agent), expected, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-5, atol=1e-7)


def test_rows_without_a_transition_teach_nothing() -> None:
    agents = [make_agent(), make_agent()]
    for agent in agents:
        stepper = Stepper(NoiseVectorEnv(CONFIG.num_envs, AutoresetMode.NEXT_STEP))
        obs = begin(agent, stepper)
        for _ in range(CONFIG.num_steps):
            obs = act_and_record(agent, stepper, obs).next_obs
    rollout = agents[1].rollout
    only_begun = ~rollout.is_real
    assert only_begun.sum() > 3
    rollout.obs[only_begun] = 77.0
    rollout.actions[only_begun] = 1
    rollout.rewards[only_begun] = -77.0
    rollout.values[only_begun] = 777.0
    before = weights(agents[0])
    for agent in agents:
        agent.update()
    assert are_equal(weights(agents[0]), weights(agents[1]))
    assert not are_equal(weights(agents[0]), before)


def test_more_minibatches_than_real_steps_do_no_harm() -> None:
    agent = make_agent(replace(CONFIG, num_steps=1, minibatches=4))
    stepper = Stepper(NoiseVectorEnv(4, AutoresetMode.NEXT_STEP))
    drive(agent, stepper, begin(agent, stepper), 40)
    assert all(weight.isfinite().all() for weight in weights(agent))


# --- exploration and schedules ----------------------------------------------------------------------------------------


class Coin:
    """Stands in for a generator: every env tosses the same number, and who explores takes action 2."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self, size: int) -> NDArray[np.float64]:
        return np.full(size, self.number)

    def integers(self, high: int, size: int) -> NDArray[np.int64]:
        return np.full(size, high - 1)


@pytest.mark.parametrize(("number", "explorers"), [(0.01, 3), (0.2, 2), (0.3, 1), (0.6, 0)])
def test_the_ladder_raises_epsilon_to_a_higher_power_in_later_envs(number: float, explorers: int) -> None:
    # Powers 1, 2 and 3 of one half: 0.5, 0.25 and 0.125.
    config = replace(CONFIG, num_envs=3, epsilon_start=0.5, epsilon_end=0.5, epsilon_ladder=2.0)
    agent = make_agent(config)
    agent.network = lambda obs: torch.tensor([[1.0, 0.0, 0.0]]).expand(len(obs), 3)  # type: ignore[assignment]
    agent.rng = Coin(number)  # type: ignore[assignment]
    actions = agent.act(np.zeros((3, 3), np.float32))
    assert actions.tolist() == [2] * explorers + [0] * (3 - explorers)


def test_epsilon_and_the_step_size_fall_linearly() -> None:
    agent = make_agent(replace(CONFIG, epsilon_start=0.9, epsilon_end=0.1, exploration_fraction=0.5))
    schedules = []
    for agent.global_step in (0, 500, 1000, 1500, 2000, 2100):
        schedules.append((agent.epsilon(), agent.learning_rate()))
    assert [epsilon for epsilon, _ in schedules] == pytest.approx([0.9, 0.5, 0.1, 0.1, 0.1, 0.1])
    assert [rate for _, rate in schedules] == pytest.approx([1e-2, 7.5e-3, 5e-3, 2.5e-3, 0.0, 0.0])


# --- reproducibility --------------------------------------------------------------------------------------------------


def trained(seed: int, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> list[Tensor]:
    agent, stepper = make_agent(seed=seed), Stepper(NoiseVectorEnv(CONFIG.num_envs, mode))
    drive(agent, stepper, begin(agent, stepper), 50)
    return weights(agent)


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    assert are_equal(trained(3), trained(3))
    assert not are_equal(trained(3), trained(4))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_steps", [16, 21])  # between two rollouts, and inside one
def test_a_restored_agent_goes_on_exactly_as_the_old_one(mode: AutoresetMode, num_steps: int) -> None:
    agent, stepper = make_agent(), Stepper(NoiseVectorEnv(CONFIG.num_envs, mode))
    obs = drive(agent, stepper, begin(agent, stepper), num_steps)
    saved, stepper_saved, obs_saved = copy.deepcopy((agent.state(), stepper, obs))
    drive(agent, stepper, obs, 20)

    restored = make_agent(seed=5)
    restored.load_state(saved)
    drive(restored, stepper_saved, obs_saved, 20)
    assert are_equal(weights(agent), weights(restored))
    assert agent.metrics() == restored.metrics()


def test_only_a_discrete_action_space_from_zero_is_taken() -> None:
    space = NoiseVectorEnv(1).single_observation_space
    with pytest.raises(ValueError, match="action_space must be a Discrete from 0"):
        PQN(space, gym.spaces.Discrete(NUM_ACTIONS, start=1), CONFIG, seed=0, total_steps=1)
