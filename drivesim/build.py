"""`python -m drivesim build`: kernels of every scenario and observation as files that need no compiler.

For Linux a shared library each, which `drivesim.core.prebuilt` loads; for WebAssembly a module, `wasm32.wasm`, that
imports nothing, with a description beside it, `wasm32.json`. Two builds of the same sources are equal.

What a host of the module has to do, in JavaScript for instance:

* `memory` is the module's; what lies from `__heap_base` on is the host's, who grows it.
* A batch of worlds is a frame: words of eight bytes, little end first. `frames.batch.fields` says which word is what;
  `core/batch.py` says what it means. A number is itself. A block is an address. Rows are an address and a stride. A
  batch of structures is an address, the stride from one to the next, the size of one, and of each of its blocks, in
  order, the offset in it. Addresses and strides are multiples of eight.
* A structure is a head of numbers followed by blocks, each aligned to eight bytes: `structures` says where the head's
  numbers lie and what the blocks hold; `scenarios` says how large and where they are in each, by difficulty.
* `lay`, `populate` and `encode` of a frame are indices into the table of functions: number n of `bindings` is the n-th
  number, of four bytes, at `drivesim.bindings`.
* `options` of a scenario is an OPTIONS as bytes in hexadecimal digits; `records` says where fields lie.
* Then `core.laying.lay_map(frame)` once, where `maps_by` is 0, `core.batch.reset_worlds(frame, 0, worlds, 0)` and
  `core.batch.step_worlds(frame, 0, worlds, 0)`, which returns in how many an episode begins, and for these
  `core.batch.begin_worlds(frame, 0, beginning, 0)`; resets and beginnings return 1 if a level could not be certified.
"""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from drivesim.cache import say
from drivesim.core import batch
from drivesim.core.intrinsics import signature_of
from drivesim.core.jit import Entry
from drivesim.core.kernel_cache import before_compiling
from drivesim.core.memory import BlockType
from drivesim.core.object_code import BINDINGS, TARGETS, Function, Portable, emit
from drivesim.core.prebuilt import FOLDER, Seal, own_targets, path_of, sealed, symbol_of
from drivesim.core.sources import KERNEL_FOLDERS, kernel_digest
from drivesim.layouts import layouts
from drivesim.linking import LinkError, linker_of, shared_library, wasm
from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES, scenario_of
from drivesim.stages import ctrl_c_raises, show, stage
from drivesim.warm import begin_worker, starting_workers, usable_cores

_CUSTOM = b"\x08drivesim"  # the name of a section of WebAssembly, with its length


def entries() -> dict[str, Function]:
    """The kernels that Python calls, by their names."""
    found = {}
    for folder in KERNEL_FOLDERS:
        package = importlib.import_module(f"drivesim.{folder}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, Entry):
                    found[symbol_of(value)] = Function(symbol_of(value), value)
    return dict(sorted(found.items()))


def bindings() -> dict[str, Function]:
    """The kernels that those call by address, by their names."""
    found = []
    for registered in ENTRIES:
        road = scenario_of(registered.name)
        if road.generates_levels():
            found += [(kernel, batch.LAY.returns, batch.LAY.arguments) for kernel in (road.lay, road.populate)]
    for encoder in ENCODERS.values():
        arguments = (*batch.ENCODE.arguments[:-1], BlockType(encoder.dtype))
        found += [(kernel, batch.ENCODE.returns, arguments) for kernel in encoder.kernels()]
    return {
        symbol_of(kernel): Function(symbol_of(kernel), kernel, signature_of(returns, arguments))
        for kernel, returns, arguments in found
    }


def build(targets: Sequence[str], folder: Path = FOLDER) -> int:
    """Make the files of kernels for some targets.

    Args:
        targets: names in `TARGETS`, or "native" for the best that this machine can run.
        folder: made if need be.

    Returns:
        The exit status.
    """
    started = time.perf_counter()
    own = own_targets()
    if "native" in targets and not own:
        say("drivesim: there are no prebuilt kernels for this machine")
        return 1
    targets = list(dict.fromkeys(own[0] if target == "native" else target for target in targets))
    sources = kernel_digest()
    functions = [*entries().values(), *bindings().values()]
    num_compiled = itertools.count(1)
    before_compiling(lambda: show(f"{next(num_compiled)} functions compiled ..."))
    try:
        for name in targets:
            linker_of(name)
        say(f"drivesim: compiling {len(functions)} kernels and what they call")
        folder.mkdir(parents=True, exist_ok=True)
        with stage("compiling"):
            portable = Portable(functions)
        codes = [portable.code_for(TARGETS[name]) for name in targets]
        workers = min(len(codes), usable_cores())
        # Each in a process that has made no other, see `emit`.
        pool = ProcessPoolExecutor(workers, get_context("spawn"), begin_worker, max_tasks_per_child=1)
        with ctrl_c_raises(), pool:  # whose semaphores are to be put away
            with starting_workers():
                files = pool.map(emit, codes)
            for name in targets:
                with stage(f"optimising for {name}"):
                    content = linked(next(files), name, functions)
                write(path_of(name, folder), sealed_file(content, Seal(name, sources)))
                if name == "wasm32":
                    text = json.dumps(described(functions, sources), indent=1)
                    write(folder / f"{name}.json", text.encode())
                seconds = time.perf_counter() - started
                size = path_of(name, folder).stat().st_size
                say(f"drivesim: {name}, {size / 1000:.0f} kB, after {seconds:.0f} s")
    except (LinkError, RuntimeError) as error:
        say(f"drivesim: {error}")
        return 1
    return 0


def linked(code: bytes, name: str, functions: Sequence[Function]) -> bytes:
    """The file for a target, without its seal."""
    if name == "wasm32":
        return wasm(code, [*(function.name for function in hosted(functions)), BINDINGS])
    return shared_library(code, [function.name for function in functions])


def hosted(functions: Sequence[Function]) -> list[Function]:
    """The entries that a host of WebAssembly may call: those of the simulator, not of the planner."""
    return [function for function in functions if function.signature is None and function.name.startswith("core.")]


def sealed_file(content: bytes, seal: Seal) -> bytes:
    """A file with its seal behind it; in WebAssembly as a section, for nothing else may stand there."""
    if seal.target != "wasm32":
        return sealed(content, seal)
    size = len(sealed(b"", seal)) + len(_CUSTOM)
    return sealed(content + bytes([0, size]) + _CUSTOM, seal)


def described(functions: Sequence[Function], sources: bytes) -> dict[str, Any]:
    """The description of the module of WebAssembly."""
    names = [function.name for function in functions if function.signature is not None]
    numbers = {name: number for number, name in enumerate(names)}
    found = {
        "sources": sources.hex(),
        "entries": {
            function.name: list(function.kernel.py_func.__code__.co_varnames[: function.num_arguments])
            for function in hosted(functions)
        },
        "bindings": names,
        "encoders": {
            name: [numbers[symbol_of(kernel)] for kernel in encoder.kernels()] for name, encoder in ENCODERS.items()
        },
        **layouts(),
    }
    for entry in ENTRIES:
        road = scenario_of(entry.name)
        if road.generates_levels():
            found["scenarios"][entry.name]["lay"] = numbers[symbol_of(road.lay)]
            found["scenarios"][entry.name]["populate"] = numbers[symbol_of(road.populate)]
            found["scenarios"][entry.name]["encode"] = {
                name: numbers[symbol_of(encoder.encode_for(road.window))] for name, encoder in ENCODERS.items()
            }
    return found


def write(path: Path, content: bytes) -> None:
    """Put a file in place in one piece."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
