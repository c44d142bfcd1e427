"""A driver as one Python file that needs nothing but numpy.

The network's graph becomes straight lines of numpy, one per operation, and the weights are part of the file, as
base64. Importing the file reads nothing else and runs nothing else.
"""

from __future__ import annotations

import base64
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram
from torch.fx import Node

from agents.export import numpy_operations
from agents.export.int8 import quantise
from agents.export.tracing import Driver, output_axes, weight_nodes, weights_of

__all__ = ["NumpyForm", "import_file", "write_numpy"]

_LINE = 116  # characters of base64 per line
_CONSTANTS = ("OBS_SHAPE", "USES_ACTION_MASKS")


class _Loader(SourceFileLoader):
    """Imports a file and leaves nothing beside it."""

    def set_data(self, *_: object, **__: object) -> None:
        """Keeps no byte code."""


class NumpyForm:
    """A written file at work."""

    def __init__(self, path: Path) -> None:
        """Imports the file, under a name of its own.

        Raises:
            ImportError: it is not such a file.
        """
        module = import_file(path, "exported_policy")
        missing = [name for name in ("Policy", *_CONSTANTS) if not hasattr(module, name)]
        if missing:
            raise ImportError(f"{path} is not an exported driver: it has no {missing[0]}")
        self.policy: Any = module.Policy()
        self.obs_shape: tuple[int, ...] = module.OBS_SHAPE
        self.uses_action_masks: bool = module.USES_ACTION_MASKS

    def begin(self, starts: NDArray[np.bool_] | None = None) -> None:
        """Empties the memory, of all envs or of those marked in (B,)."""
        self.policy.begin(starts)

    def __call__(
        self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Returns scores (B, num_actions) and actions (B,)."""
        scores = self.policy.scores(obs)
        return scores, self.policy.choose(scores, action_masks)


def import_file(path: Path, name: str) -> Any:
    """Runs a Python file as a module of this name, which leaves nothing beside it and is not entered anywhere.

    Raises:
        ImportError: it cannot be a module.
    """
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_numpy(
    path: Path,
    driver: Driver,
    program: ExportedProgram,
    observation_space: gym.spaces.Box,
    about: Mapping[str, str],
    *,
    int8: bool = False,
) -> None:
    """Writes a driver as a Python file.

    Args:
        path: of the file.
        driver: what was traced.
        program: its trace.
        observation_space: of a single env.
        about: what its docstring says, by name.
        int8: quantise the weights.

    Raises:
        ValueError: the network has an operation that the form lacks.
    """
    lines, functions = _network_lines(driver, program)
    arguments = "w, obs, memory" if driver.memory_size else "w, obs"
    returned = "scores and the next memory" if driver.memory_size else "scores"
    operations = [inspect.getsource(getattr(numpy_operations, name)) for name in sorted(functions)]
    header = _HEADER.format(
        imports=_imports("".join(operations)),
        about="\n".join(f"{name:<13}{_plain(text)}" for name, text in about.items()),
        notes=(_MEMORY_NOTE if driver.memory_size else "") + (_MASKS_NOTE if driver.uses_action_masks else ""),
        shape=observation_space.shape,
        batch=f"(B, {', '.join(map(str, observation_space.shape))})",
        dtype=observation_space.dtype,
        memory_size=driver.memory_size,
        uses_action_masks=driver.uses_action_masks,
    )
    sections = [
        header,
        *operations,
        "\n".join([f"def network({arguments}):", f'    """Returns the {returned}."""', *lines]),
        _POLICY.format(call=_CALL_WITH_MEMORY if driver.memory_size else _CALL),
        _weight_section(_arrays(program, int8=int8)),
    ]
    path.write_text("\n\n".join(section.strip("\n") + "\n" for section in sections), encoding="utf-8")


def _imports(operations: str) -> str:
    """Returns what the file imports; beyond the first two only what its operations use."""
    return "\n".join(
        [
            "import base64",
            *(["from collections.abc import Sequence"] if "Sequence" in operations else []),
            "",
            "import numpy as np",
            *(
                ["from numpy.lib.stride_tricks import sliding_window_view"]
                if "sliding_window_view" in operations
                else []
            ),
            *(["from numpy.typing import NDArray"] if "NDArray" in operations else []),
        ]
    )


def _network_lines(driver: Driver, program: ExportedProgram) -> tuple[list[str], set[str]]:
    """Returns the body of the network function, and the operations it calls."""
    output = next(iter(program.graph.find_nodes(op="output")))
    outputs = dict(zip(driver.output_names(), output.all_input_nodes, strict=True))
    ends = [outputs[name] for name in ("scores", "next_memory") if name in outputs]
    needed, weights = needed_nodes(ends), weight_nodes(program)
    names: dict[Node, str] = {}
    lines: list[str] = []
    functions: set[str] = set()
    for node in program.graph.nodes:
        if node.op == "placeholder":
            names[node] = f'w["{weights[node]}"]' if node in weights else node.name
        elif node.target is torch.ops.aten.sym_size.int:
            names[node] = "-1"  # the batch size, which only a reshape asks for, is what it finds by itself
        elif node in needed and not _is_lookup(node):
            function, expression = _expression(node, names)
            names[node] = f"x{len(lines) + 1}"
            lines.append(f"    {names[node]} = {expression}")
            functions |= {function} & set(numpy_operations.__all__)
    return [*lines, f"    return {', '.join(names[end] for end in ends)}"], functions


def needed_nodes(ends: list[Node]) -> set[Node]:
    """Returns what the given nodes are computed from, and themselves."""
    needed: set[Node] = set()
    waiting = list(ends)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += node.all_input_nodes
    return needed


def _is_lookup(node: object) -> bool:
    """Whether these are looked-up rows that are only summed, which one operation does without keeping them."""
    return (
        isinstance(node, Node)
        and node.target is torch.ops.aten.embedding.default
        and all(user.target is torch.ops.aten.sum.dim_IntList and user.args[1] == [1] for user in node.users)
    )


def _expression(node: Node, names: dict[Node, str]) -> tuple[str, str]:
    """Returns the operation that a node is and the same as an expression of numpy."""
    name = str(node.target)
    arguments, keywords = node.args, dict(node.kwargs)
    function = _FUNCTIONS.get(name)
    if _is_lookup(node.args[0]):
        function, arguments = "sum_of_rows", tuple(node.all_input_nodes[0].args)
    elif keywords.get("dtype") is torch.bfloat16:
        function = "round_to_bfloat16"
        del keywords["dtype"]
    values = [_render(value, names) for value in arguments]
    if function is not None:
        return function, f"{function}({', '.join(values)})"
    if name in _EXPRESSIONS:
        return name, _EXPRESSIONS[name](*values, **{key: _render(value, names) for key, value in keywords.items()})
    allowed = sorted([*_FUNCTIONS, *_EXPRESSIONS])
    raise ValueError(f"the network computes {name}, which the numpy form lacks; it has {allowed}")


def _render(value: Any, names: dict[Node, str]) -> str:
    if isinstance(value, Node):
        return names[value]
    if isinstance(value, list | tuple):
        return f"({', '.join(_render(item, names) for item in value)},)"
    if isinstance(value, torch.dtype):
        return f"np.{str(value).removeprefix('torch.')}"
    return repr(value)


def _binary(symbol: str) -> Callable[..., str]:
    def render(left: str, right: str, alpha: str = "1") -> str:
        return f"{left} {symbol} {right}" if alpha == "1" else f"{left} {symbol} {alpha} * {right}"

    return render


def _reshape(x: str, shape: str) -> str:
    return f"{x}.reshape({shape})"


def _slice(x: str, axis: str, begin: str, end: str) -> str:
    stop = "" if int(end) == torch.iinfo(torch.int64).max else end
    return f"{x}[{':, ' * int(axis)}{begin}:{stop}]"


_FUNCTIONS = {
    "aten.conv2d.default": "conv2d",
    "aten.gru_cell.default": "gru_cell",
    "aten.layer_norm.default": "layer_norm",
    "aten.linear.default": "linear",
    "aten.max_pool2d.default": "max_pool2d",
    "aten.relu.default": "relu",
    "aten.softmax.int": "softmax",
}
"""Operations of torch that are a function of :mod:`agents.export.numpy_operations`."""

_EXPRESSIONS: dict[str, Callable[..., str]] = {
    "aten._to_copy.default": lambda x, dtype: f"{x}.astype({dtype})",
    "aten._unsafe_view.default": _reshape,
    "aten.abs.default": lambda x: f"np.abs({x})",
    "aten.add.Tensor": _binary("+"),
    "aten.cat.default": lambda parts, axis="0": f"np.concatenate({parts}, axis={axis})",
    "aten.clamp.default": lambda x, least, most: f"{x}.clip({least}, {most})",
    "aten.clone.default": lambda x, **_: x,  # in another order in memory
    "aten.div.Tensor": _binary("/"),
    "aten.sub.Tensor": _binary("-"),
    "aten.mul.Tensor": _binary("*"),
    "aten.tanh.default": lambda x: f"np.tanh({x})",
    "aten.view.default": _reshape,
    "aten.rsub.Scalar": lambda x, minuend: f"{minuend} - {x}",
    "aten.select.int": lambda x, axis, index: f"{x}[{':, ' * int(axis)}{index}]",
    "aten.slice.Tensor": _slice,
    "aten.transpose.int": lambda x, first, second: f"{x}.swapaxes({first}, {second})",
    "aten.squeeze.dim": lambda x, axis: f"{x}.squeeze({axis})",
    "aten.unsqueeze.default": lambda x, axis: f"np.expand_dims({x}, {axis})",
    "aten.mean.dim": lambda x, axes, keep="False": f"{x}.mean(axis={axes}, keepdims={keep})",
    "aten.matmul.default": _binary("@"),
}
"""Operations of torch that are an expression of numpy."""


def _arrays(program: ExportedProgram, *, int8: bool) -> dict[str, NDArray[Any]]:
    """Returns what the file must hold; the scales of a quantised weight follow it under ``name/scales``."""
    axes = output_axes(program) if int8 else {}
    arrays: dict[str, NDArray[Any]] = {}
    for name, array in weights_of(program).items():
        if name in axes:
            arrays[name], arrays[f"{name}/scales"] = quantise(array, axes[name])
        else:
            arrays[name] = array
    return arrays


def _weight_section(arrays: dict[str, NDArray[Any]]) -> str:
    """Writes arrays as Python: a table of their names, dtypes and shapes, and their bytes one after the other."""
    table = [f'    ("{name}", "{array.dtype.newbyteorder("<").str}", {array.shape}),' for name, array in arrays.items()]
    raw = b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays.values())
    text = base64.b64encode(raw).decode("ascii")
    lines = [text[begin : begin + _LINE] for begin in range(0, len(text), _LINE)]
    return "\n".join(["_ARRAYS = (", *table, ")", "", '_BYTES = """', *lines, '"""'])


def _plain(text: str) -> str:
    """Makes any text fit for a docstring."""
    return text.encode("unicode_escape").decode("ascii").replace("\\", "/").replace('"', "'")


_HEADER = '''"""A driver as one file: it needs numpy and nothing else.

{about}

Usage, for B envs at once, with obs of {dtype} {batch}:

    policy = Policy()
    actions = policy(obs)  # int64 (B,)
{notes}"""

from __future__ import annotations

{imports}

OBS_SHAPE = {shape}
OBS_DTYPE = np.dtype("{dtype}")
MEMORY_SIZE = {memory_size}
USES_ACTION_MASKS = {uses_action_masks}
'''

_POLICY = '''class Policy:
    """Takes the action of the highest score."""

    def __init__(self):
        self._weights = _read_weights()
        self._memory = None

    def begin(self, starts=None):
        """Empties the memory, where there is one: of all envs, or of those marked in starts, bool (B,)."""
        if starts is None:
            self._memory = None
        elif self._memory is not None:
            self._memory = np.where(starts[:, None], np.float32(0.0), self._memory)

    def scores(self, obs):
        """Scores the actions, float32 (B, num_actions), and steps the memory, where there is one."""
        if obs.dtype != OBS_DTYPE or obs.shape[1:] != OBS_SHAPE:
            raise ValueError(f"obs must be {{OBS_DTYPE}} (B, *{{OBS_SHAPE}}), got {{obs.dtype}} {{obs.shape}}")
{call}
        return scores

    def choose(self, scores, action_masks=None):
        """Returns the best actions, int64 (B,); action_masks, bool (B, num_actions), is False where one is barred."""
        return (scores if action_masks is None else np.where(action_masks, scores, -np.inf)).argmax(axis=1)

    def __call__(self, obs, action_masks=None):
        """Chooses actions, int64 (B,), for observations (B, *OBS_SHAPE) of OBS_DTYPE."""
        return self.choose(self.scores(obs), action_masks)


def _read_weights():
    """Decodes the arrays; those of 8 bits are codes, to be multiplied by their scales."""
    raw, begin, arrays = base64.b64decode(_BYTES), 0, {{}}
    for name, dtype, shape in _ARRAYS:
        array = np.frombuffer(raw, dtype, int(np.prod(shape)), begin).reshape(shape).copy()  # aligned
        begin += array.nbytes
        if name.endswith("/scales"):
            name = name.removesuffix("/scales")
            array = arrays[name] * array
        arrays[name] = array
    return arrays
'''

_CALL = "        scores = network(self._weights, obs)"
_CALL_WITH_MEMORY = """        if self._memory is None:
            self._memory = np.zeros((len(obs), MEMORY_SIZE), np.float32)
        if len(self._memory) != len(obs):
            raise ValueError(f"the memory is that of {len(self._memory)} envs, got {len(obs)}; call begin() first")
        scores, self._memory = network(self._weights, obs, self._memory)"""
_MEMORY_NOTE = """    policy.begin(terminated | truncated)  # where the step of the environment has begun an episode

It has a memory: call it once per step, and begin() before the envs are other ones.
"""
_MASKS_NOTE = "\nIt was trained with action masks: call it as policy(obs, action_masks).\n"
