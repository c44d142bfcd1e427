"""Philox against its published answers, and draws within their bounds."""

import os
import subprocess
import sys

import numpy as np
import pytest

from drivesim.core.rng import below, level_words, philox, tick_words
from drivesim.core.world import world_dtype

ONES = 0xFFFFFFFF
# Random123 1.14, tests/kat_vectors, `philox4x32 10`: (key, counter, answer).
KNOWN_ANSWERS = [
    ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES), (ONES, ONES, ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0xA4093822, 0x299F31D0),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("key", "counter", "answer"), KNOWN_ANSWERS, ids=["zeros", "ones", "pi"])
def test_philox_gives_the_published_answers(key, counter, answer) -> None:
    assert philox(*key, *counter) == answer


def test_the_interpreter_draws_what_compiled_code_draws() -> None:
    program = (
        "from drivesim.core.rng import philox\n"
        f"for key, counter, answer in {KNOWN_ANSWERS}:\n"
        "    assert philox(*key, *counter) == answer, (key, counter)\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}
    )


def test_a_bounded_draw_lies_within_its_bounds() -> None:
    for n in (1, 2, 3, 7, 100, 2**31 - 1):
        assert below(0, n) == 0
        assert below(ONES, n) == n - 1
        assert below(2**31, n) == n // 2


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_bounded_draws_are_uniform(n) -> None:
    draws = 20_000
    words = [philox(1, 2, index, 0, 0, 0)[0] for index in range(draws)]
    counts = np.bincount([below(word, n) for word in words], minlength=n)
    assert len(counts) == n
    chi_squared = ((counts - draws / n) ** 2 / (draws / n)).sum()
    # n - 1 degrees of freedom: mean n - 1, standard deviation sqrt(2 (n - 1)); the draws are fixed.
    assert chi_squared < (n - 1) + 4 * np.sqrt(2 * (n - 1))


def test_every_word_of_the_counter_and_every_bit_of_the_key_gives_other_draws() -> None:
    base = (1, 2, 3, 4, 5, 6)
    seen = {philox(*base)}
    for position in range(6):
        for bit in range(32):
            words = list(base)
            words[position] ^= 1 << bit
            seen.add(philox(*words))
    assert len(seen) == 1 + 6 * 32


def test_draws_of_a_tick_depend_on_key_episode_tick_purpose_and_index_alone() -> None:
    worlds = np.zeros(1, world_dtype(1, 1, 1))
    world = worlds[0]
    world.key_0, world.key_1 = 7, 8
    world.episode, world.tick = 9, 10
    before = tick_words(world, 1, 2)
    assert before == philox(7, 8, 9, 10, 1, 2)
    world.level_seed, world.attempt, world.num_vehicles = 5, 6, 7
    assert tick_words(world, 1, 2) == before


def test_draws_of_a_level_depend_on_level_seed_attempt_purpose_and_index_alone() -> None:
    worlds = np.zeros(1, world_dtype(1, 1, 1))
    world = worlds[0]
    world.level_seed, world.attempt = (5 << 32) + 4, 3
    before = level_words(world, 1, 2)
    assert before == philox(4, 5, 3, 0, 1, 2)
    world.key_0, world.key_1 = 7, 8
    world.episode, world.tick = 9, 10
    assert level_words(world, 1, 2) == before
