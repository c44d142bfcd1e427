"""A driver as an ONNX model.

Inputs: ``obs`` (batch, ...) in the space's dtype; ``memory`` (batch, memory_size) float32 where the network
has one, zeros to begin with; ``action_masks`` bool (batch, num_actions) where it was trained with masks. Outputs:
``scores`` float32 (batch, num_actions), ``actions`` int64 (batch,) and ``next_memory``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from agents.export.int8 import quantise
from agents.export.tracing import Driver, output_axes, quiet_exporter

__all__ = ["OnnxForm", "write_onnx"]


class OnnxForm:
    """A written model at work in ONNX Runtime, on as many threads as torch has."""

    def __init__(self, path: Path) -> None:
        """Loads the model."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = {entry.name: entry for entry in self.session.get_inputs()}
        self.uses_action_masks = "action_masks" in inputs
        self.obs_shape = tuple(inputs["obs"].shape[1:])
        self.memory_size = int(inputs["memory"].shape[1]) if "memory" in inputs else 0
        self.memory: NDArray[np.float32] | None = None

    def begin(self, starts: NDArray[np.bool_] | None = None) -> None:
        """Empties the memory, of all envs or of those marked in (B,)."""
        if starts is None:
            self.memory = None
        elif self.memory is not None:
            self.memory[starts] = 0.0

    def __call__(
        self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Returns scores (B, num_actions) and actions (B,)."""
        inputs: dict[str, NDArray[Any] | None] = {"obs": obs}
        if self.memory_size:
            inputs["memory"] = (
                np.zeros((len(obs), self.memory_size), np.float32) if self.memory is None else self.memory
            )
        if self.uses_action_masks:
            inputs["action_masks"] = action_masks
        scores, actions, *memories = self.session.run(None, inputs)
        self.memory = memories[0] if memories else None
        return scores, actions


def write_onnx(
    path: Path, driver: Driver, program: ExportedProgram, about: Mapping[str, str], *, int8: bool = False
) -> None:
    """Writes a driver as an ONNX model and checks it.

    Args:
        path: of the file.
        driver: what was traced.
        program: its trace.
        about: the model's metadata, by name.
        int8: quantise the weights.
    """
    import onnx

    with quiet_exporter():
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=driver.input_names(),
            output_names=driver.output_names(),
            verbose=False,
        )
    if exported is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = exported.model_proto
    _strip(model)
    if int8:
        _quantise(model.graph, output_axes(program))
    onnx.helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _strip(model: Any) -> None:
    """Removes the exporter's notes: they name files of this machine and can be larger than the weights."""
    graph = model.graph
    for entry in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")
    graph.ClearField("value_info")


def _quantise(graph: Any, axes: dict[str, int]) -> None:
    """Replaces weights by codes that are dequantised where they are used; of a table, only the rows looked up."""
    from onnx import helper, numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for name, axis in axes.items():
        tensor = tensors[name]
        codes, scales = quantise(numpy_helper.to_array(tensor), axis)
        tensor.CopyFrom(numpy_helper.from_array(codes, name))
        graph.initializer.append(numpy_helper.from_array(scales.reshape(-1), f"{name}.scales"))
        for index, node in reversed(list(enumerate(graph.node))):
            if name not in node.input:
                continue
            if node.op_type == "Gather":  # rows (B, num_cells, outputs) of a table (rows, outputs)
                rows = node.output[0]
                node.output[0] = f"{rows}.codes"
                after = helper.make_node("DequantizeLinear", [f"{rows}.codes", f"{name}.scales"], [rows], axis=2)
                graph.node.insert(index + 1, after)
            else:
                node.input[list(node.input).index(name)] = f"{name}.float"
                before = helper.make_node("DequantizeLinear", [name, f"{name}.scales"], [f"{name}.float"], axis=axis)
                graph.node.insert(index, before)
