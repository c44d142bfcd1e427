"""Grid driving environments for Gymnasium: exact, fast, and measured on levels never trained on.

    import gymnasium as gym, drivesim
    env = gym.make("drivesim/Obstacles-v0")
    envs = gym.make_vec("drivesim/Highway-v0", num_envs=1024)

Importing the package registers the environments and loads nothing heavy: neither numba nor torch nor pygame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym

from drivesim._version import __version__
from drivesim.actions import Action
from drivesim.registry import ENTRIES

if TYPE_CHECKING:
    from drivesim.integrations.pettingzoo import DriveParallelEnv
    from drivesim.multi_agent import MultiAgentVectorEnv

__all__ = ["Action", "__version__", "parallel_env", "parallel_vec_env"]

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


def parallel_env(env_id: str, num_agents: int = 2, **options: Any) -> DriveParallelEnv:
    """Several egos in one world, as a PettingZoo `ParallelEnv`; see `drivesim.integrations.pettingzoo`."""
    from drivesim.integrations import pettingzoo

    return pettingzoo.parallel_env(env_id, num_agents, **options)


def parallel_vec_env(env_id: str, num_worlds: int, num_agents: int, **options: Any) -> MultiAgentVectorEnv:
    """Worlds x egos as the envs of a vector environment; see `drivesim.multi_agent`."""
    from drivesim.multi_agent import MultiAgentVectorEnv

    return MultiAgentVectorEnv(env_id, num_worlds, num_agents, **options)
