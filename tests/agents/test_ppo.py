"""PPO and A2C: losses against hand-worked numbers, gradients against plain sums, masks, schedules, reproducibility."""

from __future__ import annotations

import copy
from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from noise import NUM_FEATURES, NoiseVectorEnv
from on_policy import (
    Experience,
    advantages_by_definition,
    are_equal,
    begin,
    drive,
    fill_rollout,
    make_agent,
    vtrace_by_definition,
    weights,
)
from torch import Tensor

from agents.networks import ActorCritic, NetworkConfig
from agents.ppo import PPO, A2CConfig, PPOConfig
from agents.stepping import Step, Stepper

MODES = list(AutoresetMode)
SMALL = NetworkConfig(hidden_sizes=(8,), layer_norm=False, activation="tanh")
CONFIG = PPOConfig(
    num_envs=4, num_steps=8, gamma=0.9, lam=0.7, epochs=2, minibatches=3, learning_rate=1e-2, network=SMALL
)
EVERYTHING = replace(CONFIG, mask_actions=True, separate_critic=True, vtrace=True, value_clip=0.2)


# --- losses by hand: one step of every env, three actions that are equally likely, values of 0 -----------------------


def hand_made(
    rewards: list[float], ratios: list[float] | None = None, old_value: float = 0.0, **options: object
) -> PPO:
    """An agent whose episodes, one per env, have just ended with these rewards, so that these are the returns.

    Args:
        rewards: of the envs.
        ratios: of the policy now to the one that acted; 1 by default.
        old_value: what the acting network thought of every observation; the one that learns thinks 0.
        options: of the config, beside one pass in one batch, raw advantages and no entropy bonus.
    """
    num_envs = len(rewards)
    plain = {"epochs": 1, "minibatches": 1, "normalise_advantages": False, "entropy_coefficient": 0.0}
    agent = make_agent(replace(CONFIG, num_envs=num_envs, num_steps=1, **{**plain, **options}))
    with torch.no_grad():
        for layer in (agent.network.policy_head, agent.network.value_head):
            layer.weight.zero_()
            layer.bias.zero_()
    obs = np.ones((num_envs, NUM_FEATURES), np.float32)
    yes, no = np.ones(num_envs, np.bool_), np.zeros(num_envs, np.bool_)
    agent.begin(obs)
    masks = None
    if agent.config.mask_actions:
        masks = np.tile([True, True, False], (num_envs, 1))
    actions = agent.act(obs, masks)
    agent.record(Step(actions, np.array(rewards), yes, no, obs, obs, yes, yes))
    agent.rollout.values.fill_(old_value)
    if ratios is not None:
        agent.rollout.log_probs.sub_(torch.tensor([ratios]).log())
    return agent


def updated(agent: PPO) -> dict[str, float]:
    agent.update()
    return agent.metrics()


def test_the_surrogate_takes_the_worse_of_the_ratio_and_the_clipped_ratio() -> None:
    # Ratio, advantage: min(ratio A, clipped A).
    #   1.5, +1: min( 1.5,  1.2) =  1.2          1.5, -1: min(-1.5, -1.2) = -1.5
    #   0.5, +1: min( 0.5,  0.8) =  0.5          0.5, -1: min(-0.5, -0.8) = -0.8
    # The loss is minus the mean, 0.6 / 4.
    metrics = updated(hand_made([1.0, 1.0, -1.0, -1.0], [1.5, 0.5, 1.5, 0.5]))
    assert metrics["loss/policy"] == pytest.approx(0.15, abs=1e-6)
    assert metrics["policy/clip_fraction"] == 1.0
    # r - 1 - log r: 0.5 - 0.405465 and -0.5 + 0.693147, each twice.
    assert metrics["policy/kl"] == pytest.approx((0.5 - log(1.5) - 0.5 - log(0.5)) / 2, abs=1e-6)


def test_the_clip_fraction_counts_the_ratios_outside_the_clip() -> None:
    assert updated(hand_made([1.0] * 4, [1.1, 0.9, 1.5, 1.0]))["policy/clip_fraction"] == 0.25


def test_beyond_the_clip_an_advantage_pulls_no_further() -> None:
    for reward, ratio, pulls in ((1.0, 1.5, False), (-1.0, 0.5, False), (-1.0, 1.5, True), (1.0, 0.5, True)):
        agent = hand_made([reward], [ratio], value_coefficient=0.0)
        before = weights(agent)
        agent.update()
        assert are_equal(weights(agent), before) != pulls, (reward, ratio)


def test_the_value_loss_is_half_the_mean_squared_error() -> None:
    # Values 0, returns 2 and -1: (4 + 1) / 2 / 2.
    assert updated(hand_made([2.0, -1.0]))["loss/value"] == pytest.approx(1.25, abs=1e-6)


def test_a_clipped_value_is_judged_by_its_worse_form() -> None:
    # The values fell from 1 to 0; clipped, by no more than 0.25, to 0.75.
    #   return  2: max(4, 1.5625) = 4            return -1: max(1, 3.0625) = 3.0625
    # Half the mean: 7.0625 / 4.
    metrics = updated(hand_made([2.0, -1.0], old_value=1.0, value_clip=0.25))
    assert metrics["loss/value"] == pytest.approx(1.765625, abs=1e-6)


def test_normalised_advantages_have_mean_zero_and_deviation_one() -> None:
    # Advantages 1 and 3 with ratios 1.1 and 0.9: raw -(1.1 * 1 + 0.9 * 3) / 2 = -1.9, normalised to -1 and 1
    # -(1.1 * -1 + 0.9 * 1) / 2 = 0.1.
    raw = updated(hand_made([1.0, 3.0], [1.1, 0.9]))
    normalised = updated(hand_made([1.0, 3.0], [1.1, 0.9], normalise_advantages=True))
    assert raw["loss/policy"] == pytest.approx(-1.9, abs=1e-6)
    assert normalised["loss/policy"] == pytest.approx(0.1, abs=1e-6)


def test_the_entropy_is_that_of_the_allowed_actions() -> None:
    assert updated(hand_made([0.0]))["policy/entropy"] == pytest.approx(log(3), abs=1e-6)
    assert updated(hand_made([0.0], mask_actions=True))["policy/entropy"] == pytest.approx(log(2), abs=1e-6)


def test_explained_variance_is_one_minus_the_unexplained_share() -> None:
    # Returns 2 and -2 have variance 4; old values of 0 explain nothing of it, those of 1 and -1 leave 1 of the 4.
    agent = hand_made([2.0, -2.0])
    agent.rollout.values.copy_(torch.tensor([[1.0, -1.0]]))
    assert updated(agent)["value/explained_variance"] == pytest.approx(0.75, abs=1e-6)
    assert updated(hand_made([2.0, -2.0]))["value/explained_variance"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("target_kl", "num_updates"), [(None, 6), (10.0, 6), (0.1, 1)])
def test_updates_stop_behind_the_one_that_sees_the_target_divergence(target_kl: float, num_updates: int) -> None:
    # The envs have moved by 0.5 - log 1.5 = 0.0945 or -0.5 - log 0.5 = 0.1931 nats; a batch of two sees their mean.
    agent = hand_made(
        [1.0, -1.0, 1.0, -1.0], [1.5, 0.5, 0.5, 0.5], target_kl=target_kl, epochs=3, minibatches=2, learning_rate=1e-6
    )  # fmt: skip
    assert updated(agent)["time/num_updates"] == num_updates


def test_the_step_size_and_the_entropy_bonus_change_linearly() -> None:
    agent = make_agent(replace(CONFIG, learning_rate=0.1, entropy_coefficient=0.3, entropy_coefficient_end=0.1))
    schedules = []
    for agent.global_step in (0, 1000, 4000, 5000):
        schedules.append((agent.learning_rate(), agent.entropy_coefficient()))
    assert [rate for rate, _ in schedules] == pytest.approx([0.1, 0.075, 0.0, 0.0])
    assert [weight for _, weight in schedules] == pytest.approx([0.3, 0.25, 0.1, 0.1])
    constant = make_agent(replace(CONFIG, learning_rate=0.1, anneal_learning_rate=False))
    constant.global_step = 3000
    assert constant.learning_rate() == 0.1


# --- whole updates against plain sums ---------------------------------------------------------------------------------


def masked_log_probs(logits: Tensor, masks: Tensor | None) -> Tensor:
    """Log-probabilities with those of void actions at minus infinity."""
    if masks is not None:
        logits = logits.masked_fill(~masks, -torch.inf)
    return logits - logits.logsumexp(dim=-1, keepdim=True)


def plain_update(network: ActorCritic, experience: Experience, config: PPOConfig, entropy_weight: float) -> None:
    """The passes of one rollout, each in one batch, by plain gradient descent with momentum 0.9."""
    parameters = list(network.parameters())
    momenta = [torch.zeros_like(parameter) for parameter in parameters]
    masks = experience.masks if config.mask_actions else None
    shape = (config.num_steps, config.num_envs)
    with torch.no_grad():
        acting = masked_log_probs(network(experience.obs.flatten(0, 1))[0].unflatten(0, shape), masks)
        acting = acting.gather(2, experience.actions[..., None])[..., 0]
    advantages = returns = torch.zeros(())
    for epoch in range(config.epochs):
        logits, values, _ = network(experience.obs.flatten(0, 1))
        log_probs, values = masked_log_probs(logits.unflatten(0, shape), masks), values.unflatten(0, shape)
        chosen = log_probs.gather(2, experience.actions[..., None])[..., 0]
        ratios = (chosen - acting).exp()
        with torch.no_grad():
            successor_obs = experience.successors.nan_to_num().flatten(0, 1)
            next_values = network(successor_obs)[1].unflatten(0, shape)
        known = (experience, values.detach(), next_values)
        if epoch == 0:
            advantages = advantages_by_definition(*known, config.gamma, config.lam)
            returns = advantages + values.detach()
        elif config.vtrace:
            returns, advantages = vtrace_by_definition(*known, ratios.detach(), config.gamma, config.lam)
        real = experience.is_real
        surrogate = torch.minimum(ratios * advantages, ratios.clamp(1 - config.clip, 1 + config.clip) * advantages)
        probs = log_probs[real].exp()
        entropy = -torch.where(probs > 0, probs * log_probs[real].clamp(min=-1e3), 0.0).sum(dim=1).mean()
        loss = (
            -surrogate[real].mean()
            + config.value_coefficient * 0.5 * (values - returns)[real].square().mean()
            - entropy_weight * entropy
        )
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, momentum, gradient in zip(parameters, momenta, gradients, strict=True):
                momentum.mul_(0.9).add_(gradient)
                parameter.sub_(config.learning_rate * momentum)


PLAIN = replace(
    CONFIG,
    num_envs=8,
    minibatches=1,
    optimizer="sgd",
    learning_rate=0.1,
    anneal_learning_rate=False,
    max_grad_norm=1e9,
    normalise_advantages=False,
    entropy_coefficient=0.02,
    entropy_coefficient_end=0.02,
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "config",
    [
        pytest.param(replace(PLAIN, epochs=1), id="one pass"),
        pytest.param(replace(PLAIN, epochs=3, clip=0.05), id="three passes"),
        pytest.param(replace(PLAIN, epochs=3, clip=0.05, vtrace=True), id="three passes with V-trace"),
        pytest.param(replace(PLAIN, epochs=3, mask_actions=True), id="three passes with masks"),
        pytest.param(replace(PLAIN, epochs=2, separate_critic=True), id="two passes, two bodies"),
    ],
)
def test_an_update_is_what_plain_sums_over_the_definitions_give(config: PPOConfig, mode: AutoresetMode) -> None:
    agent, stepper = make_agent(config), Stepper(NoiseVectorEnv(config.num_envs, mode))
    experience = fill_rollout(agent, stepper, begin(agent, stepper))
    network = copy.deepcopy(agent.network)
    before = weights(agent)
    agent.update()
    plain_update(network, experience, config, 0.02)
    for old, actual, expected in zip(before, weights(agent), network.parameters(), strict=True):
        torch.testing.assert_close(actual - old, expected.detach() - old, rtol=1e-3, atol=1e-6)


def test_the_first_pass_with_vtrace_is_the_one_without() -> None:
    results = []
    for vtrace in (False, True):
        agent = make_agent(replace(CONFIG, epochs=1, vtrace=vtrace))
        stepper = Stepper(NoiseVectorEnv(4))
        drive(agent, stepper, begin(agent, stepper), 16)
        results.append(weights(agent))
    assert are_equal(*results)


@pytest.mark.parametrize("mode", MODES)
def test_a2c_follows_the_plain_actor_critic_gradient(mode: AutoresetMode) -> None:
    """No ratio, no clip: minus the mean of log pi(a|s) A, half the squared error, minus the entropy."""
    config = A2CConfig(
        num_envs=8,
        num_steps=5,
        gamma=0.9,
        optimizer="sgd",
        learning_rate=0.1,
        anneal_learning_rate=False,
        max_grad_norm=1e9,
        network=SMALL,
    )
    agent, stepper = make_agent(config), Stepper(NoiseVectorEnv(8, mode))
    experience = fill_rollout(agent, stepper, begin(agent, stepper))
    network = copy.deepcopy(agent.network)
    logits, values, _ = network(experience.obs.flatten(0, 1))
    with torch.no_grad():
        next_values = network(experience.successors.nan_to_num().flatten(0, 1))[1].unflatten(0, (5, 8))
    values = values.unflatten(0, (5, 8))
    advantages = advantages_by_definition(experience, values.detach(), next_values, 0.9, 1.0)
    returns = advantages + values.detach()
    log_probs = torch.log_softmax(logits, dim=1).unflatten(0, (5, 8))
    chosen = log_probs.gather(2, experience.actions[..., None])[..., 0]
    entropies = -(log_probs.exp() * log_probs).sum(dim=2)
    losses = -chosen * advantages + 0.5 * 0.5 * (values - returns) ** 2 - agent.entropy_coefficient() * entropies
    gradients = torch.autograd.grad(losses[experience.is_real].mean(), list(network.parameters()))
    agent.update()
    for parameter, expected in zip(agent.parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("memory_size", [0, 4])
def test_more_minibatches_than_real_steps_do_no_harm(memory_size: int) -> None:
    config = replace(CONFIG, num_steps=1, minibatches=4, memory_size=memory_size)
    agent, stepper = make_agent(config), Stepper(NoiseVectorEnv(4, AutoresetMode.NEXT_STEP))
    drive(agent, stepper, begin(agent, stepper), 40)
    assert all(weight.isfinite().all() for weight in weights(agent))


def test_a2c_takes_exactly_one_step_per_rollout() -> None:
    with pytest.raises(ValueError, match="epochs must be 1, got 2"):
        A2CConfig(epochs=2)
    with pytest.raises(ValueError, match="minibatches must be 1, got 2"):
        A2CConfig(minibatches=2)


@pytest.mark.parametrize("config", [CONFIG, EVERYTHING, replace(EVERYTHING, memory_size=4)])
def test_rows_without_a_transition_teach_nothing(config: PPOConfig) -> None:
    agents = [make_agent(config), make_agent(config)]
    for agent in agents:
        stepper = Stepper(NoiseVectorEnv(config.num_envs, AutoresetMode.NEXT_STEP))
        fill_rollout(agent, stepper, begin(agent, stepper))
    rollout = agents[1].rollout
    only_begun = ~rollout.is_real
    assert only_begun.sum() > 3
    rollout.obs[only_begun] = 77.0
    rollout.actions[only_begun] = 1
    rollout.rewards[only_begun] = -77.0
    rollout.values[only_begun] = 777.0
    rollout.log_probs[only_begun] = -7.0
    if config.mask_actions:
        rollout.masks[only_begun] = True
    before = weights(agents[0])
    for agent in agents:
        agent.update()
    assert are_equal(weights(agents[0]), weights(agents[1]))
    assert not are_equal(weights(agents[0]), before)


# --- masks ------------------------------------------------------------------------------------------------------------


def test_void_actions_are_never_drawn_and_the_others_share_their_probability() -> None:
    config = replace(CONFIG, num_envs=64, mask_actions=True)
    agent, stepper = make_agent(config), Stepper(NoiseVectorEnv(64))
    experience = fill_rollout(agent, stepper, begin(agent, stepper))
    assert experience.masks.gather(2, experience.actions[..., None]).all()
    assert not experience.masks.all()
    flat_masks, flat_actions = experience.masks.flatten(0, 1).tolist(), experience.actions.flatten().tolist()
    drawn = {(*mask, action) for mask, action in zip(flat_masks, flat_actions, strict=True)}
    assert drawn == {(*mask, action) for *mask, _ in drawn for action in range(3) if mask[action]}  # all that may be
    with torch.no_grad():
        probs = agent.network(experience.obs.flatten(0, 1))[0].softmax(dim=1).unflatten(0, (8, 64))
    probs = probs * experience.masks
    shares = (probs / probs.sum(dim=2, keepdim=True)).gather(2, experience.actions[..., None])[..., 0]
    torch.testing.assert_close(agent.rollout.log_probs.exp(), shares, rtol=1e-5, atol=1e-6)


# --- reproducibility --------------------------------------------------------------------------------------------------


def trained(config: PPOConfig, seed: int) -> list[Tensor]:
    agent, stepper = make_agent(config, seed), Stepper(NoiseVectorEnv(config.num_envs))
    drive(agent, stepper, begin(agent, stepper), 40)
    return weights(agent)


@pytest.mark.parametrize("config", [CONFIG, replace(EVERYTHING, memory_size=4)])
def test_the_same_seed_gives_the_same_weights_and_another_one_others(config: PPOConfig) -> None:
    assert are_equal(trained(config, 3), trained(config, 3))
    assert not are_equal(trained(config, 3), trained(config, 4))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_steps", [16, 21])  # between two rollouts, and inside one
@pytest.mark.parametrize("config", [CONFIG, EVERYTHING, replace(EVERYTHING, memory_size=4)])
def test_a_restored_agent_goes_on_exactly_as_the_old_one(
    config: PPOConfig, num_steps: int, mode: AutoresetMode
) -> None:
    agent, stepper = make_agent(config), Stepper(NoiseVectorEnv(config.num_envs, mode))
    obs = drive(agent, stepper, begin(agent, stepper), num_steps)
    saved, stepper_saved, obs_saved = copy.deepcopy((agent.state(), stepper, obs))
    drive(agent, stepper, obs, 20)

    restored = make_agent(config, seed=5)
    restored.load_state(saved)
    drive(restored, stepper_saved, obs_saved, 20)
    assert are_equal(weights(agent), weights(restored))
    assert agent.metrics() == restored.metrics()
