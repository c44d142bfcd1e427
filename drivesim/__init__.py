"""Grid driving environments for Gymnasium: exact, fast, and measured on levels never trained on.

    import gymnasium as gym, drivesim
    env = gym.make("drivesim/Obstacles-v0")
    envs = gym.make_vec("drivesim/Highway-v0", num_envs=1024)

Importing the package registers the environments and loads nothing heavy: neither numba nor torch nor pygame.
"""

import gymnasium as gym

from drivesim._version import __version__
from drivesim.actions import Action
from drivesim.registry import ENTRIES

__all__ = ["Action", "__version__"]

for _entry in ENTRIES:
    if _entry.id not in gym.registry:
        gym.register(
            id=_entry.id,
            entry_point="drivesim.env:DriveEnv",
            vector_entry_point="drivesim.vector_env:DriveVectorEnv",
            max_episode_steps=_entry.max_episode_steps,
            reward_threshold=_entry.reward_threshold,
            kwargs={"scenario": _entry.name},
        )
