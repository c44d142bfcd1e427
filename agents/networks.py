"""Networks for the observation kinds of the suite: bodies, Q-networks and actor-critics.

Every network takes a batch of raw observations, in the space's own dtype: scaling and one-hot coding
are part of it, so that memory holds bytes. A *body* maps observations to features; what is read off
the features is an algorithm's business: Q-values, or a policy and a value.

Layer normalisation after every hidden layer keeps bootstrapped values from diverging (Gallici et
al. 2024, *Simplifying Deep Temporal Difference Learning*, show why); orthogonal initial weights
after CleanRL, with a small last layer so that the first Q-values and preferences are near zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.attention import EntityEncoder
from agents.code_encoder import CodeEncoder, draw_normal
from agents.q_heads import HeadConfig, QHead, draw_noise
from agents.validation import check_choice

__all__ = ["ActorCritic", "Body", "CodeEncoder", "NetworkConfig", "PlaneEncoder", "QNetwork", "initialise", "make_body"]

_HIDDEN_GAIN = 2.0**0.5  # keeps the variance through a ReLU
MAX_LAYERS, MAX_WIDTH = 64, 16_384
HEAD_GAIN = 0.01  # first Q-values and preferences near zero


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of a body."""

    hidden_sizes: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers, in units."""
    channels: tuple[int, ...] = ()
    """Widths of the convolutions in front of them, for grid observations; none feeds the flattened
    planes straight into the first hidden layer, which is as fast and often enough."""
    residual: bool = False
    """Make each convolution a block of IMPALA's residual network (Espeholt et al. 2018, figure 3): a
    convolution, a pooling by 2 and two residual units; then (16, 32, 32) are the paper's channels."""
    layer_norm: bool = True
    """Normalise every hidden layer."""
    activation: Literal["relu", "tanh"] = "relu"
    """Between the hidden layers."""
    attention_heads: int = 4
    """Of the encoder of entities, agents.attention.EntityEncoder."""
    attention_width: int = 32
    """Its width, in units: a multiple of the heads."""
    first_layer: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the first layer of byte observations without convolutions. bfloat16 holds 0 to
    255 exactly, rounds the weights to 8 bits, and is about twice as fast on a processor with it."""

    def __post_init__(self) -> None:
        """Checks every field."""
        if not self.hidden_sizes:
            raise ValueError("hidden_sizes must hold at least one width, got ()")
        for name in ("hidden_sizes", "channels"):
            widths = getattr(self, name)
            if len(widths) > MAX_LAYERS or not all(1 <= width <= MAX_WIDTH for width in widths):
                raise ValueError(f"{name} must be at most {MAX_LAYERS} widths in [1, {MAX_WIDTH}], got {widths}")
        if self.residual and not self.channels:
            raise ValueError("residual needs channels, got ()")
        heads, width = self.attention_heads, self.attention_width
        if heads < 1 or not 1 <= width <= MAX_WIDTH or width % heads:
            allowed = f"a multiple of attention_heads >= 1, at most {MAX_WIDTH}"
            raise ValueError(f"attention_width must be {allowed}, got {width} of {heads}")
        check_choice(self, "activation", "first_layer")


class PlaneEncoder(nn.Module):
    """First layer over uint8 planes: ``planes / 255`` flattened, then linear.

    The division is applied to the product instead of the planes, which saves a pass over them.
    """

    def __init__(self, num_inputs: int, num_outputs: int, dtype: torch.dtype) -> None:
        """Prepares the weights; ``dtype`` is the arithmetic of the product."""
        super().__init__()
        self.linear = nn.Linear(num_inputs, num_outputs)
        self.dtype = dtype

    def forward(self, obs: Tensor) -> Tensor:
        """Maps uint8 (B, ...) to float32 (B, num_outputs)."""
        planes = obs.flatten(1).to(self.dtype)  # (B, num_inputs)
        product = functional.linear(planes, self.linear.weight.to(self.dtype)).float()
        return torch.add(self.linear.bias, product, alpha=1.0 / 255.0)


class _Scale(nn.Module):
    """Bytes to the unit interval."""

    def forward(self, obs: Tensor) -> Tensor:
        """Maps uint8 to float32 in [0, 1]."""
        return obs.float().mul_(1.0 / 255.0)


class Body(nn.Module):
    """Encoder and hidden layers.

    Shapes: obs (B, *obs_shape) in the space's dtype, features (B, num_features) float32.
    """

    def __init__(
        self, encoder: nn.Module, num_encoded: int, hidden_sizes: tuple[int, ...], config: NetworkConfig
    ) -> None:
        """Stacks the layers; ``num_encoded`` is the width of the encoder's output."""
        super().__init__()
        layers: list[nn.Module] = list(_between(num_encoded, config))
        for num_inputs, num_outputs in pairwise((num_encoded, *hidden_sizes)):
            layers += [nn.Linear(num_inputs, num_outputs), *_between(num_outputs, config)]
        self.encoder = encoder
        self.hidden = nn.Sequential(*layers)
        self.num_features = (num_encoded, *hidden_sizes)[-1]

    def forward(self, obs: Tensor) -> Tensor:
        """Maps raw observations (B, *obs_shape) to features (B, num_features)."""
        features: Tensor = self.hidden(self.encoder(obs))
        return features


class QNetwork(nn.Module):
    """A body and a head; the head's streams hold the last hidden layer, where that is not the first layer.

    Shapes: obs (B, *obs_shape) in the space's dtype, Q-values (B, num_actions) float32.
    """

    scores_are_logits = False

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        num_actions: int,
        config: NetworkConfig,
        head: HeadConfig | None = None,
    ) -> None:
        """Draws the weights from torch's global generator.

        Args:
            observation_space: of a single env.
            num_actions: size of the discrete action space.
            config: of the layers.
            head: its kind; None is one exact stream of means.
        """
        super().__init__()
        hides = len(config.hidden_sizes) > 1 or bool(config.channels)
        self.body = make_body(observation_space, config, config.hidden_sizes[:-1] if hides else None)
        hidden_size = config.hidden_sizes[-1] if hides else None
        after_hidden = partial(_between, config=config)
        self.head = QHead(self.body.num_features, hidden_size, num_actions, head or HeadConfig(), after_hidden)
        initialise(self, small=self.head.output_layers)

    def forward(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """Maps raw observations (B, *obs_shape) to Q-values (B, num_actions)."""
        return self.expectation(self.outputs(obs, noise))

    def outputs(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """Maps raw observations (B, *obs_shape) to what is learnt of the returns, (B, num_actions, num_outputs)."""
        outputs: Tensor = self.head(self.body(obs), noise)
        return outputs

    def expectation(self, outputs: Tensor) -> Tensor:
        """Returns the Q-values (B, num_actions) of outputs."""
        return self.head.expectation(outputs)

    def draw_noise(self, rng: np.random.Generator) -> Tensor | None:
        """Draws noise for all noisy layers, None if there are none."""
        num_units = sum(self.head.noise_sizes)
        return draw_noise(num_units, rng) if num_units else None

    def scores(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns Q-values (B, num_actions) without noise; there is no memory."""
        return self(obs), state

    def judge(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Returns the scores; there is no critic."""
        return self(obs), None, state


class ActorCritic(nn.Module):
    """A policy and a value on one body or on two, with a memory in between if wanted.

    Shapes: obs (B, *obs_shape), logits (B, num_actions), values (B,), memory (B, memory_size).
    """

    scores_are_logits = True

    def __init__(
        self,
        observation_space: gym.Space[np.ndarray],
        num_actions: int,
        config: NetworkConfig,
        *,
        separate_critic: bool = False,
        memory_size: int = 0,
    ) -> None:
        """Draws the weights from torch's global generator.

        Args:
            observation_space: of a single env.
            num_actions: size of the discrete action space.
            config: of the body, or of each of the two.
            separate_critic: give the value a body of its own, which sees nothing of the memory.
            memory_size: units of a gated recurrent unit (Cho et al. 2014) behind the body; 0 has none.
        """
        super().__init__()
        self.body = make_body(observation_space, config)
        self.critic_body = make_body(observation_space, config) if separate_critic else None
        self.memory = nn.GRUCell(self.body.num_features, memory_size) if memory_size else None
        num_features = memory_size or self.body.num_features
        self.policy_head = nn.Linear(num_features, num_actions)
        self.value_head = nn.Linear(self.body.num_features if separate_critic else num_features, 1)
        self.memory_size = memory_size
        initialise(self, small=[self.policy_head])

    def forward(self, obs: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Returns logits (B, num_actions), values (B,) and the next memory; None begins with an empty one."""
        features = self.body(obs)
        if self.memory is not None:
            features = memory = self.memory(features, memory)
        return self.policy_head(features), self._values(obs, features), memory

    def unroll(self, obs: Tensor, memory: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Replays T steps of B envs.

        Args:
            obs: (T, B, *obs_shape).
            memory: (B, memory_size) before the first step.
            starts: bool (T, B): the memory is emptied before this step.

        Returns:
            Logits (T, B, num_actions) and values (T, B).
        """
        length, num_envs = starts.shape
        flat_obs = obs.flatten(0, 1)
        inputs = self.body(flat_obs).view(length, num_envs, -1)
        features = []
        for t in range(length):
            memory = torch.where(starts[t, :, None], 0.0, memory)
            if self.memory is not None:
                memory = self.memory(inputs[t], memory)
            features.append(memory)
        stacked = torch.stack(features)  # (T, B, memory_size)
        values = self._values(flat_obs, stacked.flatten(0, 1))
        return self.policy_head(stacked), values.view(length, num_envs)

    def scores(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns logits (B, num_actions) and the next memory."""
        logits, _, memory = self(obs, state)
        return logits, memory

    def judge(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Returns logits (B, num_actions), the critic's values (B,) and the next memory."""
        logits, values, memory = self(obs, state)
        return logits, values, memory

    def _values(self, obs: Tensor, features: Tensor) -> Tensor:
        values: Tensor = self.value_head(features if self.critic_body is None else self.critic_body(obs))[:, 0]
        return values


def make_body(
    observation_space: gym.Space[np.ndarray], config: NetworkConfig, hidden_sizes: tuple[int, ...] | None = None
) -> Body:
    """Builds the body that fits one observation.

    ======================== ============= ================================================
    space                    dtype         encoder
    ======================== ============= ================================================
    Box (features,)          float32       linear
    Box (rows, columns)      float32       the ego attends to all rows (:class:`EntityEncoder`)
    Box (rows, cols)         integer codes one-hot codes, linear (:class:`CodeEncoder`)
    Box (planes, rows, cols) uint8         planes / 255, 3x3 convolutions or linear
    ======================== ============= ================================================

    Args:
        observation_space: the space of a single observation (not of a batch).
        config: widths.
        hidden_sizes: instead of those in ``config``; may be empty only behind convolutions or attention.

    Raises:
        ValueError: no encoder fits the space.
    """
    if isinstance(observation_space, gym.spaces.Box):
        shape, dtype = observation_space.shape, observation_space.dtype
        num_inputs = int(np.prod(shape))
        hidden_sizes = config.hidden_sizes if hidden_sizes is None else hidden_sizes
        if len(shape) == 3 and dtype == np.uint8 and config.channels:
            encoder, num_encoded = _make_convolutions(shape, config)
            return Body(encoder, num_encoded, hidden_sizes, config)
        if len(shape) == 2 and dtype == np.float32:
            width = config.attention_width
            return Body(EntityEncoder(*shape, width, config.attention_heads), width, hidden_sizes, config)
        width, *rest = hidden_sizes
        sizes = tuple(rest)
        if len(shape) == 1 and dtype == np.float32:
            return Body(nn.Linear(num_inputs, width), width, sizes, config)
        if len(shape) == 2 and np.issubdtype(dtype, np.integer):
            num_codes = int(observation_space.high.max()) + 1
            return Body(CodeEncoder(num_inputs, num_codes, width), width, sizes, config)
        if len(shape) == 3 and dtype == np.uint8:
            product = torch.bfloat16 if config.first_layer == "bfloat16" else torch.float32
            return Body(PlaneEncoder(num_inputs, width, product), width, sizes, config)
    raise ValueError(
        f"observation_space {observation_space} has no encoder; allowed are a Box (features,) of "
        "float32, a Box (rows, columns) of float32 or integer codes and a Box (planes, rows, cols) of uint8"
    )


def initialise(network: nn.Module, small: Iterable[nn.Module]) -> None:
    """Draws orthogonal weights and zero biases; the layers in ``small`` start near zero."""
    small = list(small)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            gain = HEAD_GAIN if any(module is layer for layer in small) else _HIDDEN_GAIN
            nn.init.orthogonal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GRUCell):
            for weight in (module.weight_ih, module.weight_hh):
                nn.init.orthogonal_(weight)
            nn.init.zeros_(module.bias_ih)
            nn.init.zeros_(module.bias_hh)
        elif isinstance(module, CodeEncoder):
            # Each output sums one row per cell: the variance of a layer with that many inputs.
            num_cells = module.offsets.numel()
            draw_normal(module.table.weight, _HIDDEN_GAIN / num_cells**0.5)


class _ResidualUnit(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, planes: Tensor) -> Tensor:
        """Keeps the shape (B, channels, rows, cols)."""
        return torch.add(planes, self.layers(planes))


def _between(width: int, config: NetworkConfig) -> list[nn.Module]:
    """What follows a linear layer."""
    # In place saves an allocation; what layer normalisation returns is not needed for its gradient.
    activation = nn.ReLU(inplace=config.layer_norm) if config.activation == "relu" else nn.Tanh()
    return [nn.LayerNorm(width), activation] if config.layer_norm else [activation]


def _make_convolutions(shape: tuple[int, ...], config: NetworkConfig) -> tuple[nn.Sequential, int]:
    """Stride 2 in the first plain convolution: neighbouring cells say much the same, and it is fast."""
    layers: list[nn.Module] = [_Scale()]
    num_inputs = shape[0]
    for index, num_outputs in enumerate(config.channels):
        if config.residual:
            layers += [nn.Conv2d(num_inputs, num_outputs, 3, padding=1), nn.MaxPool2d(3, 2, padding=1)]
            layers += [_ResidualUnit(num_outputs), _ResidualUnit(num_outputs)]
        else:
            stride = 2 if index == 0 else 1
            layers += [nn.Conv2d(num_inputs, num_outputs, 3, stride, padding=1), nn.ReLU()]
        num_inputs = num_outputs
    layers += [nn.ReLU(), nn.Flatten()] if config.residual else [nn.Flatten()]
    encoder = nn.Sequential(*layers)
    with torch.no_grad():
        num_encoded = int(encoder(torch.zeros(1, *shape, dtype=torch.uint8)).shape[1])
    return encoder, num_encoded
