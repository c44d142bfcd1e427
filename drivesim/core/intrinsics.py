"""What the compiler puts in place of calls for which Python has only twins: see `drivesim.core.jit.intrinsic`."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from drivesim.core.memory_types import INT, Block, offset_by
from drivesim.core.memory_types import type_of as kind_of

_BYTES = ir.IntType(8).as_pointer()


def type_of(made: Any) -> Any:
    """Numba's type of an intrinsic as a global name."""
    cpu_target.typing_context.refresh()
    return cpu_target.typing_context.resolve_value_type(made)


def signature_of(returns: Any, arguments: Any) -> Any:
    """Numba's signature for what `drivesim.core.memory` describes."""
    return kind_of(returns)(*map(kind_of, arguments))


# --- frames and bindings -----------------------------------------------------------------------------------------
def opener(kind: Any) -> Any:
    """See `memory.opener`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def opened(typing_context: Any, argument: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], _BYTES)

        return kind_of(kind)(types.int64), generate

    return opened


def caller(returns: Any, arguments: Any) -> Any:
    """See `binding.Binding`; numba's own calling convention."""
    sig = signature_of(returns, arguments)

    def generate(context: Any, builder: Any, given: Any, args: Any) -> Any:
        values = [
            context.cast(builder, value, kind, wanted)
            for value, kind, wanted in zip(args[1:], given.args[1:], sig.args, strict=True)
        ]
        kind = context.call_conv.get_function_type(sig.return_type, sig.args)
        function = builder.inttoptr(args[0], kind.as_pointer())
        _, result = context.call_conv.call_function(builder, function, sig.return_type, sig.args, values)
        return result

    if len(arguments) == 4:

        @intrinsic  # type: ignore[untyped-decorator]
        def call(typing_context: Any, address: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
            return sig.return_type(types.int64, a, b, c, d), generate

    else:
        assert len(arguments) == 6

        @intrinsic  # type: ignore[untyped-decorator]
        def call(typing_context: Any, address: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
            return sig.return_type(types.int64, a, b, c, d, e, f), generate

    return call


# --- whole structures and elements -------------------------------------------------------------------------------
def _address(context: Any, builder: Any, batch: Any, index: Any, kind: Any) -> Any:
    """Where a structure of a batch begins."""
    index = context.cast(builder, index, kind, types.int64)
    return offset_by(builder, batch.first, builder.mul(index, batch.stride))


def eraser() -> Any:
    """See `copying.erase`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def erase(typing_context: Any, batch: Any, i: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            fields = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
            cgutils.memset(builder, _address(context, builder, fields, args[1], sig.args[1]), fields.size, 0)
            return context.get_dummy_value()

        return types.none(batch, i), generate

    return erase


def swapper() -> Any:
    """See `copying.swap`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def swap(typing_context: Any, block: Any, i: Any, j: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            size = sig.args[0].size
            first, second = (offset_by(builder, args[0], builder.mul(n, ir.Constant(INT, size))) for n in args[1:])
            between = cgutils.alloca_once(builder, ir.IntType(8), size)
            for target, source in ((between, first), (first, second), (second, between)):
                cgutils.raw_memmove(builder, target, source, ir.Constant(INT, size), 1)
            return context.get_dummy_value()

        return types.none(block, types.int64, types.int64), generate

    return swap


def copier() -> Any:
    """See `copying.copy`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def copy(typing_context: Any, source: Any, i: Any, target: Any, j: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            batches = [cgutils.create_struct_proxy(sig.args[n])(context, builder, args[n]) for n in (0, 2)]
            places = [
                _address(context, builder, batch, args[n], sig.args[n])
                for batch, n in zip(batches, (1, 3), strict=True)
            ]
            cgutils.raw_memcpy(builder, places[1], places[0], batches[1].size, 1)
            return context.get_dummy_value()

        return types.none(source, i, target, j), generate

    return copy


# --- words and bits ------------------------------------------------------------------------------------------------
def word_reader() -> Any:
    """See `bits.word_at`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def word_at(typing_context: Any, block: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            index = context.cast(builder, args[1], sig.args[1], types.int64)
            if isinstance(sig.args[0], Block):
                base = args[0]
            else:  # an array in a record, where a kernel is called from Python
                base = context.make_array(sig.args[0])(context, builder, args[0]).data
            place = builder.gep(builder.bitcast(base, _BYTES), [index])
            return builder.load(builder.bitcast(place, INT.as_pointer()), align=1)

        return types.int64(block, index), generate

    return word_at


def zeros_below(shift: int) -> Any:
    """Counts the zeros below the lowest bit of a word, in units of 2**shift bits."""

    @intrinsic  # type: ignore[untyped-decorator]
    def counted(typing_context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            value = context.cast(builder, args[0], sig.args[0], types.int64)
            return builder.lshr(builder.cttz(value, ir.Constant(ir.IntType(1), 0)), ir.Constant(INT, shift))

        return types.int64(word), generate

    return counted


def zero_bytes_above() -> Any:
    """See `bits.zero_bytes_above`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def counted(typing_context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            value = context.cast(builder, args[0], sig.args[0], types.int64)
            return builder.lshr(builder.ctlz(value, ir.Constant(ir.IntType(1), 0)), ir.Constant(INT, 3))

        return types.int64(word), generate

    return counted
