"""Drives in which every kernel runs under an emulator, as object code for 64-bit ARM.

emulated.py LIBRARY JOBS COMMAND… prints the answers to jobs as `object_drives` does; the command runs `emulated.c`.
What a kernel works on is copied there before each call, and back behind it, so that all else is what it always is.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import elf
import numpy as np

from drivesim.core import memory, prebuilt

BEGIN, SIZE = 1 << 40, 1 << 30  # of the memory there
TAKE, GIVE, CALL = range(3)
FRAMES: dict[int, memory.Frame] = {}
"""The frames by what a loop is given for them."""


class Machine:
    """The other processor with a library in its memory."""

    def __init__(self, library: Path, command: list[str]) -> None:
        image, self._symbols = elf.loaded(library.read_bytes(), BEGIN)
        self._free = BEGIN + (len(image) + 4095) // 4096 * 4096
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for pipe in (self._process.stdin, self._process.stdout):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        self._say(BEGIN, SIZE)
        self._put(BEGIN, image)
        self.calls = 0

    def _say(self, *words: int, data: bytes = b"") -> None:
        self._process.stdin.write(struct.pack(f"<{len(words)}q", *words) + data)

    def _hear(self, size: int) -> bytes:
        self._process.stdin.flush()
        data = self._process.stdout.read(size)
        assert len(data) == size, f"it ended with {self._process.wait()}"
        return data

    def _put(self, address: int, data: bytes) -> None:
        self._say(TAKE, address, len(data), data=data)

    def address(self, kernel: Any) -> int:
        """Where a binding is there; stands in for `prebuilt.address`."""
        return self._symbols[prebuilt.symbol_of(kernel)]

    def function(self, kernel: Any) -> Any:
        """An entry that runs there; stands in for `prebuilt.function`."""
        where = self._symbols[prebuilt.symbol_of(kernel)]

        def call(argument: int, *numbers: int) -> int:
            self.calls += 1
            frame = FRAMES[argument]
            table, end = frame._table.copy(), self._free
            copied = []
            for name, (word, kind) in frame._type.fields.items():
                array = getattr(frame, name, None)
                if kind is int or array is None:
                    continue
                here, size = array.__array_interface__["data"][0], size_of(array)
                self._put(end, ctypes.string_at(here, size))
                table[word] = end
                copied += [(here, end, size)] * array.flags.writeable
                end += (size + 63) // 64 * 64
            assert end + table.nbytes < BEGIN + SIZE
            self._put(end, table.tobytes())
            self._say(CALL, where, end, *numbers, *[0] * (3 - len(numbers)))
            (answer,) = struct.unpack("<q", self._hear(8))
            for here, there, size in copied:
                self._say(GIVE, there, size)
                ctypes.memmove(here, self._hear(size), size)
            return answer

        return call


def size_of(array: np.ndarray) -> int:
    """From the first byte of an array to its last one: that of one element, if all are the same."""
    return array.itemsize + sum((n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True))


def main(library: str, jobs: str, *command: str) -> None:
    """Answer jobs."""
    machine = Machine(Path(library), list(command))
    prebuilt.address, prebuilt.function = machine.address, machine.function
    began = memory.Frame.__init__

    def begin(self: memory.Frame, fields: memory.FrameType) -> None:
        began(self, fields)
        FRAMES[self.argument] = self

    memory.Frame.__init__ = begin
    import object_drives

    answers = [object_drives.answer(about) for about in json.loads(Path(jobs).read_text())]
    sys.stdout.write(json.dumps({"answers": answers, "has_numba": "numba" in sys.modules, "calls": machine.calls}))


if __name__ == "__main__":
    main(*sys.argv[1:])
