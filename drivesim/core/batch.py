"""Loops over the worlds of a batch: begin an episode, step, observe.

These are templates: the names `generate` and `encode` are bound to a scenario's generator and an observation's
encoder by `jit.specialize`, which compiles one loop per combination that is used. Lanes are independent, so ranges
of lanes may run on several threads at once.
"""

import numpy as np

from drivesim.core.event_table import BITS, EVENTS, EVENTS_ENDING, REWARD_COST, Effect
from drivesim.core.jit import kernel
from drivesim.core.prices import NUM_TERMS
from drivesim.core.reward import cost, is_success, price
from drivesim.core.rng import DRAW_LEVEL_SEED, below, lane_words
from drivesim.core.signals import update_signals
from drivesim.core.steering import has_effect
from drivesim.core.tick import is_over, tick
from drivesim.core.world import ENDED, MAX_CELLS, RUNNING

NEXT_STEP, SAME_STEP, DISABLED = 0, 1, 2
MAX_ATTEMPTS = 10_000  # draws of a level before its options are given up as impossible
TEST_SPLIT = 1 << 62  # first level seed of the test split; the training split lies below
NEVER = -1_000_000  # ticks

FLAGS = tuple(event.name for event in EVENTS if Effect.IN_INFO in event.effects)
NUM_FLAGS = len(FLAGS)
FLAG_EVENTS = np.array([bit for bit, event in zip(BITS, EVENTS, strict=True) if event.name in FLAGS])


def episode_record(flags):
    """What `info` says of an episode, in this order; `flags` are the fields for the events that have a flag."""
    return np.dtype(
        (
            np.record,
            [
                ("success", "?"),
                *flags,
                ("timeout", "?"),
                ("route_completion", "f8"),
                ("mean_lane_offset", "f8"),
                ("mean_speed", "f8"),
                ("mean_abs_jerk", "f8"),
                ("episode_length", "i8"),
                ("episode_return", "f8"),
                ("level_seed", "i8"),
            ],
        )
    )


EPISODE = episode_record([(name, "?") for name in FLAGS])
EPISODE_ARRAYS = episode_record([("happened", "u1", (NUM_FLAGS,))])  # the same bytes; kernels fill the flags in a loop

# What a step says of one car beside observation, reward and ends.
DETAIL = np.dtype(
    (
        np.record,
        [
            ("cost", "f8"),
            ("events", "i8"),
            ("mask", "u1", (5,)),
            ("terms", "f8", (NUM_TERMS,)),
            ("episode", EPISODE_ARRAYS),
        ],
    )
)


def generate(world, rules, queue):
    """Placeholder: a scenario's generator. Fills `world`; false if the level cannot be certified."""
    raise NotImplementedError


def encode(world, k, rules, scratch, out):
    """Placeholder: an observation's encoder. Writes car k's observation, flattened, to `out`."""
    raise NotImplementedError


@kernel
def draw_level_seed(world, rules):
    """The level seed of this lane's episode: from the split's whole stream, or one of its first `num_levels`."""
    word_0, word_1, _, _ = lane_words(world, DRAW_LEVEL_SEED, 0)
    seed = (word_0 << 30) ^ word_1
    if rules.num_levels > 0:
        seed = below(word_0, rules.num_levels)
    if rules.test_split != 0:
        seed += TEST_SPLIT
    return seed


@kernel
def begin_drives(world):
    """After the generator: signals show, drivers know their routes."""
    update_signals(world)
    for k in range(world.num_controlled):
        driver = world.drivers[k]
        driver.cut_in = NEVER
        vehicle = world.vehicles[k]
        if world.is_ring == 0:
            driver.remaining = world.route[int(vehicle.row) * int(world.cols) + int(vehicle.col)]
        driver.remaining_before = driver.remaining
        driver.route_length = max(1, int(driver.remaining))
    world.phase = RUNNING


def start_episode(worlds, i, blank, rules, level_seed, queue):
    """Begin the next episode of lane i; false if no level could be certified.

    `level_seed` below 0 draws one. Each attempt starts from a blank world and draws other numbers.
    """
    world = worlds[i]
    key_0 = world.key[0]
    key_1 = world.key[1]
    episode = world.episode + 1
    seed = level_seed
    for attempt in range(MAX_ATTEMPTS):
        worlds[i] = blank[0]
        world.key[0] = key_0
        world.key[1] = key_1
        world.episode = episode
        if seed < 0:
            seed = draw_level_seed(world, rules)
        world.level_seed = seed
        world.attempt = attempt
        if generate(world, rules, queue):
            begin_drives(world)
            return True
    return False


@kernel
def describe_episode(world, k, episode):
    """Fill an EPISODE_ARRAYS record for car k."""
    driver = world.drivers[k]
    seen = driver.events_seen
    episode.success = is_success(world, k)
    for flag in range(NUM_FLAGS):
        episode.happened[flag] = seen & FLAG_EVENTS[flag] != 0
    episode.timeout = seen & EVENTS_ENDING == 0
    ticks = max(1, int(driver.ticks))
    episode.route_completion = max(0.0, (driver.route_length - driver.remaining) / driver.route_length)
    half_lane = max(1, int(world.half_lane))
    episode.mean_lane_offset = driver.offset_sum / (ticks * half_lane)
    episode.mean_speed = driver.speed_sum / ticks
    episode.mean_abs_jerk = driver.jerk_sum / ticks
    episode.episode_length = driver.ticks
    episode.episode_return = driver.return_sum
    episode.level_seed = world.level_seed


@kernel
def describe_actions(world, k, rules, mask_out):
    """Which actions do anything other than IDLE would; IDLE itself is always true.

    Where the action set has no IDLE, FASTER at top speed and SLOWER at rest take its part and stay open.
    """
    if rules.has_idle != 0:
        for action in range(5):
            mask_out[action] = has_effect(world, k, action, int(rules.top_speed))
    else:
        mask_out[0] = has_effect(world, k, 0, int(rules.top_speed))
        mask_out[1] = has_effect(world, k, 2, int(rules.top_speed))
        mask_out[2] = True
        mask_out[3] = True
        mask_out[4] = False


@kernel
def price_tick(world, k, rules, detail):
    """Reward of car k for the tick just made, added to its return; 0 once its drive had ended before."""
    driver = world.drivers[k]
    if driver.ended == 2:
        detail.terms[:] = 0.0
        detail.cost = 0.0
        return 0.0
    reward = price(world, k, rules, detail.terms)
    driver.return_sum += reward
    if rules.reward == REWARD_COST:
        detail.cost = cost(world, k)
    if driver.ended == 1:
        driver.ended = 2
    return reward


def step_lanes(
    worlds,
    rules_array,
    blank,
    first,
    last,
    autoreset,
    is_detailed,
    actions,
    obs_out,
    rewards_out,
    terminations_out,
    truncations_out,
    details_out,
    final_obs_out,
):
    """Step the lanes first … last - 1; the number of lanes for which no level could be certified.

    A car's end is told once, in the tick in which its drive ends. The episode goes on until all have ended; who has
    ended before earns nothing.

    Args:
        worlds: (N,) WORLD, changed in place.
        rules_array: (1,) RULES.
        blank: (1,) WORLD, what an episode starts from.
        first, last: range of lanes.
        autoreset: NEXT_STEP, SAME_STEP or DISABLED.
        is_detailed: whether `details_out` is filled on every step, not only where an episode ends.
        actions: (N * C,) integers in range, C controlled cars per world.
        obs_out: (N * C, size), obs_out of the next observation, flattened.
        rewards_out: (N * C,) float64.
        terminations_out, truncations_out: (N * C,) bool.
        details_out: (N * C,) DETAIL.
        final_obs_out: (N * C, size), written under SAME_STEP where an episode ends.
    """
    rules = rules_array[0]
    scratch = np.empty(2 * MAX_CELLS, np.int16)
    failures = 0
    num_controlled = int(rules.num_controlled)
    for i in range(first, last):
        world = worlds[i]
        base = i * num_controlled
        if world.phase == ENDED and autoreset == NEXT_STEP:
            if not start_episode(worlds, i, blank, rules, -1, scratch):
                failures += 1
            for k in range(num_controlled):
                rewards_out[base + k] = 0.0
                terminations_out[base + k] = False
                truncations_out[base + k] = False
                details_out[base + k].cost = 0.0
                encode(world, k, rules, scratch, obs_out[base + k])
            continue
        tick(world, actions, base, rules)
        is_late = rules.max_steps > 0 and world.tick >= rules.max_steps
        ends = is_over(world) or is_late
        for k in range(num_controlled):
            detail = details_out[base + k]
            drove = world.drivers[k].ended != 2
            rewards_out[base + k] = price_tick(world, k, rules, detail)
            terminations_out[base + k] = drove and world.drivers[k].ended != 0
            truncations_out[base + k] = drove and is_late
            has_ended = drove and (world.drivers[k].ended != 0 or is_late)
            if has_ended or is_detailed:
                describe_episode(world, k, detail.episode)
            if is_detailed:
                detail.events = world.drivers[k].events
                describe_actions(world, k, rules, detail.mask)
            if has_ended and autoreset == SAME_STEP:
                encode(world, k, rules, scratch, final_obs_out[base + k])
        if ends:
            world.phase = ENDED
            if autoreset == SAME_STEP and not start_episode(worlds, i, blank, rules, -1, scratch):
                failures += 1
        for k in range(num_controlled):
            encode(world, k, rules, scratch, obs_out[base + k])
    return failures


def reset_lanes(worlds, rules_array, blank, first, last, mask, level_seeds, obs_out):
    """Begin the next episode of the lanes in `mask`; the number for which no level could be certified.

    Args:
        worlds: (N,) WORLD, changed in place.
        rules_array: (1,) RULES.
        blank: (1,) WORLD.
        first, last: range of lanes.
        mask: (N,) bool.
        level_seeds: (N,) int64, below 0 = draw one.
        obs_out: (N * C, size), of all lanes in the range, reset or not.
    """
    rules = rules_array[0]
    scratch = np.empty(2 * MAX_CELLS, np.int16)
    failures = 0
    num_controlled = int(rules.num_controlled)
    for i in range(first, last):
        if mask[i] and not start_episode(worlds, i, blank, rules, level_seeds[i], scratch):
            failures += 1
        for k in range(num_controlled):
            encode(worlds[i], k, rules, scratch, obs_out[i * num_controlled + k])
    return failures


def observe_lanes(worlds, rules_array, first, last, obs_out):
    """Write the observations of the lanes first … last - 1 without a step. Arguments as in `step_lanes`."""
    rules = rules_array[0]
    scratch = np.empty(2 * MAX_CELLS, np.int16)
    num_controlled = int(rules.num_controlled)
    for i in range(first, last):
        for k in range(num_controlled):
            encode(worlds[i], k, rules, scratch, obs_out[i * num_controlled + k])


@kernel
def describe_lanes(worlds, rules_array, details_out):
    """Fill DETAIL records, but for cost and terms, without a step."""
    rules = rules_array[0]
    num_controlled = int(rules.num_controlled)
    for i in range(worlds.shape[0]):
        for k in range(num_controlled):
            detail = details_out[i * num_controlled + k]
            describe_episode(worlds[i], k, detail.episode)
            describe_actions(worlds[i], k, rules, detail.mask)
            detail.events = worlds[i].drivers[k].events


@kernel
def mask_lanes(worlds, rules_array, masks_out):
    """Write `describe_actions` of every car, (N * C, num_actions)."""
    rules = rules_array[0]
    num_controlled = int(rules.num_controlled)
    mask = np.zeros(5, np.bool_)
    for i in range(worlds.shape[0]):
        for k in range(num_controlled):
            describe_actions(worlds[i], k, rules, mask)
            for action in range(masks_out.shape[1]):
                masks_out[i * num_controlled + k, action] = mask[action]


@kernel
def first_out_of_range(actions, num_actions):
    """Index of the first action outside [0, num_actions), -1 = none."""
    for i in range(actions.shape[0]):
        if actions[i] < 0 or actions[i] >= num_actions:
            return i
    return -1
