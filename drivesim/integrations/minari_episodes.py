"""The parts of a Minari dataset: the environment that is driven, and its episodes as Minari wants them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from minari.data_collector.episode_buffer import EpisodeBuffer

from drivesim.checks import chosen
from drivesim.config import EnvConfig, jsonable
from drivesim.planning import solve
from drivesim.planning.plan import BUDGET
from drivesim.registry import entry_of_id, ids
from drivesim.replay_file import Replay, begin, config_of, make, seed_of
from drivesim.vector_env import DriveVectorEnv

Array = np.ndarray[Any, Any]
Policy = Callable[[Array], Any]
"""From the observations (N, *obs_shape) of all envs to their actions, integers (N,)."""

LARGEST_HDF5_INTEGER = 2**64 - 1


@dataclass(frozen=True)
class Made:
    """The environment of a dataset, and the options that it is made with."""

    env_id: str
    options: dict[str, Any]
    max_episode_steps: int | None
    config: EnvConfig = field(repr=False)

    @classmethod
    def of(cls, env_id: str, options: Mapping[str, Any], max_episode_steps: int | None) -> Made:
        """Check what is driven."""
        chosen("env_id", env_id, ids())
        if not isinstance(options, Mapping):
            raise TypeError(f"options must be a dict of keyword arguments of gym.make, got {options!r}")
        clean = jsonable(dict(options))
        return cls(env_id, clean, max_episode_steps, config_of(entry_of_id(env_id), clean))

    @property
    def limit(self) -> int:
        """The time limit in ticks, -1 = none."""
        registered = entry_of_id(self.env_id).max_episode_steps
        return registered if self.max_episode_steps is None else self.max_episode_steps

    @property
    def spec(self) -> EnvSpec:
        """What Minari makes the environment from."""
        with contextlib.closing(gym.make(self.env_id, max_episode_steps=self.max_episode_steps, **self.options)) as env:
            assert env.spec is not None
            return env.spec

    def for_evaluation(self) -> Made:
        """The same on all the test levels, and with a time limit."""
        options = {name: value for name, value in self.options.items() if name != "num_levels"}
        limit = None if self.limit == -1 else self.max_episode_steps
        return Made.of(self.env_id, {**options, "split": "test"}, limit)


class Episode(NamedTuple):
    """One episode as it is written."""

    buffer: EpisodeBuffer
    metadata: dict[str, Any]


class Tape:
    """The record of an episode so far."""

    def __init__(self, seed: int, episode: int, level_seed: int | None, obs: Array) -> None:
        self.seed = seed
        self.episode = episode
        self.level_seed = level_seed
        self.observations = [obs]
        self.actions: list[int] = []
        self.rewards: list[float] = []
        self.terminations: list[bool] = []
        self.truncations: list[bool] = []
        self.costs: list[float] = []

    def add(self, action: int, answer: tuple[Array, Any, Any, Any, dict[str, Any]]) -> None:
        """Note one tick: an action and what the environment's `step` answered."""
        obs, reward, terminated, truncated, info = answer
        self.observations.append(obs)
        self.actions.append(int(action))
        self.rewards.append(float(reward))
        self.terminations.append(bool(terminated))
        self.truncations.append(bool(truncated))
        if "cost" in info:
            self.costs.append(float(info["cost"]))

    def finish(self, info: Mapping[str, Any]) -> Episode:
        """The whole episode, from what its last `info` says."""
        return Episode(
            EpisodeBuffer(
                # HDF5 has no larger integers, but Minari reads a number in digits as well.
                seed=self.seed if self.seed <= LARGEST_HDF5_INTEGER else str(self.seed),
                options=None if self.level_seed is None else {"level_seed": self.level_seed},
                observations=np.stack(self.observations),
                actions=np.array(self.actions, np.int64),
                rewards=np.array(self.rewards, np.float64),
                terminations=np.array(self.terminations, np.bool_),
                truncations=np.array(self.truncations, np.bool_),
                infos={"cost": np.array([0.0, *self.costs], np.float64)} if self.costs else {},
            ),
            {
                "episode": self.episode,
                "success": bool(info["success"]),
                "episode_return": float(info["episode_return"]),
            },
        )


def drive(made: Made, policy: Policy, num_episodes: int, num_envs: int, seed: int) -> list[Episode]:
    """The episodes of all envs, as `record` describes."""
    quotas = [len(range(i, num_episodes, num_envs)) for i in range(num_envs)]
    kept: list[list[Episode]] = [[] for _ in quotas]
    # DISABLED: a step's observation is that of the episode which it ends; the env is then reset by hand.
    with contextlib.closing(
        DriveVectorEnv(
            made.config.scenario,
            num_envs,
            max_episode_steps=made.max_episode_steps,
            autoreset_mode=gym.vector.AutoresetMode.DISABLED,
            **made.options,
        )
    ) as envs:
        obs, _ = envs.reset(seed=seed)
        tapes = [Tape(seed + i, 0, None, obs[i]) for i in range(num_envs)]
        while any(len(episodes) < quota for episodes, quota in zip(kept, quotas, strict=True)):
            answered = policy(obs.copy())
            obs, rewards, terminations, truncations, infos = envs.step(answered)
            actions = np.asarray(answered)
            for i, tape in enumerate(tapes):
                info = {"cost": infos["cost"][i]} if "cost" in infos else {}
                tape.add(actions[i], (obs[i], rewards[i], terminations[i], truncations[i], info))
            ended = terminations | truncations
            if not ended.any():
                continue
            obs, _ = envs.reset(options={"reset_mask": ended})
            for i in np.flatnonzero(ended).tolist():
                tape = tapes[i]
                if len(kept[i]) < quotas[i]:
                    kept[i].append(tape.finish({name: values[i] for name, values in infos.items()}))
                tapes[i] = Tape(tape.seed, tape.episode + 1, None, obs[i])
    return [episode for episodes in kept for episode in episodes]


def driven(number: int, replay: Replay) -> Episode:
    """The episode of a replay."""
    replay.check()
    info: dict[str, Any] = {}
    with contextlib.closing(make(replay)) as env:
        tape = Tape(replay.seed, replay.episode, replay.level_seed, begin(env, replay)[0])
        for action in replay.actions:
            answer = env.step(action)
            tape.add(action, answer)
            info = answer[4]
    if not tape.actions or not (tape.terminations[-1] or tape.truncations[-1]):
        raise ValueError(f"replays[{number}] must be a whole episode, but it stops after {len(tape.actions)} ticks")
    return tape.finish(info)


def optimal(
    env_id: str, seeds: Iterable[int], *, options: Mapping[str, Any] | None = None, budget: int = BUDGET
) -> Iterator[Replay]:
    """The best drives that are known: of every seed the first episode's plan, for `from_replays`.

    The plans are those of `drivesim.planning.solve`, exact where its search comes to its end within the budget. They
    know what others will do; a learner that imitates them cannot.

    Args:
        env_id: one of the suite's ids with one ego.
        seeds: of the envs, each an integer in [0, 2**512).
        options: keyword arguments of `gym.make` that say what is driven.
        budget: of the planner, an episode.

    Yields:
        A replay a seed, in their order, each as soon as it is known.

    Raises:
        TypeError, ValueError: naming what is wrong, when the first replay is asked for.
    """
    made = Made.of(env_id, {} if options is None else options, None)
    with contextlib.closing(gym.make(env_id, **made.options)) as env:
        for seed in seeds:
            env.reset(seed=seed_of(seed))
            yield solve(env, budget=budget).replay()
