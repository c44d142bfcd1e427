"""What nobody sane would hand over is taken, or refused with a documented error, at once and in little memory.

Options, states, texts of levels, replays, configurations of runs, and whole run folders with their checkpoints.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fuzz_states
import gymnasium as gym
import numpy as np
import work
from env_tools import AUTODRIVE, IDS, REFUSALS
from killed_runs import CASES, RUN
from test_faults import canonical_texts, mutated, result_of
from test_strangers import VALUES, places

import drivesim
from agents.checkpoint import CheckpointError
from agents.run_config import read_configs
from agents.training import load_policy, train
from drivesim.config import EnvConfig
from drivesim.levels.text import LevelError
from drivesim.replay import Replay, ReplayError, all_moments

NUM_CASES = {"options": 1000, "states": 200, "texts": 1000, "replays": 1000, "folders": 100}
"""Of a piece: a state is driven for as long as ten of the others take."""
MAX_SECONDS = 10.0
"""Of the CPU, for a single case but the first of its kind, which compiles."""
NASTY: tuple[Any, ...] = (
    *VALUES, 0, 2, 3, 7, 64, 255, 2**31, 2**63, -(2**63), 0.5, -0.0, 1e-300, b"x", (), (1, 2, 3), (0, 0, 0), "easy",
    "train", "\x00", "../../etc/passwd", "x" * 5000, {1}, object(), print, np.int8(3), np.nan, np.array([1, 2]),
    np.float32(2), "é\u2028", ["a"] * 50, {"collision": float("nan")}, {"collision": 1e308}, "^G0\n^E0\n", "gallery/*",
)  # fmt: skip
NAMES = (
    "observation", "window", "all_planes", "num_entities", "all_actions", "difficulty", "split", "num_levels", "reward",
    "reward_weights", "traffic", "dawdle", "levels", "render_mode", "render_size", "max_episode_steps", "length",
    "num_lanes", "num_vehicles", "num_obstacles", "num_walls", "people", "nonsense", "scenario", "num_envs", "copy",
    "autoreset_mode", "num_threads",
)  # fmt: skip


def value_of(dice: random.Random) -> Any:
    """Anything."""
    return dice.choice(NASTY) if dice.random() < 0.7 else dice.randint(-5, 70)


def options(number: int, folder: Path) -> Iterator[int]:
    """Keyword arguments of `make` and `make_vec` with any values; what is taken can be driven."""
    dice = random.Random(number)
    for case in range(NUM_CASES["options"]):
        env_id = dice.choice(IDS)
        given = {name: value_of(dice) for name in dice.sample(NAMES, dice.randint(1, 3))}
        num_envs = given.get("num_envs", 0)
        if str(given.get("render_mode")) == "human" or (isinstance(num_envs, int) and num_envs > 100):
            continue  # a window; more memory than one asks for by mistake
        work.doing(f"piece {number}, case {case}: {env_id} {given}")
        maker: Callable[..., Any] = gym.make_vec if {"num_envs", "copy", "num_threads"} & set(given) else gym.make
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's, on what it does not know
            try:
                env = maker(env_id, **given)
            except (*REFUSALS, AttributeError):
                yield 1
                continue
        try:
            env.reset(seed=case)
            for _ in range(3):
                env.step(env.action_space.sample())
        except gym.error.Error as error:
            assert "level" in str(error) or "reset" in str(error), error
        env.close()
        yield 1


spoilt: dict[str, fuzz_states.Fuzzed] = {}


def states(number: int, folder: Path) -> Iterator[int]:
    """States with numbers changed anywhere: refused and nothing changed, or driven within their memory."""
    env_id = IDS[number % len(IDS)]
    if env_id not in spoilt:
        spoilt[env_id] = fuzz_states.Fuzzed(env_id, "unaware" if env_id == AUTODRIVE else "krauss")
    fuzzed = spoilt[env_id]
    rng = np.random.default_rng(number)
    paths = list(fuzz_states.fields_of(fuzzed.good))
    for case in range(NUM_CASES["states"]):
        state = fuzzed.good.copy()
        what = []
        for _ in range(int(rng.integers(1, 3))):
            values = fuzz_states.at(state, paths[int(rng.integers(len(paths)))])
            place = tuple(int(rng.integers(length)) for length in values.shape)
            if values.dtype.kind == "f":
                values[place] = rng.choice([0.0, -1.0, np.nan, np.inf, 1e300])
            else:
                low, high = np.iinfo(values.dtype).min, np.iinfo(values.dtype).max
                likely = [0, 1, 2, 3, 5, high, high - 1, low, int(rng.integers(0, 41))]
                values[place] = min(max(int(likely[int(rng.integers(len(likely)))]), low), high)
            what.append((place, values[place]))
        work.doing(f"piece {number}, case {case}: {env_id} {what}")
        fuzzed.judge(state, case, what)
        yield 1


texts_of_levels: list[str] = []


def texts(number: int, folder: Path) -> Iterator[int]:
    """Texts of levels with letters, words and lines changed."""
    if not texts_of_levels:
        texts_of_levels.extend(canonical_texts())
        result_of(texts_of_levels[0])  # compiles
    rng = np.random.default_rng(number)
    for case in range(NUM_CASES["texts"]):
        text = mutated(texts_of_levels[int(rng.integers(len(texts_of_levels)))], rng)
        work.doing(f"piece {number}, case {case}: {text!r}")
        found = result_of(text)
        if isinstance(found, LevelError):
            assert "{" not in str(found)
        yield 1


def spoil_json(record: Any, dice: random.Random) -> Any:
    """A copy with a value somewhere replaced, taken away or added."""
    record = json.loads(json.dumps(record))
    path = dice.choice([path for path in places(record) if path])
    parent = record
    for key in path[:-1]:
        parent = parent[key]
    if dice.random() < 0.1:
        del parent[path[-1]]
    elif dice.random() < 0.1:
        parent[dice.choice(("x", "../x", "__class__", ""))] = dice.choice(VALUES)
    else:
        parent[path[-1]] = dice.choice(VALUES)
    return record


def spoil_bytes(content: bytes, dice: random.Random) -> bytes:
    """The bytes with some changed, or cut off."""
    raw = bytearray(content)
    if dice.random() < 0.2:
        return bytes(raw[: dice.randrange(len(raw) + 1)])
    for _ in range(dice.randint(1, 4)):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    return bytes(raw)


replays_of_ids: dict[str, Replay] = {}


def replays(number: int, folder: Path) -> Iterator[int]:
    """Files of replays with values or bytes changed; what is read can be shown, or goes another way than it says."""
    dice = random.Random(number)
    env_id = IDS[number % len(IDS)]
    if env_id not in replays_of_ids:
        replays_of_ids[env_id] = Replay.of(env_id, {}, seed=number, actions=[1])
    text = replays_of_ids[env_id].to_json()
    for case in range(NUM_CASES["replays"]):
        content = (
            spoil_bytes(text.encode(), dice)
            if dice.random() < 0.5
            else json.dumps(spoil_json(json.loads(text), dice)).encode()
        )
        work.doing(f"piece {number}, case {case}: {content!r}")
        (folder / "replay.json").write_bytes(content)
        with contextlib.suppress(ReplayError, gym.error.Error):
            all_moments(Replay.load(folder / "replay.json"))
        yield 1


def folders(number: int, folder: Path) -> Iterator[int]:
    """Run folders whose configuration has other values, or whose files have other bytes."""
    dice = random.Random(number)
    env_id, agent = CASES["ppo"]
    whole, given = folder / "whole", folder / "given"
    if not (whole / "config.json").exists():
        shutil.rmtree(whole, ignore_errors=True)
        run = {**RUN.__dict__, "env": env_id, "agent": "ppo", "total_steps": 160}
        train(type(RUN)(**run), agent, whole)
    config = (whole / "config.json").read_text()
    for case in range(NUM_CASES["folders"]):
        if case % 4:
            shutil.rmtree(given, ignore_errors=True)
            given.mkdir()
            content = json.dumps(spoil_json(json.loads(config), dice))
            work.doing(f"piece {number}, case {case}: {content}")
            (given / "config.json").write_text(content)
            with contextlib.suppress(ValueError):
                read_configs(given)
            yield 1
            continue
        shutil.rmtree(given, ignore_errors=True)
        shutil.copytree(whole, given)
        files = sorted(path for path in given.rglob("*") if path.is_file() and path.suffix not in (".html", ".lock"))
        path = dice.choice(files)
        path.write_bytes(spoil_bytes(path.read_bytes(), dice) if path.stat().st_size else b"x")
        work.doing(f"piece {number}, case {case}: {path.relative_to(given)}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which checkpoint is damaged
            with contextlib.suppress(ValueError, CheckpointError):
                load_policy(given)
        yield 1


KINDS = (options, states, texts, replays, folders)


def piece(number: int, folder: Path) -> Iterator[int]:
    """Some cases of one kind, each within its time."""
    start = math.inf  # the first case compiles
    for n, count in enumerate(KINDS[number % len(KINDS)](number // len(KINDS), folder)):
        seconds = time.process_time() - start
        if seconds > MAX_SECONDS:
            raise AssertionError(f"case {n} took {seconds:.1f} s")
        yield count
        start = time.process_time()


if __name__ == "__main__":
    assert drivesim, EnvConfig
    work.run(piece)
