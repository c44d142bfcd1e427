"""Some envs can be stepped while the others stand still."""

from __future__ import annotations

import numpy as np
import pytest
from env_tools import assert_same, draw_actions, world_bytes

from drivesim.config import EnvConfig
from drivesim.core.batch import DISABLED
from drivesim.core.world import ENDED
from drivesim.engine import Engine

NUM_ENVS = 7


def fresh_engine(scenario: str) -> Engine:
    engine = Engine(EnvConfig(scenario), NUM_ENVS, DISABLED, max_steps=20)
    everyone = np.ones(NUM_ENVS, np.bool_)
    engine.key_worlds(everyone, list(range(NUM_ENVS)))
    engine.reset(everyone, np.full(NUM_ENVS, -1), engine.empty_obs())
    return engine


def poisoned(engine: Engine) -> list[np.ndarray]:
    """Arrays for a step's obs, rewards, terminations and truncations, full of what a step does not write."""
    obs = np.full_like(engine.empty_obs(), 77)
    return [obs, np.full(NUM_ENVS, 77.0), np.ones(NUM_ENVS, np.bool_), np.ones(NUM_ENVS, np.bool_)]


@pytest.mark.parametrize("scenario", ["Highway", "Intersection"])
def test_envs_that_are_stepped_do_as_in_a_full_step_and_the_others_nothing(scenario) -> None:
    engine, full = fresh_engine(scenario), fresh_engine(scenario)
    rng = np.random.default_rng(0)
    masks = [np.arange(NUM_ENVS) == 0, np.arange(NUM_ENVS) == NUM_ENVS - 1, np.arange(NUM_ENVS) % 2 == 0]
    for tick in range(60):
        moves = masks[tick] if tick < len(masks) else rng.random(NUM_ENVS) < 0.5
        actions = draw_actions(rng, engine.num_actions, NUM_ENVS)
        before = engine.worlds.copy()
        full.worlds[:] = before
        parts, wholes, untouched = poisoned(engine), poisoned(full), poisoned(engine)
        engine.step(actions, *parts, worlds=moves)
        full.step(actions, *wholes)
        np.testing.assert_array_equal(world_bytes(engine.worlds)[moves], world_bytes(full.worlds)[moves])
        np.testing.assert_array_equal(world_bytes(engine.worlds)[~moves], world_bytes(before)[~moves])
        for part, whole, poison in zip(parts, wholes, untouched, strict=True):
            assert_same(part[moves], whole[moves])
            assert_same(part[~moves], poison[~moves])
        ended = engine.worlds["stage"] == ENDED
        if ended.any():
            engine.reset(ended, np.full(NUM_ENVS, -1), engine.empty_obs())
