"""What is told of an ego: its episode in `info`, and everything of a step beside observation, reward and ends."""

import numpy as np

from drivesim.core.event_table import BITS, EVENTS, EVENTS_ENDING, Effect
from drivesim.core.jit import kernel
from drivesim.core.prices import NUM_TERMS
from drivesim.core.reward import is_success
from drivesim.core.steering import has_effect
from drivesim.core.world import ACTION_FASTER, ACTION_IDLE, ACTION_SLOWER, MASKED_IDLE, NO_IDLE

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
                ("num_lane_changes", "i8"),
                ("ticks_standing", "i8"),
                ("episode_length", "i8"),
                ("episode_return", "f8"),
                ("level_seed", "i8"),
            ],
        )
    )


EPISODE = episode_record([(name, "?") for name in FLAGS])
EPISODE_ARRAYS = episode_record([("happened", "u1", (NUM_FLAGS,))])  # the same bytes; kernels fill the flags in a loop

# What a step says of one ego beside observation, reward and ends.
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


@kernel
def describe_episode(map, world, k, episode):
    """Fill an EPISODE_ARRAYS record for ego k."""
    ego = world.egos[k]
    seen = ego.events_seen
    episode.success = is_success(map, world, k)
    for flag in range(NUM_FLAGS):
        episode.happened[flag] = seen & FLAG_EVENTS[flag] != 0
    episode.timeout = seen & EVENTS_ENDING == 0
    ticks = max(1, ego.ticks)
    episode.route_completion = max(0.0, (ego.route_length - ego.remaining) / ego.route_length)
    episode.mean_lane_offset = ego.offset_sum / (ticks * max(1, map.half_lane))
    episode.mean_speed = ego.speed_sum / ticks
    episode.mean_abs_jerk = ego.jerk_sum / ticks
    episode.num_lane_changes = ego.num_lane_changes
    episode.ticks_standing = ego.ticks_standing
    episode.episode_length = ego.ticks
    episode.episode_return = ego.return_sum
    episode.level_seed = world.level_seed


@kernel
def describe_actions(map, world, k, options, mask_out):
    """Which actions do anything other than IDLE would; IDLE itself is always true.

    Where the action set has no IDLE, or it is masked, FASTER at top speed and SLOWER at rest take its part and stay
    open.
    """
    vehicle = world.vehicles[k]
    if options.has_idle != NO_IDLE:
        for action in range(5):
            mask_out[action] = has_effect(map, vehicle, action, options.top_speed)
        if options.has_idle == MASKED_IDLE:
            mask_out[ACTION_IDLE] = False
            mask_out[ACTION_FASTER] = True
            mask_out[ACTION_SLOWER] = True
    else:
        mask_out[0] = has_effect(map, vehicle, 0, options.top_speed)
        mask_out[1] = has_effect(map, vehicle, 2, options.top_speed)
        mask_out[2] = True
        mask_out[3] = True
        mask_out[4] = False
