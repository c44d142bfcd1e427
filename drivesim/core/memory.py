"""Memory as kernels see it: structures of any size, batches of them, and the arguments of a batch loop.

A kernel must not be compiled anew because a road is longer or carries more cars. So the types that it is compiled for
know no lengths: a *structure* (a map, a world) is a head of numbers followed by *blocks*, each as long as its
environment needs. NumPy holds structures as records of an ordinary structured type, `Structure.dtype(...)`, and that is
what the plain interpreter works on: `world.vehicles[k].speed`. To compiled code the same line reads memory through
pointers: a structure is the addresses of its head and its blocks, a block is the address of its first element, and
nothing else. No lengths are checked and nothing is counted, so a leaf function costs nothing (in a trial of car
following 338 ns a world, with records of fixed size 425, and half the time to compile).

    Structure   what a map or a world consists of
    Frame       all that a batch loop works on, handed over as one address
"""

import operator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr_generic,
    models,
    register_model,
)

from numba.core.imputils import lower_setattr_generic  # isort: skip
from numba.np.numpy_support import from_dtype

Array = np.ndarray[Any, Any]

WORD = 8  # bytes
_BYTES = ir.IntType(8).as_pointer()
INT = ir.IntType(64)


# --- what Python says --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Structure:
    """A head of numbers and blocks of elements behind it.

    Args:
        name: for messages and types.
        head: (name, format) of every number; the widest first, so that all are aligned.
        blocks: (name, type of an element), the widest first.
    """

    name: str
    head: tuple[tuple[str, str], ...]
    blocks: tuple[tuple[str, Any], ...]

    def dtype(self, **lengths: int) -> np.dtype[np.void]:
        """The record of a structure with so many elements in each block; a block has one at least."""
        fields: list[tuple[str, Any, int]] = []
        end = 0
        for name, form in self.head:
            fields.append((name, np.dtype(form), end))
            end += np.dtype(form).itemsize
        for name, element in (*self.blocks, ("", "u1")):
            if end % WORD:  # by name, for NumPy copies no gaps
                gap = -end % WORD
                fields.append((f"padding_{len(fields)}", np.dtype(("u1", (gap,))), end))
                end += gap
            if name:
                length = max(1, lengths.pop(name))
                fields.append((name, np.dtype((element, (length,))), end))
                end += np.dtype(element).itemsize * length
        assert not lengths, f"{self.name} has no blocks {sorted(lengths)}"
        names, formats, offsets = zip(*fields, strict=True)
        return np.dtype((np.record, {"names": names, "formats": formats, "offsets": offsets, "itemsize": end}))


class Frame:
    """All that a batch loop works on. Fields are set by name; kernels read them after `open_frame`.

    Args:
        fields: what each field is, as in `FrameType`.
    """

    def __init__(self, fields: "FrameType") -> None:
        self._type = fields
        self._table = np.zeros(fields.num_words, np.int64)
        self.argument: Any = self if numba.config.DISABLE_JIT else self._table.ctypes.data
        """What a compiled loop, or one in the plain interpreter, takes; good for as long as the frame is there."""

    def set(self, **values: Any) -> None:
        """Take over arrays (kept alive), whole numbers and, for bindings, functions or their addresses."""
        for name, value in values.items():
            if getattr(self, name, None) is value and not isinstance(value, int):
                continue
            self._type.write(self._table, name, value)
            setattr(self, name, value)


# --- what the compiler is told ------------------------------------------------------------------------------------
class BlockType(types.Type):  # type: ignore[misc]
    """Elements one after the other: numbers, truth values or records."""

    def __init__(self, element: Any) -> None:
        self.dtype = np.dtype(element)
        self.element = from_dtype(self.dtype)
        self.size = self.dtype.itemsize
        super().__init__(name=f"Block({self.element})")


class RowsType(types.Type):  # type: ignore[misc]
    """Blocks one after the other, a stride apart."""

    def __init__(self, element: Any) -> None:
        self.block = BlockType(element)
        super().__init__(name=f"Rows({self.block.element})")


class StructureType(types.Type):  # type: ignore[misc]
    """One structure."""

    def __init__(self, structure: Structure) -> None:
        self.of = structure.name
        dtype = structure.dtype(**{name: 1 for name, _ in structure.blocks})
        fields: Any = dtype.fields
        self.head = {name: (int(fields[name][1]), from_dtype(fields[name][0])) for name, _ in structure.head}
        self.blocks = {name: BlockType(element) for name, element in structure.blocks}
        super().__init__(name=f"{structure.name}({structure.head}{structure.blocks})")


class BatchType(types.Type):  # type: ignore[misc]
    """Structures one after the other, all with blocks of the same lengths."""

    def __init__(self, structure: Structure) -> None:
        self.structure = StructureType(structure)
        super().__init__(name=f"Batch({self.structure})")


class FrameType(types.Type):  # type: ignore[misc]
    """The fields of a frame: a type of this module, or `int` for a number or a binding's address."""

    def __init__(self, name: str, **fields: Any) -> None:
        self.fields: dict[str, tuple[int, Any]] = {}
        word = 0
        for field, kind in fields.items():
            self.fields[field] = word, types.int64 if kind is int else kind
            word += 3 + len(kind.structure.blocks) if isinstance(kind, BatchType) else 1 + isinstance(kind, RowsType)
        self.num_words = word
        super().__init__(name=f"Frame({name}: {self.fields})")

    def write(self, table: Array, name: str, value: Any) -> None:
        """Note in the table where a field's value lies.

        Raises:
            TypeError: for a block that kernels could not read as it is.
        """
        word, kind = self.fields[name]
        if kind is types.int64:
            table[word] = value if isinstance(value, int) else 0  # a function, in the plain interpreter
            return
        if isinstance(kind, BlockType) and (value.itemsize != kind.size or not value.flags.c_contiguous):
            found = f"{value.dtype} with strides {value.strides}"
            raise TypeError(f"{name} must be a contiguous array of elements of {kind.size} bytes, got {found}")
        table[word] = value.__array_interface__["data"][0]
        if isinstance(kind, RowsType):
            table[word + 1] = value.strides[0]
        elif isinstance(kind, BatchType):
            table[word + 1] = value.strides[0]
            table[word + 2] = value.itemsize
            for n, block in enumerate(kind.structure.blocks):
                table[word + 3 + n] = value.dtype.fields[block][1]


@register_model(BlockType)
@register_model(FrameType)
class _AddressModel(models.PrimitiveModel):  # type: ignore[misc]
    """Of a block or a frame: an address."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _BYTES)


@register_model(RowsType)
class _RowsModel(models.StructModel):  # type: ignore[misc]
    """Address and stride."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [("rows", kind.block), ("stride", types.int64)])


@register_model(StructureType)
class _StructureModel(models.StructModel):  # type: ignore[misc]
    """The addresses of the head and of the table that says where each block begins, counted from there.

    So a call hands over two words, whatever the number of blocks.
    """

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [("head", BlockType("u1")), ("offsets", BlockType("i8"))])


@register_model(BatchType)
class _BatchModel(models.StructModel):  # type: ignore[misc]
    """Address, stride, a structure's size, and the table that says where in it each block begins."""

    def __init__(self, manager: Any, kind: Any) -> None:
        numbers = [("stride", types.int64), ("size", types.int64)]
        super().__init__(manager, kind, [("first", BlockType("u1")), *numbers, ("offsets", BlockType("i8"))])


@infer_getattr
class _StructureAttributes(AttributeTemplate):  # type: ignore[misc]
    key = StructureType

    def generic_resolve(self, kind: Any, name: str) -> Any:
        """The type of a number of the head, or of a block."""
        return kind.head[name][1] if name in kind.head else kind.blocks.get(name)


@infer_getattr
class _FrameAttributes(AttributeTemplate):  # type: ignore[misc]
    key = FrameType

    def generic_resolve(self, kind: Any, name: str) -> Any:
        """The type of a field."""
        return kind.fields[name][1] if name in kind.fields else None


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        """The type of an element."""
        kind = args[0]
        if isinstance(kind, BlockType):
            return signature(kind.element, kind, types.intp)
        if isinstance(kind, RowsType):
            return signature(kind.block, kind, types.intp)
        if isinstance(kind, BatchType):
            return signature(kind.structure, kind, types.intp)
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        """Only what stands in blocks can be replaced."""
        if isinstance(args[0], BlockType):
            return signature(types.none, args[0], types.intp, args[0].element)
        return None


def offset_by(builder: Any, base: Any, offset: Any) -> Any:
    """The address `offset` bytes behind another."""
    return builder.gep(base, [offset if isinstance(offset, ir.Value) else ir.Constant(INT, offset)])


def _load(context: Any, builder: Any, kind: Any, address: Any) -> Any:
    """What lies at an address: a number's value; a record stays where it is."""
    pointer = builder.bitcast(address, context.get_data_type(kind).as_pointer())
    return pointer if isinstance(kind, types.Record) else context.unpack_value(builder, kind, pointer)


def _store(context: Any, builder: Any, kind: Any, value: Any, address: Any) -> None:
    context.pack_value(builder, kind, value, builder.bitcast(address, context.get_data_type(kind).as_pointer()))


@lower_builtin(operator.getitem, BlockType, types.intp)  # type: ignore[untyped-decorator]
def _block_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    block = sig.args[0]
    address = offset_by(builder, args[0], builder.mul(args[1], ir.Constant(INT, block.size)))
    return _load(context, builder, block.element, address)


@lower_builtin(operator.setitem, BlockType, types.intp, types.Any)  # type: ignore[untyped-decorator]
def _block_setitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    block = sig.args[0]
    address = offset_by(builder, args[0], builder.mul(args[1], ir.Constant(INT, block.size)))
    _store(context, builder, block.element, context.cast(builder, args[2], sig.args[2], block.element), address)
    return context.get_dummy_value()


@lower_builtin(operator.getitem, RowsType, types.intp)  # type: ignore[untyped-decorator]
def _rows_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    rows = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    return offset_by(builder, rows.rows, builder.mul(args[1], rows.stride))


@lower_builtin(operator.getitem, BatchType, types.intp)  # type: ignore[untyped-decorator]
def _batch_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    batch = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    one = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    one.head = offset_by(builder, batch.first, builder.mul(args[1], batch.stride))
    one.offsets = batch.offsets
    return one._getvalue()


@lower_getattr_generic(StructureType)  # type: ignore[untyped-decorator]
def _structure_getattr(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    one = cgutils.create_struct_proxy(kind)(context, builder, value)
    if name in kind.blocks:
        table = offset_by(builder, one.offsets, WORD * list(kind.blocks).index(name))
        begin = _load(context, builder, types.int64, table)
        begin.set_metadata("invariant.load", builder.module.add_metadata([]))
        return offset_by(builder, one.head, begin)
    offset, form = kind.head[name]
    return _load(context, builder, form, offset_by(builder, one.head, offset))


@lower_setattr_generic(StructureType)  # type: ignore[untyped-decorator]
def _structure_setattr(context: Any, builder: Any, sig: Any, args: Any, name: str) -> None:
    offset, form = sig.args[0].head[name]
    one = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    value = context.cast(builder, args[1], sig.args[1], form)
    _store(context, builder, form, value, offset_by(builder, one.head, offset))


@lower_getattr_generic(FrameType)  # type: ignore[untyped-decorator]
def _frame_getattr(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    word, form = kind.fields[name]

    def number(n: int) -> Any:
        return _load(context, builder, types.int64, offset_by(builder, value, WORD * (word + n)))

    if form is types.int64:
        return number(0)
    address = builder.inttoptr(number(0), _BYTES)
    if isinstance(form, BlockType):
        return address
    field = cgutils.create_struct_proxy(form)(context, builder)
    field.stride = number(1)
    if isinstance(form, RowsType):
        field.rows = address
    else:
        field.first = address
        field.size = number(2)
        field.offsets = offset_by(builder, value, WORD * (word + 3))
    return field._getvalue()


def opener(kind: FrameType) -> Any:
    """`open_frame(argument)`: the frame behind what a batch loop was given."""
    if numba.config.DISABLE_JIT:
        return lambda frame: frame

    @intrinsic  # type: ignore[untyped-decorator]
    def open_frame(typing_context: Any, argument: Any) -> Any:
        """See `opener`."""

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], _BYTES)

        return kind(types.int64), generate

    return open_frame
