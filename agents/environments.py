"""The suite's vector environments as agents make and seed them."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, TypeVar

import gymnasium as gym
import numpy as np

import drivesim
from agents.validation import require
from drivesim.checks import whole
from drivesim.config import DIFFICULTIES
from drivesim.levels.library import canonical_texts
from drivesim.registry import ENTRIES, entries, own_id, scenario_of
from drivesim.registry import ids as all_ids

__all__ = [
    "ALL",
    "CUSTOM",
    "EnvChoice",
    "LevelChoice",
    "asked_for",
    "env_for",
    "env_seeds",
    "generates_levels",
    "ids_of",
    "level_options",
    "load_kernels",
    "make_envs",
    "registered_ids",
    "shares",
    "with_level_options",
]

CUSTOM = "drivesim/Custom-v1"
"""The environment to which levels are given."""
ALL = "all"
"""What stands for all environments of the suite that make their own levels."""
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class LevelChoice:
    """Which levels are driven: flags of every command line that makes an environment."""

    difficulty: str | None = None
    """Difficulty of the levels, easy, medium or hard; None takes the environment's default."""
    level_options: dict[str, int] = field(default_factory=dict)
    """Options of the levels that replace the difficulty's, in pairs: num_vehicles 20 length 90."""
    levels: tuple[str, ...] = ()
    """Levels of your own, for drivesim/Custom-v1: texts, files, patterns of files, or names such as gallery/chicane."""

    def chosen_in(self, config: EnvChoice) -> EnvChoice:
        """The configuration with what is chosen here; what is not stays as it was.

        Raises:
            ValueError: if the environment has no such levels.
        """
        chosen = {option.name: getattr(self, option.name) for option in fields(LevelChoice)}
        return replace(config, **{name: value for name, value in chosen.items() if value})


@dataclass(frozen=True)
class EnvChoice(LevelChoice):
    """An environment, and the options that stay the same for training and evaluation.

    Raises:
        ValueError: for levels, or options of them, that the environment does not have.
    """

    env: str = "drivesim/Obstacles-v1"
    """Environment id, or several, separated by commas, or "all": one driver for all of them. MODULE:ID imports the
    module that registers the id."""
    among: str = ""
    """Of a driver that was trained for several environments, their ids, separated by commas, where env is one of
    them: observation and actions are those of all."""
    observation: str | None = None
    """Observation kind; None takes the environment's default."""
    reward_weights: dict[str, float] = field(default_factory=dict)
    """Weights of the reward that differ from the environment's while training; evaluation always pays
    the default reward."""

    def __post_init__(self) -> None:
        """Checks the ids and the options of the levels, and reads the levels that are given."""
        if self.difficulty is not None:
            require("difficulty", self.difficulty, self.difficulty in DIFFICULTIES, f"one of {list(DIFFICULTIES)}")
        ids = ids_of(self.env)
        if len(set(ids)) < len(ids):
            raise ValueError(f"env must name every id once, got {self.env!r}")
        if self.among and self.env not in self.among.split(","):
            raise ValueError(f"env must be one of those in among, {self.among!r}, got {self.env!r}")
        object.__setattr__(self, "env", ",".join(ids))
        bounds = level_options(self.env)
        for name, value in self.level_options.items():
            if name not in bounds:
                there = f"among {_in_words(bounds)}" if bounds else "left out, since it has none"
                raise ValueError(f"level_options of {self.env} must be {there}, got {name!r} = {value!r}")
            whole(name, value, *bounds[name])
        if self.levels:
            if all(map(generates_levels, ids)):
                raise ValueError(f"levels must be left out, got some: {self.env} makes its own; {CUSTOM} takes them")
            object.__setattr__(self, "levels", canonical_texts(self.levels))

    def each(self) -> tuple[Self, ...]:
        """Returns a choice for each of its ids, in all of which a driver sees and does the same; itself for one."""
        ids = self.env.split(",")
        return tuple(map(self._part, ids)) if len(ids) > 1 else (self,)

    def _part(self, env_id: str) -> Self:
        """The choice for one of several ids, with what is meant for it: a difficulty or levels."""
        if generates_levels(env_id):
            return replace(self, env=env_id, among=self.env, levels=())
        return replace(self, env=env_id, among=self.env, difficulty=None)

    def only(self, env_id: str) -> Self:
        """Returns the choice for one of its ids, that of a replay.

        Raises:
            ValueError: it is none of them.
        """
        for choice in self.each():
            if choice.env == env_id:
                return choice
        raise ValueError(f"env of the driver must be that of the replay, {env_id!r}, got {self.env!r}")

    def part(self, env_id: str | None) -> Self:
        """Returns the choice for one of its ids, which is asked for; itself if none is.

        Raises:
            ValueError: it is none of them.
        """
        known = self.env.split(",")
        is_one = env_id in (None, self.env, *known)
        require("env", env_id, is_one, f"one that the run was trained on, {', '.join(known)}")
        return self if env_id is None or env_id == self.env else self.only(env_id)

    def seen(self) -> dict[str, Any]:
        """Returns the keyword arguments for ``gym.make`` that say what is seen and how actions are numbered."""
        if self.among:
            from drivesim.mixed_vec import common_options  # which loads the kernels

            return common_options(self.among.split(","), self.observation or "features")
        return {} if self.observation is None else {"observation": self.observation}

    def options(self, split: str | None = None) -> dict[str, Any]:
        """Returns the keyword arguments for ``gym.make`` of one id, without those left to the default.

        Args:
            split: stream of levels; left out where levels are given, for there is but one.
        """
        options = {
            **self.seen(),
            "difficulty": self.difficulty,
            "levels": list(self.levels) or None,
        }
        if generates_levels(self.env):
            options["split"] = split
        return {**{name: value for name, value in options.items() if value is not None}, **self.level_options}


def env_for(given: str | None, levels: Collection[str] | None, otherwise: _T) -> str | _T:
    """Returns the environment of a command line: the given one; else, where levels are given, the one that takes them.

    Args:
        given: what --env says, None if it is left out.
        levels: what --levels says.
        otherwise: what is meant where both are left out.
    """
    if given is not None:
        return given
    return CUSTOM if levels else otherwise


def ids_of(env: str) -> list[str]:
    """Returns the ids that a text names: one, several, separated by commas, or all that make their own levels.

    The module of ``my_module:ID`` is imported: such a text is somebody's at this machine, and never one from a file.

    Raises:
        ValueError: there is no such module.
    """
    if env == ALL:
        return [entry.id for entry in ENTRIES if scenario_of(entry.name).generates_levels()]
    return [own_id(env_id.strip()) for env_id in env.split(",")]


def asked_for(env: str | None) -> str | None:
    """Returns what --env asks for beside a run, as :func:`ids_of`; None if it is left out."""
    return None if env is None else ",".join(ids_of(env))


def level_options(env_id: str) -> dict[str, tuple[int, int]]:
    """Least and greatest value of every option that the levels of an environment have; nothing for one unknown."""
    names = [entry.name for entry in entries() if entry.id == env_id]
    return {
        option.name: (option.metadata["low"], option.metadata["high"])
        for name in names
        for option in fields(scenario_of(name).config)
    }


def _in_words(bounds: dict[str, tuple[int, int]]) -> str:
    """Options and what they may be."""
    return ", ".join(f"{name} {low} to {high}" for name, (low, high) in bounds.items())


def with_level_options(description: str, arguments: Sequence[str], env_id: str | None = None) -> str:
    """The description of a command line; for who asks for help, with the options of levels and what they may be.

    Args:
        description: of the command line.
        arguments: that it was given.
        env_id: the environment whose options are listed; None = all.
    """
    if not {"-h", "--help"} & set(arguments):
        return description
    lines = []
    for entry in entries():
        bounds = level_options(entry.id)
        if bounds and env_id in (None, entry.id):
            lines.append(
                f"    {entry.id}: " + ", ".join(f"{name} {low} to {high}" for name, (low, high) in bounds.items())
            )
    return "\n".join([description.rstrip(), "", "Options of the levels, for --level-options:", *lines, ""])


def generates_levels(env_id: str) -> bool:
    """Whether an environment has a generator of levels, with difficulties and splits; else its levels are given."""
    scenario = next((scenario_of(entry.name) for entry in entries() if entry.id == env_id), None)
    return scenario is None or scenario.generates_levels()


def make_envs(
    config: EnvChoice,
    num_envs: int,
    split: str,
    reward_weights: dict[str, float] | None = None,
    autoreset_mode: str = gym.vector.AutoresetMode.SAME_STEP.value,
    env_shares: dict[str, int] | None = None,
) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Makes a vector environment that hands out views.

    Same-step autoreset, the default, has no rows without a transition. With ``copy=False`` the next
    step overwrites what a step returned: callers must store what they keep before stepping.

    Args:
        config: environment and options.
        num_envs: number of envs, of several ids together; at least one of each.
        split: "train" or "test", disjoint streams of levels.
        reward_weights: those that differ from the environment's.
        autoreset_mode: value of ``gymnasium.vector.AutoresetMode``.
        env_shares: of several ids, the share of each in the envs; 1 of those that are not named.

    Raises:
        ValueError: an id is not registered.
    """
    choices = config.each()
    for choice in choices:
        require_registered(choice.env)
    common: dict[str, Any] = {"autoreset_mode": autoreset_mode, "copy": False}  # a string, which JSON can hold
    if reward_weights:
        common["reward_weights"] = dict(reward_weights)
    if len(choices) == 1:
        try:
            return gym.make_vec(config.env, num_envs=num_envs, **common, **config.options(split))
        except TypeError as error:  # an environment of another package
            if config.env in registered_ids():
                raise
            raise ValueError(f"env must be made as the suite's ids are, {config.env} is not: {error}") from error
    shared = choices[0].seen()
    counts = {}
    weights = [(env_shares or {}).get(choice.env, 1) for choice in choices]
    for choice, share in zip(choices, shares(num_envs, weights), strict=True):
        own = {name: value for name, value in choice.options(split).items() if name not in shared}
        counts[choice.env] = {"num_envs": share, **own}
    return drivesim.make_mixed_vec(counts, observation=shared["observation"], **common)


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Returns a total in parts of at least 1 whose rest is shared out by weights of at least 1, as well as can be.

    What is left over goes to the largest remainders, to the first of equal ones.
    """
    rest, whole_weight = max(total - len(weights), 0), sum(weights)
    parts = [1 + rest * weight // whole_weight for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: -(rest * weights[n] % whole_weight))
    for n in by_remainder[: rest + len(weights) - sum(parts)]:
        parts[n] += 1
    return parts


def load_kernels(config: EnvChoice) -> None:
    """Steps an environment that is thrown away, so that what has to be compiled is, before a clock starts."""
    with contextlib.closing(make_envs(config, 1, "train")) as envs:
        envs.reset(seed=0)
        envs.step(np.zeros(envs.num_envs, np.int64))
        for name in ("observe", "action_masks"):
            getattr(envs.unwrapped, name, lambda: None)()


def env_seeds(run_seed: int, num_envs: int) -> list[int]:
    """Returns one well separated seed per env.

    Not ``run_seed + i``, which is what a single integer passed to ``reset`` means: with it, run
    1 would drive 511 of the 512 envs that run 0 drove, and repeated runs would not be independent.

    Args:
        run_seed: any integer >= 0.
        num_envs: number of envs.
    """
    state = np.random.SeedSequence([run_seed]).generate_state(num_envs, np.uint64)
    return [int(seed) for seed in state]


def registered_ids() -> list[str]:
    """Returns the ids of the suite, and of scenarios of one's own that were registered."""
    importlib.import_module("drivesim")
    return sorted(all_ids())


def require_registered(env_id: str) -> str:
    """Returns an id that is registered, of ``my_module:ID`` the latter; the module is imported, see :func:`ids_of`.

    Raises:
        ValueError: it is not registered; lists what is.
    """
    env_id = own_id(env_id)
    known = registered_ids()  # importing the suite registers its ids
    if env_id not in gym.registry:
        name, _, version = env_id.rpartition("-v")
        same = [other for other in known if other.rpartition("-v")[0] == name and version]
        there = f"{same[-1]}, another version" if same else f"{known}; those of other packages as MODULE:ID"
        raise ValueError(f"env must be a registered id, got {env_id!r}; there is {there}")
    return env_id
