"""A driver as JSON for `drivesim.browser`: its network's operations in order, and its weights as 8-bit integers.

    {"ops": [["linear", [0, "w1", "b1"], [1, 64], 1], …], "scores": 7, …}

An operation is its name, its arguments, the shape of its result for one env, and the factor of what it adds. An
argument is the number of an earlier result, 0 being the observation, the name of a weight, or a plain value in a list
of one.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch.fx import Node

from agents.export.export_run import ExportError
from agents.export.int8 import quantise
from agents.export.numpy_form import needed_nodes
from agents.export.tracing import Driver, output_axes, trace, weight_nodes, weights_of
from agents.run_folder import run_at
from agents.training import load_policy

__all__ = ["driver_for_page"]

_OPERATIONS = {
    "aten._to_copy.default": "same",
    "aten.add.Tensor": "add",
    "aten.layer_norm.default": "layer_norm",
    "aten.linear.default": "linear",
    "aten.mean.dim": "mean",
    "aten.mul.Tensor": "mul",
    "aten.relu.default": "relu",
    "aten.slice.Tensor": "slice",
    "aten.sub.Tensor": "sub",
    "aten.tanh.default": "tanh",
    "aten.unsqueeze.default": "reshape",
    "aten.squeeze.dim": "reshape",
    "aten.view.default": "reshape",
}
"""Operations of torch and what the page calls them; the page knows the shape of every result."""


def driver_for_page(run_dir: Path) -> dict[str, Any]:
    """The best driver of a run.

    Args:
        run_dir: folder of the run.

    Raises:
        ExportError: it was trained for something that a page does not show, or its network has an operation that a
            page lacks.
        FileNotFoundError, CheckpointError: as in :func:`agents.training.load_policy`.
    """
    run_dir = run_at(run_dir)
    policy, config = load_policy(run_dir)
    own = config.each()[0]
    options = {name: value for name, value in own.options().items() if name not in ("observation", "difficulty")}
    if options or len(config.each()) > 1:
        raise ExportError(f"a page shows drivers of one environment without options, got {config.env} with {options}")
    with gym.make(own.env, **own.options("test")) as env:
        space: Any = env.observation_space
        names = env.unwrapped.action_names  # type: ignore[attr-defined]
        observation = env.unwrapped.config.observation  # type: ignore[attr-defined]
        scenario = env.unwrapped.config.scenario  # type: ignore[attr-defined]
    driver = Driver(policy)
    if driver.memory_size:
        raise ExportError(f"a page shows drivers without a memory, and {run_dir} has one")
    program = trace(driver, space, len(names))
    ops, scores = _operations(program)
    return {
        "name": run_dir.resolve().name,
        "scenario": scenario,
        "observation": observation,
        "ops": ops,
        "scores": scores,
        "weights": _weights(program),
        "is_probability": bool(policy.network.scores_are_logits),
        "uses_action_masks": policy.uses_action_masks,
    }


def _operations(program: torch.export.ExportedProgram) -> tuple[list[Any], int]:
    """The operations in order, and the number of the scores; the observation has number 0."""
    output = next(iter(program.graph.find_nodes(op="output")))
    end = output.all_input_nodes[0]
    needed, weights = needed_nodes([end]), weight_nodes(program)
    numbers: dict[Node, Any] = {node: name for node, name in weights.items()}
    ops: list[Any] = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node not in weights and node.name == "obs":
                numbers[node] = 0
        elif node in needed and node.target is not torch.ops.aten.sym_size.int:
            name = str(node.target)
            if name not in _OPERATIONS:
                raise ExportError(f"the network computes {name}, which a page lacks; it has {sorted(_OPERATIONS)}")
            numbers[node] = len(ops) + 1
            arguments = [_argument(value, numbers) for value in node.args]
            shape = [int(size) if isinstance(size, int) else 1 for size in node.meta["val"].shape]
            is_rounded = node.kwargs.get("dtype") is torch.bfloat16
            ops.append(["bfloat16" if is_rounded else _OPERATIONS[name], arguments, shape, node.kwargs.get("alpha", 1)])
    return ops, numbers[end]


def _argument(value: Any, numbers: dict[Node, Any]) -> Any:
    """A node's number or name, or another value in a list."""
    return numbers[value] if isinstance(value, Node) and value in numbers else [_plain(value)]


def _plain(value: Any) -> Any:
    """A value in terms of JSON."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int | float | bool) or value is None:
        return min(value, 2**31 - 1) if isinstance(value, int) else value
    return None  # the size of a batch, or a type


def _weights(program: torch.export.ExportedProgram) -> dict[str, Any]:
    """Every weight: its shape, and its numbers in base64, as codes of 8 bits with their scales or as float32."""
    axes = output_axes(program)
    found = {}
    for name, array in weights_of(program).items():
        if name in axes:
            codes, scales = quantise(array, axes[name])
            found[name] = {"shape": list(array.shape), "codes": _base64(codes), "scales": _base64(scales)}
        else:
            found[name] = {"shape": list(array.shape), "values": _base64(np.asarray(array, np.float32))}
    return found


def _base64(array: Any) -> str:
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")
