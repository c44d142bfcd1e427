"""What numba is told of structures, batches and frames: see `drivesim.core.memory`."""

import operator
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_setattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import infer_getattr, lower_builtin, lower_getattr_generic, models, register_model
from numba.np.numpy_support import from_dtype

from drivesim.core import memory
from drivesim.core.memory import WORD

_BYTES = ir.IntType(8).as_pointer()
INT = ir.IntType(64)


class Block(types.Type):  # type: ignore[misc]
    """Of `memory.BlockType`."""

    def __init__(self, element: np.dtype[Any]) -> None:
        self.element = from_dtype(element)
        self.size = element.itemsize
        super().__init__(name=f"Block({self.element})")


class Rows(types.Type):  # type: ignore[misc]
    """Of `memory.RowsType`."""

    def __init__(self, block: Block) -> None:
        self.block = block
        super().__init__(name=f"Rows({block.element})")


class Structure(types.Type):  # type: ignore[misc]
    """Of `memory.StructureType`."""

    def __init__(self, kind: memory.StructureType) -> None:
        self.head = {name: (offset, from_dtype(form)) for name, (offset, form) in kind.head.items()}
        self.blocks = {name: Block(block.element) for name, block in kind.blocks.items()}
        super().__init__(name=f"{kind.name}({self.head}{self.blocks})")


class Batch(types.Type):  # type: ignore[misc]
    """Of `memory.BatchType`."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        super().__init__(name=f"Batch({structure})")


class Frame(types.Type):  # type: ignore[misc]
    """Of `memory.FrameType`."""

    def __init__(self, kind: memory.FrameType) -> None:
        self.fields = {name: (word, type_of(field)) for name, (word, field) in kind.fields.items()}
        super().__init__(name=f"Frame({kind.name}: {self.fields})")


@cache
def type_of(kind: Any) -> Any:
    """Numba's type of what `drivesim.core.memory` or NumPy describes, or of Python's `int` or `bool`."""
    if isinstance(kind, memory.BlockType):
        return Block(kind.element)
    if isinstance(kind, memory.RowsType):
        return Rows(type_of(kind.block))
    if isinstance(kind, memory.StructureType):
        return Structure(kind)
    if isinstance(kind, memory.BatchType):
        return Batch(type_of(kind.structure))
    if isinstance(kind, memory.FrameType):
        return Frame(kind)
    return from_dtype(np.dtype(kind))


_BLOCK_OF_BYTES, _BLOCK_OF_WORDS = Block(np.dtype("u1")), Block(np.dtype("i8"))


@register_model(Block)
@register_model(Frame)
class _AddressModel(models.PrimitiveModel):  # type: ignore[misc]
    """Of a block or a frame: an address."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _BYTES)


@register_model(Rows)
class _RowsModel(models.StructModel):  # type: ignore[misc]
    """Address and stride."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [("rows", kind.block), ("stride", types.int64)])


@register_model(Structure)
class _StructureModel(models.StructModel):  # type: ignore[misc]
    """The addresses of the head and of the table that says where each block begins, counted from there.

    So a call hands over two words, whatever the number of blocks.
    """

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [("head", _BLOCK_OF_BYTES), ("offsets", _BLOCK_OF_WORDS)])


@register_model(Batch)
class _BatchModel(models.StructModel):  # type: ignore[misc]
    """Address, stride, a structure's size, and the table that says where in it each block begins."""

    def __init__(self, manager: Any, kind: Any) -> None:
        numbers = [("stride", types.int64), ("size", types.int64)]
        super().__init__(
            manager, kind, [("first", Block(np.dtype("u1"))), *numbers, ("offsets", Block(np.dtype("i8")))]
        )


@infer_getattr
class _StructureAttributes(AttributeTemplate):  # type: ignore[misc]
    key = Structure

    def generic_resolve(self, kind: Any, name: str) -> Any:
        """The type of a number of the head, or of a block."""
        return kind.head[name][1] if name in kind.head else kind.blocks.get(name)


@infer_getattr
class _FrameAttributes(AttributeTemplate):  # type: ignore[misc]
    key = Frame

    def generic_resolve(self, kind: Any, name: str) -> Any:
        """The type of a field."""
        return kind.fields[name][1] if name in kind.fields else None


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        """The type of an element."""
        kind = args[0]
        if isinstance(kind, Block):
            return signature(kind.element, kind, types.intp)
        if isinstance(kind, Rows):
            return signature(kind.block, kind, types.intp)
        if isinstance(kind, Batch):
            return signature(kind.structure, kind, types.intp)
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        """Only what stands in blocks can be replaced."""
        if isinstance(args[0], Block):
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


@lower_builtin(operator.getitem, Block, types.intp)  # type: ignore[untyped-decorator]
def _block_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    block = sig.args[0]
    address = offset_by(builder, args[0], builder.mul(args[1], ir.Constant(INT, block.size)))
    return _load(context, builder, block.element, address)


@lower_builtin(operator.setitem, Block, types.intp, types.Any)  # type: ignore[untyped-decorator]
def _block_setitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    block = sig.args[0]
    address = offset_by(builder, args[0], builder.mul(args[1], ir.Constant(INT, block.size)))
    _store(context, builder, block.element, context.cast(builder, args[2], sig.args[2], block.element), address)
    return context.get_dummy_value()


@lower_builtin(operator.getitem, Rows, types.intp)  # type: ignore[untyped-decorator]
def _rows_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    rows = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    return offset_by(builder, rows.rows, builder.mul(args[1], rows.stride))


@lower_builtin(operator.getitem, Batch, types.intp)  # type: ignore[untyped-decorator]
def _batch_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    batch = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    one = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    one.head = offset_by(builder, batch.first, builder.mul(args[1], batch.stride))
    one.offsets = batch.offsets
    return one._getvalue()


@lower_getattr_generic(Structure)  # type: ignore[untyped-decorator]
def _structure_getattr(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    one = cgutils.create_struct_proxy(kind)(context, builder, value)
    if name in kind.blocks:
        table = offset_by(builder, one.offsets, WORD * list(kind.blocks).index(name))
        begin = _load(context, builder, types.int64, table)
        begin.set_metadata("invariant.load", builder.module.add_metadata([]))
        return offset_by(builder, one.head, begin)
    offset, form = kind.head[name]
    return _load(context, builder, form, offset_by(builder, one.head, offset))


@lower_setattr_generic(Structure)  # type: ignore[untyped-decorator]
def _structure_setattr(context: Any, builder: Any, sig: Any, args: Any, name: str) -> None:
    offset, form = sig.args[0].head[name]
    one = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    value = context.cast(builder, args[1], sig.args[1], form)
    _store(context, builder, form, value, offset_by(builder, one.head, offset))


@lower_getattr_generic(Frame)  # type: ignore[untyped-decorator]
def _frame_getattr(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    word, form = kind.fields[name]

    def number(n: int) -> Any:
        return _load(context, builder, types.int64, offset_by(builder, value, WORD * (word + n)))

    if form is types.int64:
        return number(0)
    address = builder.inttoptr(number(0), _BYTES)
    if isinstance(form, Block):
        return address
    field = cgutils.create_struct_proxy(form)(context, builder)
    field.stride = number(1)
    if isinstance(form, Rows):
        field.rows = address
    else:
        field.first = address
        field.size = number(2)
        field.offsets = offset_by(builder, value, WORD * (word + 3))
    return field._getvalue()
