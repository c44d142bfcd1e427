"""Several egos in one world, through PettingZoo's parallel interface.

import drivesim
env = drivesim.parallel_env("drivesim/Highway-v1", num_agents=8)
observations, infos = env.reset(seed=0)
while env.agents:
    actions = {agent: env.action_space(agent).sample(infos[agent]["action_mask"]) for agent in env.agents}
    observations, rewards, terminations, truncations, infos = env.step(actions)
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

from drivesim.checks import RENDER_MODES, checked_render_mode, checked_seed, checked_time_limit, whole
from drivesim.core import batch
from drivesim.core.world import GOING, RUNNING
from drivesim.engine import Array, Engine
from drivesim.env import MAX_LEVEL_SEED
from drivesim.infos import info_of
from drivesim.multi_agent import multi_agent_config
from drivesim.render.view import DEFAULT_SIZE
from drivesim.rendering import RENDER_FPS, Renderer

__all__ = ["DriveParallelEnv", "parallel_env"]

Answers = dict[str, Any]


class DriveParallelEnv(ParallelEnv[str, Array, int]):  # type: ignore[misc]  # it has no types
    """Egos that share a world; the agents are `car_0`, `car_1` and so on.

    Args:
        env_id: such as `drivesim/Highway-v1`: one with room for several egos.
        num_agents: egos, 1 … 8, in City and Custom 32.
        max_episode_steps: time limit; None = the registered one, -1 = none.
        render_mode: None, `"human"`, `"rgb_array"` or `"ansi"`.
        render_size: pixels along the longer side of a picture, at most.
        **options: as in `drivesim.env.DriveEnv`.

    An ego's drive ends by its own arrival or crash; it leaves the world and `agents`, and the others drive on. Every
    ego observes, is paid and ends as the one of the single-agent environment, which is what this is with one agent.
    `infos` hold what the single environment's `info` holds, the `action_mask` as int8, as `Discrete.sample` wants it,
    and each of the `reward_terms` as a number of its own, such as `reward_terms/progress`: TorchRL reads no dicts.

    Raises:
        TypeError, ValueError: for an option that is unknown, of a wrong type or out of range.
    """

    def __init__(
        self,
        env_id: str,
        num_agents: int = 2,
        *,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        render_size: int = DEFAULT_SIZE,
        **options: Any,
    ) -> None:
        entry, self.config, num_egos = multi_agent_config(env_id, num_agents, options)
        max_steps = checked_time_limit(max_episode_steps, entry.max_episode_steps)
        self._engine = Engine(self.config, 1, batch.DISABLED, self.config.max_steps(max_steps), num_egos=num_egos)
        self.render_mode = checked_render_mode(render_mode)
        self._renderer = Renderer(self._engine, self.render_mode, render_size, entry.id)
        self.metadata = {
            "name": f"{entry.module.rpartition('.')[2]}_v{entry.version}",
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "is_parallelizable": True,
        }
        self.possible_agents = [f"car_{n}" for n in range(num_egos)]
        self.agents: list[str] = []
        self._is_closed = False
        # One space each, and always the same one: spaces that are sampled have generators of their own.
        self.observation_spaces = {agent: self._engine.observation_space for agent in self.possible_agents}
        self.action_spaces = {agent: gym.spaces.Discrete(self._engine.num_actions) for agent in self.possible_agents}
        self._actions = np.zeros(num_egos, np.int64)
        self._rewards = np.zeros(num_egos, np.float64)
        self._terminations, self._truncations = np.zeros(num_egos, np.bool_), np.zeros(num_egos, np.bool_)
        self._np_random: np.random.Generator | None = None
        self._np_random_seed = -1  # unknown, as in Gymnasium

    def observation_space(self, agent: str) -> gym.spaces.Box:
        """The space of what an ego observes; the same object every time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.spaces.Discrete:
        """The space of an ego's actions; the same object every time."""
        return self.action_spaces[agent]

    @property
    def np_random(self) -> np.random.Generator:
        """A generator as `gymnasium.Env` has it, for wrappers that draw from it; the environment itself never does."""
        if self._np_random is None:
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random()
        return self._np_random

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        self._np_random, self._np_random_seed = value, -1

    @property
    def np_random_seed(self) -> int:
        """The seed of `np_random`; -1 if it was set and its seed is unknown."""
        self.np_random  # noqa: B018 - made when it is first asked for
        return self._np_random_seed

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Answers, Answers]:
        """Begin an episode: episode 0 of `seed`, or without one the next.

        Args:
            seed: an integer of at least 0, of any size.
            options: `{"level_seed": n}` plays level n. Other keys are for other environments, as the library's own
                tests want it, and are ignored.

        Returns:
            Observations and infos of all egos.

        Raises:
            TypeError, ValueError: for a bad seed or option; nothing has changed.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        seed = checked_seed(seed)
        level_seed = -1
        if options is not None and "level_seed" in options:
            level_seed = whole("level_seed", options["level_seed"], 0, MAX_LEVEL_SEED)
        if seed is not None:
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random(seed)
        only = np.ones(1, np.bool_)
        self._engine.key_worlds(only, [seed])
        self.agents = []  # until a level has been certified
        obs = self._engine.empty_obs()
        self._engine.reset(only, np.array([level_seed], np.int64), obs)
        self.agents = self.possible_agents.copy()
        self._engine.describe()
        self._engine.terms[:] = 0.0
        self._engine.costs[:] = 0.0
        if self._renderer.is_human:
            self._renderer.show()
        return self._by_agent(self.agents, obs), self._infos(self.agents)

    def step(self, actions: dict[str, int]) -> tuple[Answers, Answers, Answers, Answers, Answers]:
        """Advance the world by one tick.

        Args:
            actions: one integer in [0, num_actions) for every agent in `agents`. Those of agents that have left are
                ignored, whatever they are: some libraries send one for every possible agent.

        Returns:
            Observations, rewards, terminations, truncations and infos of all egos that drove in this tick. Where all
            have left, five empty dicts, as from PettingZoo's own environments: SuperSuit's black death waits for that.

        Raises:
            TypeError, ValueError: for a missing agent, an unknown one or a bad action; nothing has moved.
            gymnasium.error.ResetNeeded: before the first reset.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        if not self._engine.is_started:
            raise gym.error.ResetNeeded("call reset() before step(): no ego drives")
        if not isinstance(actions, dict) or not set(self.agents) <= set(actions) <= set(self.possible_agents):
            raise ValueError(f"actions must be a dict with an action for each of {self.agents}, got {actions!r}")
        highest = self._engine.num_actions - 1
        if not self.agents:
            return {}, {}, {}, {}, {}
        chosen = {agent: whole(f"action of {agent}", actions[agent], 0, highest) for agent in self.agents}
        for agent, action in chosen.items():
            self._actions[self.possible_agents.index(agent)] = action
        obs = self._engine.empty_obs()
        try:
            self._engine.step(
                self._actions, obs, self._rewards, self._terminations, self._truncations, is_detailed=True
            )
        finally:
            driving, self.agents = self.agents, self._driving()
        if self._renderer.is_human:
            self._renderer.show(chosen.get(self.possible_agents[0]), self._rewards[0].item())
        answers = (
            self._by_agent(driving, obs),
            self._by_agent(driving, self._rewards.tolist()),
            self._by_agent(driving, self._terminations.tolist()),
            self._by_agent(driving, self._truncations.tolist()),
            self._infos(driving),
        )
        return answers

    def _driving(self) -> list[str]:
        """The egos whose drives go on, by the world itself."""
        world = self._engine.worlds[0]
        drives = (world["egos"]["drive"] == GOING) & (world["stage"] == RUNNING)
        return [agent for k, agent in enumerate(self.possible_agents) if drives[k]]

    def _by_agent(self, agents: list[str], values: Any) -> Answers:
        """The values (A, …) of some egos."""
        return {agent: values[self.possible_agents.index(agent)] for agent in agents}

    def _infos(self, agents: list[str]) -> Answers:
        """The `infos` of a reset or step."""
        engine = self._engine
        infos = {}
        for agent in agents:
            k = self.possible_agents.index(agent)
            info = infos[agent] = info_of(engine, k, self.config.reward == "cost")
            info |= {f"reward_terms/{term}": value for term, value in info.pop("reward_terms").items()}
            infos[agent]["action_mask"] = engine.masks[k].astype(np.int8)
        return infos

    def level_text(self) -> str:
        """The running episode's level as a text; as in `drivesim.env.DriveEnv.level_text`.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        self._check_open()
        if not self._engine.is_started:
            raise gym.error.ResetNeeded("call reset() before level_text()")
        return self._engine.level_text(0)

    def get_state(self) -> Array:
        """A copy of the world, (1,) records, with all that a continuation needs."""
        return self._engine.get_state()

    def set_state(self, state: Array) -> None:
        """Restore a state from `get_state` of an environment with the same options, exactly.

        Raises:
            TypeError, ValueError: if it is no such state; nothing has changed.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        self._engine.set_state(state, None)
        self.agents = self._driving()

    def render(self) -> Any:
        """The world as a picture or as text; None under `"human"`, whose window is up to date.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            gymnasium.error.ClosedEnvironmentError: after `close()`.
        """
        self._check_open()
        return self._renderer.render(0)

    def _check_open(self) -> None:
        if self._is_closed:
            raise gym.error.ClosedEnvironmentError("this environment was closed")

    def close(self) -> None:
        """Free what the environment holds; may be called again."""
        self._is_closed = True
        self.agents = []
        self._renderer.close()
        self._engine.close()


def parallel_env(env_id: str, num_agents: int = 2, **options: Any) -> DriveParallelEnv:
    """Several egos in one world; arguments as of `DriveParallelEnv`."""
    return DriveParallelEnv(env_id, num_agents, **options)
