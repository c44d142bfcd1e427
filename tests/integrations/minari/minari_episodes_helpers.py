"""Random drivers, and what is said about every dataset: Minari warns of what is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np

from drivesim.replay import Replay, ReplayRecorder

OBSTACLES = "drivesim/Obstacles-v1"
HIGHWAY = "drivesim/Highway-v1"
INTERSECTION = "drivesim/Intersection-v1"
ABOUT = {
    "algorithm_name": "random",
    "author": {"A. Author", "B. Author"},
    "author_email": "author@example.org",
    "code_permalink": "https://example.org/driver",
}
ODDS = (0.08, 0.3, 0.08, 0.3, 0.24)  # keep many cars on the road for some time


def random_policy(seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    return lambda obs: rng.choice(5, len(obs), p=ODDS)


def human_replays(env_id: str, resets: Sequence[dict], **options: object) -> list[Replay]:
    """Whole episodes of a recorder, one for each dict of `reset`'s arguments."""
    rng = np.random.default_rng(1)
    env = ReplayRecorder(gym.make(env_id, **options))
    replays = []
    for arguments in resets:
        env.reset(**arguments)
        is_over = False
        while not is_over:
            _, _, terminated, truncated, _ = env.step(int(rng.choice(5, p=ODDS)))
            is_over = terminated or truncated
        replays.append(env.replay)
    return replays


def files_in(root: Path) -> list[str]:
    """All that lies in a folder, which need not exist."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
