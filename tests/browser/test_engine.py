"""In the page's scripts a drive goes as in Python: same state, observations, rewards and ends, to the byte."""

import hashlib
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from scripts_in_node import answer

from drivesim.engine import key_of
from drivesim.levels.library import GALLERY
from drivesim.registry import IDS, scenario_of
from drivesim.replay_file import Record, Replay

DRIVES = (Path(__file__).parent / "engine_drives.js").read_text(encoding="utf-8")
SEEDS = (0, 7, 2**40 + 3)
TICKS = 40


def name_of(env_id):
    return env_id.removeprefix("drivesim/").rpartition("-v")[0]


def actions_for(names, seed):
    """A driver that mostly goes ahead."""
    rng = np.random.default_rng(seed)
    weights = [4.0 if name in ("FASTER", "IDLE") else 1.0 for name in names]
    return rng.choice(len(names), TICKS, p=np.array(weights) / sum(weights)).tolist()


def digest(data):
    return hashlib.sha256(data.tobytes()).hexdigest()


def driven(env, drive):
    """What Python makes of a drive, in the terms of the script."""
    options = None if drive["level_seed"] is None else {"level_seed": drive["level_seed"]}
    record, states = Record(*env.reset(seed=drive["seed"], options=options)), []
    for action in drive["actions"]:
        states.append(digest(env.unwrapped.get_state()["world"]))
        if record.is_over:
            break
        record.add(action, env.step(action))
    engine = env.unwrapped._engine
    return {
        "digest": record.digest,
        "outcome": record.outcome,
        "length": len(record.actions),
        "states": states,
        "options": digest(engine.options),
        "map": digest(engine.map_of(0)),
    }


@pytest.mark.parametrize("env_id", [env_id for env_id in IDS if scenario_of(name_of(env_id)).generates_levels()])
def test_a_drive_goes_as_in_python_to_the_byte(node, module, env_id):
    code, manifest = module
    drives, expected = [], []
    for difficulty in ("easy", "hard"):
        for observation in ("grid", "features", "full_grid", "entities", "rgb"):
            env = gym.make(env_id, difficulty=difficulty, split="test", observation=observation)
            for seed, level in ((SEEDS[0], None), (SEEDS[1], None), (SEEDS[2], 11)):
                drive = {"road": name_of(env_id), "difficulty": difficulty, "observation": observation, "seed": seed}
                drive |= {"level_seed": level, "actions": actions_for(env.unwrapped.action_names, seed)}
                drives.append(drive)
                expected.append(driven(env, drive))
    answers = answer(node, DRIVES, module=code, manifest=manifest, drives=drives)
    for drive, wanted, found in zip(drives, expected, answers, strict=True):
        assert {name: found[name] for name in wanted} == wanted, drive


def test_a_drawn_level_is_driven_as_in_python_and_its_replay_is_one_for_python(node, module):
    code, manifest = module
    texts = {name: path.read_text(encoding="utf-8") for name, path in GALLERY.items()}
    one_ego = {name: text for name, text in texts.items() if "E1" not in text}
    drives, expected = [], []
    for name, text in one_ego.items():
        env = gym.make("drivesim/Custom-v1", levels=text)
        for observation in ("grid", "full_grid"):
            env = gym.make("drivesim/Custom-v1", levels=text, observation=observation)
            drive = {"level": text, "observation": observation, "seed": 5, "level_seed": None, "name": name}
            drive["actions"] = actions_for(env.unwrapped.action_names, 5)
            drives.append(drive)
            expected.append(driven(env, drive))
    answers = answer(node, DRIVES, module=code, manifest=manifest, drives=drives)
    for drive, wanted, found in zip(drives, expected, answers, strict=True):
        assert {name: found[name] for name in wanted} == wanted, drive["name"]
        if drive["observation"] == "grid":  # the page's own
            Replay.from_json(found["replay"]).check()


def test_the_key_of_a_seed_is_that_of_numpy_however_long_it_is(node):
    seeds = [0, 1, 2**32 - 1, 2**32, 2**64 + 5, 2**128 + 2**70 + 9, 3**320]
    keys = answer(node, "console.log(JSON.stringify(input.seeds.map(keyOf)))", seeds=[str(seed) for seed in seeds])
    assert keys == [key_of(seed).tolist() for seed in seeds]
