"""Words of bytes and bits: what a kernel sees of eight cells at once.

Each function is an instruction or two when compiled, and has a twin for the plain interpreter.
"""

from typing import Any

from drivesim.core.jit import intrinsic
from drivesim.core.memory import WORD


def _word_of(block: Any, index: int) -> int:
    return int.from_bytes(block[index : index + WORD].tobytes(), "little", signed=True)


def _zero_bytes_above(word: int) -> int:
    return next((n for n in range(WORD) if word >> 8 * (WORD - 1 - n) & 255), WORD)


def _zero_bytes_below(word: int) -> int:
    return next((n for n in range(WORD) if word >> 8 * n & 255), WORD)


def _lowest_bit(word: int) -> int:
    return next(n for n in range(8 * WORD) if word >> n & 1)


word_at = intrinsic("word_reader", _word_of)
"""`word_at(block, i)`: the eight bytes from element i of a block of bytes, the first one lowest, as an int64."""
zero_bytes_below = intrinsic("zeros_below", _zero_bytes_below, 3)
"""`zero_bytes_below(word)`: how many bytes of a word are zero, counted from the lowest up to the first that is not."""
zero_bytes_above = intrinsic("zero_bytes_above", _zero_bytes_above)
"""`zero_bytes_above(word)`: the same, counted from the highest byte down."""
lowest_bit = intrinsic("zeros_below", _lowest_bit, 0)
"""`lowest_bit(word)`: the number of the lowest bit that is set in a word, which is not zero."""
