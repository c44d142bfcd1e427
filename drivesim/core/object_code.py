"""Object code of kernels, for this and other processors and for WebAssembly, from the functions that numba compiles.

All kernels become one module of LLVM's code, which holds nothing of the machine that it was made on. From there LLVM
alone brings it to a target, at its level 3 and across all of them at once. What comes out needs nothing, no library and
no runtime of Python's or numba's: an object in which something is undefined is refused.

Two kinds of functions are in it, by name:

* *Entries* are called from outside, with whole numbers: `int64 name(int64, int32, …)` in C's words, in WebAssembly
  `i32 name(i32, …)`. The first number is the address of what they work on, mostly of a frame.
* *Bindings* are called by entries, in numba's way, by the addresses that stand in a frame. In WebAssembly an address is
  an index into the table of functions, and `BINDINGS` is the address of the list of those indices, 32 bits each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
from llvmlite import binding as llvm
from numba import types

from drivesim.core.compiler import LinkedLibrary
from drivesim.core.compiling import KNOWN, PIPELINES, linked_overload

BINDINGS = "drivesim.bindings"
"""The list of all bindings, in the order in which they were given; in WebAssembly."""


@dataclass(frozen=True)
class Target:
    """A processor for which object code can be made."""

    triple: str
    """Its architecture and system, as LLVM and linkers call them."""
    processor: str
    """The least that it can do, by LLVM's name."""
    word: str
    """LLVM's type of an address as a number."""
    features: str = ""
    relocation: str = "pic"


TARGETS = {
    "x86_64_v2": Target("x86_64-unknown-linux-gnu", "x86-64-v2", "i64"),
    "x86_64_v3": Target("x86_64-unknown-linux-gnu", "x86-64-v3", "i64"),
    "aarch64": Target("aarch64-unknown-linux-gnu", "generic", "i64"),
    "wasm32": Target("wasm32-unknown-unknown", "generic", "i32", "+bulk-memory", "static"),
}


@dataclass(frozen=True)
class Function:
    """A kernel that is to be found in an object."""

    name: str
    kernel: Any
    signature: Any = None
    """Numba's, of a binding; None of an entry, which takes and returns whole numbers."""

    @property
    def num_arguments(self) -> int:
        """How many it takes."""
        return int(self.kernel.py_func.__code__.co_argcount)


# What LLVM calls for long runs of bytes, so that no library has to have it; and numba's counting of references.
_HELPERS = """
define linkonce void @NRT_incref(ptr %p) {
  ret void
}
define linkonce void @NRT_decref(ptr %p) {
  ret void
}
define hidden ptr @memset(ptr returned %to, i32 %value, WORD %n) #0 {
start:
  %byte = trunc i32 %value to i8
  br label %test
test:
  %i = phi WORD [ 0, %start ], [ %next, %again ]
  %more = icmp ult WORD %i, %n
  br i1 %more, label %again, label %end
again:
  %place = getelementptr i8, ptr %to, WORD %i
  store i8 %byte, ptr %place
  %next = add nuw WORD %i, 1
  br label %test
end:
  ret ptr %to
}
define hidden ptr @memcpy(ptr noalias returned %to, ptr noalias %from, WORD %n) #0 {
start:
  br label %test
test:
  %i = phi WORD [ 0, %start ], [ %next, %again ]
  %more = icmp ult WORD %i, %n
  br i1 %more, label %again, label %end
again:
  %source = getelementptr i8, ptr %from, WORD %i
  %place = getelementptr i8, ptr %to, WORD %i
  %byte = load i8, ptr %source
  store i8 %byte, ptr %place
  %next = add nuw WORD %i, 1
  br label %test
end:
  ret ptr %to
}
define hidden ptr @memmove(ptr returned %to, ptr %from, WORD %n) #0 {
start:
  %is_before = icmp ult ptr %to, %from
  br i1 %is_before, label %upwards, label %downwards
upwards:
  %i = phi WORD [ 0, %start ], [ %next, %copy ]
  %more = icmp ult WORD %i, %n
  br i1 %more, label %copy, label %end
copy:
  %source = getelementptr i8, ptr %from, WORD %i
  %place = getelementptr i8, ptr %to, WORD %i
  %byte = load i8, ptr %source
  store i8 %byte, ptr %place
  %next = add nuw WORD %i, 1
  br label %upwards
downwards:
  %left = phi WORD [ %n, %start ], [ %last, %copy_last ]
  %is_left = icmp ne WORD %left, 0
  br i1 %is_left, label %copy_last, label %end
copy_last:
  %last = sub WORD %left, 1
  %last_source = getelementptr i8, ptr %from, WORD %last
  %last_place = getelementptr i8, ptr %to, WORD %last
  %last_byte = load i8, ptr %last_source
  store i8 %last_byte, ptr %last_place
  br label %downwards
end:
  ret ptr %to
}
attributes #0 = { noinline nounwind "no-builtins" }
"""
_HELPER_NAMES = ("memset", "memcpy", "memmove")


class Code(NamedTuple):
    """LLVM's code that becomes an object, in plain data: another process can have it."""

    target: Target
    layout: str
    """Of data, in the modules."""
    modules: tuple[str | bytes, ...]
    """What only this target needs, as text, and the kernels as bitcode."""
    bindings: dict[str, str]
    """What a binding is called, by the symbol that numba gave it."""
    found: set[str]
    """All that is to be found in the object, by name."""


class Portable:
    """LLVM's code of functions and of all that they call, for no target yet."""

    def __init__(self, functions: Sequence[Function]) -> None:
        """Compile them; what they call is compiled once.

        Raises:
            RuntimeError: if the numba that is installed keeps no such code.
        """
        if not all(PIPELINES.values()):
            version = ".".join(map(str, KNOWN))
            raise RuntimeError(f"objects are made with numba {version}, and {numba.__version__} is installed")
        self._functions = functions
        self._compiled = {function.name: self._compile(function) for function in functions}
        kernels = list(dict.fromkeys(compiled.library for compiled in self._compiled.values()))
        for kernel in kernels:  # which grows; besides kernels they call `_HELPERS` at most
            called = [library for library in kernel.linked() if isinstance(library, LinkedLibrary)]
            kernels += [library for library in dict.fromkeys(called) if library not in kernels]
        self._layout = kernels[0].portable().data_layout
        self._modules = [library.portable().as_bitcode() for library in kernels]

    def _compile(self, function: Function) -> Any:
        arguments = (types.int64,) * function.num_arguments
        return linked_overload(function.kernel, function.signature or arguments)

    def code_for(self, target: Target) -> Code:
        """What `emit` makes an object of."""
        bindings = [function for function in self._functions if function.signature is not None]
        return Code(
            target,
            self._layout,
            (_HELPERS.replace("WORD", target.word) + self._outside(target), *self._modules),
            {self._compiled[function.name].fndesc.llvm_func_name: function.name for function in bindings},
            {function.name for function in self._functions},
        )

    def _outside(self, target: Target) -> str:
        """LLVM's text of what is called from outside: entries, and in WebAssembly the list of bindings."""
        lines = []
        for function in self._functions:
            if function.signature is None:
                lines += _entry(function, self._compiled[function.name], target.word)
        bindings = [self._compiled[function.name] for function in self._functions if function.signature is not None]
        if target.word == "i32" and bindings:
            symbols = [f'ptr @"{compiled.fndesc.llvm_func_name}"' for compiled in bindings]
            lines.append(f'@"{BINDINGS}" = constant [{len(symbols)} x ptr] [{", ".join(symbols)}]')
            lines += [f"declare i32 {symbol.removeprefix('ptr ')}(ptr, ptr, ...)" for symbol in symbols]
        return "\n".join(lines)


def emit(code: Code) -> bytes:
    """An object file in which nothing is undefined but what its processor's own code needs of `_HELPERS`.

    In one process LLVM may make another file if it has made one for another target before: each gets its own.

    Raises:
        RuntimeError: naming what would be undefined, or would hold an address of this process.
    """
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target, (text, *modules) = code.target, code.modules
    machine = llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.processor, features=target.features, opt=3, reloc=target.relocation, codemodel="default"
    )
    module = llvm.parse_assembly(text)
    module.data_layout = code.layout
    for part in modules:
        module.link_in(llvm.parse_bitcode(part))
    module.triple = target.triple
    module.data_layout = str(machine.target_data)
    _close(module, code)
    module.verify()
    builder = llvm.create_pass_builder(machine, llvm.PipelineTuningOptions(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    require_whole(module)
    return bytes(machine.emit_object(module))


def _close(module: Any, code: Code) -> None:
    """Name what is to be found, and let the optimiser do what it likes with all else."""
    for symbol, name in code.bindings.items():
        module.get_function(symbol).name = name
    found = code.found | set(_HELPER_NAMES)
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name in found else "internal"
    for variable in module.global_variables:
        if not variable.is_declaration and variable.name != BINDINGS:
            variable.linkage = "internal"


def _entry(function: Function, compiled: Any, word: str) -> list[str]:
    """LLVM's text of a function that takes whole numbers, calls a kernel in numba's way and returns what that does."""
    returned = types.unliteral(compiled.signature.return_type)
    kind = {types.int64: "i64", types.boolean: "i8", types.none: "ptr"}[returned]
    given = [word, *["i32"] * (function.num_arguments - 1)]  # the first one is an address
    parameters = ", ".join(f"{form} %given_{n}" for n, form in enumerate(given))
    symbol = f'@"{compiled.fndesc.llvm_func_name}"'
    lines = [
        f"declare i32 {symbol}(ptr, ptr{', i64' * len(given)})",
        f'define {word} @"{function.name}"({parameters}) {{',
        f"  %result = alloca {kind}",
        f"  store {kind} {'null' if kind == 'ptr' else 0}, ptr %result",
        "  %error = alloca ptr",
    ]
    arguments = ""
    for n, form in enumerate(given):
        lines += [f"  %argument_{n} = sext {form} %given_{n} to i64"] if form != "i64" else []
        arguments += f", i64 %{'given' if form == 'i64' else 'argument'}_{n}"
    lines += [f"  call i32 {symbol}(ptr %result, ptr %error{arguments})"]
    if kind == "ptr":
        return [*lines, f"  ret {word} 0", "}"]
    lines += [f"  %value = load {kind}, ptr %result"]
    if kind == word:
        return [*lines, f"  ret {word} %value", "}"]
    change = "trunc" if kind == "i64" else "zext"
    return [*lines, f"  %returned = {change} {kind} %value to {word}", f"  ret {word} %returned", "}"]


def require_whole(module: Any) -> None:
    """Refuse a module that lacks something or that holds addresses of this process."""
    lacking = [code.name for code in module.functions if code.is_declaration and not code.name.startswith("llvm.")]
    lacking += [variable.name for variable in module.global_variables if variable.is_declaration]
    if lacking:
        raise RuntimeError(f"kernels call what no object has: {', '.join(sorted(lacking))}")
    bound = [variable.name for variable in module.global_variables if variable.name.startswith("numba.dynamic")]
    if bound:
        raise RuntimeError(f"kernels hold addresses of this process: {', '.join(sorted(bound))}")
