"""A new scenario is one file and one line in the registry, or, from outside the package, one call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "drivesim"
SCENARIO = '''
"""Stroll: along an empty, straight road."""

from dataclasses import dataclass

from drivesim.core.jit import kernel
from drivesim.core.map import (LANE, NORTH, cell_at, distance_from)
from drivesim.core.painting import paint, set_size
from drivesim.core.ways import measure_distances
from drivesim.core.world import place
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario, option_indices, within


@dataclass(frozen=True)
class StrollConfig(LevelConfig):
    """Level options: none that another scenario has."""

    steps_to_the_park: int = within(4, 40)
    """Rows."""


AT = option_indices(StrollConfig)


@kernel
def lay(map, world, options, scratch):
    """One lane, its northern end the goal."""
    rows = options.level[AT.steps_to_the_park]
    set_size(map, rows, 1)
    map.speed_limit = options.speed_limit
    map.num_destinations = 1
    for row in range(rows):
        paint(map, cell_at(map, row, 0), LANE, 1 << NORTH, 0, 0)
    scratch[0] = cell_at(map, 0, 0)
    measure_distances(map, 0, 1, scratch)
    return True


@kernel
def populate(map, world, options, scratch):
    """The ego at the southern end."""
    start = cell_at(map, options.level[AT.steps_to_the_park] - 1, 0)
    place(world, 0, start, NORTH, 0, options.top_speed)
    world.num_vehicles = 1
    return 3 * distance_from(map, 0, start, NORTH) <= 2 * options.certified_within


class Stroll(Scenario):
    """To the park."""

    config = StrollConfig
    presets = {"easy": StrollConfig(8), "medium": StrollConfig(12), "hard": StrollConfig(16)}
    lay = staticmethod(lay)
    populate = staticmethod(populate)
    window = Window(ahead=6, behind=2, beside=1)
    speed_limit = 4

    @classmethod
    def shape(cls, level):
        """Rows and columns of the map."""
        return level.steps_to_the_park, 1
'''
LINE = '    Entry("Stroll", 3, "drivesim.scenarios.stroll", 60, 1.8, "walk to the park"),\n'
CALL = """
import drivesim

drivesim.register_scenario(
    Stroll, version=3, max_episode_steps=60, reward_threshold=1.8, summary="walk to the park", namespace="town"
)
"""
DRIVE = """
import gymnasium as gym
import drivesim
from drivesim.replay_file import Replay

def drive(env):
    _, info = env.reset(seed=0)
    actions, ended = [], False
    while not ended:
        actions.append(drivesim.Action.FASTER)
        _, _, terminated, truncated, info = env.step(actions[-1])
        ended = terminated or truncated
    return info, actions

env = gym.make(ID, steps_to_the_park=20)
assert (env.spec.max_episode_steps, env.spec.reward_threshold) == (60, 1.8)
info, actions = drive(env)
assert info["success"] and env.unwrapped.get_state()["world"]["tick"].item() == len(actions)
replay = Replay.of(env.spec.id, {"steps_to_the_park": 20}, 0, actions)
assert replay.outcome["success"] and Replay.from_json(replay.to_json()) == replay
twin = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
assert drive(twin)[0]["episode_return"] == info["episode_return"]

envs = gym.make_vec(ID, num_envs=3, difficulty="hard")
envs.reset(seed=0)
for _ in range(2):
    envs.step([drivesim.Action.FASTER] * 3)
assert envs.unwrapped._engine.map_of(0)["speed_limit"] == 4
try:
    gym.make(ID, length=20)
except TypeError as error:
    assert "'steps_to_the_park'" in str(error)
else:
    raise AssertionError("an option of another scenario")
"""
WORKERS = """
import gymnasium as gym
from functools import partial
from drivesim import Action

if __name__ == "__main__":
    from gymnasium.vector import AsyncVectorEnv

    def finals(envs):
        envs.reset(seed=0)
        rewards = [envs.step([Action.FASTER] * 2)[1].tolist() for _ in range(3)]
        envs.close()
        return rewards

    wanted = finals(gym.make_vec(ID, num_envs=2))
    for context in ("fork", "spawn"):
        assert finals(AsyncVectorEnv([partial(gym.make, ID)] * 2, context=context)) == wanted, context
        again = gym.make_vec(ID, num_envs=2, vectorization_mode="async", vector_kwargs={"context": context})
        assert finals(again) == wanted, context
"""


def run(folder: Path, code: str) -> None:
    """Run code as a program in the folder, in plain Python: a changed package would have to be compiled anew."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    done = python(folder, "program.py")
    assert done.returncode == 0, done.stderr


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter in the folder."""
    variables = os.environ | {"PYTHONPATH": str(folder), "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def package(tmp_path) -> Path:
    """A folder with a copy of the package."""
    shutil.copytree(PACKAGE, tmp_path / "drivesim", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_file_and_a_line_in_the_registry_are_all_that_a_scenario_needs_to_be_driven(package) -> None:
    (package / "drivesim/scenarios/stroll.py").write_text(SCENARIO, encoding="utf-8")
    registry = package / "drivesim/registry.py"
    text = registry.read_text(encoding="utf-8")
    assert text.count("ENTRIES = (\n") == 1
    registry.write_text(text.replace("ENTRIES = (\n", f"ENTRIES = (\n{LINE}"), encoding="utf-8")
    run(package, 'ID = "drivesim/Stroll-v3"\n' + DRIVE)


def test_a_scenario_from_outside_needs_one_call_and_touches_no_file_of_the_package(package) -> None:
    (package / "roads.py").write_text(SCENARIO + CALL, encoding="utf-8")
    run(package, 'import roads\nID = "town/Stroll-v3"\n' + DRIVE)
    run(package, 'ID = "roads:town/Stroll-v3"\n' + DRIVE)  # Gymnasium imports it


def test_its_kernels_are_warmed_as_those_of_the_suite_are(package) -> None:
    (package / "roads.py").write_text(SCENARIO + CALL, encoding="utf-8")
    done = python(package, "-m", "drivesim", "warm", "roads:town/Stroll-v3")
    assert done.returncode == 0, done.stderr
    assert "5/5" in done.stderr
    for unknown in ("town/Stroll-v3", "roads:town/Stroll-v4", "rods:town/Stroll-v3"):
        done = python(package, "-m", "drivesim", "warm", unknown)
        assert done.returncode == 2
        assert f"my_module:ID of a module's own, got {unknown!r}" in done.stderr


def test_worker_processes_drive_a_scenario_from_outside_however_they_are_started(package) -> None:
    (package / "roads.py").write_text(SCENARIO + CALL, encoding="utf-8")
    run(package, 'ID = "roads:town/Stroll-v3"\n' + WORKERS)
