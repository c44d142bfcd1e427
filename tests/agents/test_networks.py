"""Q-networks: the right encoder for a space, and the same numbers as the plain formula."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.nn import functional

from agents.attention import EntityEncoder
from agents.networks import CodeEncoder, NetworkConfig, PlaneEncoder, QNetwork
from drivesim.observations.entities import ENTITY, ENTITY_AHEAD, ENTITY_RIGHT, NUM_COMMON, VALID
from drivesim.observations.near import coded

FEATURES = gym.spaces.Box(-1.0, 1.0, (12,), np.float32)
CODES = gym.spaces.Box(0, 40, (10, 10), np.uint8)
PLANES = gym.spaces.Box(0, 255, (4, 11, 7), np.uint8)
ROWS = gym.spaces.Box(-1.0, 1.0, (6, len(ENTITY)), np.float32)


@pytest.mark.parametrize("space", [FEATURES, CODES, PLANES, ROWS], ids=["features", "codes", "planes", "rows"])
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


def crowd(rng: np.random.Generator, num: int, rows: int = 8) -> torch.Tensor:
    """Observations (num, rows, columns) of entities, of which the last three rows are empty."""
    obs = rng.uniform(-1.0, 1.0, (num, rows, len(ENTITY))).astype(np.float32)
    obs[:, :, VALID] = 1.0
    obs[:, rows - 3 :] = 0.0
    return torch.from_numpy(obs)


def test_what_is_made_of_entities_depends_neither_on_their_order_nor_on_empty_rows() -> None:
    torch.manual_seed(0)
    encoder = EntityEncoder(8, len(ENTITY), width=16, num_heads=2)
    obs = crowd(np.random.default_rng(0), 6)
    features = encoder(obs)
    assert features.shape == (6, 16)
    torch.testing.assert_close(encoder(obs[:, [0, 3, 7, 1, 4, 2, 5, 6]]), features)
    blank = obs.clone()
    blank[:, 6, 1:] = 0.5  # whatever stands in a row that is not valid
    torch.testing.assert_close(encoder(blank), features)
    moved = obs.clone()
    moved[:, 4, 4] += 0.5
    assert (encoder(moved) - features).abs().amax(dim=1).min() > 1e-4
    assert (encoder(obs[:, [1, 0, 2, 3, 4, 5, 6, 7]]) - features).abs().amax(dim=1).min() > 1e-3  # the ego is another


def test_attention_is_the_softmax_of_scaled_products_over_the_rows_that_there_are() -> None:
    torch.manual_seed(1)
    encoder = EntityEncoder(8, len(ENTITY), width=4, num_heads=1).requires_grad_(False)
    (obs,) = crowd(np.random.default_rng(1), 1)
    rows = functional.relu(encoder.embed_again(functional.relu(encoder.embed(encoder.described(obs[None])[0]))))
    ego = functional.relu(encoder.embed_ego(obs[0]))
    keys, values, query = encoder.key(rows), encoder.value(rows), encoder.query(encoder.norm(ego))
    weights = torch.tensor([float(query @ key) / 4**0.5 for key in keys[:5]]).exp()
    heard = sum(weight * value for weight, value in zip(weights, values, strict=False)) / weights.sum()
    ego = ego + encoder.hear(heard)
    expected = ego + encoder.narrow(functional.relu(encoder.widen(encoder.norm_heard(ego))))
    torch.testing.assert_close(encoder(obs[None])[0], expected)


def test_whoever_is_straight_ahead_or_a_cell_on_is_told_by_a_unit_of_its_own() -> None:
    cells = np.arange(-60, 61)
    obs = torch.zeros(1, len(cells), len(ENTITY))
    obs[0, :, ENTITY_AHEAD : ENTITY_RIGHT + 1] = torch.tensor([[coded(float(cell))] * 2 for cell in cells])
    encoder = EntityEncoder(len(cells), len(ENTITY), width=4, num_heads=1)
    hats = encoder.described(obs)[0, :, NUM_COMMON:].numpy()
    tops = [-16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, *range(-2, 3)]  # ahead, then to the right
    widths = [8, 6, 3, 1.5, 1, 1, 1, 1.5, 3, 6, 8, *[1] * 5]
    expected = np.maximum(0.0, 1.0 - np.abs(cells[:, None] - tops) / widths)
    np.testing.assert_allclose(hats, expected, atol=1e-4)
    beyond = obs.clone()
    beyond[0, :, ENTITY_AHEAD : ENTITY_RIGHT + 1] = 1.0  # further than any map is long
    assert encoder.described(beyond)[0, :, NUM_COMMON:].abs().max() == 0.0


def test_heads_must_divide_the_width_of_attention() -> None:
    with pytest.raises(ValueError, match=r"attention_width must be a multiple of attention_heads .*, got 32 of 5"):
        NetworkConfig(attention_heads=5)
