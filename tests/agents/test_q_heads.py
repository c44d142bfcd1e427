"""Heads of Q-networks: two streams, noisy weights, and the Q-values that outputs stand for."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from agents.networks import NetworkConfig, QNetwork
from agents.q_heads import HeadConfig, NoisyLinear, draw_noise

SPACE = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)
HEADS = {
    "mean": HeadConfig(),
    "quantile": HeadConfig(returns="quantile", num_outputs=6),
    "categorical": HeadConfig(returns="categorical", num_outputs=6, v_min=-1.0, v_max=4.0),
}


def make_network(head: HeadConfig, hidden_sizes: tuple[int, ...] = (8, 8)) -> QNetwork:
    torch.manual_seed(0)
    return QNetwork(SPACE, 3, NetworkConfig(hidden_sizes=hidden_sizes), head)


def observations(num: int = 5) -> Tensor:
    return torch.randn((num, 4), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("hidden_sizes", [(8,), (8, 8), (8, 8, 8)])
@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("noisy_std", [None, 0.5])
def test_every_head_gives_outputs_scores_and_gradients(
    name: str, hidden_sizes: tuple[int, ...], dueling: bool, noisy_std: float | None
) -> None:
    network = make_network(replace(HEADS[name], dueling=dueling, noisy_std=noisy_std), hidden_sizes)
    noise = network.draw_noise(np.random.default_rng(0))
    assert (noise is None) == (noisy_std is None)
    outputs = network.outputs(observations(), noise)
    assert outputs.shape == (5, 3, HEADS[name].num_outputs)
    q_values, state = network.scores(observations(), None)
    assert q_values.shape == (5, 3)
    assert state is None
    torch.testing.assert_close(network.expectation(network.outputs(observations())), q_values)
    outputs.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_q_values_are_the_means_of_what_is_learnt() -> None:
    quantiles = torch.tensor([[[0.0, 1.0, 2.0, 3.0, 4.0, 20.0]]])
    assert make_network(HEADS["quantile"]).expectation(quantiles).tolist() == [[5.0]]
    # Atoms -1, 0, ..., 4; half on 4, half on -1: 1.5.
    logits = torch.tensor([[[0.0, -torch.inf, -torch.inf, -torch.inf, -torch.inf, 0.0]]])
    assert make_network(HEADS["categorical"]).expectation(logits).tolist() == [[1.5]]


@pytest.mark.parametrize("name", HEADS)
def test_a_dueling_head_adds_a_value_and_advantages_without_a_mean(name: str) -> None:
    network = make_network(replace(HEADS[name], dueling=True))
    head = network.head
    features = network.body(observations())
    assert head.value is not None
    value = head.value(features, iter(()))  # (5, K)
    outputs = network.outputs(observations())
    torch.testing.assert_close(outputs.mean(dim=1), value)
    advantages = head.advantage(features, iter(())).view(5, 3, -1)
    torch.testing.assert_close(outputs - outputs[:, :1], advantages - advantages[:, :1])
    with torch.no_grad():
        head.advantage.output.bias += 7.0  # the same for all actions: takes no part
    torch.testing.assert_close(network.outputs(observations()), outputs, atol=1e-5, rtol=0.0)


def test_a_noisy_layer_by_hand() -> None:
    layer = NoisyLinear(2, 1, initial_std=0.5)
    assert layer.weight_std[0].tolist() == pytest.approx([0.5 / 2**0.5] * 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.weight_std.copy_(torch.tensor([[0.1, 0.2]]))
        layer.bias.fill_(3.0)
        layer.bias_std.fill_(0.5)
    features = torch.tensor([[10.0, 20.0]])
    assert layer(features).item() == 53.0  # the means: 10 + 40 + 3
    # Noise 2 and -1 of the inputs, 3 of the output: weights 1 + 0.1 * 6 and 2 + 0.2 * -3, bias 3 + 0.5 * 3.
    noisy = layer(features, torch.tensor([2.0, -1.0, 3.0]))
    assert noisy.item() == pytest.approx(10 * 1.6 + 20 * 1.4 + 4.5)


def test_noise_has_the_moments_of_its_definition() -> None:
    # f(e) = sign(e) sqrt|e|: mean 0, square |e| of mean sqrt(2 / pi), fourth power e^2 of mean 1.
    noise = draw_noise(200_000, np.random.default_rng(0)).double()
    assert noise.mean().item() == pytest.approx(0.0, abs=0.01)
    assert noise.square().mean().item() == pytest.approx((2.0 / np.pi) ** 0.5, abs=0.01)
    assert noise.pow(4).mean().item() == pytest.approx(1.0, abs=0.02)


def test_the_noise_of_a_network_is_that_of_the_generator_and_its_means_have_none() -> None:
    network = make_network(HeadConfig(dueling=True, noisy_std=0.5))
    first, second = (network.draw_noise(np.random.default_rng(3)) for _ in range(2))
    other = network.draw_noise(np.random.default_rng(4))
    assert first is not None
    assert len(first) == 2 * (8 + 8) + (8 + 3) + (8 + 1)  # two hidden layers, two output layers
    assert torch.equal(first, second)
    assert not torch.allclose(network(observations(), first), network(observations(), other))
    no_noise = torch.zeros_like(first)
    torch.testing.assert_close(network(observations(), no_noise), network(observations()))


def test_every_noisy_layer_has_noise_of_its_own() -> None:
    """Changing one unit's noise changes the outputs, whichever unit it is (no unit is dead under tanh)."""
    torch.manual_seed(0)
    config = NetworkConfig(hidden_sizes=(8, 8), activation="tanh")
    network = QNetwork(SPACE, 3, config, HeadConfig(dueling=True, noisy_std=0.5))
    noise = network.draw_noise(np.random.default_rng(3))
    assert noise is not None
    before = network.outputs(observations(64), noise)
    for unit in range(len(noise)):
        changed = noise.clone()
        changed[unit] += 1.0
        assert not torch.equal(network.outputs(observations(64), changed), before), unit


@pytest.mark.parametrize("head", [HeadConfig(), HeadConfig(noisy_std=0.5)], ids=["exact", "noisy"])
def test_the_layers_and_first_q_values_do_not_depend_on_where_the_last_hidden_layer_lives(head: HeadConfig) -> None:
    network = make_network(head, (16, 8))
    sizes = [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert sizes == [(4, 16), (16, 8), (8, 3)]
    assert [isinstance(m, NoisyLinear) for m in network.modules() if isinstance(m, torch.nn.Linear)] == [
        False, head.noisy_std is not None, head.noisy_std is not None,
    ]  # fmt: skip
    assert network(observations()).abs().max() < 0.2
