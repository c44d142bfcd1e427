"""Short rollouts through the batch loops, as digests. As a program it prints what the plain interpreter computes."""

import hashlib
import json
import random
import sys

import numpy as np

from drivesim.config import EnvConfig
from drivesim.core.batch import BY_POOL, SAME_STEP
from drivesim.engine import Engine
from drivesim.registry import scenario_of

OPTIONS = {  # observation: further options, so that every reward and every driver model is run
    "grid": {"reward": "route"},
    "features": {"reward": "shaped", "traffic": "nasch", "difficulty": "hard"},
    "full_grid": {"reward": "cost", "difficulty": "easy"},
    "entities": {"reward": "sparse", "num_entities": 6},
    "rgb": {"reward": "route", "difficulty": "hard"},
}


def sizes(is_full: bool) -> dict[str, tuple[int, int, int]]:
    """Of each observation's rollout the worlds, steps and time limit.

    The first two drive long, for they have all driver models between them; the others show encoders and rewards.
    """
    long, short = ((3, 60, 25), (3, 60, 25)) if is_full else ((3, 30, 22), (2, 10, 6))
    return {observation: long if observation in ("grid", "features") else short for observation in OPTIONS}


def digest(*arrays: np.ndarray) -> str:
    """Of the arrays' bytes, short enough to be read."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def maps_of(engine: Engine) -> np.ndarray:
    """The maps of its worlds; the one that is everybody's; of a pool those that are in use."""
    if engine.maps_by != BY_POOL:
        return engine.maps
    return engine.maps[[engine.map_number(i) for i in range(engine.num_worlds)]]


def rollout(scenario: str, observation: str, num_worlds: int, num_steps: int, limit: int) -> list[dict[str, str]]:
    """Digests of everything that a batch's reset and every step write; buffers are poisoned before each call."""
    options = dict(OPTIONS[observation])
    if not scenario_of(scenario).generates_levels():
        options.pop("difficulty", None)
    # The plain interpreter takes seconds to lay a map of a pool, and to move a town for a tick.
    is_pool = scenario_of(scenario).maps_by == BY_POOL
    level = {"num_maps": 1, "num_vehicles": 10, "num_people": 2} if is_pool else {}
    config = EnvConfig(scenario=scenario, observation=observation, level=level, **options)
    engine = Engine(config, num_worlds, SAME_STEP, max_steps=limit)
    everywhere = np.ones(num_worlds, np.bool_)
    engine.key_worlds(everywhere, list(range(7, 7 + num_worlds)))
    obs, final_obs = engine.empty_obs(), engine.empty_obs()
    poison = 255 if obs.dtype == np.uint8 else np.nan
    obs[:] = poison
    engine.reset(everywhere, np.full(num_worlds, -1, np.int64), obs)
    steps = [{"obs": digest(obs), "worlds": digest(engine.worlds, maps_of(engine))}]
    dice = random.Random(scenario)
    faster = engine.actions.index("FASTER")
    for _ in range(num_steps):
        # Every other action is FASTER, so that the cars meet something before they have left the road.
        drawn = [int(dice.random() * 2 * engine.num_actions) for _ in range(num_worlds)]
        actions = np.array([action if action < engine.num_actions else faster for action in drawn])
        rewards = np.full(num_worlds, np.nan)
        terminations = np.ones(num_worlds, np.bool_)
        truncations = np.ones(num_worlds, np.bool_)
        obs[:] = poison
        final_obs[:] = 0
        engine.step(actions, obs, rewards, terminations, truncations, final_obs, is_detailed=True)
        steps.append(
            {
                "actions": digest(actions),
                "obs": digest(obs),
                "final_obs": digest(final_obs),
                "rewards": digest(rewards),
                "ends": digest(terminations, truncations),
                "details": digest(engine.details),
                "worlds": digest(engine.worlds, maps_of(engine)),
            }
        )
    return steps


if __name__ == "__main__":
    of_all = sizes(is_full=sys.argv[2] == "full")
    json.dump({name: rollout(sys.argv[1], name, *size) for name, size in of_all.items()}, sys.stdout)
