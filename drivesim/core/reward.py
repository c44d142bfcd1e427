"""Rewards price events and progress; they detect nothing themselves. Rational arithmetic only."""

from drivesim.core.jit import kernel
from drivesim.core.options import (
    REWARD_COST,
    REWARD_ROUTE,
    REWARD_SHAPED,
    REWARD_SPARSE,
    TERM_ARRIVED,
    TERM_COLLISION,
    TERM_FAILED_TO_YIELD,
    TERM_HARSH,
    TERM_LANE_OFFSET,
    TERM_OFF_ROAD,
    TERM_PEDESTRIAN_HIT,
    TERM_PROGRESS,
    TERM_RED_LIGHT,
    TERM_SPEEDING,
    TERM_TIME,
    TERM_WRONG_WAY,
)
from drivesim.core.world import (
    EVENT_ARRIVED,
    EVENT_COLLISION,
    EVENT_FAILED_TO_YIELD,
    EVENT_HARSH,
    EVENT_LANE_CHANGE,
    EVENT_OFF_ROAD,
    EVENT_PEDESTRIAN_HIT,
    EVENT_RED_LIGHT,
    EVENT_SPEEDING,
    EVENT_WRONG_WAY,
    EVENTS_FATAL,
)


@kernel
def has_event(events, bit):
    """1.0 if the event happened in this tick, else 0.0."""
    return 1.0 if events & bit != 0 else 0.0


@kernel
def is_success(map, world, k):
    """Arrived without a fatal event and, on a wide lane, with a mean |offset| of at most half the half lane."""
    ego = world.egos[k]
    if ego.events_seen & EVENT_ARRIVED == 0 or ego.events_seen & EVENTS_FATAL != 0:
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
    if events & EVENT_LANE_CHANGE != 0:
        factor *= weights.lane_change_factor
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
        options: the options; `options.reward` chooses the head.
        terms_out: float64 (NUM_TERMS,), overwritten.
    """
    ego = world.egos[k]
    events = ego.events
    weights = options.weights
    gain = route_gain(world, k)
    terms_out[:] = 0.0
    if options.reward == REWARD_SPARSE:
        if events & EVENT_ARRIVED != 0 and is_success(map, world, k):
            terms_out[TERM_ARRIVED] = weights.arrived
    else:
        terms_out[TERM_ARRIVED] = weights.arrived * has_event(events, EVENT_ARRIVED)
    if options.reward == REWARD_ROUTE or options.reward == REWARD_SHAPED:
        if gain > 0.0:
            gain *= soft_factor(map, world, k, weights)
        terms_out[TERM_RED_LIGHT] = weights.red_light * has_event(events, EVENT_RED_LIGHT)
        terms_out[TERM_WRONG_WAY] = weights.wrong_way * has_event(events, EVENT_WRONG_WAY)
        terms_out[TERM_FAILED_TO_YIELD] = weights.failed_to_yield * has_event(events, EVENT_FAILED_TO_YIELD)
    if options.reward == REWARD_SHAPED:
        terms_out[TERM_LANE_OFFSET] = weights.lane_offset * offset_share(map, world, k)
        terms_out[TERM_SPEEDING] = weights.speeding * has_event(events, EVENT_SPEEDING)
        terms_out[TERM_HARSH] = weights.harsh * has_event(events, EVENT_HARSH)
        terms_out[TERM_TIME] = weights.time
    if options.reward != REWARD_SPARSE:
        terms_out[TERM_PROGRESS] = weights.progress * gain
    if options.reward != REWARD_COST:
        terms_out[TERM_COLLISION] = weights.collision * has_event(events, EVENT_COLLISION)
        terms_out[TERM_PEDESTRIAN_HIT] = weights.pedestrian_hit * has_event(events, EVENT_PEDESTRIAN_HIT)
        terms_out[TERM_OFF_ROAD] = weights.off_road * has_event(events, EVENT_OFF_ROAD)
    total = 0.0
    for term in range(terms_out.shape[0]):
        total += terms_out[term]
    return total


@kernel
def cost(world, k):
    """The safe-RL cost of this tick: the number of rules that ego k broke."""
    events = world.egos[k].events
    return (
        has_event(events, EVENT_COLLISION)
        + has_event(events, EVENT_PEDESTRIAN_HIT)
        + has_event(events, EVENT_OFF_ROAD)
        + has_event(events, EVENT_RED_LIGHT)
        + has_event(events, EVENT_WRONG_WAY)
        + has_event(events, EVENT_FAILED_TO_YIELD)
        + has_event(events, EVENT_SPEEDING)
    )
