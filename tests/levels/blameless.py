"""A drive to the goal that breaks no rule, searched in the environment itself."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from drivesim.core.event_table import EVENT_ARRIVED, EVENTS_COST
from drivesim.core.world import ENDED

CUSTOM = "drivesim/Custom-v1"
WIDTH = 96  # states that are driven on from in every tick


def blameless_drive(levels: Any) -> tuple[int, ...] | None:
    """Actions that lead the ego of the first of some levels to its goal without an event that costs; None if none did.

    A beam search: of all states that a tick leads to, one of each place, heading, speed and turn is kept, and of these
    the ones nearest to the goal. Traffic and people answer what the ego does, for the states are those of the
    environment; who finds nothing has not shown that there is nothing.
    """
    options: dict[str, Any] = {"levels": levels, "observation": "features", "autoreset_mode": "Disabled"}
    envs: Any = gym.make_vec(CUSTOM, num_envs=5 * WIDTH, **options).unwrapped
    envs.reset(seed=0, options={"level_seed": [0] * envs.num_envs})
    states = envs.fork(0, 1, rekey=False)
    drives: list[tuple[int, ...]] = [()]
    for _ in range(envs.config.level_max_steps):
        width = len(states)
        envs.set_state(np.resize(np.repeat(states, 5), envs.num_envs))
        envs.step(np.arange(envs.num_envs) % 5)
        after = envs.get_state()[: 5 * width]
        world = after["world"]
        egos, vehicles = world["egos"][:, 0], world["vehicles"][:, 0]
        is_blameless = egos["events_seen"] & EVENTS_COST == 0
        has_ended = world["stage"] == ENDED
        arrived = np.flatnonzero(is_blameless & (egos["events_seen"] & EVENT_ARRIVED != 0))
        if len(arrived):
            return (*drives[arrived[0] // 5], int(arrived[0] % 5))
        kept: dict[tuple[int, ...], int] = {}
        for n in np.lexsort((vehicles["asked_at"], -vehicles["speed"], egos["remaining"])):
            if is_blameless[n] and not has_ended[n]:
                place = (vehicles["cell"][n], vehicles["heading"][n], vehicles["speed"][n], vehicles["may_enter"][n])
                kept.setdefault(place, int(n))
        chosen = list(kept.values())[:WIDTH]
        if not chosen:
            return None
        states, drives = after[chosen], [(*drives[n // 5], n % 5) for n in chosen]
    return None
