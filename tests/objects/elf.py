"""What a shared library says of itself, without tools that a system may lack."""

from __future__ import annotations

import struct
from typing import NamedTuple

X86_64, AARCH64 = 62, 183  # of `Library.machine`
_SYMBOLS, _DYNAMIC, _RELOCATIONS = 11, 6, 4  # kinds of sections
_NEEDED = 1
_LOAD = 1  # a kind of segments
_OF_SYMBOL, _RELATIVE = (257, 1025, 1026), 1027  # kinds of relocations, on AARCH64


class Library(NamedTuple):
    """A shared library of 64 bits."""

    machine: int
    needed: int
    """Other libraries that it loads."""
    defined: set[str]
    undefined: set[str]


def read(data: bytes) -> Library:
    """What is in a file."""
    (machine,) = struct.unpack_from("<H", data, 18)
    sections = sections_of(data)
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


def sections_of(data: bytes) -> list[tuple[int, ...]]:
    """The heads of a file's sections."""
    assert data[:6] == b"\x7fELF\x02\x01"
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    return [struct.unpack_from("<IIQQQQIIQQ", data, table + n * size) for n in range(count)]


def loaded(data: bytes, begin: int) -> tuple[bytes, dict[str, int]]:
    """A library for AARCH64 as it lies in memory from an address on, and where its symbols are."""
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, table + n * size) for n in range(count)]
    parts = [segment for segment in segments if segment[0] == _LOAD]
    memory = bytearray(max(address + room for _, _, _, address, _, _, room, _ in parts))
    for _, _, offset, address, _, length, _, _ in parts:
        memory[address : address + length] = data[offset : offset + length]
    sections = sections_of(data)
    symbols: dict[str, int] = {}
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind == _SYMBOLS:
            for place in range(offset, offset + length, 24):
                name, _, _, _, address, _ = struct.unpack_from("<IBBHQQ", data, place)
                text = data[sections[link][4] + name :]
                symbols[text[: text.index(b"\0")].decode()] = begin + address
    addresses = list(symbols.values())
    for _, kind, _, _, offset, length, *_ in sections:
        if kind == _RELOCATIONS:
            for place in range(offset, offset + length, 24):
                where, what, value = struct.unpack_from("<QQq", data, place)
                symbol, what = what >> 32, what & 0xFFFFFFFF
                assert what == _RELATIVE or what in _OF_SYMBOL, f"a relocation of kind {what}"
                struct.pack_into("<Q", memory, where, value + (begin if what == _RELATIVE else addresses[symbol]))
    return bytes(memory), symbols
