"""Kernels know no sizes: what is compiled once works on any array behind a frame, and nothing is compiled anew."""

import json
import os
import subprocess
import sys
from pathlib import Path

import frames
import numpy as np
import pytest

from drivesim.config import EnvConfig
from drivesim.core import batch
from drivesim.core.memory import WORD, Frame
from drivesim.core.world import MAX_VEHICLES, world_dtype
from drivesim.registry import ENTRIES, scenario_of

ROOT = Path(frames.__file__).parents[2]
OBSERVATIONS = ("grid", "features")  # bytes and floats

# Prints which kernels took another signature when a further environment was driven, and how many each loop has.
SIGNATURES = """
import json
import sys
import numpy as np
from drivesim.config import EnvConfig
from drivesim.core import batch
from drivesim.core.jit import Kernel
from drivesim.engine import Engine

LOOPS = [getattr(batch, f"{name}_worlds") for name in ("step", "begin", "reset", "observe", "describe", "mask")]

def drive(scenario, num_egos=1, **level):
    engine = Engine(EnvConfig(scenario, level=level), 3, batch.SAME_STEP, max_steps=20, num_egos=num_egos)
    everywhere = np.ones(3, np.bool_)
    engine.key_worlds(everywhere, [0, 1, 2])
    obs, final_obs = engine.empty_obs(), engine.empty_obs()
    engine.reset(everywhere, np.full(3, -1), obs)
    rewards, ends = np.zeros(3 * num_egos), (np.zeros(3 * num_egos, np.bool_), np.zeros(3 * num_egos, np.bool_))
    for _ in range(25):
        engine.step(np.full(3 * num_egos, engine.actions.index("FASTER")), obs, rewards, *ends, final_obs, True)
    engine.observe(obs)
    engine.describe()
    engine.action_masks()

def signatures():
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("drivesim")]
    kernels = {kernel for module in modules for kernel in vars(module).values() if isinstance(kernel, Kernel)}
    return {f"{kernel.__module__}.{kernel.__name__}": len(kernel.signatures) for kernel in kernels}

drive("Highway", num_vehicles=22)
before = signatures()
drive("Highway", num_vehicles=40, length=140, num_lanes=5)
drive("Highway", num_egos=3, num_vehicles=5, length=50)
after = signatures()
drive("Intersection")
drive("LaneKeep")
print(json.dumps({
    "grown": sorted(name for name in after if after[name] != before.get(name)),
    "loops": [len(loop.signatures) for loop in LOOPS],
}))
"""


def printed(command, **environment):
    """What a Python program prints, as JSON; a warning is an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    return json.loads(done.stdout)


def test_worlds_of_another_size_or_scenario_compile_no_loop_anew() -> None:
    answer = printed(["-c", SIGNATURES], NUMBA_DISABLE_JIT="0", DRIVESIM_PREBUILT="0")
    assert answer == {"grown": [], "loops": [1] * 6}


def test_a_world_of_the_highway_is_small() -> None:
    highway = scenario_of("Highway")
    assert highway.world_dtype(highway.presets["medium"]).itemsize <= 2560


@pytest.mark.parametrize("scenario", [entry.name for entry in ENTRIES])
def test_every_field_of_a_map_and_a_world_is_aligned(scenario) -> None:
    """Blocks begin at whole words, records follow each other at whole words, and no byte lies between their fields."""
    road = scenario_of(scenario)
    for difficulty in road.presets if road.generates_levels() else ["medium"]:
        for dtype in EnvConfig(scenario, difficulty=difficulty).dtypes(num_egos=1):
            assert dtype.itemsize % WORD == 0
            for name, (form, offset) in dtype.fields.items():
                assert name.startswith("padding") or offset % (WORD if form.shape else form.itemsize) == 0
            assert sum(form.itemsize for form, _ in dtype.fields.values()) == dtype.itemsize


def test_a_world_takes_no_more_vehicles_than_an_occupant_can_tell_apart() -> None:
    assert len(np.zeros(1, world_dtype(9, 9, MAX_VEHICLES))[0].vehicles) == MAX_VEHICLES
    with pytest.raises(ValueError, match=str(MAX_VEHICLES)):
        world_dtype(9, 9, MAX_VEHICLES + 1)


class TestFrame:
    def test_compiled_kernels_find_behind_it_what_the_interpreter_finds(self) -> None:
        interpreted = printed([frames.__file__, *OBSERVATIONS], NUMBA_DISABLE_JIT="1", PYTHONPATH=str(ROOT))
        compiled = [frames.answers(), *(frames.strided_steps(observation, True) for observation in OBSERVATIONS)]
        assert json.loads(json.dumps(compiled)) == interpreted

    def test_an_array_of_another_layout_is_what_kernels_read_and_write_from_then_on(self) -> None:
        answers = frames.answers()
        assert answers["sums"] == [1111, 4 * 7, 3 * 7]
        added = np.arange(4)[:, None] + [0, 0.25, 0.5]
        assert answers["rows"] == added.tolist()
        tall = np.full((8, 5), 9.0)
        tall[::2, :3] += added
        tall[::-2, 1:4][:3] += added[:3]
        assert answers["tall"] == tall.tolist()

    def test_a_batch_may_hold_worlds_of_any_size_at_any_stride(self) -> None:
        answers = frames.answers()
        written_small = {
            n: (n, n) for n in range(4)
        }  # by world: its number in the batch, and what is added to its tick
        written_large = {3 * n: (n, n) for n in range(4)} | {10: (0, -5), 7: (1, -5), 4: (2, -5)}
        del written_large[6]  # erased at last, and its neighbours were not
        for name, size, written in (("small", 4, written_small), ("large", 12, written_large)):
            for n, (tick, level_seed, occupants, return_sum, cells) in enumerate(zip(*answers[name], strict=True)):
                assert len(answers[name][0]) == size
                i, number = written.get(n, (0, 0))
                is_written = n in written
                assert tick == is_written * (10 * i + number)
                assert level_seed == is_written * (-(1 << 40) - i)
                assert return_sum[0] == 0.5 * i
                assert not any(return_sum[1:])
                assert cells[:2] == [is_written * 100 * i, is_written * (100 * i + 1)]
                assert not any(cells[2:])
                assert occupants[: frames.CELLS] == [is_written * (cell + i) for cell in range(frames.CELLS)]
                assert not any(occupants[frames.CELLS :])

    @pytest.mark.parametrize("observation", OBSERVATIONS)
    def test_observations_may_go_to_every_second_row_of_a_taller_array(self, observation) -> None:
        strided = frames.strided_steps(observation, True)
        assert strided["is_kept"]
        assert strided["seen"] == frames.strided_steps(observation, False)["seen"]
        assert strided["seen"][0] != strided["seen"][-2]


@pytest.mark.parametrize("rewards", [np.zeros(3, np.float32), np.zeros(6)[::2]], ids=["narrow", "strided"])
def test_a_block_that_kernels_could_not_read_as_it_is_is_refused_and_the_one_before_stays(rewards) -> None:
    frame = Frame(batch.FRAME)
    before = np.zeros(3)
    frame.set(rewards_out=before)
    with pytest.raises(TypeError, match=r"rewards_out must be a contiguous array of elements of 8 bytes, got float"):
        frame.set(rewards_out=rewards)
    assert frame.rewards_out is before
