"""Grid driving environments for Gymnasium: exact, fast, and measured on levels never trained on.

    import gymnasium as gym, drivesim
    env = gym.make("drivesim/Obstacles-v1")
    envs = gym.make_vec("drivesim/Highway-v1", num_envs=1024)

Importing the package registers the environments and loads nothing heavy: neither numba nor torch nor pygame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drivesim._version import __version__
from drivesim.actions import Action
from drivesim.registry import ENTRIES, add_entry

if TYPE_CHECKING:
    from drivesim.integrations.pettingzoo import DriveParallelEnv
    from drivesim.mixed_vec import MixedVectorEnv
    from drivesim.multi_agent import MultiAgentVectorEnv
    from drivesim.scenarios.scenario import Scenario

__all__ = ["Action", "__version__", "make_mixed_vec", "parallel_env", "parallel_vec_env", "register_scenario"]

for _entry in ENTRIES:
    add_entry(_entry)


def register_scenario(
    scenario: type[Scenario],
    *,
    max_episode_steps: int,
    reward_threshold: float,
    summary: str,
    version: int = 0,
    namespace: str = "drivesim",
) -> str:
    """Register a scenario of your own: `gym.make`, `gym.make_vec`, replays and all else know its id from now on.

    Call it where the class is defined, in a module. Another process knows the id once that module is imported there;
    `gym.make("my_module:drivesim/MyScenario-v0")` does so by itself. Registering the same class again replaces it.

    Args:
        scenario: the class; its name becomes that of the environment.
        max_episode_steps: time limit in ticks; a level must be solvable within two thirds of it.
        reward_threshold: mean return of a driver that has solved it.
        summary: the task, in half a line.
        version: to be raised whenever some seed and actions give another result.
        namespace: what stands before the slash of the id.

    Returns:
        The id, `namespace/Name-vN`.

    Raises:
        TypeError, ValueError: naming what is missing, wrong or taken; nothing has been registered.
    """
    from drivesim.registration import checked_entry

    entry = checked_entry(
        scenario,
        max_episode_steps=max_episode_steps,
        reward_threshold=reward_threshold,
        summary=summary,
        version=version,
        namespace=namespace,
    )
    add_entry(entry, scenario)
    return entry.id


def make_mixed_vec(counts: Mapping[str, Any], **options: Any) -> MixedVectorEnv:
    """Envs of several ids in one batch, with one observation and one action space; see `drivesim.mixed_vec`."""
    from drivesim.mixed_vec import MixedVectorEnv

    return MixedVectorEnv(counts, **options)


def parallel_env(env_id: str, num_agents: int = 2, **options: Any) -> DriveParallelEnv:
    """Several egos in one world, as a PettingZoo `ParallelEnv`; see `drivesim.integrations.pettingzoo`."""
    from drivesim.integrations import pettingzoo

    return pettingzoo.parallel_env(env_id, num_agents, **options)


def parallel_vec_env(env_id: str, num_worlds: int, num_agents: int, **options: Any) -> MultiAgentVectorEnv:
    """Worlds x egos as the envs of a vector environment; see `drivesim.multi_agent`."""
    from drivesim.multi_agent import MultiAgentVectorEnv

    return MultiAgentVectorEnv(env_id, num_worlds, num_agents, **options)
