"""Turns a run's driver, or replays, into films and pages with a player.

    .venv/bin/python scripts/record.py runs/first --formats mp4 html --xray
    .venv/bin/python scripts/record.py runs/first --seed 7 --episodes 3 --formats gif --size 320 --no-panel
    .venv/bin/python scripts/record.py runs/first --difficulty hard --level-options num_vehicles 20
    .venv/bin/python scripts/record.py replays/Highway-v1-7-0.json --out films --size 1080
    .venv/bin/python scripts/record.py replays/Highway-v1-7-0.json --watch runs/first --formats html
    .venv/bin/python scripts/record.py --baseline planner --env drivesim/Merge-v1 --out films --formats gif
    .venv/bin/python scripts/record.py runs/first --beside optimum rule-based --formats gif

A run's best driver, or one that learns nothing, drives held-out episodes; a replay is driven as it was recorded, which
is verified. With --beside one film shows it and others on the same level, with what each has been paid so far. Files
are named after the episode.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import gymnasium as gym
import tyro

from agents.baselines import make_baseline, spoken
from agents.checkpoint import CheckpointError
from agents.command_line import refuse
from agents.environments import EnvChoice, LevelChoice, asked_for, env_for, with_level_options
from agents.policy import Policy
from agents.run_folder import run_at
from agents.side_by_side import Drive, beside, record_beside
from agents.training import load_policy
from agents.validation import require
from agents.videos import record
from agents.watching import think_along, watch
from drivesim.decimals import decimal
from drivesim.files import printable, require_place
from drivesim.render.moment import Moment
from drivesim.replay import Replay, all_moments

Format = Literal["mp4", "gif", "html"]


@dataclass(frozen=True)
class Arguments(LevelChoice):
    """Arguments of the command line; without a choice of levels, a run's driver drives those of the run."""

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Run folders, of which runs/latest is the newest, and replay files."""
    baseline: str | None = None
    """Instead of them, one that learns nothing: random, never-steers, ignores-others, rule-based or planner."""
    env: str | None = None
    """Environment id of a baseline; by default drivesim/Obstacles-v1, with --levels drivesim/Custom-v1. Of runs and
    replays, one that they are of: one of several, or MODULE:ID, where a module of yours registers it."""
    beside: tuple[str, ...] = ()
    """Others on the same level, in one film with it: optimum, the best drive there is, or those of --baseline."""
    formats: tuple[Format, ...] = ("mp4", "html")
    """What to write."""
    out: Path | None = None
    """Folder for the files; by default the run folder, that of the replay, or the current one."""
    seed: int = 0
    """Of the first episode that a run's driver drives; every further one counts one up."""
    episodes: int = 1
    """How many episodes a run's driver drives."""
    split: Literal["train", "test"] = "test"
    """Stream of levels."""
    watch: Path | None = None
    """A run folder, whose driver says what it would do in a replay."""
    size: int = 720
    """Pixels along the longer side of the picture of the road, at most; a panel comes beside it."""
    fps: float = 30.0
    """Pictures a second."""
    ticks_per_second: float = 5.0
    """Pace of the simulation."""
    panel: bool = True
    """Figures beside the road."""
    xray: bool = False
    """Tint the cells that matter most to the driver; on a page it is a box to tick."""


class Episode(NamedTuple):
    """An episode to be shown."""

    name: str
    """For its files."""
    driver: str
    """Who drove."""
    replay: Replay
    moments: list[Moment]
    choice: EnvChoice | None = None
    """Environment and options, None of a replay."""
    file: Path | None = None
    """Of a replay its own, which stays as it is."""


def driven(policy: Policy, trained: EnvChoice, driver: str, arguments: Arguments) -> Iterator[Episode]:
    """The episodes that a driver drives now."""
    wants_xray = arguments.xray or "html" in arguments.formats
    seeds = range(arguments.seed, arguments.seed + arguments.episodes)
    for own, seed in product(trained.each(), seeds):
        choice = arguments.chosen_in(own)
        with stage(f"driving episode {seed} of {own.env}"):
            replay, shown = watch(policy, choice, seed=seed, split=arguments.split, xray=wants_xray)
        where = f"{own.env.rpartition('/')[2]}-" if own.among or arguments.baseline or arguments.beside else ""
        yield Episode(f"{where}episode-{seed}", driver, replay, shown, choice)


def episodes_of(source: Path, arguments: Arguments) -> Iterator[Episode]:
    """The same of a source, be they driven now or a replay's."""
    env_id = asked_for(arguments.env)
    if source.is_dir():
        policy, trained = load_policy(source)
        yield from driven(policy, trained.part(env_id), f"{trained.agent}, seed {trained.seed}", arguments)
        return
    replay = Replay.load(source)
    require("env", env_id, env_id in (None, replay.env_id), f"that of the replay, {replay.env_id}")
    if arguments.watch is not None:
        policy, config = load_policy(run_at(arguments.watch))
        wants_xray = arguments.xray or "html" in arguments.formats
        shown = think_along(policy, config, replay, xray=wants_xray)
        yield Episode(source.stem, f"replay; thoughts of {config.agent}", replay, shown, file=source)
    else:
        yield Episode(source.stem, "replay", replay, all_moments(replay), file=source)


def all_episodes(arguments: Arguments) -> Iterator[tuple[Path, Episode]]:
    """The same of everything that is asked for, with the folder for the files.

    Raises:
        ValueError: nothing is, or two things at once.
    """
    if (arguments.baseline is None) == (not arguments.sources):
        raise ValueError("sources must name at least one run folder or replay file, or --baseline a driver")
    if arguments.baseline is not None:
        require_place(arguments.out or Path(), is_folder=True)
        env_id = env_for(arguments.env, arguments.levels, EnvChoice.env)
        choice = make_baseline(arguments.baseline, arguments.chosen_in(EnvChoice(env_id)))
        for episode in driven(*choice, spoken(arguments.baseline), arguments):
            yield arguments.out or Path(), episode
    sources = [*map(run_at, arguments.sources)]
    folders = [arguments.out or (source if source.is_dir() else source.parent) for source in sources]
    for folder in folders:
        require_place(folder, is_folder=True)
    for source, folder in zip(sources, folders, strict=True):
        for episode in episodes_of(source, arguments):
            yield folder, episode


def write_beside(episode: Episode, folder: Path, arguments: Arguments) -> None:
    """Writes the films of an episode and of others on its level."""
    own = Drive(episode.driver, episode.replay, episode.moments)
    with stage(f"driving the level of {episode.name} with {', '.join(arguments.beside)}"):
        drives = [own, *beside(arguments.beside, own, episode.choice)]
    for suffix in arguments.formats:
        with stage(f"writing {episode.name}-side-by-side.{suffix}"):
            path = record_beside(
                drives,
                folder / f"{episode.name}-side-by-side.{suffix}",
                size=arguments.size,
                frames_per_second=arguments.fps,
                ticks_per_second=arguments.ticks_per_second,
            )
        told = (f"{drive.name} {decimal(drive.replay.outcome['return'], 3)}" for drive in drives)
        print(f"{printable(str(path))}: {', '.join(told)}, {path.stat().st_size:,} bytes")


def write(episode: Episode, folder: Path, arguments: Arguments) -> None:
    """Writes an episode as a replay, and its films and pages."""
    path = folder / f"{episode.name}.json"
    if episode.file is None or not (path.exists() and path.samefile(episode.file)):
        episode.replay.save(path)
    for suffix in arguments.formats:
        with stage(f"writing {episode.name}.{suffix}"):
            path = record(
                episode.replay,
                episode.moments,
                folder / f"{episode.name}.{suffix}",
                driver=episode.driver,
                size=arguments.size,
                frames_per_second=arguments.fps,
                ticks_per_second=arguments.ticks_per_second,
                panel=arguments.panel,
                xray=arguments.xray,
            )
        print(f"{printable(str(path))}: {episode.replay.outcome['length']} ticks, {path.stat().st_size:,} bytes")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = tyro.cli(Arguments, args=given, description=with_level_options(__doc__ or "", given))
    try:
        if parsed.episodes < 1:
            raise ValueError(f"episodes must be at least 1, got {parsed.episodes}")
        if parsed.beside and "html" in parsed.formats:
            raise ValueError("formats must be among gif and mp4 where several drivers are shown, got html")
        for folder, episode in all_episodes(parsed):
            folder.mkdir(parents=True, exist_ok=True)
            (write_beside if parsed.beside else write)(episode, folder, parsed)
    except (ValueError, OSError, ModuleNotFoundError, CheckpointError, gym.error.Error) as error:
        return refuse(error)
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
