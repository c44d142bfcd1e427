"""Numba's compiler without what kernels have no use for, so that the first step of a program comes sooner.

Kernels are loops over numbers: they hold no closures, allocate nothing, raise nothing. Numba's own pipeline looks for
all that, in every function and again after every pass. Here a function is read, typed and lowered, and nothing else;
what numba finds out about an operator is found out once; and LLVM sees each function once for every loop that is
called from Python, not on every level of calls. A first step of Highway takes 15 s of a processor's time instead of
21, and what is compiled computes the same.
"""

import hashlib
import operator
from typing import Any

from llvmlite import binding as llvm
from numba import types
from numba.core import cgutils
from numba.core.codegen import CodeLibrary, JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.funcdesc import default_mangler
from numba.core.imputils import lower_builtin
from numba.core.interpreter import Interpreter
from numba.core.ir_utils import build_definitions
from numba.core.lowering import Lower
from numba.core.rewrites.static_getitem import RewriteConstGetitems
from numba.core.ssa import reconstruct_ssa
from numba.core.transforms import canonicalize_cfg
from numba.core.typed_passes import BaseNativeLowering, NoPythonBackend, NopythonTypeInference, PreLowerStripPhis
from numba.core.typing.templates import signature
from numba.core.untyped_passes import FixupArgs
from numba.cpython.builtins import do_minmax

_LARGER, _SMALLER, _WHOLE = (max, "of numbers"), (min, "of numbers"), (int, "of a number")
_resolved: dict[Any, tuple[Any, Any]] = {}  # (function, types of its arguments): signature, key of what computes it


# --- reading and typing ----------------------------------------------------------------------------------------------
class _Reader(Interpreter):  # type: ignore[misc]
    """Reads byte code, but for `with`, starred arguments and dictionaries, which are searched for afterwards."""

    def post_process(self, peepholes: Any, func_ir: Any) -> Any:
        """Nothing: see the class."""
        return func_ir


def _see_constant_subscripts(state: Any) -> None:
    """Tell `a[0]` from `a[i]`: otherwise numba compiles a function for each constant that a tuple is asked for."""
    rewrite = RewriteConstGetitems(state)
    for key, block in list(state.func_ir.blocks.items()):
        if rewrite.match(state.func_ir, block, None, None):
            state.func_ir.blocks[key] = rewrite.apply()


class _Typing:
    """A typing context that remembers how operators and other built-in functions are typed.

    Numba tries some ten templates, those of arrays and dates among them, for every `+` anew.
    """

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, args: Any, kws: Any) -> Any:
        """The signature of a call; None if there is none."""
        if kws or not isinstance(function, types.Function):
            return self._context.resolve_function_type(function, args, kws)
        if all(isinstance(types.unliteral(arg), types.Number | types.Boolean) for arg in args):
            args = tuple(map(types.unliteral, args))
        call = function, tuple(args)
        if call not in _resolved:
            found = self._resolved_here(function.typing_key, args)
            if found is None:
                sig = self._context.resolve_function_type(function, args, kws)
                if sig is None or sig.args not in function._impl_keys:
                    return sig
                found = sig, function._impl_keys[sig.args]
            _resolved[call] = found
        sig, computes = _resolved[call]
        function._impl_keys[sig.args] = computes
        return sig

    def _resolved_here(self, name: Any, args: Any) -> tuple[Any, Any] | None:
        """Of `max` and `min` of two numbers and of `int`, for which numba compiles functions, one for each types."""
        if name in (max, min) and len(args) == 2 and all(isinstance(arg, types.Number) for arg in args):
            return signature(self._context.unify_types(*args), *args), _LARGER if name is max else _SMALLER
        if name is int and len(args) == 1 and isinstance(args[0], types.Integer | types.Boolean):
            return signature(args[0] if isinstance(args[0], types.Integer) else types.intp, *args), _WHOLE
        return None


@lower_builtin(_LARGER, types.Number, types.Number)  # type: ignore[untyped-decorator]
def _lower_larger(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return do_minmax(context, builder, sig.args, args, operator.gt)


@lower_builtin(_SMALLER, types.Number, types.Number)  # type: ignore[untyped-decorator]
def _lower_smaller(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return do_minmax(context, builder, sig.args, args, operator.lt)


@lower_builtin(_WHOLE, types.Any)  # type: ignore[untyped-decorator]
def _lower_whole(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return context.cast(builder, args[0], sig.args[0], sig.return_type)


# --- lowering --------------------------------------------------------------------------------------------------------
class _Lower(Lower):  # type: ignore[misc]
    """Writes LLVM's instructions for variables that own no memory, without notes for debuggers."""

    def pre_block(self, block: Any) -> None:
        """Nothing: no exceptions are caught."""

    def post_block(self, block: Any) -> None:
        """Nothing."""

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:
        """Make room for a variable."""
        return cgutils.alloca_once(self.builder, lltype, name=name)

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        """Assign to a variable."""
        self._alloca_var(name, self.typeof(name))
        if name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self.builder.store(value, self.getvar(name))


class _Lowering(BaseNativeLowering):  # type: ignore[misc]
    _name = "lowering"
    lowering_class = _Lower


def _short_name(name: str, argtypes: Any, *, abi_tags: Any = (), uid: Any = None) -> str:
    """A symbol: numba spells out the types of arguments, all fields of a record, to thousands of characters."""
    digest = hashlib.sha256(" ".join(map(str, argtypes)).encode()).hexdigest()[:16]
    return str(default_mangler(name, (), abi_tags=(digest,), uid=uid))


# --- libraries -------------------------------------------------------------------------------------------------------
class _WithoutEnvironments:
    """A code generator that keeps no environments."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, env: Any) -> None:
        """Forget it."""


class LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one function for others to link: neither optimised nor made machine code by itself.

    Args:
        codegen: numba's code generator.
        name: of the function.
        hint: LLVM's attribute for it, "" = none.
    """

    def __init__(self, codegen: Any, name: str, hint: str) -> None:
        CodeLibrary.__init__(self, codegen, name)
        self._hint = hint
        self._linking_libraries: list[Any] = []
        self._module: Any = None

    @property
    def codegen(self) -> Any:
        """What numba asks to note the function's environment, for which there is no place: kernels raise nothing."""
        return _WithoutEnvironments(self._codegen)

    def add_ir_module(self, ir_module: Any) -> None:
        """Take over the function's module, the only one."""
        for function in ir_module.functions:
            if not function.is_declaration:
                function.linkage = "linkonce_odr"
        self._module = llvm.parse_assembly(cgutils.normalize_ir_text(str(ir_module)))
        self._module.data_layout = self._codegen._data_layout
        if self._hint:
            for function in self._module.functions:
                if not function.is_declaration:
                    function.add_function_attribute(self._hint)

    def finalize(self) -> None:
        """Nothing to do: see the class."""
        self._finalized = True

    def linked(self) -> list[Any]:
        """The libraries that this one calls."""
        return self._linking_libraries

    def portable(self) -> Any:
        """The function's module as object code is made from it, a copy."""
        module = self._module.clone()
        for function in module.functions:
            if not function.is_declaration:
                function.linkage = "external"
        return module

    def _get_module_for_linking(self) -> Any:
        return self._module

    def get_pointer_to_function(self, name: str) -> int:
        """There is none."""
        return 0


class _LoopLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of what is called from Python: linked with all that it calls, then optimised, once."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        """Link, optimise and make machine code."""
        libraries = list(self._linking_libraries)
        for library in libraries:  # which grows
            if isinstance(library, LinkedLibrary):
                libraries += [other for other in dict.fromkeys(library.linked()) if other not in libraries]
        self._linking_libraries = libraries
        super().finalize()


# --- the compilers ---------------------------------------------------------------------------------------------------
class _Passes(PassManager):  # type: ignore[misc]
    """From byte code to LLVM's code."""

    def run(self, state: Any) -> None:
        """Compile a function."""
        state.func_ir = _Reader(state.func_id).interpret(state.bc)
        FixupArgs().run_pass(state)
        state.func_ir.blocks = canonicalize_cfg(state.func_ir.blocks)
        state.func_ir.generator_info = None
        _see_constant_subscripts(state)
        reconstruct_ssa(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        NopythonTypeInference().run_pass(state)
        state.func_ir = PreLowerStripPhis()._strip_phi_nodes(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        _Lowering().run_pass(state)
        NoPythonBackend().run_pass(state)


class LinkedCompiler(CompilerBase):  # type: ignore[misc]
    """Compiles a kernel for others to link."""

    hint = ""

    def define_pipelines(self) -> list[Any]:
        """The one pipeline of kernels, into a library."""
        state = self.state
        state.typingctx = _Typing(state.typingctx)
        state.targetctx.mangler = _short_name  # of this compilation's copy
        state.library = self._library(state.targetctx.codegen(), state.func_id.func_qualname)
        return [_Passes("nopython")]

    def _library(self, codegen: Any, name: str) -> Any:
        return LinkedLibrary(codegen, name, self.hint)


class InlinedCompiler(LinkedCompiler):
    """Compiles a kernel into each that calls it."""

    hint = "alwaysinline"


class SeldomCompiler(LinkedCompiler):
    """Compiles a kernel once, however many call it."""

    hint = "noinline"


class LoopCompiler(LinkedCompiler):
    """Compiles a kernel to be called from Python or by address."""

    def _library(self, codegen: Any, name: str) -> Any:
        library = _LoopLibrary(codegen, name)
        library.enable_object_caching()
        return library
