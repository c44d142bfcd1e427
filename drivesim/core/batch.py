"""Loops over the worlds of a batch: begin an episode, step, observe.

A loop takes a frame (`FRAME` lists its fields) and a range of worlds; worlds are independent, so ranges of them may run
on several threads at once. It is compiled once for all environments: a scenario's `lay` and `populate` and an
observation's `encode` are called by address.
"""

from drivesim.core.binding import Binding
from drivesim.core.copying import copy, erase
from drivesim.core.episode import DETAIL, describe_actions, describe_episode
from drivesim.core.event_table import REWARD_COST
from drivesim.core.jit import entry, kernel, seldom_kernel
from drivesim.core.map import MAP, distance_from, is_ring
from drivesim.core.memory import BatchType, BlockType, FrameType, RowsType, StructureType, opener
from drivesim.core.open_road import mark_open_road
from drivesim.core.options import OPTIONS
from drivesim.core.reward import cost, price
from drivesim.core.rng import TEST_SPLIT, draw_level_seed
from drivesim.core.signals import update_signals
from drivesim.core.tick import is_over, tick
from drivesim.core.ways import measure_distances
from drivesim.core.world import (
    ENDED,
    HAS_ENDED,
    NEVER,
    RUNNING,
    WAS_TOLD,
    WORLD,
    number_in_reading_order,
)

NEXT_STEP, SAME_STEP, DISABLED = 0, 1, 2
# One map for all worlds; one for each; one for each, from given levels; a pool, from which each level takes one.
BY_OPTIONS, BY_LEVEL, BY_LIBRARY, BY_POOL = 0, 1, 2, 3
MAX_ATTEMPTS = 10_000  # draws of a level before its options are given up as impossible

# What the loops call by address. Each takes scratch memory, int32, at least four times as long as the map has cells.
_MAP, _WORLD, _OPTIONS = StructureType(MAP), StructureType(WORLD), OPTIONS
SCRATCH = BlockType("i4")
LAY = Binding(bool, _MAP, _WORLD, _OPTIONS, SCRATCH)
"""`lay(map, world, options, scratch) -> bool`: paint a blank map, reading nothing of the world but its level seed and
attempt; false if the draw is refused."""
POPULATE = Binding(bool, _MAP, _WORLD, _OPTIONS, SCRATCH)
"""`populate(map, world, options, scratch) -> bool`: fill a blank world; false if the level cannot be certified.
The traffic is numbered in reading order afterwards, whatever the order in which it was placed."""
ENCODE = Binding(int, _MAP, _WORLD, int, _OPTIONS, SCRATCH, BlockType("u1"))
"""`encode(map, world, k, options, scratch, out)`: write all of ego k's observation, flattened, and return 0."""

FRAME = FrameType(
    "batch",
    worlds=BatchType(WORLD),  # (N,), changed in place
    maps=BatchType(MAP),  # (N,), or one map that is everybody's; under BY_POOL (2 * num_maps,)
    maps_by=int,  # BY_OPTIONS, BY_LEVEL, BY_LIBRARY, BY_POOL
    num_maps=int,  # of a pool, for each split
    library_maps=BatchType(MAP),  # (L,) under BY_LIBRARY: the given levels
    library_worlds=BatchType(WORLD),  # (L,) at tick 0, of no env
    library_size=int,  # L
    options=BlockType(OPTIONS),  # (1,)
    lay=int,  # bindings
    populate=int,
    encode=int,
    autoreset=int,  # NEXT_STEP, SAME_STEP, DISABLED
    is_detailed=int,  # whether `details_out` is filled on every step, not only where an episode ends
    mask=BlockType("?"),  # (N,): whose next episode begins in a reset
    level_seeds=BlockType("i8"),  # (N,) of a reset, below 0 = draw one
    actions=BlockType("i8"),  # (N * E,) in range, E egos per world
    obs_out=RowsType("u1"),  # (N * E, size), flattened observations
    rewards_out=BlockType("f8"),  # (N * E,)
    terminations_out=BlockType("?"),  # (N * E,)
    truncations_out=BlockType("?"),  # (N * E,)
    details_out=BlockType(DETAIL),  # (N * E,)
    final_obs_out=RowsType("u1"),  # (N * E, size), written under SAME_STEP where an episode ends
    order=BlockType("i4"),  # (N,): the worlds, in the order in which they are stepped; of each range those of the range
    scratch=RowsType("i4"),  # (number of ranges, 4 * cells or maps of the pool if more), for each range its own
)
open_frame = opener(FRAME)
call_lay, call_populate, call_encode = LAY.call, POPULATE.call, ENCODE.call


@kernel
def begin_drives(map, world):
    """After the generator: signals show, the egos know their routes."""
    update_signals(map, world)
    for k in range(world.num_egos):
        ego = world.egos[k]
        ego.cut_in_at = NEVER
        if world.vehicles[k].speed == 0:
            ego.stood_at = world.vehicles[k].cell
        ego.reversed_at = NEVER
        if not is_ring(map):
            ego.remaining = distance_from(map, ego.goal, world.vehicles[k].cell, world.vehicles[k].heading)
        ego.remaining_before = ego.remaining
        ego.route_length = max(1, ego.remaining)
    world.stage = RUNNING


@kernel
def map_number(frame, i):
    """Which of the frame's maps is that of world i; of a pool, level n of a split has number n modulo its size."""
    if frame.maps_by == BY_POOL:
        level_seed = frame.worlds[i].level_seed
        return level_seed % TEST_SPLIT % frame.num_maps + (frame.num_maps if level_seed >= TEST_SPLIT else 0)
    return i


@kernel
def begin_level(frame, i, scratch):
    """Lay and populate the level of world i, which is blank but for its identity; false if it is not certified.

    Of a library, level n is number n modulo its size, and only what makes it the level of this env stays as it is.
    """
    map = frame.maps[map_number(frame, i)]
    world = frame.worlds[i]
    options = frame.options[0]
    if frame.maps_by == BY_LIBRARY:
        key_0 = world.key_0
        key_1 = world.key_1
        episode = world.episode
        level_seed = world.level_seed
        scenario = world.scenario
        n = level_seed % frame.library_size
        copy(frame.library_maps, n, frame.maps, i)
        copy(frame.library_worlds, n, frame.worlds, i)
        world.key_0 = key_0
        world.key_1 = key_1
        world.episode = episode
        world.level_seed = level_seed
        world.scenario = scenario
        return True
    if frame.maps_by == BY_LEVEL:
        erase(frame.maps, i)
        if not call_lay(frame.lay, map, world, options, scratch):
            return False
        mark_open_road(map)
    if not call_populate(frame.populate, map, world, options, scratch):
        return False
    number_in_reading_order(world)
    return True


@seldom_kernel
def start_episode(frame, i, level_seed, scratch):
    """Begin the next episode of world i; false if no level could be certified.

    `level_seed` below 0 draws one. Each attempt starts from a blank world, and a blank map where levels draw one, and
    draws other numbers.
    """
    world = frame.worlds[i]
    options = frame.options[0]
    key_0 = world.key_0
    key_1 = world.key_1
    episode = world.episode + 1
    scenario = world.scenario
    seed = level_seed
    for attempt in range(MAX_ATTEMPTS):
        erase(frame.worlds, i)
        world.key_0 = key_0
        world.key_1 = key_1
        world.episode = episode
        world.scenario = scenario
        world.num_egos = options.num_egos
        if seed < 0:
            seed = draw_level_seed(world, options)
        world.level_seed = seed
        world.attempt = attempt
        if begin_level(frame, i, scratch):
            begin_drives(frame.maps[map_number(frame, i)], world)
            return True
    return False


@kernel
def next_level_seed(world, options):
    """The level seed that a world, which has ended, will draw for its next episode; its tick is lost."""
    world.tick = 0
    world.episode += 1
    level_seed = draw_level_seed(world, options)
    world.episode -= 1
    return level_seed


@kernel
def price_tick(map, world, k, options, detail):
    """Reward of ego k for the tick just made, added to its return; 0 once its drive had ended before."""
    ego = world.egos[k]
    if ego.drive == WAS_TOLD:
        detail.terms[:] = 0.0
        detail.cost = 0.0
        return 0.0
    reward = price(map, world, k, options, detail.terms)
    ego.return_sum += reward
    if options.reward == REWARD_COST:
        detail.cost = cost(world, k)
    return reward


@kernel
def observe(frame, i, obs_out, scratch):
    """Write what every ego of world i sees to its row of `obs_out`."""
    map = frame.maps[map_number(frame, i)]
    num_egos = frame.options[0].num_egos
    for k in range(num_egos):
        call_encode(frame.encode, map, frame.worlds[i], k, frame.options[0], scratch, obs_out[i * num_egos + k])


@kernel
def step_world(frame, i, scratch):
    """Step world i; 1 if no level could be certified for its next episode, else 0.

    An ego's end is told once, in the tick in which its drive ends. The episode goes on until all have ended; who has
    ended before earns nothing.
    """
    map = frame.maps[map_number(frame, i)]
    world = frame.worlds[i]
    options = frame.options[0]
    num_egos = options.num_egos
    first = i * num_egos
    if world.stage == ENDED and frame.autoreset == NEXT_STEP:
        is_refused = not start_episode(frame, i, -1, scratch)
        for row in range(first, first + num_egos):
            frame.rewards_out[row] = 0.0
            frame.terminations_out[row] = False
            frame.truncations_out[row] = False
            frame.details_out[row].cost = 0.0
        observe(frame, i, frame.obs_out, scratch)
        return 1 if is_refused else 0
    tick(map, world, options, frame.actions, first)
    is_late = options.max_steps > 0 and world.tick >= options.max_steps
    for k in range(num_egos):
        ego = world.egos[k]
        detail = frame.details_out[first + k]
        drove = ego.drive != WAS_TOLD
        frame.rewards_out[first + k] = price_tick(map, world, k, options, detail)
        frame.terminations_out[first + k] = ego.drive == HAS_ENDED
        frame.truncations_out[first + k] = drove and is_late
        has_ended = ego.drive == HAS_ENDED or (drove and is_late)
        if ego.drive == HAS_ENDED:
            ego.drive = WAS_TOLD
        if has_ended or frame.is_detailed != 0:
            describe_episode(map, world, k, detail.episode)
        if frame.is_detailed != 0:
            detail.events = ego.events
            describe_actions(map, world, k, options, detail.mask)
        if has_ended and frame.autoreset == SAME_STEP:
            call_encode(frame.encode, map, world, k, options, scratch, frame.final_obs_out[first + k])
    failures = 0
    if is_over(world) or is_late:
        world.stage = ENDED
        if frame.autoreset == SAME_STEP and frame.maps_by == BY_POOL:
            world.level_seed = next_level_seed(world, options)  # whose map says when `step_worlds` begins the episode
            return 0
        if frame.autoreset == SAME_STEP and not start_episode(frame, i, -1, scratch):
            failures = 1
    observe(frame, i, frame.obs_out, scratch)
    return failures


@kernel
def sort_by_map(frame, begin, end, scratch, stage):
    """Write those of a range of worlds that are in a stage, or all (-1), to the frame's order; where that ends.

    Map by map, so that a map of a pool is read from the processor's cache.
    """
    for m in range(2 * frame.num_maps):
        scratch[m] = 0
    for i in range(begin, end):
        if stage < 0 or frame.worlds[i].stage == stage:
            scratch[map_number(frame, i)] += 1
    last = begin
    for m in range(2 * frame.num_maps):
        count = int(scratch[m])
        scratch[m] = last
        last += count
    for i in range(begin, end):
        if stage < 0 or frame.worlds[i].stage == stage:
            m = map_number(frame, i)
            frame.order[scratch[m]] = i
            scratch[m] += 1
    return last


@entry
def step_worlds(argument, begin, end, slot):
    """Step the worlds begin … end - 1; the number of those for which no level could be certified.

    With maps of a pool they are stepped map by map, first all steps, then the resets: see `sort_by_map`.

    Args:
        argument: of a frame.
        begin, end: range of worlds.
        slot: which of the frame's scratch memories is this range's.
    """
    frame = open_frame(argument)
    scratch = frame.scratch[slot]
    has_pool = frame.maps_by == BY_POOL
    if has_pool:
        sort_by_map(frame, begin, end, scratch, -1)
    failures = 0
    for n in range(begin, end):
        failures += step_world(frame, frame.order[n], scratch)
    if has_pool and frame.autoreset == SAME_STEP:
        for n in range(begin, sort_by_map(frame, begin, end, scratch, ENDED)):
            i = frame.order[n]
            failures += not start_episode(frame, i, frame.worlds[i].level_seed, scratch)
            observe(frame, i, frame.obs_out, scratch)
    return failures


@entry
def reset_worlds(argument, begin, end, slot):
    """Begin the next episode of the masked worlds in a range, observe all; the number without a certified level."""
    frame = open_frame(argument)
    failures = 0
    for i in range(begin, end):
        if frame.mask[i] and not start_episode(frame, i, frame.level_seeds[i], frame.scratch[slot]):
            failures += 1
        observe(frame, i, frame.obs_out, frame.scratch[slot])
    return failures


@entry
def observe_worlds(argument, begin, end, slot):
    """Write the observations of a range of worlds without a step."""
    frame = open_frame(argument)
    for i in range(begin, end):
        observe(frame, i, frame.obs_out, frame.scratch[slot])
    return 0


@entry
def describe_worlds(argument, begin, end, slot):
    """Fill the DETAIL records of a range of worlds, but for cost and terms, without a step."""
    frame = open_frame(argument)
    num_egos = frame.options[0].num_egos
    for i in range(begin, end):
        map = frame.maps[map_number(frame, i)]
        for k in range(num_egos):
            detail = frame.details_out[i * num_egos + k]
            describe_episode(map, frame.worlds[i], k, detail.episode)
            describe_actions(map, frame.worlds[i], k, frame.options[0], detail.mask)
            detail.events = frame.worlds[i].egos[k].events
    return 0


@entry
def mask_worlds(argument, begin, end, slot):
    """Write nothing but the action masks into the DETAIL records of a range of worlds."""
    frame = open_frame(argument)
    num_egos = frame.options[0].num_egos
    for i in range(begin, end):
        map = frame.maps[map_number(frame, i)]
        for k in range(num_egos):
            detail = frame.details_out[i * num_egos + k]
            describe_actions(map, frame.worlds[i], k, frame.options[0], detail.mask)
    return 0


@entry
def lay_map(argument):
    """Lay map 0 with world 0, which is blank; whether it was certified."""
    frame = open_frame(argument)
    if not call_lay(frame.lay, frame.maps[0], frame.worlds[0], frame.options[0], frame.scratch[0]):
        return False
    mark_open_road(frame.maps[0])
    return True


@entry
def lay_pool(argument, n):
    """Lay map n of a pool with world 0, drawn until it is certified; whether it was."""
    frame = open_frame(argument)
    world = frame.worlds[0]
    world.level_seed = n if n < frame.num_maps else TEST_SPLIT + n - frame.num_maps
    for attempt in range(MAX_ATTEMPTS):
        erase(frame.maps, n)
        world.attempt = attempt
        if call_lay(frame.lay, frame.maps[n], world, frame.options[0], frame.scratch[0]):
            mark_open_road(frame.maps[n])
            return True
    return False


@entry
def mark_open_roads(argument, begin, end, slot):
    """Tell anew, for a range of maps that are the worlds' own, where they have open road."""
    frame = open_frame(argument)
    for i in range(begin, end):
        mark_open_road(frame.maps[i])
    return 0


@entry
def measure_map(argument, destination, num_goals):
    """Measure map 0's distances to a destination, whose cells are the first ones of scratch memory 0."""
    frame = open_frame(argument)
    measure_distances(frame.maps[0], destination, num_goals, frame.scratch[0])
    return 0
