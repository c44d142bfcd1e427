"""Under the default reward, no trick pays more than driving slowly and legally to the goal."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import gymnasium as gym
import numpy as np
import pytest
from effort import effort
from env_tools import GENERATED
from scenario_facts import DRIVEN, facts_of

from agents.scripted import ScriptedDriver, make_never_steering, make_scripted
from drivesim import Action
from drivesim.config import RewardWeights
from drivesim.engine import Engine

LEVELS = effort(100, 300)
MARGIN = 0.1

Trick = Callable[[np.ndarray, Engine, int], np.ndarray]
"""Maps observations, the engine behind them and the tick to actions numbered as `Action`."""


def scenario(env_id: str) -> str:
    return env_id.removeprefix("drivesim/").rpartition("-v")[0]


def slow_driver(env_id: str) -> ScriptedDriver:
    return make_scripted(env_id, max_speed=facts_of(env_id).slow_speed)


def with_idle(env_id: str, actions: np.ndarray) -> np.ndarray:
    """Actions of the environment, numbered as `Action`."""
    return np.asarray([0, 2, 3, 4])[actions] if scenario(env_id) == "Autodrive" else actions


def without_idle(env_id: str, actions: np.ndarray) -> np.ndarray:
    """The reverse; where there is no IDLE, SLOWER takes its place."""
    return np.asarray([0, 3, 1, 2, 3])[actions] if scenario(env_id) == "Autodrive" else actions


def begins_moving(env_id: str) -> bool:
    env = gym.make(env_id)
    env.reset(seed=0)
    return bool(env.unwrapped.get_state()["world"]["vehicles"]["speed"].flat[0] > 0)


def can_turn_left(engine: Engine) -> np.ndarray:
    ego = engine.worlds["vehicles"][:, 0]
    worlds = np.arange(engine.num_worlds) if engine.has_own_maps else 0
    return engine.maps["ground"][worlds, ego["cell"]] >> ((ego["heading"] - 1) & 3) & 1 == 1


def park(env_id: str) -> Trick:
    """Brake, and stand there: at rest, SLOWER may be the reverse gear."""
    return lambda obs, engine, tick: np.where(engine.worlds["vehicles"]["speed"][:, 0] > 0, Action.SLOWER, Action.IDLE)


def idle(env_id: str) -> Trick:
    return lambda obs, engine, tick: np.full(len(obs), Action.IDLE)


def circle(env_id: str) -> Trick:
    """Straight on, carefully, until a turn is possible; then left for ever."""
    straight = make_never_steering(env_id)

    def trick(obs: np.ndarray, engine: Engine, tick: int) -> np.ndarray:
        speed = engine.worlds["vehicles"]["speed"][:, 0]
        turn = np.where(speed > 1, Action.SLOWER, Action.LEFT)
        is_turning = can_turn_left(engine) & (tick > 0)  # away from the edge first
        return np.where(is_turning, turn, with_idle(env_id, straight(obs)))

    return trick


def back_and_forth(env_id: str) -> Trick:
    """Ahead and back again, where one can turn round; elsewhere stop and go."""
    laps = [Action.LEFT, Action.FASTER, Action.SLOWER, Action.LEFT]
    pulses = [Action.FASTER, Action.SLOWER]

    def trick(obs: np.ndarray, engine: Engine, tick: int) -> np.ndarray:
        lap = laps[tick % len(laps)] if tick > 0 else Action.FASTER
        return np.where(can_turn_left(engine), lap, pulses[tick % len(pulses)])

    return trick


def zig_zag(env_id: str) -> Trick:
    return lambda obs, engine, tick: np.full(len(obs), Action.LEFT if tick % 2 == 0 else Action.RIGHT)


def crash_at_the_goal(env_id: str) -> Trick:
    """Legal until the goal is near, then to the left, into whatever is there."""
    is_highway = scenario(env_id) == "Highway"  # where a slow driver does not get near the goal
    driver = make_scripted(env_id) if is_highway else slow_driver(env_id)
    is_leaving = np.zeros(LEVELS, np.bool_)

    def trick(obs: np.ndarray, engine: Engine, tick: int) -> np.ndarray:
        ego = engine.worlds["vehicles"][:, 0]
        is_leaving[engine.worlds["egos"]["remaining"][:, 0] <= facts_of(env_id).near] = True
        is_on_its_way = can_turn_left(engine) & (ego["heading"] != 0)  # sideways across open ground
        leave = np.where(is_on_its_way, Action.FASTER, Action.LEFT)
        return np.where(is_leaving, leave, with_idle(env_id, driver(obs)))

    return trick


TRICKS = [park, idle, circle, back_and_forth, zig_zag, crash_at_the_goal]


def drive(env_id: str, observation: str, trick: Trick) -> dict[str, np.ndarray]:
    """The first episodes' ends, on the same levels for everybody."""
    options = {"split": "test"} if env_id in GENERATED else {}
    envs = gym.make_vec(
        env_id, num_envs=LEVELS, observation=observation, copy=False, autoreset_mode="SameStep", **options
    )
    obs, _ = envs.reset(seed=0)
    is_open = np.ones(LEVELS, np.bool_)
    ends: dict[str, np.ndarray] = {}
    tick = 0
    while is_open.any():
        actions = without_idle(env_id, trick(obs, envs.unwrapped._engine, tick))
        obs, _, _, _, infos = envs.step(actions.astype(np.int64))
        tick += 1
        if "final_info" in infos:
            first = infos["_final_info"] & is_open
            for name in ("episode_return", "success", "collision", "off_road"):
                ends.setdefault(name, np.zeros(LEVELS))[first] = infos["final_info"][name][first]
            is_open &= ~first
    return ends


@cache
def slow_ends(env_id: str) -> dict[str, np.ndarray]:
    driver = slow_driver(env_id)
    ends = drive(env_id, driver.observation, lambda obs, engine, tick: with_idle(env_id, driver(obs)))
    assert ends["collision"].mean() <= 0.05
    assert ends["off_road"].mean() == 0.0
    return ends


@cache
def parked_ends(env_id: str) -> dict[str, np.ndarray]:
    return drive(env_id, "features", park(env_id))


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
@pytest.mark.parametrize("env_id", DRIVEN)
def test_no_trick_pays_more_than_driving_slowly(env_id: str, trick: Callable[[str], Trick]) -> None:
    if trick is park:
        ends = parked_ends(env_id)
    else:
        looks = {circle: make_never_steering, crash_at_the_goal: slow_driver}.get(trick)  # the others look at nothing
        ends = drive(env_id, looks(env_id).observation if looks else "features", trick(env_id))
    assert ends["episode_return"].mean() <= slow_ends(env_id)["episode_return"].mean() - MARGIN
    if trick is crash_at_the_goal:
        assert (ends["collision"] + ends["off_road"]).mean() >= 0.95, "it was to crash"


@pytest.mark.parametrize("env_id", DRIVEN)
def test_a_crash_at_once_pays_less_than_standing_still_and_that_less_than_arriving(env_id: str) -> None:
    if begins_moving(env_id):
        pytest.skip("who brakes at once has come some way before he stands")
    np.testing.assert_allclose(parked_ends(env_id)["episode_return"], RewardWeights().time)
    ends = slow_ends(env_id)
    assert ends["episode_return"][ends["success"] > 0].min() > RewardWeights().time + MARGIN
    assert RewardWeights().collision < RewardWeights().time - MARGIN


def test_going_round_in_circles_earns_nothing() -> None:
    """What is gained on the way up is lost on the way down."""
    ends = drive("drivesim/Autodrive-v1", "full_grid", circle("drivesim/Autodrive-v1"))
    survived = (ends["collision"] == 0) & (ends["off_road"] == 0)
    assert survived.mean() >= 0.2
    assert ends["episode_return"][survived].max() <= 0.05
