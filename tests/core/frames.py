"""What kernels find behind a frame, as numbers. As a program it prints what the plain interpreter finds."""

import json
import sys
from typing import Any

import numpy as np

from drivesim.config import EnvConfig
from drivesim.core.batch import SAME_STEP
from drivesim.core.copying import erase
from drivesim.core.jit import kernel
from drivesim.core.map import MAP, map_dtype
from drivesim.core.memory import BatchType, BlockType, Frame, FrameType, RowsType, opener
from drivesim.core.world import WORLD, world_dtype
from drivesim.engine import Engine

TEST_FRAME = FrameType(
    "test", count=int, numbers=BlockType("i4"), rows=RowsType("f4"), worlds=BatchType(WORLD), maps=BatchType(MAP)
)
open_frame = opener(TEST_FRAME)
COUNT = 4
VEHICLES, CELLS = 2, 20  # that are written of every world


@kernel
def write_everywhere(argument):
    """Read and write every kind of field; the sum of the maps' widths."""
    frame = open_frame(argument)
    total = 0
    for i in range(frame.count):
        world = frame.worlds[i]
        world.tick = 10 * i + frame.numbers[i]
        world.level_seed = -(1 << 40) - i
        world.egos[0].return_sum += 0.5 * i
        for k in range(VEHICLES):
            world.vehicles[k].cell = 100 * i + k
        for cell in range(CELLS):
            world.occupants[cell] = world.occupants[cell] + cell + i
        for j in range(3):
            frame.rows[i][j] = frame.rows[i][j] + i + 0.25 * j
        total += frame.maps[i].width
    return total


@kernel
def erase_world(argument, i):
    """Set world i to zero."""
    frame = open_frame(argument)
    erase(frame.worlds, i)


def described(worlds: np.ndarray) -> list[Any]:
    """All that `write_everywhere` writes to worlds, and what lies behind it."""
    names = ("tick", "level_seed", "occupants")
    values = [worlds[name].tolist() for name in names]
    return [*values, worlds["egos"]["return_sum"].tolist(), worlds["vehicles"]["cell"].tolist()]


def answers() -> dict[str, Any]:
    """What one and the same frame yields with arrays of one layout after another."""
    frame = Frame(TEST_FRAME)
    small = np.zeros(COUNT, world_dtype(3, 2, VEHICLES))
    large = np.zeros(3 * COUNT, world_dtype(7, 5, 9, egos=3))
    rows, tall = np.zeros((COUNT, 3), np.float32), np.full((2 * COUNT, 5), 9, np.float32)
    maps, one_map = np.zeros(COUNT, map_dtype(3, 2)), np.zeros(1, map_dtype(7, 5, junctions=1, has_portals=True))
    maps["width"], one_map["width"] = [1, 10, 100, 1000], 7
    frame.set(count=COUNT, numbers=np.arange(COUNT, dtype=np.int32), rows=rows, worlds=small, maps=maps)
    sums = [int(write_everywhere(frame.argument))]
    frame.set(worlds=large[::3], rows=tall[::2], maps=np.broadcast_to(one_map, COUNT))
    sums.append(int(write_everywhere(frame.argument)))
    frame.set(worlds=large[1::3][::-1], rows=tall[::-2, 1:4], numbers=np.full(COUNT, -5, np.int32), count=COUNT - 1)
    sums.append(int(write_everywhere(frame.argument)))
    frame.set(worlds=large[::3])
    erase_world(frame.argument, 2)
    return {
        "sums": sums,
        "rows": rows.tolist(),
        "tall": tall.tolist(),
        "small": described(small),
        "large": described(large),
    }


def strided_steps(observation: str, is_strided: bool, num_worlds: int = 4) -> dict[str, Any]:
    """Observations of a short drive, written to an array of their own or to every second row of a taller one.

    Also whether the rows between have kept what they held.
    """
    engine = Engine(EnvConfig("Obstacles", observation=observation), num_worlds, SAME_STEP, max_steps=4)
    everywhere = np.ones(num_worlds, np.bool_)
    engine.key_worlds(everywhere, list(range(num_worlds)))
    every = 2 if is_strided else 1
    tall, tall_final = (np.full((every * num_worlds, *engine.obs_shape), 77, engine.obs_dtype) for _ in range(2))
    obs, final_obs = tall[::every], tall_final[::every]
    engine.reset(everywhere, np.full(num_worlds, -1, np.int64), obs)
    seen = [obs.tolist()]
    rewards, ends = np.zeros(num_worlds), (np.zeros(num_worlds, np.bool_), np.zeros(num_worlds, np.bool_))
    for _ in range(5):
        engine.step(np.full(num_worlds, engine.actions.index("FASTER")), obs, rewards, *ends, final_obs)
        seen += [obs.tolist(), final_obs.tolist()]
    between = [array[1::2] for array in (tall, tall_final)] if is_strided else []
    return {"seen": seen, "is_kept": all(bool((array == 77).all()) for array in between)}


if __name__ == "__main__":
    json.dump([answers(), *(strided_steps(observation, True) for observation in sys.argv[1:])], sys.stdout)
