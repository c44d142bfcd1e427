"""Turns a run's driver, or replays, into films and pages with a player.

    .venv/bin/python scripts/record.py runs/first --formats mp4 html --xray
    .venv/bin/python scripts/record.py runs/first --seed 7 --episodes 3 --formats gif --size 320 --no-panel
    .venv/bin/python scripts/record.py runs/first --difficulty hard --level-options num_vehicles 20
    .venv/bin/python scripts/record.py replays/Highway-v1-7-0.json --out films --size 1080
    .venv/bin/python scripts/record.py replays/Highway-v1-7-0.json --watch runs/first --formats html
    .venv/bin/python scripts/record.py --baseline planner --env drivesim/Merge-v1 --out films --formats gif

A run's best driver, or one that learns nothing, drives held-out episodes; a replay is driven as it was recorded, which
is verified. Files are named after the episode.
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
from typing import Annotated, Literal

import gymnasium as gym
import tyro

from agents.baselines import make_baseline
from agents.checkpoint import CheckpointError
from agents.command_line import refuse
from agents.environments import EnvChoice, LevelChoice, with_level_options
from agents.policy import Policy
from agents.run_folder import run_at
from agents.training import load_policy
from agents.videos import record
from agents.watching import think_along, watch
from drivesim.files import printable
from drivesim.render.moment import Moment
from drivesim.replay import Replay, all_moments

Format = Literal["mp4", "gif", "html"]


@dataclass(frozen=True)
class Arguments(LevelChoice):
    """Arguments of the command line; without a choice of levels, a run's driver drives those of the run."""

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Run folders, of which runs/latest is the newest, and replay files."""
    baseline: str | None = None
    """Instead of them, one that learns nothing: random, "never steers", "ignores others", rule-based or planner."""
    env: str = EnvChoice.env
    """Environment id of a baseline."""
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


def driven(
    policy: Policy, trained: EnvChoice, driver: str, arguments: Arguments
) -> Iterator[tuple[str, str, Replay, list[Moment]]]:
    """The episodes that a driver drives now: a name for the files, who drove, and what happened."""
    wants_xray = arguments.xray or "html" in arguments.formats
    seeds = range(arguments.seed, arguments.seed + arguments.episodes)
    for own, seed in product(trained.each(), seeds):
        with stage(f"driving episode {seed} of {own.env}"):
            replay, shown = watch(policy, arguments.chosen_in(own), seed=seed, split=arguments.split, xray=wants_xray)
        where = f"{own.env.rpartition('/')[2]}-" if own.among or arguments.baseline else ""
        yield f"{where}episode-{seed}", driver, replay, shown


def episodes_of(source: Path, arguments: Arguments) -> Iterator[tuple[str, str, Replay, list[Moment]]]:
    """The same of a source, be they driven now or a replay's."""
    if source.is_dir():
        policy, trained = load_policy(source)
        yield from driven(policy, trained, f"{trained.agent}, seed {trained.seed}", arguments)
    elif arguments.watch is not None:
        policy, config = load_policy(run_at(arguments.watch))
        replay = Replay.load(source)
        wants_xray = arguments.xray or "html" in arguments.formats
        yield (
            source.stem,
            f"replay; thoughts of {config.agent}",
            replay,
            think_along(policy, config, replay, xray=wants_xray),
        )
    else:
        replay = Replay.load(source)
        yield source.stem, "replay", replay, all_moments(replay)


def all_episodes(arguments: Arguments) -> Iterator[tuple[Path, str, str, Replay, list[Moment]]]:
    """The same of everything that is asked for, with the folder for the files.

    Raises:
        ValueError: nothing is, or two things at once.
    """
    if (arguments.baseline is None) == (not arguments.sources):
        raise ValueError("sources must name at least one run folder or replay file, or --baseline a driver")
    if arguments.baseline is not None:
        choice = make_baseline(arguments.baseline, arguments.chosen_in(EnvChoice(arguments.env)))
        for episode in driven(*choice, arguments.baseline, arguments):
            yield (arguments.out or Path(), *episode)
    for source in map(run_at, arguments.sources):
        folder = arguments.out or (source if source.is_dir() else source.parent)
        for episode in episodes_of(source, arguments):
            yield (folder, *episode)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = tyro.cli(Arguments, args=given, description=with_level_options(__doc__ or "", given))
    try:
        if parsed.episodes < 1:
            raise ValueError(f"episodes must be at least 1, got {parsed.episodes}")
        for folder, name, driver, replay, shown in all_episodes(parsed):
            folder.mkdir(parents=True, exist_ok=True)
            replay.save(folder / f"{name}.json")
            for suffix in parsed.formats:
                with stage(f"writing {name}.{suffix}"):
                    path = record(
                        replay,
                        shown,
                        folder / f"{name}.{suffix}",
                        driver=driver,
                        size=parsed.size,
                        frames_per_second=parsed.fps,
                        ticks_per_second=parsed.ticks_per_second,
                        panel=parsed.panel,
                        xray=parsed.xray,
                    )
                print(f"{printable(str(path))}: {replay.outcome['length']} ticks, {path.stat().st_size:,} bytes")
    except (ValueError, OSError, ModuleNotFoundError, CheckpointError, gym.error.Error) as error:
        return refuse(error)
    return 0


if __name__ == "__main__":
    sys.exit(run_script(main))
