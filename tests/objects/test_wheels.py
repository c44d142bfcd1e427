"""Wheels hold prebuilt kernels: installed, every environment steps and nothing is compiled."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from loading import load_script

from drivesim.core import prebuilt
from drivesim.programs import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
# All that people do with environments, where no compiler can be imported.
PROGRAM = """
import sys

class NoCompiler:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite", "torch"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, NoCompiler())
import gymnasium as gym
import numpy as np
import drivesim
from drivesim.core import prebuilt
from drivesim.levels.text import certify, read
from drivesim.occlusion import occlusions
from drivesim.planning import solve
from drivesim.registry import IDS

assert str(prebuilt.FOLDER).startswith(sys.argv[1])
for env_id in IDS:
    env = gym.make(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(np.int32(1))
    env.unwrapped.set_state(env.unwrapped.get_state())
    env.unwrapped.observe(), env.unwrapped.action_masks()
    occlusions(env)
    text = env.unwrapped.level_text()
    certify(read(text), text)
    env.render()
    for observation in ("features", "full_grid", "entities", "rgb"):
        envs = gym.make_vec(env_id, num_envs=600, num_threads=2, observation=observation)
        envs.reset(seed=1)
        envs.step(np.ones(600, np.int8))
        envs.set_state(envs.fork(0, 600))
        envs.close()
env = gym.make("drivesim/LaneKeep-v1", difficulty="easy")
env.reset(seed=0)
solve(env)
"""


def test_a_folder_without_all_kernels_is_refused_with_the_command_that_makes_them(tmp_path, capsys):
    (tmp_path / "x86_64_v3.so").touch()
    with pytest.raises(SystemExit) as refused:
        load_script("make_wheels").main(["--objects", str(tmp_path), "--out", str(tmp_path / "dist")])
    assert refused.value.code == 2
    assert f"python -m drivesim build --target x86_64_v2 aarch64 --out {tmp_path}" in capsys.readouterr().err
    assert not (tmp_path / "dist").exists()


@pytest.fixture(scope="module")
def wheels(objects, tmp_path_factory) -> list[Path]:
    """Two folders with the same wheels, made twice."""
    folders = [tmp_path_factory.mktemp("wheels") for _ in range(2)]
    for folder in folders:
        command = [sys.executable, "scripts/make_wheels.py", "--objects", str(objects), "--out", str(folder)]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return folders


def objects_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(Path(name).stem for name in archive.namelist() if name.startswith("drivesim/objects/"))


def test_there_is_one_for_each_processor_and_one_without_and_two_runs_are_equal(wheels) -> None:
    first, second = (sorted(folder.glob("*")) for folder in wheels)
    assert [path.name for path in first] == [path.name for path in second]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))
    held = {path.stem.rpartition("_1_1_")[2].rpartition("-")[2]: objects_in(path) for path in first}
    assert held == {"any": [], "x86_64": ["x86_64_v2", "x86_64_v3"], "aarch64": ["aarch64"]}


def test_commands_are_there_and_the_record_names_every_file_by_its_digest(wheels) -> None:
    for wheel in wheels[0].glob("*"):
        with zipfile.ZipFile(wheel) as archive:
            (record,) = [name for name in archive.namelist() if name.endswith("/RECORD")]
            lines = dict(line.rsplit(",", 2)[:2] for line in archive.read(record).decode().splitlines())
            assert set(lines) == set(archive.namelist())
            assert {"drivesim/core/jit.py", "drivesim/agents/ppo.py"} <= set(lines)
            assert {f"drivesim/scripts/{name}.py" for name in PROGRAMS} <= set(lines), "the commands"
            for name in set(lines) - {record}:
                digest = base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=")
                assert lines[name] == f"sha256={digest.decode()}"


@pytest.mark.skipif(not prebuilt.own_targets(), reason="no object code is made for this machine")
def test_installed_into_an_empty_home_every_environment_steps_without_a_compiler(wheels, tmp_path) -> None:
    (wheel,) = wheels[0].glob(f"*_{prebuilt.own_targets()[0].partition('_v')[0]}.whl")
    site = tmp_path / "site"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("DRIVESIM", "XDG"))}
    variables |= {"PYTHONPATH": str(site), "HOME": str(tmp_path / "home")}
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(site)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not (tmp_path / "home").exists()
