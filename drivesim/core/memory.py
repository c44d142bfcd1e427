"""Memory as kernels see it: structures of any size, batches of them, and the arguments of a batch loop.

A kernel must not be compiled anew because a road is longer or carries more cars. So the types that it is compiled for
know no lengths: a *structure* (a map, a world) is a head of numbers followed by *blocks*, each as long as its
environment needs. NumPy holds structures as records of an ordinary structured type, `Structure.dtype(...)`, and that is
what the plain interpreter works on: `world.vehicles[k].speed`. To compiled code the same line reads memory through
pointers: a structure is the addresses of its head and its blocks, a block is the address of its first element, and
nothing else. No lengths are checked and nothing is counted, so a leaf function costs nothing (in a trial of car
following 338 ns a world, with records of fixed size 425, and half the time to compile). `drivesim.core.memory_types`
tells numba so.

    Structure   what a map or a world consists of
    Frame       all that a batch loop works on, handed over as one address
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from drivesim.core.jit import INTERPRETED, intrinsic

Array = np.ndarray[Any, Any]

WORD = 8  # bytes


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
        self.argument: Any = self if INTERPRETED else self._table.ctypes.data
        """What a compiled loop, or one in the plain interpreter, takes; good for as long as the frame is there."""

    def set(self, **values: Any) -> None:
        """Take over arrays (kept alive), whole numbers and, for bindings, functions or their addresses."""
        for name, value in values.items():
            if getattr(self, name, None) is value and not isinstance(value, int):
                continue
            before = self.__dict__.pop(name, None)  # an interrupt leaves nothing half set
            try:
                self._type.write(self._table, name, value)
            except TypeError:  # nothing has been written
                setattr(self, name, before)
                raise
            setattr(self, name, value)


# --- what kernels are told ----------------------------------------------------------------------------------------
class BlockType:
    """Elements one after the other: numbers, truth values or records."""

    def __init__(self, element: Any) -> None:
        self.element = np.dtype(element)
        self.size = self.element.itemsize


class RowsType:
    """Blocks one after the other, a stride apart."""

    def __init__(self, element: Any) -> None:
        self.block = BlockType(element)


class StructureType:
    """One structure."""

    def __init__(self, structure: Structure) -> None:
        dtype = structure.dtype(**{name: 1 for name, _ in structure.blocks})
        fields: Any = dtype.fields
        self.name = structure.name
        self.head = {name: (int(fields[name][1]), fields[name][0]) for name, _ in structure.head}
        self.blocks = {name: BlockType(element) for name, element in structure.blocks}


class BatchType:
    """Structures one after the other, all with blocks of the same lengths."""

    def __init__(self, structure: Structure) -> None:
        self.structure = StructureType(structure)


class FrameType:
    """The fields of a frame: a type of this module, or `int` for a number or a binding's address."""

    def __init__(self, name: str, **fields: Any) -> None:
        self.name = name
        self.fields: dict[str, tuple[int, Any]] = {}
        word = 0
        for field, kind in fields.items():
            self.fields[field] = word, kind
            word += 3 + len(kind.structure.blocks) if isinstance(kind, BatchType) else 1 + isinstance(kind, RowsType)
        self.num_words = word

    def write(self, table: Array, name: str, value: Any) -> None:
        """Note in the table where a field's value lies.

        Raises:
            TypeError: for a block that kernels could not read as it is.
        """
        word, kind = self.fields[name]
        if kind is int:
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


def opener(kind: Any) -> Any:
    """`opened(argument)`: the frame, or the block, behind what an entry was given."""
    return intrinsic("opener", lambda frame: frame, kind)


def address_of(block: Array) -> Any:
    """What an entry takes for a contiguous array, which must live on until it is done."""
    return block if INTERPRETED else block.__array_interface__["data"][0]
