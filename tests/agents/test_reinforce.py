"""REINFORCE: the gradient by hand, its mean with and without a baseline, masks, repeatability."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agents.environments import EnvChoice, make_envs
from agents.networks import NetworkConfig
from agents.reinforce import REINFORCE, REINFORCEConfig
from agents.sampling import log_policy
from agents.stepping import Step, Stepper

SPACE = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
CONFIG = REINFORCEConfig(
    num_envs=2,
    num_steps=3,
    gamma=0.5,
    value_coefficient=0.5,
    entropy_coefficient=0.0,
    max_grad_norm=1e9,
    network=NetworkConfig(hidden_sizes=(8,)),
)


class Tiny(nn.Module):
    """The same preferences everywhere, and a value in proportion to the observation."""

    def __init__(self, logits: list[float], slope: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor, None]:
        return self.logits.expand(len(obs), -1), self.slope * obs[:, 0], None


def make_agent(config: REINFORCEConfig, logits: list[float], slope: float = 1.0) -> REINFORCE:
    agent = REINFORCE(SPACE, gym.spaces.Discrete(len(logits)), config, seed=0, total_steps=1000)
    agent.network = Tiny(logits, slope)  # type: ignore[assignment]
    agent.parameters = list(agent.network.parameters())
    return agent


def play(agent: REINFORCE, obs: list[float], actions: list[int], rewards: list[float], **step: object) -> None:
    """One step of all envs with actions of our choice, given as (N,) each; ``step`` gives what is not the default."""
    num_envs = len(obs)
    column = torch.tensor(obs)[:, None]
    values = agent.network(column)[1].detach()
    agent.rollout.put(column, torch.tensor(actions), values, masks=step.pop("masks", None))  # type: ignore[arg-type]
    no, yes = np.zeros(num_envs, np.bool_), np.ones(num_envs, np.bool_)
    parts = {"terminated": no, "truncated": no, "final_obs": None, "is_real": yes, "starts": no} | step
    next_obs = np.array(parts.pop("next_obs", obs), np.float32)[:, None]
    agent.record(Step(np.array(actions), np.array(rewards, np.float64), next_obs=next_obs, **parts))  # type: ignore[arg-type]


def flags(*values: int) -> np.ndarray:
    return np.array(values, np.bool_)


def gradients_of_the_worked_case(config: REINFORCEConfig, with_junk: bool) -> tuple[list[float], float]:
    """Gradients of the logits and of the value's slope; with junk there is a third env without a transition.

    gamma = 1/2, pi = (1/4, 3/4), V(obs) = obs. Env 0 sees 1, 2 (truncated in 20) and 3, then 4; env 1 sees 5
    (terminated), 6 (terminated and truncated) and 7, then 8. The returns, and what V leaves of them:

    ===== ======================== ====== =========
    obs   return                   action advantage
    ===== ======================== ====== =========
    1     1 + 1/2 * 12 = 7         0       6
    2     2 + 1/2 * 20 = 12        1      10
    3     4 + 1/2 * 4 = 6          1       3
    5     6                        0       1
    6     8                        0       2
    7     0 + 1/2 * 8 = 4          1      -3
    ===== ======================== ====== =========
    """
    junk = [99.0] if with_junk else []
    agent = make_agent(replace(config, num_envs=2 + with_junk), [0.0, math.log(3.0)])
    rows = {
        # observations, actions, rewards, terminated, truncated, what follows, last observations
        0: ([1.0, 5.0], [0, 0], [1.0, 6.0], (0, 1), (0, 0), [2.0, 6.0], [math.nan, math.nan]),
        1: ([2.0, 6.0], [1, 0], [2.0, 8.0], (0, 1), (1, 1), [3.0, 7.0], [20.0, math.nan]),
        2: ([3.0, 7.0], [1, 1], [4.0, 0.0], (0, 0), (0, 0), [4.0, 8.0], [math.nan, math.nan]),
    }
    for obs, actions, rewards, terminated, truncated, next_obs, final_obs in rows.values():
        play(
            agent,
            obs + junk,
            actions + [0] * with_junk,
            rewards + junk,
            terminated=flags(*terminated, *[0] * with_junk),
            truncated=flags(*truncated, *[0] * with_junk),
            next_obs=next_obs + junk,
            final_obs=np.array(final_obs + junk, np.float32)[:, None],
            is_real=flags(1, 1, *[0] * with_junk),
        )
    agent.update()
    assert agent.num_updates == 1
    logits, slope = (parameter.grad for parameter in agent.parameters)
    assert logits is not None
    assert slope is not None
    return logits.tolist(), float(slope)


@pytest.mark.parametrize("with_junk", [False, True])
def test_the_gradient_of_hand_worked_steps(with_junk: bool) -> None:
    # grad log pi(0) = (3/4, -3/4), grad log pi(1) = (-1/4, 1/4); the loss is minus the mean of advantage * log pi.
    # With a baseline: action 0 weighs 6 + 1 + 2 = 9, action 1 10 + 3 - 3 = 10: -(3/4 * 9 - 1/4 * 10) / 6 = -4.25 / 6
    logits, _ = gradients_of_the_worked_case(CONFIG, with_junk)
    assert logits == pytest.approx([-4.25 / 6, 4.25 / 6], rel=1e-5)
    # Without: 7 + 6 + 8 = 21 and 12 + 6 + 4 = 22: -(3/4 * 21 - 1/4 * 22) / 6 = -10.25 / 6
    logits, _ = gradients_of_the_worked_case(replace(CONFIG, baseline=False), with_junk)
    assert logits == pytest.approx([-10.25 / 6, 10.25 / 6], rel=1e-5)


@pytest.mark.parametrize("baseline", [False, True])
def test_the_value_is_learnt_with_and_without_a_baseline(baseline: bool) -> None:
    # 1/2 * mean (V - G) * obs = -1/2 * (6 * 1 + 10 * 2 + 3 * 3 + 1 * 5 + 2 * 6 - 3 * 7) / 6 = -31 / 12
    _, slope = gradients_of_the_worked_case(replace(CONFIG, baseline=baseline), with_junk=False)
    assert slope == pytest.approx(-31 / 12, rel=1e-5)


@pytest.mark.parametrize("with_junk", [False, True])
def test_normalised_weights_have_mean_0_and_deviation_1_over_the_real_steps(with_junk: bool) -> None:
    # Mean 19/6 of the advantages, deviation d: action 0 weighs (9 - 3 * 19/6) / d = -1/2 / d, action 1 the opposite.
    deviation = np.std([6, 10, 3, 1, 2, -3])
    logits, _ = gradients_of_the_worked_case(replace(CONFIG, normalise_advantages=True), with_junk)
    expected = -(0.75 * -0.5 - 0.25 * 0.5) / deviation / 6
    assert logits == pytest.approx([expected, -expected], rel=1e-4)


def test_the_entropy_s_gradient_and_its_schedule() -> None:
    # dH / dtheta_k = -pi_k (log pi_k + H). Nothing is paid, so the entropy is all. 6 of 1000 steps: 0.8 - 0.006 * 0.6.
    config = replace(CONFIG, entropy_coefficient=0.8, entropy_coefficient_end=0.2)
    agent = make_agent(config, [0.0, math.log(3.0)], slope=0.0)
    for _ in range(3):
        play(agent, [1.0, 1.0], [0, 1], [0.0, 0.0])
    agent.update()
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    expected = [(0.8 - 0.006 * 0.6) * p * (math.log(p) + entropy) for p in (0.25, 0.75)]
    assert agent.parameters[0].grad is not None
    assert agent.parameters[0].grad.tolist() == pytest.approx(expected, rel=1e-4)
    agent.global_step = 2000
    assert agent.entropy_coefficient() == pytest.approx(0.2)


def test_a_baseline_changes_the_variance_of_the_gradient_but_not_its_mean() -> None:
    # One step with rewards r(a): E[-r(a) grad log pi(a)]_k = -pi_k (r_k - mean r), whatever is subtracted from r.
    logits, rewards = [0.0, 1.0, -0.5], [5.0, 6.0, 9.0]
    policy = torch.softmax(torch.tensor(logits), 0).double().numpy()
    mean_reward = policy @ rewards
    means, variances = {}, {}
    for baseline in (False, True):
        gradients = []
        for action, reward in enumerate(rewards):
            config = replace(CONFIG, num_envs=1, num_steps=1, baseline=baseline)
            agent = make_agent(config, logits, slope=mean_reward)
            play(agent, [1.0], [action], [reward], terminated=flags(1))
            agent.update()
            assert agent.parameters[0].grad is not None
            gradients.append(agent.parameters[0].grad.double().numpy())
        means[baseline] = policy @ gradients
        variances[baseline] = policy @ np.square(gradients - means[baseline]).sum(axis=1)
    for mean in means.values():
        np.testing.assert_allclose(mean, -policy * (rewards - mean_reward), rtol=1e-4)
    assert variances[True] < 0.1 * variances[False]


def test_masked_actions_are_neither_drawn_nor_made_likelier() -> None:
    masks = flags(1, 0, 1)[None].repeat(200, axis=0)
    config = replace(CONFIG, num_envs=200, num_steps=1, mask_actions=True, entropy_coefficient=0.1)
    agent = make_agent(config, [0.0, 9.0, 0.0])
    obs = np.ones((200, 1), np.float32)
    actions = agent.act(obs, masks)
    assert set(actions.tolist()) == {0, 2}
    play(agent, obs[:, 0].tolist(), actions.tolist(), (1.0 * actions).tolist(), masks=masks, terminated=masks[:, 0])
    agent.update()
    gradient = agent.parameters[0].grad
    assert gradient is not None
    assert float(gradient[1]) == 0.0
    assert float(gradient[2]) < 0.0 < float(gradient[0])  # descent makes the paid action likelier


def test_log_probabilities_of_a_masked_softmax() -> None:
    logits = torch.tensor([0.0, 50.0, math.log(3.0)])
    log_probs = log_policy(logits, torch.tensor([True, False, True]))
    assert log_probs.exp().tolist() == pytest.approx([0.25, 0.0, 0.75])
    assert bool(torch.isfinite(log_probs).all())  # so that 0 * log 0 is 0
    assert log_policy(logits[[0, 2]], None).exp().tolist() == pytest.approx([0.25, 0.75])


def test_rows_that_only_begin_episodes_teach_nothing() -> None:
    """Under NEXT_STEP every second row of one-step episodes is no transition, in all envs at once."""
    agent = REINFORCE(SPACE, gym.spaces.Discrete(2), replace(CONFIG, num_steps=1), seed=0, total_steps=100)
    with contextlib.closing(make_envs(EnvChoice("probes/Constant-v0"), 2, "train", None, "NextStep")) as envs:
        drive(agent, Stepper(envs), 10)
    assert agent.num_updates == 5
    assert all(bool(parameter.isfinite().all()) for parameter in agent.parameters)


def drive(agent: REINFORCE, stepper: Stepper, num_steps: int, obs: np.ndarray | None = None) -> np.ndarray:
    """Steps of the loop, from a reset if there are no observations to go on from."""
    if obs is None:
        obs = stepper.begin([3, 4])
        agent.begin(obs)
    for _ in range(num_steps):
        step = stepper.step(agent.act(obs))
        agent.record(step)
        agent.update()
        obs = step.next_obs
    return obs


def weights(agent: REINFORCE) -> list[float]:
    return [value for parameter in agent.parameters for value in parameter.flatten().tolist()]


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_a_seed_repeats_and_a_state_continues(mode: str) -> None:
    """Also in the middle of a rollout that holds truncations."""

    def make(seed: int) -> tuple[REINFORCE, Stepper]:
        config = replace(CONFIG, num_steps=7, entropy_coefficient=0.01)
        agent = REINFORCE(SPACE, gym.spaces.Discrete(2), config, seed=seed, total_steps=100)
        return agent, Stepper(make_envs(EnvChoice("probes/Truncation-v0"), 2, "train", None, mode))

    whole, again, other = make(0), make(0), make(1)
    for agent, stepper in (whole, again, other):
        drive(agent, stepper, 40)
    assert weights(whole[0]) == weights(again[0])
    assert weights(whole[0]) != weights(other[0])
    assert whole[0].metrics() == again[0].metrics()

    first, second = make(0), make(5)
    drive(*first, 26)  # three rollouts and five steps
    assert first[0].rollout.state()[1]["cut_rows"]
    second[0].load_state(first[0].state())
    drive(*second, 14, second[1].load_state(first[1].state()))
    assert weights(second[0]) == weights(whole[0])
    assert second[0].metrics() == whole[0].metrics()


def test_a_wrong_hyper_parameter_is_named() -> None:
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1\], got 1.5"):
        REINFORCEConfig(gamma=1.5)
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        REINFORCEConfig(num_steps=0)
    with pytest.raises(ValueError, match="optimizer must be one of"):
        REINFORCEConfig(optimizer="lbfgs")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="action_space must be a Discrete from 0"):
        REINFORCE(SPACE, gym.spaces.Discrete(2, start=1), CONFIG, seed=0, total_steps=1)
