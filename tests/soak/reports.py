"""What users of neighbouring projects have reported, tried here: a report is a function that fails if it holds."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium as gym
import killed_runs
import numpy as np
import reports_of_agents  # noqa: F401 (adds its trials to the table)
import reports_of_environments  # noqa: F401
import torch
import work
from env_tools import CITY, HIGHWAY, INTERSECTION, LANE_KEEP, OBSTACLES, assert_same, assert_same_future, world_bytes
from multi import shared_cells
from pettingzoo.test import parallel_api_test
from report_table import REPORTS, ended_well, fresh, report

import drivesim
from agents.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from agents.schedules import linear
from agents.scripted import make_scripted
from agents.targets import gae, td_target

FASTER, SLOWER = 3, 4


@report("HighwayEnv #329, #454", "the same seed shows another scene")
def same_seed(folder: Path) -> None:
    """`reset(seed=1)` twice, and in a second environment: observations, states and 200 steps are equal."""
    for env_id in (HIGHWAY, INTERSECTION):
        first, second = gym.make(env_id), gym.make(env_id)
        once = first.reset(seed=1)
        assert_same(once, first.reset(seed=1))
        assert_same(once, second.reset(seed=1))
        assert_same_future(first, second, 200)


@report("MetaDrive #270, #701, #758; gym #1478", "runs with the same seed drift apart")
def same_in_another_process(folder: Path) -> None:
    """300 steps of 16 envs in two fresh processes: one SHA-256."""
    code = (
        "import hashlib, gymnasium as gym, numpy as np, drivesim\n"
        f"envs = gym.make_vec({CITY!r}, num_envs=16); envs.reset(seed=3); sha = hashlib.sha256()\n"
        "rng = np.random.default_rng(0)\n"
        "for _ in range(300):\n"
        "    for part in envs.step(rng.integers(0, 5, 16))[:4]: sha.update(part.tobytes())\n"
        "print(sha.hexdigest())"
    )
    found = {fresh(code) for _ in range(2)}
    assert len(found) == 1
    assert len(found.pop()) == 65


@report("stable-baselines #79, #1120; tianshou #604; PufferDrive PR #355", "parallel envs drive alike, or share a dice")
def independent_envs(folder: Path) -> None:
    """Env i of a batch is the single environment seeded s + i, and no two of 256 begin alike."""
    envs = gym.make_vec(HIGHWAY, num_envs=256)
    obs, _ = envs.reset(seed=5)
    assert len({row.tobytes() for row in obs}) == 256
    assert_same(gym.make(HIGHWAY).reset(seed=5 + 37)[0], obs[37])


@report("HighwayEnv #76, #256, #520, #651", "other cars crash into each other")
def traffic_does_not_crash(folder: Path) -> None:
    """Dense traffic beside egos that drive at random, hard levels, 400 ticks of 64 worlds: nobody shares a cell."""
    for env_id in (HIGHWAY, INTERSECTION, "drivesim/Merge-v1", CITY):
        envs = gym.make_vec(env_id, num_envs=64, difficulty="hard")
        envs.reset(seed=0)
        rng = np.random.default_rng(0)
        for _ in range(400):
            envs.step(rng.integers(0, 5, 64))
            assert shared_cells(envs.unwrapped.get_state()) == 0


@report("HighwayEnv #158", "dense traffic begins with crashes that nobody can avoid")
def starts_are_safe(folder: Path) -> None:
    """Who brakes from the first tick on hits nobody: 2,000 levels of `Highway`, hard."""
    envs = gym.make_vec(HIGHWAY, num_envs=2000, difficulty="hard", autoreset_mode="Disabled")
    envs.reset(seed=0)
    for _ in range(8):
        terminations = envs.step(np.full(2000, SLOWER))[2]
        assert not terminations.any()


@report("HighwayEnv #312, #268, #284", "what pays most is parking, zig-zags or waiting")
def standing_and_weaving_do_not_pay(folder: Path) -> None:
    """Standing still, steering to and fro in every tick: each returns less than half of the rule-based driver."""

    def mean_return(actions: Callable[[np.ndarray, int], np.ndarray], observation: str) -> float:
        envs = gym.make_vec(HIGHWAY, num_envs=200, observation=observation, autoreset_mode="SameStep")
        obs, _ = envs.reset(seed=0)
        total, done = np.zeros(200), np.zeros(200, np.bool_)
        for tick in range(60):
            obs, rewards, terminations, truncations, _ = envs.step(actions(obs, tick))
            total += np.where(done, 0.0, rewards)
            done |= terminations | truncations
        return float(total.mean())

    driver = make_scripted(HIGHWAY)
    good = mean_return(lambda obs, _: driver(obs), driver.observation)
    assert mean_return(lambda obs, _: np.full(len(obs), SLOWER), "features") < good / 2
    assert mean_return(lambda obs, tick: np.full(len(obs), 0 if tick % 2 else 2), "features") < good / 2


@report("HighwayEnv, `config.get(name, 0)`", "a misspelt weight of the reward counts as 0, silently")
def misspelt_weights(folder: Path) -> None:
    """`reward_weights={"colision": -2}` is refused, with the names that there are."""
    try:
        gym.make(HIGHWAY, reward_weights={"colision": -2.0})
    except (TypeError, ValueError) as error:
        assert "colision" in str(error)
        assert "collision" in str(error)
    else:
        raise AssertionError("taken")


@report(
    "HighwayEnv #656, #677, PR #701; f1tenth_gym #152", "no PettingZoo interface; one reward and end for all agents"
)
def pettingzoo(folder: Path) -> None:
    """PettingZoo's own test of a parallel environment, 300 cycles."""
    parallel_api_test(drivesim.parallel_env(INTERSECTION, num_agents=3), num_cycles=300)


@report("HighwayEnv #641; Gymnasium #836", "attributes are lost behind wrappers")
def through_wrappers(folder: Path) -> None:
    """Every method of our own is reached by `unwrapped`, and by `get_wrapper_attr`."""
    env = gym.make(LANE_KEEP)
    env.reset(seed=0)
    for name in ("get_state", "set_state", "action_masks", "observe", "level_text"):
        assert callable(getattr(env.unwrapped, name))
        assert callable(env.get_wrapper_attr(name))


@report("Minigrid #95; sumo-rl #188; gym #402; roboschool #201", "an environment cannot be saved and restored")
def saved_and_restored(folder: Path) -> None:
    """A state that was written to a file and read back goes on as the original, 200 steps."""
    for env_id in (INTERSECTION, CITY):
        first, second = gym.make_vec(env_id, num_envs=4), gym.make_vec(env_id, num_envs=4)
        first.reset(seed=0)
        second.reset(seed=99)
        for _ in range(20):
            first.step(np.full(4, FASTER))
        np.save(folder / "state.npy", first.unwrapped.get_state(), allow_pickle=False)
        second.unwrapped.set_state(np.load(folder / "state.npy", allow_pickle=False))
        assert_same_future(first, second, 200)


@report("Gymnasium #94, #737", "a deep copy silently begins anew")
def copies_go_on(folder: Path) -> None:
    """`copy.deepcopy` and pickle in the middle of an episode: the copy goes on where the original stands."""
    for make in (copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))):
        env = gym.make(OBSTACLES)
        env.reset(seed=4)
        for _ in range(3):
            env.step(FASTER)
        again = make(env)
        assert np.array_equal(world_bytes(env.unwrapped.get_state()), world_bytes(again.unwrapped.get_state()))
        assert_same_future(env, again, 100)


@report("Minigrid PR #81; Waymax #40", "no levels of one's own")
def own_levels(folder: Path) -> None:
    """A drawn text is played; the level of any scenario can be had as a text, and drives alike."""
    env = gym.make("drivesim/Custom-v1", levels="^G0 ^\n^ #\n^E0 ^\n")
    env.reset(seed=0)
    assert env.step(FASTER)[0] is not None
    other = gym.make(OBSTACLES)
    other.reset(seed=1)
    text = other.unwrapped.level_text()
    assert gym.make("drivesim/Custom-v1", levels=text).reset(seed=1)[0].shape


@report("HighwayEnv #114; gym #976, #990; PLE #26", "pictures are black, or need a screen")
def pictures_without_a_screen(folder: Path) -> None:
    """Without any display, in a fresh process: pictures have more than two colours, and pygame is not loaded."""
    code = (
        "import sys, gymnasium as gym, numpy as np, drivesim\n"
        f"env = gym.make({HIGHWAY!r}, render_mode='rgb_array'); env.reset(seed=0)\n"
        "assert len(np.unique(env.render().reshape(-1, 3), axis=0)) > 2\n"
        "assert 'pygame' not in sys.modules"
    )
    fresh(code, DISPLAY=None, SDL_VIDEODRIVER=None)


@report("MetaDrive #679; SMARTS #794, #805, #1366", "memory grows with every episode and environment")
def closed_environments_are_gone(folder: Path) -> None:
    """200 batches made, driven and closed: no thread and no descriptor is left, and less than 8 MiB of memory."""

    def pages() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])

    def round_() -> None:
        envs = gym.make_vec(HIGHWAY, num_envs=512, num_threads=2)
        envs.reset(seed=0)
        envs.step(np.ones(512, np.int64))
        envs.close()

    for _ in range(20):
        round_()
    before = pages(), threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        round_()
    after = pages(), threading.active_count(), len(os.listdir("/proc/self/fd"))
    assert after[1:] == before[1:]
    assert (after[0] - before[0]) * os.sysconf("SC_PAGE_SIZE") < 8 * 2**20


@report(
    "cleanrl #198, #311, #448, #457; skrl #449; stable-baselines3 #284, #633, #1864; torchrl PR #2851",
    "a time limit counts as an end: the value behind it is lost",
)
def truncation_bootstraps(folder: Path) -> None:
    """One step that a time limit cuts: its target holds gamma times the next value; a termination's does not."""
    rewards, values = torch.tensor([[1.0]]), torch.tensor([[5.0]])
    yes, no = torch.tensor([[True]]), torch.tensor([[False]])
    assert td_target(rewards, values, no, 0.5).item() == 3.5
    assert td_target(rewards, values, yes, 0.5).item() == 1.0
    assert gae(rewards, torch.tensor([[2.0]]), values, no, yes, 0.5, 0.9).item() == 1.5


@report("cleanrl #562; rl_games PR #362", "the step on which an env begins anew is learnt from")
def no_step_of_a_reset(folder: Path) -> None:
    """Under NEXT_STEP such a step has reward 0 and no end, whatever the action; the action changes nothing."""
    envs = [gym.make_vec(LANE_KEEP, num_envs=3, max_episode_steps=3) for _ in range(2)]
    for each in envs:
        each.reset(seed=0)
    for _ in range(3):
        for each in envs:
            answer = each.step(np.full(3, FASTER))
    assert (answer[2] | answer[3]).all()
    first, second = envs[0].step(np.full(3, 0)), envs[1].step(np.full(3, FASTER))
    assert not first[1].any()
    assert not (first[2] | first[3]).any()
    assert_same(first, second)


@report("LeanRL, `linear_schedule`", "exploration is at its end from the first step on")
def schedules(folder: Path) -> None:
    """Linear from 1 to 0.1 in 100 steps: 1 at the start, 0.55 in the middle, 0.1 at the end and behind it."""
    assert [round(linear(1.0, 0.1, step, 100), 6) for step in (0, 50, 100, 500)] == [1.0, 0.55, 0.1, 0.1]


@report(
    "stable-baselines3 #1852, #2281; CVE-2025-32434; dopamine PR #237; torchrl #3617",
    "who loads a file of a run runs what is pickled in it",
)
def no_pickles(folder: Path) -> None:
    """A checkpoint whose arrays and tensors are pickles is refused, and what they hold does not run."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.system, (f"touch {folder}/ran",))

    sound = Checkpoint(values={"step": 1}, tensors={"network": {"weight": torch.ones(2)}}, arrays={"x": np.ones(2)})
    directory = save_checkpoint(sound, folder / "checkpoints", "last", 1)
    manifest = json.loads((directory / "MANIFEST.json").read_text())
    content = pickle.dumps(Evil())
    for path in sorted(directory.iterdir()):
        if path.name != "MANIFEST.json":
            path.write_bytes(content)
            manifest["files"][path.name] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (directory / "MANIFEST.json").write_text(json.dumps(manifest))
    try:
        load_checkpoint(directory)
    except CheckpointError:
        assert not (folder / "ran").exists()
    else:
        raise AssertionError("taken")


@report(
    "stable-baselines3 #326, #868, #1016, #1526, #1643; stable-baselines #301",
    "an interrupted run goes on otherwise than one that never was",
)
def resumed_runs(folder: Path) -> None:
    """Killed four times and resumed each time: the weights, arrays and metrics of the run in one go."""
    ended_well(killed_runs.__file__, str(folder), "4", "0", "pqn")
    killed_runs.require_equal(folder, "pqn")


def piece(number: int, folder: Path) -> Iterator[int]:
    """All of them once."""
    for n, (where, trouble, trial) in enumerate(REPORTS):
        work.doing(f"{where}: {trouble}")
        place = folder / f"{number}-{n}"
        place.mkdir()
        trial(place)
    told = [[where, trouble, " ".join((trial.__doc__ or "").split())] for where, trouble, trial in REPORTS]
    work.tell(figures={"reports": told})
    if number == 0:  # a second round tries no others
        yield len(REPORTS)


if __name__ == "__main__":
    work.run(piece)
