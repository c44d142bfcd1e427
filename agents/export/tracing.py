"""A driver's network as a graph of operations, which every form is made from.

Two encoders are replaced by others that compute the same numbers with operations every form has: looked-up
rows are gathered and summed (``EmbeddingBag`` becomes a loop in ONNX), and a product in bfloat16 becomes one in
float32 of the same rounded factors, rounded afterwards (ONNX Runtime multiplies no bfloat16 on a processor).
"""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import Node
from torch.nn import functional

from agents.networks import CodeEncoder, PlaneEncoder
from agents.policy import NetworkPolicy

__all__ = ["Driver", "output_axes", "quiet_exporter", "trace", "weight_nodes", "weights_of"]


class Driver(nn.Module):
    """A copy of a policy's network that also chooses the actions, ready to be traced."""

    def __init__(self, policy: NetworkPolicy) -> None:
        """Copies the network; the policy stays as it is.

        Raises:
            TypeError: the network is not a torch module.
        """
        super().__init__()
        if not isinstance(policy.network, nn.Module):
            raise TypeError(f"the policy's network must be a torch.nn.Module, got {type(policy.network).__name__}")
        self.network: Any = copy.deepcopy(policy.network)
        self.memory_size = int(getattr(policy.network, "memory_size", 0))
        self.uses_action_masks = policy.uses_action_masks
        _replace_encoders(self.network)
        self.requires_grad_(False)
        self.eval()

    def forward(
        self, obs: Tensor, memory: Tensor | None = None, action_masks: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Returns scores (B, num_actions), actions (B,) int64 and, where there is one, the next memory.

        Args:
            obs: (B, *obs_shape) in the space's dtype.
            memory: (B, memory_size), given if and only if the network has one.
            action_masks: bool (B, num_actions), False where an action must not be chosen.
        """
        scores, next_memory = self.network.scores(obs, memory)
        allowed = scores if action_masks is None else scores.masked_fill(~action_masks, -torch.inf)
        outputs = (scores, allowed.argmax(dim=1))
        return outputs if next_memory is None else (*outputs, next_memory)

    def input_names(self) -> list[str]:
        """Returns the names of the inputs it takes, in order."""
        return [
            "obs",
            *(["memory"] if self.memory_size else []),
            *(["action_masks"] if self.uses_action_masks else []),
        ]

    def output_names(self) -> list[str]:
        """Returns the names of the outputs it gives, in order."""
        return ["scores", "actions", *(["next_memory"] if self.memory_size else [])]


def trace(driver: Driver, observation_space: gym.spaces.Box, num_actions: int) -> ExportedProgram:
    """Traces a driver over a batch of any size.

    Args:
        driver: to be traced.
        observation_space: of a single env.
        num_actions: size of the discrete action space.

    Returns:
        A functional graph; its inputs are those of ``driver.input_names()``.
    """
    num_envs = 2  # a traced size of 1 would be taken for a constant
    obs = np.stack([observation_space.low] * num_envs).astype(observation_space.dtype)
    inputs: dict[str, Tensor] = {
        "obs": torch.from_numpy(obs),
        "memory": torch.zeros(num_envs, driver.memory_size),
        "action_masks": torch.ones(num_envs, num_actions, dtype=torch.bool),
    }
    names = driver.input_names()
    shapes = {name: {0: Dim("batch")} if name in names else None for name in inputs}
    arguments = {name: inputs[name] if name in names else None for name in inputs}
    with torch.no_grad(), quiet_exporter():
        traced = torch.export.export(driver, (), arguments, dynamic_shapes=shapes, strict=False)
        program: ExportedProgram = traced.run_decompositions({})  # makes it functional and keeps whole layers
    return program


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silences what torch's exporter says about itself: its own deprecated calls and packages it could support."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def weight_nodes(program: ExportedProgram) -> dict[Node, str]:
    """Returns the nodes of the parameters and buffers that the graph reads, with their names in the module."""
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    return {node: names[node.name] for node in program.graph.nodes if node.name in names and node.users}


def weights_of(program: ExportedProgram) -> dict[str, NDArray[Any]]:
    """Returns the parameters and buffers that the graph reads, by name."""
    tensors: dict[str, Any] = {**program.state_dict, **program.constants}
    return {name: tensors[name].detach().numpy() for name in weight_nodes(program).values()}


def output_axes(program: ExportedProgram) -> dict[str, int]:
    """Returns the names of the weights, which are parameters of two axes or more, and the axis their outputs lie on."""
    is_parameter = set(program.graph_signature.inputs_to_parameters)
    axes = {}
    for node, name in weight_nodes(program).items():
        if node.name in is_parameter and node.meta["val"].ndim > 1:
            is_table = any(user.target is torch.ops.aten.embedding.default for user in node.users)
            axes[name] = 1 if is_table else 0
    return axes


class _SummedRows(nn.Module):
    """The output of a :class:`CodeEncoder`."""

    offsets: Tensor

    def __init__(self, encoder: CodeEncoder) -> None:
        super().__init__()
        self.table = nn.Parameter(encoder.table.weight.detach())
        self.bias = nn.Parameter(encoder.bias.detach())
        self.register_buffer("offsets", encoder.offsets.detach(), persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        """Maps codes of any integer dtype (B, ...) to float32 (B, num_outputs)."""
        rows = obs.flatten(1).long() + self.offsets  # (B, num_cells)
        return functional.embedding(rows, self.table).sum(dim=1) + self.bias


class _RoundedProduct(nn.Module):
    """The output of a :class:`PlaneEncoder` in bfloat16."""

    def __init__(self, encoder: PlaneEncoder) -> None:
        super().__init__()
        self.weight = nn.Parameter(encoder.linear.weight.detach().bfloat16().float())
        self.bias = nn.Parameter(encoder.linear.bias.detach())

    def forward(self, obs: Tensor) -> Tensor:
        """Maps uint8 (B, ...) to float32 (B, num_outputs)."""
        product = functional.linear(obs.flatten(1).float(), self.weight)
        return torch.add(self.bias, product.bfloat16().float(), alpha=1.0 / 255.0)


def _replace_encoders(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, CodeEncoder):
                setattr(parent, name, _SummedRows(child))
            elif isinstance(child, PlaneEncoder) and child.dtype is torch.bfloat16:
                setattr(parent, name, _RoundedProduct(child))
