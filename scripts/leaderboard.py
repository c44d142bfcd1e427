"""Compares any drivers, and drives that somebody sends in, on the same levels.

    .venv/bin/python scripts/leaderboard.py runs/first rule-based random
    .venv/bin/python scripts/leaderboard.py runs/first mine.py:drive runs/first/export/policy.py --save claims
    .venv/bin/python scripts/leaderboard.py --env drivesim/Highway-v1 anna=claims/drive.jsonl rule-based --out page

A driver is a run folder, an exported policy.py or policy.onnx, a function as FILE.py:FUNCTION or MODULE:FUNCTION, one
of rule-based, planner, ignores-others, never-steers and random, or a claim: replays, as a .json file, a .jsonl file
with one per line, or a folder of such files. NAME= before it names it. Prints a table; with --out, a page with films,
Markdown and JSON are written.

Claims run no code: their replays are driven again. The exit status is 1 if something was refused.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, show, stage

if __name__ == "__main__":
    begin_script()

import sys
import time
import traceback
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import gymnasium as gym
import tyro

from agents.checkpoint import CheckpointError
from agents.command_line import refuse
from agents.competition import Competition, Rules, Score, write_claim
from agents.entrants import is_claim, load_entrant, named
from agents.environments import EnvChoice, LevelChoice, env_for, with_level_options
from agents.leaderboard import json_of, leaderboard, markdown_of, remove_films, text_of, write_films, write_leaderboard
from agents.results import FINAL_SEED
from agents.run_config import read_configs
from agents.validation import require
from drivesim.files import printable, require_place, write_whole

EXPECTED = (ValueError, OSError, ImportError, CheckpointError)  # their messages say it all


@dataclass(frozen=True)
class Arguments(LevelChoice):
    """Arguments of the command line."""

    drivers: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Who drives, each as SOURCE or NAME=SOURCE."""
    env: str | None = None
    """Id of the environment, with --levels drivesim/Custom-v1; without either, environment and levels are those of the
    first run among the drivers."""
    split: Literal["train", "test"] = "test"
    """Stream of levels."""
    num_levels: int | None = None
    """Only the first so many levels of the split; None = all."""
    episodes: int | None = None
    """How many distinct levels everybody drives; None = 100, or all where there are fewer."""
    seed: int = FINAL_SEED
    """Of the first env; the others follow one by one, without those that repeat a level."""
    observation: str | None = None
    """What a function reads that does not say so by an attribute of this name."""
    num_films: int = 3
    """Of the first so many drives of every driver, the page has films."""
    out: Path | None = None
    """Folder for index.html, leaderboard.md, leaderboard.json and the films."""
    save: Path | None = None
    """Folder for the drives of every driver that is no claim, as NAME.jsonl: to be sent to somebody else."""
    format: Literal["text", "markdown", "json"] = "text"
    """What is printed."""

    def check(self) -> None:
        """Checks what the rules do not."""
        require("drivers", self.drivers, len(self.drivers) > 0, "at least one, before --levels and the like")
        require("num_films", self.num_films, self.num_films >= 0, "at least 0")
        names = [named(source)[0] for source in self.drivers]
        for name in names:
            require("drivers", name, names.count(name) == 1, "of different names, which NAME=SOURCE gives")
            is_plain = printable(name) == name and Path(name).name == name
            require("drivers", name, is_plain, "of names that can be printed and be those of files")

    @property
    def rules(self) -> Rules:
        """What is driven."""
        env = env_for(self.env, self.levels, None)
        road = self.chosen_in(trained_on(self.drivers) if env is None else EnvChoice(env=env))
        return Rules(
            env=road.env,
            split=self.split,
            num_levels=self.num_levels,
            episodes=self.episodes,
            seed=self.seed,
            **{choice.name: getattr(road, choice.name) for choice in fields(LevelChoice)},
        )


def trained_on(drivers: tuple[str, ...]) -> EnvChoice:
    """What the first run was trained on."""
    for source in drivers:
        folder = Path(named(source)[1])
        if folder.is_dir() and not is_claim(str(folder)):
            config = read_configs(folder)[0]
            if len(config.each()) > 1:
                raise ValueError(f"env must be given, as --env ID, since {folder} was trained on {config.env}")
            return config
    for source in drivers:
        place = named(source)[1]
        if "/" in place and ":" not in place and not Path(place).exists():
            raise FileNotFoundError(f"{place} does not exist")
    raise ValueError("env must be given, as --env ID, where there are neither levels nor a run among the drivers")


def score_of(arguments: Arguments, competition: Competition, name: str, source: str) -> Score:
    """Lets somebody drive, or verifies a claim."""
    if is_claim(source):
        return competition.claim(name, Path(source))
    entrant = load_entrant(source, competition.rules, arguments.observation)
    films = arguments.num_films if arguments.out is not None else 0
    num_replays = competition.episodes if arguments.save is not None else films
    policy, observation = entrant.policy, entrant.observation
    score = competition.drive(name, policy, observation, num_replays=num_replays, among=entrant.among)
    if arguments.save is not None:
        path = arguments.save / f"{name}.jsonl"
        write_claim(path, score.replays)
        show("")
        print(f"{printable(str(path))}: {len(score.replays):,} drives", file=sys.stderr)
    return score


def compete(arguments: Arguments) -> bool:
    """Compares the drivers; returns whether nothing was refused.

    Raises:
        ValueError: there are no such levels, names are not as they must be, or nobody could drive.
    """
    arguments.check()
    for folder in (arguments.out, arguments.save):
        require_place(folder, is_folder=True)
    if arguments.out is not None:
        require_place(arguments.out / "films", is_folder=True)
    competition = Competition(arguments.rules)
    scores: list[Score] = []
    failed: list[str] = []
    for source in arguments.drivers:
        name, place = named(source)
        started = time.perf_counter()
        try:
            with stage(f"{printable(name)} drives"):
                scores.append(score_of(arguments, competition, name, place))
        except Exception as error:  # in code that somebody else wrote, perhaps: the others go on
            if ":" in place:
                traceback.print_exc()
            failed.append(printable(f"{name}: {error if isinstance(error, EXPECTED) else repr(error)}"))
        else:
            print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    if not scores:
        raise ValueError(f"nobody could drive: {'; '.join(failed)}")
    board = leaderboard(competition, scores, failed)
    if arguments.out is not None:
        remove_films(arguments.out)
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_whole(
            arguments.out / "leaderboard.json", json_of(board) + "\n"
        )  # first, for it says whose films are whose
        films = write_films(arguments.out / "films", competition, scores, arguments.num_films)
        addresses = {name: [(n, f"films/{page}") for n, page in pages] for name, pages in films.items()}
        write_leaderboard(arguments.out / "index.html", board, addresses)
        write_whole(arguments.out / "leaderboard.md", markdown_of(board) + "\n")
        num_films = sum(map(len, films.values()))
        page = printable(str(arguments.out / "index.html"))
        print(f"{page}: the table; films beside it: {num_films}", file=sys.stderr)
    print({"text": text_of, "markdown": markdown_of, "json": json_of}[arguments.format](board))
    return not board["refused"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        is_clean = compete(tyro.cli(Arguments, args=given, description=with_level_options(__doc__ or "", given)))
    except (ValueError, TypeError, OSError, gym.error.Error) as error:
        return refuse(error)
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(run_script(main))
