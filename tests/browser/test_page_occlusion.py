"""The page's x-ray hides what Python's hides, and sees without it what Python sees."""

import hashlib
from pathlib import Path

import gymnasium as gym
import pytest
from scripts_in_node import answer

from drivesim.occlusion import occlusions

CHECKS = (Path(__file__).parent / "occlusion_checks.js").read_text(encoding="utf-8")
IDLE = 1


@pytest.mark.parametrize("name", ["Obstacles", "LaneKeep", "Highway", "Intersection", "Crosswalk", "Parking"])
def test_without_a_thing_the_page_sees_what_python_sees(node, module, name):
    code, manifest = module
    drives, wanted = [], []
    for observation in ("grid", "features"):
        for seed in (1, 2):
            env = gym.make(f"drivesim/{name}-v1", split="test", observation=observation)
            env.reset(seed=seed)
            actions = []
            while len(actions) < 2:
                *_, terminated, _, _ = env.step(IDLE)
                if terminated:
                    env.reset(seed=seed)
                    actions = []
                    break
                actions.append(IDLE)
            places, seen = occlusions(env)
            digests = [hashlib.sha256(obs.tobytes()).hexdigest() for obs in seen]
            wanted.append({f"{row},{col}": found for (row, col), found in zip(places.tolist(), digests, strict=True)})
            drives.append({"road": name, "observation": observation, "seed": seed, "actions": actions})
    answers = answer(node, CHECKS, module=code, manifest=manifest, drives=drives)
    for drive, expected, found in zip(drives, wanted, answers, strict=True):
        assert found["isUnchanged"]
        assert found["seen"] == expected, drive
