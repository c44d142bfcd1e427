"""Whole structures and elements at once: set to zero, exchanged, copied."""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from drivesim.core.memory import offset_by

_INT = ir.IntType(64)


@intrinsic  # type: ignore[untyped-decorator]
def _erase(typing_context: Any, batch: Any, i: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        fields = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
        index = context.cast(builder, args[1], sig.args[1], types.int64)
        address = offset_by(builder, fields.first, builder.mul(index, fields.stride))
        cgutils.memset(builder, address, fields.size, 0)
        return context.get_dummy_value()

    return types.none(batch, i), generate


@intrinsic  # type: ignore[untyped-decorator]
def _swap(typing_context: Any, block: Any, i: Any, j: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        size = sig.args[0].size
        first, second = (offset_by(builder, args[0], builder.mul(n, ir.Constant(_INT, size))) for n in args[1:])
        between = cgutils.alloca_once(builder, ir.IntType(8), size)
        for target, source in ((between, first), (first, second), (second, between)):
            cgutils.raw_memmove(builder, target, source, ir.Constant(_INT, size), 1)
        return context.get_dummy_value()

    return types.none(block, types.int64, types.int64), generate


def _swap_records(block: Any, i: int, j: int) -> None:
    block[[i, j]] = block[[j, i]]


swap = _swap_records if numba.config.DISABLE_JIT else _swap
"""`swap(block, i, j)`: exchange two elements of a block."""


def _erase_record(batch: Any, i: int) -> None:
    batch[i] = np.zeros((), batch.dtype)


erase = _erase_record if numba.config.DISABLE_JIT else _erase
"""`erase(batch, i)`: set structure i of a batch to zero."""


@intrinsic  # type: ignore[untyped-decorator]
def _copy(typing_context: Any, source: Any, i: Any, target: Any, j: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        addresses = []
        for n in (0, 2):
            fields = cgutils.create_struct_proxy(sig.args[n])(context, builder, args[n])
            index = context.cast(builder, args[n + 1], sig.args[n + 1], types.int64)
            addresses.append(offset_by(builder, fields.first, builder.mul(index, fields.stride)))
        cgutils.raw_memcpy(builder, addresses[1], addresses[0], fields.size, 1)
        return context.get_dummy_value()

    return types.none(source, i, target, j), generate


def _copy_record(source: Any, i: int, target: Any, j: int) -> None:
    target[j] = source[i]


copy = _copy_record if numba.config.DISABLE_JIT else _copy
"""`copy(source, i, target, j)`: make structure j of a batch that of number i in another batch of the same lengths."""
