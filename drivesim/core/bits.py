"""Words of bytes and bits: what a kernel sees of eight cells at once.

Each function is an instruction or two when compiled, and has a twin for the plain interpreter.
"""

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from drivesim.core.memory import WORD, BlockType

_INT = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()


@intrinsic  # type: ignore[untyped-decorator]
def _word_at(typing_context: Any, block: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        index = context.cast(builder, args[1], sig.args[1], types.int64)
        if isinstance(sig.args[0], BlockType):
            base = args[0]
        else:  # an array in a record, where a kernel is called from Python
            base = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load(
            builder.bitcast(builder.gep(builder.bitcast(base, _BYTES), [index]), _INT.as_pointer()), align=1
        )

    return types.int64(block, index), generate


def _word_of(block: Any, index: int) -> int:
    return int.from_bytes(block[index : index + WORD].tobytes(), "little", signed=True)


word_at = _word_of if numba.config.DISABLE_JIT else _word_at
"""`word_at(block, i)`: the eight bytes from element i of a block of bytes, the first one lowest, as an int64."""


def _counter(shift: int) -> Any:
    """An intrinsic that counts the zeros below the lowest bit of a word, in units of 2**shift bits."""

    @intrinsic  # type: ignore[untyped-decorator]
    def counted(typing_context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            value = context.cast(builder, args[0], sig.args[0], types.int64)
            return builder.lshr(builder.cttz(value, ir.Constant(ir.IntType(1), 0)), ir.Constant(_INT, shift))

        return types.int64(word), generate

    return counted


@intrinsic  # type: ignore[untyped-decorator]
def _leading_zero_bytes(typing_context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.cast(builder, args[0], sig.args[0], types.int64)
        return builder.lshr(builder.ctlz(value, ir.Constant(ir.IntType(1), 0)), ir.Constant(_INT, 3))

    return types.int64(word), generate


def _zero_bytes_above(word: int) -> int:
    return next((n for n in range(WORD) if word >> 8 * (WORD - 1 - n) & 255), WORD)


def _zero_bytes_below(word: int) -> int:
    return next((n for n in range(WORD) if word >> 8 * n & 255), WORD)


def _lowest_bit(word: int) -> int:
    return next(n for n in range(8 * WORD) if word >> n & 1)


zero_bytes_below = _zero_bytes_below if numba.config.DISABLE_JIT else _counter(3)
"""`zero_bytes_below(word)`: how many bytes of a word are zero, counted from the lowest up to the first that is not."""
zero_bytes_above = _zero_bytes_above if numba.config.DISABLE_JIT else _leading_zero_bytes
"""`zero_bytes_above(word)`: the same, counted from the highest byte down."""
lowest_bit = _lowest_bit if numba.config.DISABLE_JIT else _counter(0)
"""`lowest_bit(word)`: the number of the lowest bit that is set in a word, which is not zero."""
