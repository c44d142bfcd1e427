"""Rewards price events and progress; they detect nothing themselves. Rational arithmetic only."""

from drivesim.core.event_table import (
    BITS,
    EVENT_ARRIVED,
    EVENT_HARSH,
    EVENT_SPEEDING,
    EVENTS_COST,
    EVENTS_FAILING,
    REWARD_ROUTE,
    REWARD_SHAPED,
    REWARD_SPARSE,
)
from drivesim.core.jit import kernel
from drivesim.core.prices import NUM_TERMS, TERM_ARRIVED, TERM_EVENTS, TERM_LANE_OFFSET, TERM_PROGRESS, TERM_TIME

NUM_EVENTS = len(BITS)


@kernel
def has_event(events, bit):
    """1.0 if the event happened in this tick, else 0.0."""
    return 1.0 if events & bit != 0 else 0.0


@kernel
def is_success(map, world, k):
    """Arrived, nothing failed the drive and, on a wide lane, the mean |offset| is at most half the half lane."""
    ego = world.egos[k]
    if ego.events_seen & EVENT_ARRIVED == 0 or ego.events_seen & EVENTS_FAILING != 0:
        return False
    return map.half_lane == 0 or 2 * ego.offset_sum <= ego.ticks * map.half_lane


@kernel
def offset_share(map, world, k):
    """Distance from the lane's centre as a share of half the lane, 0 … 1."""
    if map.half_lane == 0:
        return 0.0
    return world.egos[k].offset / map.half_lane


@kernel
def route_gain(world, k):
    """The share of the route gained in this tick; negative when lost. Sums to 1 on arrival."""
    ego = world.egos[k]
    return (ego.remaining_before - ego.remaining) / ego.route_length


@kernel
def soft_factor(map, world, k, weights):
    """The product of the factors in (0, 1] by which an uncomfortable gain is worth less."""
    ego = world.egos[k]
    events = ego.events
    factor = 1.0 - (1.0 - weights.offset_factor) * offset_share(map, world, k)
    if events & EVENT_SPEEDING != 0:
        factor *= weights.speeding_factor
    if events & EVENT_HARSH != 0:
        factor *= weights.harsh_factor
    if ego.on_shoulder != 0:
        factor *= weights.shoulder_factor
    return factor


@kernel
def price(map, world, k, options, terms_out):
    """The reward of ego k for this tick: the sum of its terms, in their fixed order.

    Args:
        map: the map.
        world: after `events.measure_drive`.
        k: the ego.
        options: `options.reward` chooses the head, and `options.weights` are 0 where it does not pay a term.
        terms_out: float64 (NUM_TERMS,), overwritten.
    """
    events = world.egos[k].events
    weights = options.weights
    for term in range(NUM_TERMS):
        terms_out[term] = weights.terms[term] * has_event(events, TERM_EVENTS[term])
    if options.reward == REWARD_SPARSE and not is_success(map, world, k):
        terms_out[TERM_ARRIVED] = 0.0
    gain = route_gain(world, k)
    if gain > 0.0 and (options.reward == REWARD_ROUTE or options.reward == REWARD_SHAPED):
        gain *= soft_factor(map, world, k, weights)
    terms_out[TERM_PROGRESS] = weights.terms[TERM_PROGRESS] * gain
    terms_out[TERM_LANE_OFFSET] = weights.terms[TERM_LANE_OFFSET] * offset_share(map, world, k)
    terms_out[TERM_TIME] = weights.terms[TERM_TIME] / options.certified_within
    total = 0.0
    for term in range(terms_out.shape[0]):
        total += terms_out[term]
    return total


@kernel
def cost(world, k):
    """The safe-RL cost of this tick: the number of rules that ego k broke."""
    broken = world.egos[k].events & EVENTS_COST
    total = 0.0
    for number in range(NUM_EVENTS):
        total += has_event(broken, 1 << number)
    return total
