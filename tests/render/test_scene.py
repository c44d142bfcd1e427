"""The pieces of a picture tell what their vehicles are about to do."""

import gymnasium as gym
import numpy as np
import pytest

import drivesim  # noqa: F401
from drivesim.render.scene import Scene, next_turns
from drivesim.render.sprites import CAR, SIGNAL, TRUCK
from drivesim.rendering import state_of


@pytest.mark.parametrize("heading", range(4))
@pytest.mark.parametrize(("quarters", "side"), [(0, 0), (1, 1), (3, -1)])
@pytest.mark.parametrize("distance", [0, 1, 10, 11])
def test_traffic_indicates_to_which_side_it_turns_ten_cells_before_it_does(heading, quarters, side, distance) -> None:
    """Down its lane from the first cell of the junction in which it turns: to the left in the second."""
    env = gym.make("drivesim/Intersection-v1")
    env.reset(seed=0)
    state = state_of(env)
    vehicle = state.world["vehicles"][1]
    inside = [int(cell) for cell in np.flatnonzero(state.map["junction"])]
    step = int(state.map["steps"][heading])
    first = next(cell for cell in inside if cell - step not in inside and state.map["ground"][cell] >> heading & 1)
    vehicle["heading"], vehicle["destination"] = heading, (heading + quarters) % 4
    vehicle["cell"] = first + (step if side == -1 else 0) - distance * step
    state.world["egos"]["next_turn"][0] = -1
    assert next_turns(state.map, state.world)[:2] == [-1, side if distance <= 10 else 0]
    env.close()


def test_nobody_indicates_anything_on_a_road_without_junctions() -> None:
    env = gym.make("drivesim/Highway-v1")
    env.reset(seed=0)
    cars = [piece.look for piece in Scene(state_of(env)).pieces if piece.look.kind in (CAR, TRUCK)]
    assert len(cars) == 22
    assert {look.indicator for look in cars} == {0}
    env.close()


@pytest.mark.parametrize(("line", "num_heads"), [("|^", 2), ("!^", 0), ("?^", 0)])
def test_only_signals_have_heads(line, num_heads) -> None:
    lines = {"NORTH": line, "EAST": line.replace("^", ">")}
    road = f"> {lines['EAST']} *^> >G\n. . {lines['NORTH']} .\n. . ^E .\n"
    env = gym.make("drivesim/Custom-v1", levels=road)
    env.reset(seed=0)
    assert sum(piece.look.kind == SIGNAL for piece in Scene(state_of(env)).pieces) == num_heads
    env.close()
