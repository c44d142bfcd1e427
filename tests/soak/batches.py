"""One trajectory, whatever the batch size, the threads, the autoreset mode, the buffers, or who compiled the kernels.

An action is a function of env, episode and tick; of everything that an env answers during an episode a number is kept.
Where DRIVESIM_PREBUILT is set, a partner process with the other value of it has to find the same numbers.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import work
from env_tools import IDS, MODES, OBSERVATIONS, at

from drivesim.config import DIFFICULTIES, REWARDS

NEXT_STEP, SAME_STEP, DISABLED = MODES
SEED, LARGEST, NUM_STEPS, MAX_EPISODES = 11, 1024, 100, 64
VARIANTS: tuple[dict[str, Any], ...] = (
    {"num_envs": LARGEST, "num_threads": 1, "autoreset_mode": NEXT_STEP},
    {"num_envs": LARGEST, "num_threads": 2, "autoreset_mode": SAME_STEP},
    {"num_envs": LARGEST, "num_threads": 3, "autoreset_mode": DISABLED, "copy": False},
    {"num_envs": 300, "num_threads": 1, "autoreset_mode": SAME_STEP, "copy": False},
    {"num_envs": 7, "num_threads": 1, "autoreset_mode": DISABLED},
    {"num_envs": 1, "num_threads": 1, "autoreset_mode": NEXT_STEP, "copy": False},
)
PRIME = np.uint64(0x9E3779B97F4A7C15)
WORDS = np.random.default_rng(0).integers(1, 2**63, 2**15, np.uint64) * np.uint64(2) + np.uint64(1)
ODDS = {4: (0, 1, 2, 2, 2, 2, 2, 3), 5: (0, 1, 1, 1, 2, 3, 3, 3, 3, 4)}


def mixed(numbers: np.ndarray, *arrays: Any) -> np.ndarray:
    """Numbers uint64 (N,) that depend on those of before and on every byte of arrays (N, …)."""
    for array in arrays:
        raw = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
        if raw.shape[1] % 8:
            padded = np.zeros((len(raw), raw.shape[1] + -raw.shape[1] % 8), np.uint8)
            padded[:, : raw.shape[1]] = raw
            raw = padded
        words = raw.view(np.uint64)
        numbers = (numbers ^ (words * WORDS[: words.shape[1]]).sum(axis=1, dtype=np.uint64)) * PRIME
        numbers ^= numbers >> np.uint64(29)
    return numbers


def actions_of(episodes: np.ndarray, ticks: np.ndarray, num_actions: int) -> np.ndarray:
    """The actions (N,) of envs in an episode and tick."""
    envs = np.arange(len(episodes), dtype=np.uint64)
    drawn = mixed(envs, episodes.astype(np.uint64), ticks.astype(np.uint64))
    return np.array(ODDS[num_actions])[(drawn >> np.uint64(32)) % np.uint64(len(ODDS[num_actions]))]


def drawn_options(number: int) -> tuple[str, dict[str, Any]]:
    """Id and options of a piece."""
    dice = random.Random(number)
    env_id = IDS[number % len(IDS)]
    return (
        env_id,
        {
            "observation": dice.choice(OBSERVATIONS[:4]),  # the fifth is drawn by the same loop, at thrice the price
            "reward": dice.choice(list(REWARDS)[:3]),
            "max_episode_steps": dice.randint(8, 40),
            **at(dice.choice(DIFFICULTIES), env_id),
        },
    )


def episodes_of(env_id: str, options: dict[str, Any], variant: dict[str, Any]) -> np.ndarray:
    """uint64 (MAX_EPISODES, N): the number of every episode of every env that has come to its end, else 0."""
    envs = gym.make_vec(env_id, **options, **variant)
    num, mode = envs.num_envs, variant["autoreset_mode"]
    num_actions = int(envs.single_action_space.n)
    found = np.zeros((MAX_EPISODES, num), np.uint64)
    episodes, ticks = np.zeros(num, np.int64), np.zeros(num, np.int64)
    ended = np.zeros(num, np.bool_)
    obs, _ = envs.reset(seed=SEED)
    numbers = mixed(np.zeros(num, np.uint64), obs)

    def begin(which: np.ndarray, shown: np.ndarray) -> None:
        if not which.any():
            return
        numbers[which] = mixed(np.zeros(int(which.sum()), np.uint64), shown[which])
        episodes[which] += 1
        ticks[which] = 0

    for _ in range(NUM_STEPS):
        actions = actions_of(episodes, ticks, num_actions)
        obs, rewards, terminations, truncations, infos = envs.step(actions)
        went = ~ended if mode is NEXT_STEP else np.ones(num, np.bool_)
        if not went.all():
            assert not rewards[~went].any()
            assert not (terminations | truncations)[~went].any()
            begin(~went, obs)
        ends = terminations | truncations
        seen = obs
        if mode is SAME_STEP and ends.any():
            seen = obs.copy()
            seen[ends] = infos["final_obs"][ends]
        told = mixed(numbers, actions, seen, rewards, terminations, truncations)
        numbers[went] = told[went]
        ticks[went] += 1
        last = np.flatnonzero(ends & (episodes < MAX_EPISODES))
        found[episodes[last], last] = numbers[last]
        if mode is SAME_STEP:
            begin(ends, obs)
        elif mode is DISABLED and ends.any():
            begin(ends, envs.reset(options={"reset_mask": ends.copy()})[0])
        else:
            ended = ends.copy()
    envs.close()
    return found


def answered(number: int, found: np.ndarray | None = None) -> list[int]:
    """Of the first variant, whose episodes may be known, for a partner."""
    found = episodes_of(*drawn_options(number), VARIANTS[0]) if found is None else found
    return [int(each) for each in mixed(np.zeros(LARGEST, np.uint64), found.T)[:8]]


def piece(number: int, folder: Path) -> Iterator[int]:
    """One id and options in all variants."""
    env_id, options = drawn_options(number)
    first: np.ndarray | None = None
    for variant in VARIANTS:
        work.doing(f"piece {number}: {env_id} {options} {variant}")
        found = episodes_of(env_id, options, variant)
        if first is None:
            first = found
        ours = first[:, : found.shape[1]]
        both = (ours != 0) & (found != 0)
        if not both.any() or (ours != found)[both].any():
            raise AssertionError(f"another trajectory: {env_id} {options} {variant}")
        yield NUM_STEPS * variant["num_envs"]
    if "DRIVESIM_PREBUILT" in os.environ:
        global partner
        other = "0" if os.environ["DRIVESIM_PREBUILT"] != "0" else "1"
        partner = partner or work.Partner(__file__, DRIVESIM_PREBUILT=other)
        if partner.ask(number) != answered(number, first):
            raise AssertionError(f"prebuilt or not, another trajectory: {env_id} {options}")
        yield NUM_STEPS * LARGEST


partner: work.Partner | None = None

if __name__ == "__main__":
    if sys.argv[1] == "--answer":
        work.answer(answered)
    else:
        work.run(piece)
