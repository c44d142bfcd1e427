"""The pieces of a picture tell what their vehicles are about to do."""

import gymnasium as gym
import pytest

import drivesim  # noqa: F401
from drivesim.render.scene import Scene, next_turns
from drivesim.render.sprites import CAR, TRUCK
from drivesim.rendering import state_of


@pytest.mark.parametrize("heading", range(4))
@pytest.mark.parametrize(("quarters", "side"), [(0, 0), (1, 1), (2, 0), (3, -1)])
def test_traffic_indicates_to_which_side_its_destination_lies(heading, quarters, side) -> None:
    env = gym.make("drivesim/Intersection-v1")
    env.reset(seed=0)
    state = state_of(env)
    state.world["vehicles"]["heading"][1] = heading
    state.world["vehicles"]["destination"][1] = (heading + quarters) % 4
    state.world["egos"]["next_turn"][0] = -1
    assert next_turns(state.world)[:2] == [-1, side]
    env.close()


def test_nobody_indicates_anything_on_a_road_without_junctions() -> None:
    env = gym.make("drivesim/Highway-v1")
    env.reset(seed=0)
    cars = [piece.look for piece in Scene(state_of(env)).pieces if piece.look.kind in (CAR, TRUCK)]
    assert len(cars) == 22
    assert {look.indicator for look in cars} == {0}
    env.close()
