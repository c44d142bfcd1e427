"""A replay: its fields, its file, and the check that the episode still goes that way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from drivesim._version import __version__
from drivesim.checks import boolean, checked_seed, chosen, real, whole
from drivesim.config import LARGEST, EnvConfig, jsonable
from drivesim.env import MAX_LEVEL_SEED
from drivesim.files import write_whole
from drivesim.levels.library import are_texts, canonical_texts
from drivesim.registry import Entry, entry_of_id, ids

Array = np.ndarray[Any, Any]

FORMAT = 1
MAX_BYTES = 1 << 20  # of a file: a million ticks
MAX_SEED_BITS = 512  # longer ones would not fit into a file's name
MAX_COUNT = 1 << 62  # episodes or ticks
OUTCOME = ("success", "return", "length")
DIGEST = re.compile("[0-9a-f]{64}")
ACTIONS = re.compile("[0-9]*")


class ReplayError(ValueError):
    """A file is no replay, or an episode does not go as it was recorded."""


@dataclass(frozen=True)
class Replay:
    """An episode, from its start to its end or as far as it was driven.

    Raises:
        TypeError, ValueError: naming a field that is not as described here.
    """

    env_id: str
    """One of the suite's ids."""
    options: Mapping[str, Any]
    """Keyword arguments of `gym.make` that say what is driven, in terms of JSON; none of those that only show it, and
    levels as texts."""
    seed: int
    """Of the env, below 2**512; env i of a vector environment that was reset with seed s has seed s + i."""
    actions: tuple[int, ...]
    """One per tick, as the environment counts them; in JSON a string of digits."""
    digest: str
    """SHA-256 (hexadecimal): first of the first observation, then, tick by tick, of the digest so far (32 bytes)
    followed by observation, reward (float64), terminated and truncated (a byte each), all little-endian."""
    outcome: Mapping[str, Any]
    """For people: `success`, `return` and `length` so far."""
    episode: int = 0
    """Episodes of this env's seed that came before: `reset(seed=s)` begins episode 0, each further reset the next."""
    level_seed: int | None = None
    """The level, if the reset's options gave one."""
    max_episode_steps: int | None = None
    """The time limit if it was not the registered one, ticks; -1 = none."""
    version: str = __version__
    """Of drivesim, when it was recorded."""

    def __post_init__(self) -> None:
        """Check every field, and make plain values of NumPy's."""
        chosen("env_id", self.env_id, ids())
        if not isinstance(self.options, Mapping):
            raise TypeError(f"options must be a dict of keyword arguments of gym.make, got {self.options!r}")
        clean: dict[str, Any] = {"options": jsonable(dict(self.options))}
        num_actions = len(config_of(self.entry, clean["options"]).actions)
        clean["seed"] = seed_of(self.seed)
        clean["episode"] = whole("episode", self.episode, 0, MAX_COUNT)
        if self.level_seed is not None:
            clean["level_seed"] = whole("level_seed", self.level_seed, 0, MAX_LEVEL_SEED)
        limit = self.entry.max_episode_steps
        if self.max_episode_steps is not None:
            limit = clean["max_episode_steps"] = whole("max_episode_steps", self.max_episode_steps, -1, MAX_COUNT)
            if limit == 0:
                raise ValueError("max_episode_steps must be None, -1 or at least 1, got 0")
        if isinstance(self.actions, (str, bytes)) or not isinstance(self.actions, Iterable):
            raise TypeError(f"actions must be integers in [0, {num_actions - 1}], got {self.actions!r}")
        highest = num_actions - 1
        clean["actions"] = tuple(whole(f"actions[{n}]", action, 0, highest) for n, action in enumerate(self.actions))
        if 0 <= limit < len(clean["actions"]):
            raise ValueError(f"actions must stop at the time limit of {limit} ticks, got {len(clean['actions'])}")
        if not isinstance(self.digest, str) or not DIGEST.fullmatch(self.digest):
            raise ValueError(f"digest must be 64 hexadecimal digits, got {self.digest!r}")
        if not isinstance(self.version, str) or not 0 < len(self.version) <= 64:
            raise ValueError(f"version must be a string of 1 to 64 characters, got {self.version!r}")
        clean["outcome"] = checked_outcome(self.outcome)
        for name, value in clean.items():
            object.__setattr__(self, name, value)

    @property
    def entry(self) -> Entry:
        """The registry's line."""
        return entry_of_id(self.env_id)

    @classmethod
    def of(
        cls,
        env_id: str,
        options: Mapping[str, Any],
        seed: int,
        actions: Iterable[int],
        *,
        episode: int = 0,
        level_seed: int | None = None,
        max_episode_steps: int | None = None,
    ) -> Replay:
        """The replay of these actions, for example of an env of a vector environment; arguments as the fields.

        Raises:
            TypeError, ValueError: naming what is wrong.
            ReplayError: if the actions go on after the episode's end.
        """
        if isinstance(options, dict) and options.get("levels") is not None:  # from files too, as `gym.make` takes them
            options = {**options, "levels": canonical_texts(options["levels"])}
        draft = cls(
            env_id=env_id,
            options=options,
            seed=seed,
            actions=actions,  # type: ignore[arg-type]  # made a tuple once it is checked
            digest="0" * 64,
            outcome=dict.fromkeys(OUTCOME, 0) | {"success": False},
            episode=episode,
            level_seed=level_seed,
            max_episode_steps=max_episode_steps,
        )
        record = driven(draft)
        if len(record.actions) < len(draft.actions):
            raise ReplayError(
                f"actions must stop at the episode's end after {len(record.actions)} ticks, got {len(draft.actions)}"
            )
        return replace(draft, digest=record.digest, outcome=record.outcome)

    def check(self) -> Record:
        """Drive the episode again and compare.

        Returns:
            The drive as it went, with what is known of it at its end.

        Raises:
            ReplayError: if it does not go as it was recorded.
        """
        record = driven(self)
        if (record.digest, record.outcome, len(record.actions)) == (self.digest, self.outcome, len(self.actions)):
            return record
        advice = f"install drivesim=={self.version} to see it as it was"
        if self.version == __version__:
            advice = "it was changed after recording, or recorded on a machine that computes otherwise"
        raise ReplayError(
            f"the episode of {self.env_id} with seed {self.seed} that was recorded with drivesim {self.version} goes "
            f"another way with drivesim {__version__}: {advice}; verify=False shows what its actions lead to here"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows in place of the fields: the page that plays the episode."""
        from drivesim.notebook import framed

        return framed(self)

    def to_json(self) -> str:
        """The text of a file."""
        record = {"format": FORMAT, **asdict(self), "actions": "".join(map(str, self.actions))}
        return json.dumps(record, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Replay:
        """The inverse of `to_json`.

        Raises:
            ReplayError: naming the field that is missing, unknown or wrong.
        """
        try:
            record = json.loads(text, object_pairs_hook=without_repetitions, parse_constant=refuse_constant)
            if not isinstance(record, dict):
                raise TypeError(f"it must be an object, got {str(record)[:80]}")
            if record.get("format") != FORMAT or isinstance(record["format"], bool):
                raise ValueError(f"format must be {FORMAT}, got {record.get('format')!r}")
            names = {"format", *(each.name for each in fields(cls))}
            for name in sorted(names ^ set(record)):
                raise ValueError(f"{name} is {'missing' if name in names else f'no field; there are {sorted(names)}'}")
            if not isinstance(record["actions"], str) or not ACTIONS.fullmatch(record["actions"]):
                raise TypeError(f"actions must be a string of digits, got {str(record['actions'])[:80]!r}")
            record["actions"] = tuple(map(int, record["actions"]))
            return cls(**{name: value for name, value in record.items() if name != "format"})
        except (TypeError, ValueError, RecursionError) as error:
            raise ReplayError(f"not a replay: {error}") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> Replay:
        """The replay in the bytes of a file; of a longer file the first 2**20 + 1 are enough.

        Raises:
            ReplayError: as `from_json`, and if there are too many, or they are not in UTF-8.
        """
        if len(content) > MAX_BYTES:
            raise ReplayError(f"not a replay: it has more than {MAX_BYTES} bytes")
        try:
            return cls.from_json(content.decode())
        except UnicodeDecodeError as error:
            raise ReplayError(f"not a replay: {error}") from error

    def save(self, path: str | Path) -> Path:
        """Write a file, all or nothing; its folder must exist."""
        path = Path(path)
        write_whole(path, self.to_json())
        return path

    @classmethod
    def load(cls, path: str | Path) -> Replay:
        """Read a file; whether the episode still goes that way is for `check` and `moments` to find out.

        Raises:
            OSError: if it cannot be read.
            ReplayError: naming the file, and the field that is missing, unknown or wrong.
        """
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        try:
            return cls.from_bytes(content)
        except ReplayError as error:
            raise ReplayError(f"{path} is {error}") from error


class Record:
    """The record of an episode so far."""

    def __init__(self, obs: Array, info: dict[str, Any]) -> None:
        self.actions = bytearray()
        self.info = info  # of the last tick
        self.is_over = False
        self._digest = hashlib.sha256(little_endian(obs)).digest()

    def add(self, action: int, answer: tuple[Array, SupportsFloat, bool, bool, dict[str, Any]]) -> None:
        """Note one tick: an action and what the environment's `step` answered."""
        obs, reward, terminated, truncated, info = answer
        self.actions.append(int(action))
        tick = little_endian(obs) + struct.pack("<d??", float(reward), terminated, truncated)
        self._digest = hashlib.sha256(self._digest + tick).digest()
        self.info = info
        self.is_over = bool(terminated or truncated)

    @property
    def digest(self) -> str:
        """As in `Replay`."""
        return self._digest.hex()

    @property
    def outcome(self) -> dict[str, Any]:
        """As in `Replay`."""
        return {name: self.info[name if name == "success" else f"episode_{name}"] for name in OUTCOME}


def config_of(entry: Entry, options: dict[str, Any]) -> EnvConfig:
    """The options of an environment that were kept, checked: given levels are texts, for files may lie elsewhere.

    Raises:
        TypeError, ValueError: as `EnvConfig`.
    """
    if options.get("levels") is not None and not are_texts(options["levels"]):
        raise ValueError(f"levels must be texts, got {str(options['levels'])[:80]!r}")
    names = {option.name for option in fields(EnvConfig) if option.init} - {"scenario", "level"}
    chosen_options = {name: value for name, value in options.items() if name in names}
    level = {name: value for name, value in options.items() if name not in names}
    return EnvConfig(scenario=entry.name, level=level, **chosen_options)


def seed_of(seed: Any) -> int:
    """A seed as an int.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is negative or too large for a replay.
    """
    number = checked_seed(seed)
    if number is None:
        raise TypeError("seed must be an integer of at least 0, got None")
    if number.bit_length() > MAX_SEED_BITS:
        raise ValueError(f"seed must be below 2**{MAX_SEED_BITS} to be recorded, got one of {number.bit_length()} bits")
    return number


def checked_outcome(outcome: Any) -> dict[str, Any]:
    """The outcome as plain values.

    Raises:
        TypeError, ValueError: naming what is wrong.
    """
    if not isinstance(outcome, Mapping) or set(outcome) != set(OUTCOME):
        raise TypeError(f"outcome must be a dict with the keys {list(OUTCOME)}, got {str(outcome)[:80]}")
    return {
        "success": boolean("outcome success", outcome["success"]),
        "return": real("outcome return", outcome["return"], -LARGEST, LARGEST, "finite"),
        "length": whole("outcome length", outcome["length"], 0, 2**31 - 1),
    }


def make(replay: Replay) -> gym.Env[Any, Any]:
    """The environment of a replay."""
    return gym.make(
        replay.env_id,
        max_episode_steps=replay.max_episode_steps,
        disable_env_checker=True,
        **replay.options,
    )


def begin(env: gym.Env[Any, Any], replay: Replay) -> tuple[Array, dict[str, Any]]:
    """Reset to the start of the replay's episode.

    What an episode draws depends on its env's key and its number alone, so those before it are skipped.
    """
    options = None if replay.level_seed is None else {"level_seed": replay.level_seed}
    if replay.episode == 0:
        return env.reset(seed=replay.seed, options=options)
    env.reset(seed=replay.seed)
    base: Any = env.unwrapped
    state = base.get_state()
    state["world"]["episode"] = replay.episode - 1
    base.set_state(state)
    return env.reset(options=options)


def world_of(env: gym.Env[Any, Any]) -> Array:
    """A copy of an environment's world, (1,) records."""
    world: Array = env.unwrapped.get_state()["world"]  # type: ignore[attr-defined]
    return world


def driven(replay: Replay) -> Record:
    """The record of taking the replay's actions, up to the episode's end."""
    with contextlib.closing(make(replay)) as env:
        record = Record(*begin(env, replay))
        for action in replay.actions:
            if record.is_over:
                break
            record.add(action, env.step(action))
    return record


def little_endian(array: Array) -> bytes:
    """The bytes of an array, the same on every machine."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def without_repetitions(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: if it names a key twice.
    """
    record = dict(pairs)
    if len(record) < len(pairs):
        repeated = sorted(name for name in record if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"{repeated[0]} is given twice")
    return record


def refuse_constant(name: str) -> float:
    """For NaN and the infinities, which are no JSON.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is no number")
