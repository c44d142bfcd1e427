"""DQN: targets of every switch at every kind of end, exploration, schedules, losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from agents.dqn import DQN, DQNConfig
from agents.networks import NetworkConfig
from agents.stepping import Step

SPACE = gym.spaces.Box(0.0, 100.0, (1,), np.float32)
CONFIG = DQNConfig(
    num_envs=2,
    n_step=1,
    gamma=0.5,
    batch_size=64,
    buffer_size=20,
    learning_starts=0,
    train_frequency=2,
    network=NetworkConfig(hidden_sizes=(8,)),
)


def make_agent(config: DQNConfig, total_steps: int = 1000) -> DQN:
    return DQN(SPACE, gym.spaces.Discrete(2), config, seed=0, total_steps=total_steps)


class Stub:
    """A network without layers: a function from observations to outputs (B, num_actions, K), of any kind."""

    def __init__(self, outputs: Callable[[Tensor], Tensor], support: Tensor | None = None) -> None:
        self.function = outputs
        self.head = SimpleNamespace(support=support)

    def draw_noise(self, rng: np.random.Generator) -> None:
        return None

    def outputs(self, obs: Tensor, noise: None = None) -> Tensor:
        return self.function(obs)

    def expectation(self, outputs: Tensor) -> Tensor:
        support = self.head.support
        return outputs.mean(dim=2) if support is None else torch.softmax(outputs, dim=2) @ support

    def __call__(self, obs: Tensor, noise: None = None) -> Tensor:
        return self.expectation(self.function(obs))


def online(obs: Tensor) -> Tensor:
    """Prefers action 1 below 50 and action 0 above; the numbers themselves must not be used."""
    return torch.where(obs < 50.0, torch.tensor([0.0, 1e3]), torch.tensor([1e3, 0.0]))[:, :, None]


def target(obs: Tensor) -> Tensor:
    """Action 0 is worth the observation, action 1 ten less."""
    return torch.stack([obs, obs - 10.0], dim=1)


def put_networks(agent: DQN, online: Stub, target: Stub) -> None:
    agent.network = online  # type: ignore[assignment]
    agent.target_network = target  # type: ignore[assignment]


def make_step(
    rewards: tuple[float, ...],
    next_obs: tuple[float, ...],
    final_obs: tuple[float, ...] | None = None,
    terminated: tuple[int, ...] = (0, 0),
    truncated: tuple[int, ...] = (0, 0),
    actions: tuple[int, ...] = (0, 0),
) -> Step:
    ends = np.array(terminated, np.bool_), np.array(truncated, np.bool_)
    column = [None if obs is None else np.array(obs, np.float32)[:, None] for obs in (next_obs, final_obs)]
    return Step(
        np.array(actions), np.array(rewards), *ends, *column, np.ones(len(rewards), np.bool_), ends[0] | ends[1]
    )


def agent_with_one_env_of_every_kind(config: DQNConfig) -> DQN:
    """Env 0 sees 1, 2 (terminated in 92), 3 (both, in 93); env 1 sees 11, 12 (truncated in 94).

    The observation after an end is the next episode's and must never be a successor.
    """
    agent = make_agent(config)
    put_networks(agent, Stub(online), Stub(target))
    agent.begin(np.array([[1.0], [11.0]], np.float32))
    agent.record(make_step((1.0, 10.0), (2.0, 12.0)))
    agent.record(make_step((2.0, 20.0), (3.0, 13.0), (92.0, 94.0), terminated=(1, 0), truncated=(0, 1)))
    agent.record(make_step((3.0, 30.0), (4.0, 14.0), (93.0, np.nan), terminated=(1, 0), truncated=(1, 0)))
    agent.record(make_step((4.0, 40.0), (5.0, 15.0)))
    return agent


def targets_by_obs(agent: DQN) -> dict[float, float | list[float]]:
    """Targets by the first observation of their window: a number each, or a list of K numbers."""
    agent.config = replace(agent.config, batch_size=200)
    batch = agent.sample()
    numbers = agent.td_target(batch)
    return dict(zip(batch.obs[:, 0].tolist(), numbers.squeeze(1).tolist(), strict=True))


def test_one_step_targets_at_every_kind_of_end() -> None:
    # Double: below 50 the online network picks action 1, worth obs - 10; above it action 0, obs.
    #  1 -> 2:  1 + 0.5 * (2 - 10) = -3          11 -> 12: 10 + 0.5 * (12 - 10) = 11
    #  2 -> terminated: 2                        12 -> truncated in 94: 20 + 0.5 * 94 = 67
    #  3 -> terminated and truncated: 3          13 -> 14: 30 + 0.5 * (14 - 10) = 32
    #  4 -> 5:  4 + 0.5 * (5 - 10) = 1.5         14 -> 15: 40 + 0.5 * (15 - 10) = 42.5
    agent = agent_with_one_env_of_every_kind(CONFIG)
    assert targets_by_obs(agent) == {
        1: -3.0, 2: 2.0, 3: 3.0, 4: 1.5, 11: 11.0, 12: 67.0, 13: 32.0, 14: 42.5,
    }  # fmt: skip


def test_two_step_targets_at_every_kind_of_end() -> None:
    # gamma**2 = 0.25.
    #  1, 2 terminated: 1 + 0.5 * 2 = 2          11, 12 truncated: 10 + 10 + 0.25 * 94 = 43.5
    #  2 terminated: 2                           12 truncated: 20 + 0.5 * 94 = 67
    #  3 terminated and truncated: 3             13, 14: 30 + 20 + 0.25 * (15 - 10) = 51.25
    agent = agent_with_one_env_of_every_kind(replace(CONFIG, n_step=2))
    assert targets_by_obs(agent) == {1: 2.0, 2: 2.0, 3: 3.0, 11: 43.5, 12: 67.0, 13: 51.25}


def test_without_double_the_target_network_chooses() -> None:
    # Action 0 is always the dearer one: 1 -> 2 gives 1 + 0.5 * 2.
    agent = agent_with_one_env_of_every_kind(replace(CONFIG, double=False))
    assert targets_by_obs(agent)[1] == 2.0


def test_quantiles_are_moved_one_by_one() -> None:
    # The target network adds -1 and 1 to both actions' values; the action is chosen by the means alone.
    agent = agent_with_one_env_of_every_kind(replace(CONFIG, returns="quantile", num_quantiles=2))
    spread = torch.tensor([-1.0, 1.0])
    put_networks(agent, Stub(online), Stub(lambda obs: target(obs) + spread))
    targets = targets_by_obs(agent)
    assert (targets[1], targets[2], targets[12]) == ([-3.5, -2.5], [2.0, 2.0], [66.5, 67.5])


def test_probabilities_are_projected_at_every_kind_of_end() -> None:
    # Atoms 0, 50, 100. Action 0 is on 0 and 100 with 1/2 each, action 1 on 50; the online network takes 1 below 50.
    #  1 -> 2:  50 goes to 1 + 25 = 26, which is 24/50 on 0 and 26/50 on 50.
    #  2 terminated: all goes to 2, which is 48/50 on 0 and 2/50 on 50.
    # 12 truncated in 94: 0 and 100 go to 20 and 70: (30/50, 20/50, 0) / 2 + (0, 30/50, 20/50) / 2.
    support = torch.tensor([0.0, 50.0, 100.0])
    agent = agent_with_one_env_of_every_kind(replace(CONFIG, returns="categorical", num_atoms=3, v_min=0.0, v_max=100))
    logits = torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]).log()
    put_networks(agent, Stub(online), Stub(lambda obs: logits.expand(len(obs), 2, 3), support))
    targets = targets_by_obs(agent)
    assert targets[1] == pytest.approx([0.48, 0.52, 0.0])
    assert targets[2] == pytest.approx([0.96, 0.04, 0.0])
    assert targets[12] == pytest.approx([0.3, 0.5, 0.2])


@pytest.mark.parametrize("returns", ["mean", "quantile", "categorical"])
def test_munchausen_targets_by_hand(returns: str) -> None:
    # tau = 1, alpha = 1/2, clip = -ln 3: q = (ln 3, 0) everywhere makes the policy (3/4, 1/4), the entropy
    # H = ln 4 - 3/4 ln 3 and the soft value 3/4 ln 3 + H = ln 4. All actions taken are 1, log pi = -ln 4 < clip.
    # 1 -> 2: 1 - 1/2 ln 3 + 1/2 ln 4. 2, terminated: 2 - 1/2 ln 3.
    ln3, ln4 = math.log(3.0), math.log(4.0)
    config = replace(
        CONFIG, munchausen=True, munchausen_alpha=0.5, munchausen_tau=1.0, munchausen_clip=-ln3, double=False,
        returns=returns, num_quantiles=2, num_atoms=2, v_min=-50.0, v_max=50.0,
    )  # fmt: skip
    agent = make_agent(config)
    support = torch.tensor([-50.0, 50.0]) if returns == "categorical" else None
    if returns == "mean":
        outputs = torch.tensor([[ln3], [0.0]])
    elif returns == "quantile":
        outputs = torch.tensor([[ln3 - 1.0, ln3 + 1.0], [-1.0, 1.0]])
    else:  # 50 (p - (1 - p)) = ln 3
        outputs = torch.tensor([[0.5 - ln3 / 100, 0.5 + ln3 / 100], [0.5, 0.5]]).log()
    network = Stub(lambda obs: outputs.expand(len(obs), *outputs.shape), support)
    put_networks(agent, network, network)
    agent.begin(np.array([[1.0], [11.0]], np.float32))
    agent.record(make_step((1.0, 1.0), (2.0, 12.0), actions=(1, 1)))
    agent.record(make_step((2.0, 2.0), (3.0, 13.0), (0.0, 0.0), terminated=(1, 1), actions=(1, 1)))
    batch = agent.sample()
    targets = agent.td_target(batch)  # (B, K)
    means = targets.mean(dim=1) if support is None else targets @ support
    expected = torch.where(batch.obs[:, 0] % 10 == 1, 1.0 - ln3 / 2 + ln4 / 2, 2.0 - ln3 / 2)
    torch.testing.assert_close(means, expected, atol=1e-4, rtol=0.0)
    if returns == "quantile":  # the spread is halved by gamma, and gone after a termination
        spread = torch.where(batch.obs[:, 0] % 10 == 1, 1.0, 0.0)
        torch.testing.assert_close(targets[:, 1] - targets[:, 0], spread)


def test_with_double_the_soft_policy_of_the_successor_is_the_online_network_s() -> None:
    # The online network's policy at s' is (1/4, 3/4), the target network's values there are (0, 4): 3 + H. The
    # bonus stays the target network's: the policy of a tie, -ln 2, halved by alpha.
    config = replace(CONFIG, munchausen=True, munchausen_alpha=0.5, munchausen_tau=1.0, munchausen_clip=-9.0)
    agent = make_agent(config)
    ours, theirs = torch.tensor([[0.0], [math.log(3.0)]]), torch.tensor([[0.0], [4.0]])

    def price(obs: Tensor) -> Tensor:
        return torch.where(obs[:, :, None] == 1.0, 0.0, theirs)

    put_networks(agent, Stub(lambda obs: ours.expand(len(obs), 2, 1)), Stub(price))
    agent.begin(np.array([[1.0], [1.0]], np.float32))
    agent.record(make_step((0.0, 0.0), (2.0, 2.0)))
    entropy = math.log(4.0) - 0.75 * math.log(3.0)
    assert targets_by_obs(agent)[1] == pytest.approx(-math.log(2.0) / 2 + 0.5 * (3.0 + entropy))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_at_munchausen_s_fixed_point_every_window_has_the_same_target(n: int) -> None:
    """q(s, a) comes back whatever was done after a, on all paths of a chain of random rewards, with a binding clip."""
    tau, alpha, gamma, clip, num_states = 0.3, 0.9, CONFIG.gamma, -0.4, 5
    rewards = np.random.default_rng(0).normal(size=(num_states, 2))
    successors = (np.arange(num_states)[:, None] + [1, 2]) % num_states  # of both actions
    q = torch.zeros(num_states, 2)
    for _ in range(200):
        log_policy = torch.log_softmax(q / tau, dim=1)
        soft_values = tau * torch.logsumexp(q / tau, dim=1)
        q = torch.from_numpy(rewards).float() + alpha * (tau * log_policy).clamp(clip) + gamma * soft_values[successors]
    assert (tau * torch.log_softmax(q / tau, dim=1)).min() < clip
    paths = np.array(list(product(range(num_states), *[range(2)] * 3)))  # start and three actions
    config = replace(
        CONFIG, n_step=n, munchausen=True, munchausen_alpha=alpha, munchausen_tau=tau, munchausen_clip=clip,
        num_envs=len(paths), buffer_size=3 * len(paths),
    )  # fmt: skip
    agent = make_agent(config)
    network = Stub(lambda obs: q[obs[:, 0].long()][:, :, None])
    put_networks(agent, network, network)
    states = paths[:, 0]
    agent.begin(states[:, None].astype(np.float32))
    for actions in paths.T[1:]:
        following = successors[states, actions]
        nothing = (0,) * len(paths)
        agent.record(make_step(rewards[states, actions], following, None, nothing, nothing, actions))
        states = following
    batch = agent.sample()
    expected = q[batch.obs[:, 0].long(), batch.actions]
    torch.testing.assert_close(agent.td_target(batch)[:, 0], expected, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("loss", ["huber", "mse"])
def test_importance_weights_multiply_the_losses_and_errors_become_priorities(loss: str) -> None:
    """The gradient is that of the weighted mean written out; priorities come from errors without weights."""
    config = replace(CONFIG, prioritised=True, priority_exponent=0.5, loss=loss, max_grad_norm=1e9, batch_size=6)
    agent = make_agent(config)
    agent.begin(np.array([[1.0], [11.0]], np.float32))
    agent.record(make_step((1.0, 10.0), (2.0, 12.0)))
    agent.record(make_step((0.3, 20.0), (3.0, 13.0)))
    steps = np.flatnonzero(agent.replay.tree.leaves)
    agent.replay.set_errors(steps, np.array([0.5, 1.0, 2.0, 4.0], np.float32))
    batch = agent.sample()
    assert batch.weights is not None
    assert len(set(batch.weights.tolist())) > 1
    q_values = agent.network(batch.obs).gather(1, batch.actions[:, None])[:, 0]
    errors = q_values - agent.td_target(batch)[:, 0]
    function = functional.smooth_l1_loss if loss == "huber" else functional.mse_loss
    losses = function(errors, torch.zeros_like(errors), reduction="none")
    expected = torch.autograd.grad((batch.weights * losses).mean(), agent.parameters)
    agent.train_on(batch)
    for parameter, gradient in zip(agent.parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    expected_priorities = (errors.detach().abs().double() + 1e-6).sqrt()
    np.testing.assert_allclose(agent.replay.tree.leaves[batch.steps], expected_priorities, rtol=1e-5)


def test_the_importance_exponent_rises_to_1_over_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make_agent(replace(CONFIG, prioritised=True, importance_exponent=0.4), 1000)
    exponents = []
    monkeypatch.setattr(agent.replay, "sample", lambda *args, **options: exponents.append(options))
    for agent.global_step in (0, 500, 1000, 2000):
        agent.sample()
    assert [options["importance_exponent"] for options in exponents] == pytest.approx([0.4, 0.7, 1.0, 1.0])


def test_noise_is_drawn_anew_for_every_act_and_every_network_of_an_update() -> None:
    config = replace(CONFIG, noisy=True, network=NetworkConfig(hidden_sizes=(8, 8)))
    agent = make_agent(config)
    seen: list[Tensor] = []
    for network in (agent.network, agent.target_network):
        network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    obs = np.ones((2, 1), np.float32)
    agent.begin(obs)
    agent.act(obs)
    agent.act(obs)
    agent.record(make_step((1.0, 10.0), (2.0, 12.0)))
    agent.train_on(agent.sample())
    assert len(seen) == 5  # two acts; target, double's chooser and online network
    assert len({tuple(noise.tolist()) for noise in seen}) == 5
    assert all(parameter.grad is not None for parameter in agent.parameters)


def test_noise_explores_in_place_of_epsilon_and_is_off_in_the_policy() -> None:
    agent = make_agent(replace(CONFIG, noisy=True, noisy_std=5.0))
    obs = np.ones((2, 1), np.float32)
    assert agent.epsilon() == 0.0
    acts = {tuple(agent.act(obs).tolist()) for _ in range(40)}
    assert acts == {(0, 0), (1, 1)}  # the same observation, the same noise: the same action
    state = agent.rng.bit_generator.state
    q_values = agent.network(torch.from_numpy(obs))
    for _ in range(5):
        assert agent.policy()(obs).tolist() == q_values.argmax(dim=1).tolist()
    assert agent.rng.bit_generator.state == state


def test_every_env_tosses_its_own_coin() -> None:
    config = replace(CONFIG, num_envs=1000, buffer_size=1000, epsilon_start=0.5, epsilon_end=0.5)
    agent = make_agent(config)
    put_networks(agent, Stub(online), Stub(target))
    actions = agent.act(np.zeros((1000, 1), np.float32))  # greedy: action 1
    assert 0.2 < (actions == 0).mean() < 0.3  # half explore, half of those draw action 0


def test_the_ladder_spreads_epsilon_over_the_envs() -> None:
    config = replace(
        CONFIG, num_envs=2000, buffer_size=2000, epsilon_end=0.5, exploration_fraction=0.0,
        epsilon_ladder=7.0,
    )  # fmt: skip
    agent = make_agent(config)
    put_networks(agent, Stub(online), Stub(target))
    draws = [agent.act(np.zeros((2000, 1), np.float32)) == 0 for _ in range(20)]
    shares = np.mean(draws, axis=0)
    assert shares[:100].mean() == pytest.approx(0.25, abs=0.05)
    assert shares[-100:].mean() == pytest.approx(0.5**8 / 2, abs=0.01)


def test_epsilon_falls_linearly_and_then_stays() -> None:
    agent = make_agent(replace(CONFIG, epsilon_end=0.1, exploration_fraction=0.5), 1000)
    epsilons = []
    for agent.global_step in (0, 250, 500, 900):
        epsilons.append(agent.epsilon())
    assert epsilons == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_the_number_of_updates_follows_the_steps() -> None:
    agent = make_agent(replace(CONFIG, learning_starts=6, train_frequency=4))
    obs = np.zeros((2, 1), np.float32)
    nothing = np.zeros(2, np.bool_)
    agent.begin(obs)
    counts = []
    for _ in range(9):  # 2, 4, ..., 18 steps
        agent.record(Step(agent.act(obs), np.zeros(2), nothing, nothing, obs, None, ~nothing, nothing))
        agent.update()
        counts.append(agent.num_updates)
    assert counts == [0, 0, 0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("gamma", 1.5, r"gamma must be in \[0, 1\], got 1.5"),
        ("buffer_size", 100, "buffer_size must be at least 1536, got 100"),
        ("tau", 0.0, "tau must be positive, got 0.0"),
        ("loss", "mae", r"loss must be one of \['huber', 'mse'\], got 'mae'"),
        ("returns", "median", r"returns must be one of \['mean', 'quantile', 'categorical'\], got 'median'"),
        ("num_atoms", 1, "num_atoms must be at least 2, got 1"),
        ("v_max", -2.0, "v_max must be above v_min, -2.0, got -2.0"),
        ("munchausen_tau", 0.0, "munchausen_tau must be positive, got 0.0"),
        ("munchausen_clip", 0.5, "munchausen_clip must be at most 0, got 0.5"),
        ("importance_exponent", 2.0, r"importance_exponent must be in \[0, 1\], got 2.0"),
        ("priority_exponent", -1.0, "priority_exponent must be at least 0, got -1.0"),
    ],
)
def test_a_wrong_hyper_parameter_is_named(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DQNConfig(**{field: value})  # type: ignore[arg-type]


def test_actions_must_be_numbered_from_0() -> None:
    with pytest.raises(ValueError, match="action_space must be a Discrete from 0"):
        DQN(SPACE, gym.spaces.Discrete(2, start=1), CONFIG, seed=0, total_steps=1)
