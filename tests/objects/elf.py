"""What a shared library says of itself, without tools that a system may lack."""

from __future__ import annotations

import struct
from typing import NamedTuple

X86_64, AARCH64 = 62, 183  # of `Library.machine`
_SYMBOLS, _DYNAMIC = 11, 6  # kinds of sections
_NEEDED = 1


class Library(NamedTuple):
    """A shared library of 64 bits."""

    machine: int
    needed: int
    """Other libraries that it loads."""
    defined: set[str]
    undefined: set[str]


def read(data: bytes) -> Library:
    """What is in a file."""
    assert data[:6] == b"\x7fELF\x02\x01"
    (machine,) = struct.unpack_from("<H", data, 18)
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + n * size) for n in range(count)]
    defined, undefined, needed = set(), set(), 0
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind == _SYMBOLS:
            names = sections[link][4]
            for place in range(offset + 24, offset + length, 24):
                name, _, _, section, _, _ = struct.unpack_from("<IBBHQQ", data, place)
                begin = names + name
                text = data[begin : data.index(b"\0", begin)].decode()
                (defined if section else undefined).add(text)
        if kind == _DYNAMIC:
            tags = [struct.unpack_from("<q", data, place)[0] for place in range(offset, offset + length, 16)]
            needed += tags.count(_NEEDED)
    return Library(machine, needed, defined, undefined)
