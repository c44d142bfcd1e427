"""Q-networks: the right encoder for a space, and the same numbers as the plain formula."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.nn import functional

from agents.networks import CodeEncoder, NetworkConfig, PlaneEncoder, QNetwork

FEATURES = gym.spaces.Box(-1.0, 1.0, (12,), np.float32)
CODES = gym.spaces.Box(0, 40, (10, 10), np.uint8)
PLANES = gym.spaces.Box(0, 255, (4, 11, 7), np.uint8)


@pytest.mark.parametrize("space", [FEATURES, CODES, PLANES], ids=["features", "codes", "planes"])
@pytest.mark.parametrize("channels", [(), (8, 8)])
def test_every_observation_kind_gets_q_values_and_gradients(space: gym.spaces.Box, channels: tuple[int, ...]) -> None:
    network = QNetwork(space, 5, NetworkConfig(hidden_sizes=(16, 16), channels=channels))
    space.seed(0)
    obs = torch.from_numpy(np.stack([space.sample() for _ in range(3)]))
    q_values = network(obs)
    assert q_values.shape == (3, 5)
    assert q_values.dtype == torch.float32
    assert q_values.abs().max() < 1.0  # first values near zero
    q_values.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("hidden_sizes", [(16,), (16, 16)])
def test_convolutions_feed_heads_of_any_depth(layer_norm: bool, residual: bool, hidden_sizes: tuple[int, ...]) -> None:
    config = NetworkConfig(hidden_sizes=hidden_sizes, channels=(4, 4), residual=residual, layer_norm=layer_norm)
    network = QNetwork(PLANES, 5, config)
    network(torch.zeros((2, 4, 11, 7), dtype=torch.uint8)).sum().backward()
    sizes = [layer.out_features for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
    assert sizes == [*hidden_sizes, 5]


def test_code_encoder_equals_a_layer_on_one_hot_codes() -> None:
    encoder = CodeEncoder(num_cells=6, num_codes=5, num_outputs=3)
    codes = torch.randint(5, (7, 2, 3), dtype=torch.uint8)
    one_hot = functional.one_hot(codes.long(), 5).flatten(1).float()  # (7, 30)
    expected = one_hot @ encoder.table.weight + encoder.bias
    torch.testing.assert_close(encoder(codes), expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str)
def test_plane_encoder_equals_a_layer_on_scaled_planes(dtype: torch.dtype, tolerance: float) -> None:
    encoder = PlaneEncoder(num_inputs=60, num_outputs=8, dtype=dtype)
    planes = torch.randint(256, (5, 3, 4, 5), dtype=torch.uint8)
    expected = encoder.linear(planes.flatten(1).float() / 255.0)
    torch.testing.assert_close(encoder(planes), expected, atol=tolerance, rtol=0.0)


def test_an_unknown_space_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="has no encoder; allowed are"):
        QNetwork(gym.spaces.Discrete(3), 2, NetworkConfig())
    with pytest.raises(ValueError, match="hidden_sizes must hold at least one width"):
        NetworkConfig(hidden_sizes=())
