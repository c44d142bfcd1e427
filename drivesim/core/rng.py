"""Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

A draw is a pure function of a key and a counter, so there is no generator state to carry and no draw can shift
another. The traffic's draws are keyed by the env's seed with counter (episode, tick, purpose, index); a level's
draws are keyed by the level seed with counter (attempt, 0, purpose, index).
"""

import numpy as np

from drivesim.core.jit import kernel

# What a draw is for: one number each, never reused, since renumbering changes every trajectory.
DRAW_LEVEL_SEED = 0
DRAW_DAWDLE = 1
DRAW_DESTINATION = 2
DRAW_MAP = 3
DRAW_OBSTACLES = 4
DRAW_EGO = 5
DRAW_TRAFFIC = 6
DRAW_SIGNALS = 7
DRAW_PEDESTRIAN = 8
DRAW_STYLE = 9

TEST_SPLIT = 1 << 62  # first level seed of the test split; the training split lies below

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)


@kernel
def philox(key_0, key_1, counter_0, counter_1, counter_2, counter_3):
    """Four 32-bit words, as int64, from a 64-bit key and a 128-bit counter given as 32-bit words."""
    k0 = np.uint64(key_0) & _MASK
    k1 = np.uint64(key_1) & _MASK
    x0 = np.uint64(counter_0) & _MASK
    x1 = np.uint64(counter_1) & _MASK
    x2 = np.uint64(counter_2) & _MASK
    x3 = np.uint64(counter_3) & _MASK
    for _ in range(10):
        product_0 = _MULTIPLIER_0 * x0
        product_1 = _MULTIPLIER_1 * x2
        x0 = (product_1 >> _SHIFT) ^ x1 ^ k0
        x2 = (product_0 >> _SHIFT) ^ x3 ^ k1
        x1 = product_1 & _MASK
        x3 = product_0 & _MASK
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return np.int64(x0), np.int64(x1), np.int64(x2), np.int64(x3)


@kernel
def tick_words(world, purpose, index):
    """Four words for this world, episode and tick; `index` tells draws of one purpose apart."""
    return philox(world.key_0, world.key_1, world.episode & 0xFFFFFFFF, world.tick, purpose, index)


@kernel
def trip_word(world, k, n):
    """A word for the n-th destination of vehicle k: it does not depend on when or where that is taken."""
    return philox(world.key_0, world.key_1, world.episode & 0xFFFFFFFF, n, DRAW_DESTINATION, k)[0]


@kernel
def level_words(world, purpose, index):
    """Four 32-bit words that depend on nothing but the level seed and the generator's attempt."""
    seed = np.int64(world.level_seed)
    return philox(seed & 0xFFFFFFFF, seed >> 32, world.attempt, 0, purpose, index)


@kernel
def level_word(world, purpose, index):
    """The first of `level_words`."""
    return level_words(world, purpose, index)[0]


@kernel
def below(word, n):
    """An integer in [0, n) from a 32-bit word; the bias of this multiply-and-shift is under n / 2**32."""
    return (np.int64(word) * np.int64(n)) >> 32


@kernel
def level_below(world, purpose, index, n):
    """An integer in [0, n), a pure function of the level seed."""
    return below(level_word(world, purpose, index), n)


@kernel
def draw_level_seed(world, options):
    """The level seed of this world's episode: from the split's whole stream, or one of its first `num_levels`."""
    word_0, word_1, _, _ = tick_words(world, DRAW_LEVEL_SEED, 0)
    seed = (word_0 << 30) ^ word_1
    if options.num_levels > 0:
        seed = below(word_0, options.num_levels)
    if options.test_split != 0:
        seed += TEST_SPLIT
    return seed
