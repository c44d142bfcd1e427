"""A competition: the same distinct levels for every driver, and for drives that somebody else sends in.

    competition = Competition(Rules("drivesim/Highway-v1", difficulty="hard", episodes=100))
    ours = competition.drive("ours", policy, "features")
    theirs = competition.claim("theirs", Path("theirs.jsonl"))
    write_claim(Path("ours.jsonl"), ours.replays)        # for somebody else's competition

A level is driven by one env, the first episode of one seed: with it, what traffic does by chance is the same for all. A
claim is a file of replays. It is text in which nothing could run: every replay is driven again, on the levels and with
the options of the competition, and what counts is how it goes here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agents.environments import EnvChoice, make_envs
from agents.evaluation import first_drives
from agents.policy import Policy
from agents.results import FINAL_SEED
from agents.validation import require
from drivesim.config import OF_OBSERVATION, EnvConfig
from drivesim.files import printable, write_whole
from drivesim.infos import INFO_KEYS
from drivesim.registry import entry_of_id, ids
from drivesim.replay import Replay, ReplayError
from drivesim.replay_file import MAX_BYTES, Record, config_of

__all__ = ["CLAIM_SUFFIXES", "Competition", "Rules", "Score", "write_claim"]

CLAIM_SUFFIXES = (".json", ".jsonl")
"""Of a file with one replay, and of one with a replay per line."""
_USUAL_EPISODES = 100
_MAX_ENVS = 4096  # whose levels are drawn together
_NOT_AS_THEY_ARE = ("scenario", "level", "levels", "dawdle", "is_dawdle_chosen", "reward_weights", "all_actions")
"""Options that are compared in other words."""


@dataclass(frozen=True)
class Rules(EnvChoice):
    """What is driven in a competition; paid is the default reward."""

    split: Literal["train", "test"] = "test"
    """Stream of levels."""
    num_levels: int | None = None
    """Only the first so many levels of the split; None = all."""
    episodes: int | None = None
    """How many distinct levels are driven, each once; None = 100, or all where there are fewer."""
    seed: int = FINAL_SEED
    """Of the first env, at least 0; the others follow one by one, without those that repeat a level."""

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        require("env", self.env, self.env in ids(), f"one of {list(ids())}")
        require("episodes", self.episodes, self.episodes is None or self.episodes >= 1, "None or at least 1")
        require("seed", self.seed, self.seed >= 0, "at least 0")

    def options(self, split: str | None = None) -> dict[str, Any]:
        """Returns the keyword arguments for ``gym.make``, as those of :class:`EnvChoice`."""
        options = super().options(split)
        return options if self.num_levels is None else {**options, "num_levels": self.num_levels}


@dataclass(frozen=True)
class Score:
    """How a driver did on the levels of a competition."""

    driver: str
    """Its name."""
    results: dict[str, NDArray[np.float64]]
    """The final infos by name, each of shape (levels,); NaN on levels that it did not drive."""
    replays: dict[int, Replay]
    """Drives by the number of the level: all of a claim, of others as many as were asked for."""
    refused: tuple[str, ...] = ()
    """What was claimed and does not count, and why."""
    policy: Policy | None = None
    """Who drove; nobody knows it of a claim."""
    among: str = ""
    """The ids that the driver was trained for, see :class:`EnvChoice`."""

    @property
    def success(self) -> NDArray[np.bool_]:
        """(levels,); a level that was not driven is none."""
        success: NDArray[np.bool_] = self.results["success"] == 1.0
        return success

    @property
    def episodes(self) -> int:
        """Levels that it drove."""
        return int(np.isfinite(self.results["success"]).sum())


@dataclass(frozen=True)
class Competition:
    """Distinct levels, drawn once.

    Raises:
        ValueError: there are not as many as the rules ask for.
    """

    rules: Rules
    """What is driven."""
    seeds: tuple[int, ...] = field(init=False)
    """Of the envs that drive the levels, (levels,)."""
    level_seeds: tuple[int, ...] = field(init=False)
    """Of the levels, (levels,)."""
    repeated: Mapping[int, int] = field(init=False)
    """Seeds between them that were left out because their env has the level of an earlier one, and that one's seed."""
    config: EnvConfig = field(init=False, repr=False)
    """The environment's."""

    def __post_init__(self) -> None:
        """Draws the levels."""
        rules = self.rules
        config = config_of(entry_of_id(rules.env), rules.options(rules.split))
        texts = () if config.library is None else config.library.texts
        available = rules.num_levels
        if texts:
            available = len({texts[n % len(texts)] for n in range(min(available or len(texts), len(texts)))})
        wanted = rules.episodes
        if wanted is None:
            wanted = min(_USUAL_EPISODES, available or _USUAL_EPISODES)
        if available is not None and wanted > available:
            raise ValueError(f"episodes must be at most {available}, as many levels as there are, got {wanted}")
        found: dict[Any, tuple[int, int]] = {}
        repeated = {}
        for seed, level_seed in _draws(rules, min(wanted, _MAX_ENVS)):
            level = texts[level_seed % len(texts)] if texts else level_seed
            if level in found:
                repeated[seed] = found[level][0]
            else:
                found[level] = seed, level_seed
            if len(found) == wanted:
                break
        seeds, level_seeds = zip(*found.values(), strict=True)
        for name, value in (("seeds", seeds), ("level_seeds", level_seeds), ("repeated", repeated), ("config", config)):
            object.__setattr__(self, name, value)

    @property
    def episodes(self) -> int:
        """How many levels there are, each driven once."""
        return len(self.seeds)

    @property
    def about(self) -> str:
        """What is driven, in a sentence."""
        without = f", left out for repeating a level: {len(self.repeated)}" if self.repeated else ""
        options = self.rules.options(self.rules.split)
        shown = [f"{name} {value}" for name, value in options.items() if name not in ("levels", "observation")]
        what = ", ".join([self.rules.env, *shown])
        if self.episodes == 1:
            return f"{what}: 1 level, the first episode of seed {self.seeds[0]}"
        first, last = self.seeds[0], self.seeds[-1]
        return f"{what}: {self.episodes:,} distinct levels, the first episodes of seeds {first} to {last}{without}"

    def drive(
        self, driver: str, policy: Policy, observation: str | None = None, *, num_replays: int = 0, among: str = ""
    ) -> Score:
        """Lets a policy drive the levels.

        Args:
            driver: its name.
            policy: see :func:`agents.evaluation.first_drives`.
            observation: which it reads; None = the scenario's own.
            num_replays: of the first so many levels a replay is made.
            among: of a driver of several environments their ids, separated by commas.
        """
        rules = replace(self.rules, observation=observation, among=among)
        drives = first_drives(policy, rules, self.seeds, rules.split)
        made = zip(self.seeds, drives.actions, strict=True)
        options = rules.options(rules.split)
        replays = {
            n: Replay.of(rules.env, options, seed, list(actions))
            for n, (seed, actions) in enumerate(made)
            if n < num_replays
        }
        return Score(driver, drives.results, replays, policy=policy, among=among)

    def claim(self, driver: str, path: Path) -> Score:
        """Verifies drives that somebody sent in.

        Args:
            driver: whose they are said to be.
            path: of a file with a replay, ``.json``, or one per line, ``.jsonl``; or of a folder of such files.

        Raises:
            OSError: it cannot be read.
        """
        results = {name: np.full(self.episodes, np.nan) for name in INFO_KEYS}
        replays: dict[int, Replay] = {}
        refused: dict[str, list[str]] = {}  # places by reason
        for count, (place, content) in enumerate(_replays_in(path)):
            if count >= 2 * self.episodes:
                refused[f"nothing from here on was read, there are but {self.episodes} levels"] = [place]
                break
            try:
                replay = Replay.from_bytes(content)
                n = self.number_of(replay)
                if n in replays:
                    raise ReplayError(f"a second drive of seed {replay.seed}: each level is driven once")
                record = self.check(replay)
            except ReplayError as error:
                refused.setdefault(str(error), []).append(place)
                continue
            replays[n] = replay
            for name, values in results.items():
                values[n] = record.info[name]
        if not replays and not refused:
            refused["there is no replay in it"] = [path.name]
        return Score(driver, results, replays, tuple(_told(places, reason) for reason, places in refused.items()))

    def number_of(self, replay: Replay) -> int:
        """Returns which of the levels a replay is of.

        Raises:
            ReplayError: it is of none, or driven with other options; it says which and why.
        """
        if replay.env_id != self.rules.env:
            raise ReplayError(f"a drive of {replay.env_id}, but the competition is on {self.rules.env}")
        ours, theirs = _settings(self.config), _settings(config_of(replay.entry, dict(replay.options)))
        registered = replay.entry.max_episode_steps
        ours["max_episode_steps"] = registered
        theirs["max_episode_steps"] = registered if replay.max_episode_steps is None else replay.max_episode_steps
        different = [name for name in ours if ours[name] != theirs.get(name)]
        if different:
            pairs = [f"{name} {_short(theirs.get(name))} instead of {_short(ours[name])}" for name in different]
            raise ReplayError(f"driven with other options than the competition: {', '.join(pairs)}")
        if replay.seed in self.repeated:
            earlier = self.repeated[replay.seed]
            raise ReplayError(f"seed {replay.seed} has the level of seed {earlier}, which is the one that counts")
        if replay.seed not in self.seeds:
            if replay.level_seed in self.level_seeds:
                right = self.seeds[self.level_seeds.index(replay.level_seed)]
                raise ReplayError(
                    f"level {replay.level_seed} is driven with seed {right}, got seed {replay.seed}: with another one "
                    f"chance plays otherwise"
                )
            which = f"seed {replay.seed}" if replay.level_seed is None else f"level {replay.level_seed}"
            raise ReplayError(
                f"{which} is not among the competition's levels, seeds {self.seeds[0]} to {self.seeds[-1]}"
            )
        n = self.seeds.index(replay.seed)
        if replay.episode != 0:
            raise ReplayError(f"episode {replay.episode} of seed {replay.seed}, but the competition drives episode 0")
        if replay.level_seed not in (None, self.level_seeds[n]):
            raise ReplayError(
                f"level {replay.level_seed} is not among the competition's: seed {replay.seed} drives "
                f"{self.level_seeds[n]}"
            )
        return n

    @staticmethod
    def check(replay: Replay) -> Record:
        """Drives a replay again.

        Raises:
            ReplayError: it does not go as it was recorded, or stops before its end.
        """
        record = replay.check()
        if not record.is_over:
            raise ReplayError(f"seed {replay.seed} is driven for {len(replay.actions)} ticks only, not to its end")
        return record


def write_claim(path: Path, replays: Mapping[int, Replay]) -> None:
    """Writes replays into a file, one per line, which :meth:`Competition.claim` reads."""
    lines = [json.dumps(json.loads(replays[n].to_json()), separators=(",", ":")) for n in sorted(replays)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(f"{line}\n" for line in lines))


def _draws(rules: Rules, num_envs: int) -> Iterator[tuple[int, int]]:
    """Seeds from the first one on, each with the level of its env's first episode."""
    seed = rules.seed
    with contextlib.closing(make_envs(rules, num_envs, rules.split)) as envs:
        while True:
            infos = envs.reset(seed=seed, options={"level_seeds": True})[1]
            yield from enumerate(infos["level_seed"].tolist(), seed)
            seed += num_envs


def _replays_in(path: Path) -> Iterator[tuple[str, bytes]]:
    """Where a replay is, and its bytes; of a line that is too long the beginning, with which its file ends."""
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in CLAIM_SUFFIXES and file.is_file())
    for file in files:
        with file.open("rb") as stream:
            if file.suffix != ".jsonl":
                yield file.name, stream.read(MAX_BYTES + 1)
                continue
            for number, line in enumerate(iter(partial(stream.readline, MAX_BYTES + 1), b""), start=1):
                if line.strip():
                    yield f"{file.name}, line {number}", line
                if len(line) > MAX_BYTES:
                    break


def _told(places: list[str], reason: str) -> str:
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return printable(f"{places[0]}{more}: {reason}")


def _settings(config: EnvConfig) -> dict[str, Any]:
    """All options that decide how an episode goes and what it pays, by name; what the driver sees is not among them."""
    names = [option.name for option in fields(config) if option.name not in (*OF_OBSERVATION, *_NOT_AS_THEY_ARE)]
    settings = {name: getattr(config, name) for name in names}
    settings["dawdle"] = config.dawdle if config.is_dawdle_chosen else None
    settings["levels"], settings["actions"] = config.levels, config.actions
    settings |= asdict(config.level_config)
    return settings | {f"reward weight {name}": weight for name, weight in asdict(config.reward_weights).items()}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
