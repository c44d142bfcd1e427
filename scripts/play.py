"""Opens a window to drive in, or to watch somebody drive.

    .venv/bin/python scripts/play.py                                        # choose a scenario and drive
    .venv/bin/python scripts/play.py --env drivesim/Highway-v1 --difficulty hard
    .venv/bin/python scripts/play.py --env drivesim/Intersection-v1 --demo  # the rule-based driver
    .venv/bin/python scripts/play.py --levels gallery/chicane               # a drawn level
    .venv/bin/python scripts/play.py --levels road.txt                      # your own: read anew whenever you save it
    .venv/bin/python scripts/play.py --watch runs/latest --xray             # a trained driver, and what it looks at
    .venv/bin/python scripts/play.py --replay replays/Highway-v1-7-0.json

Steer with the arrow keys or WASD; all other keys are on the screen. While a file of a level is faulty, the window says
what is wrong and where, and the drive goes on in the level as it was.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script

if __name__ == "__main__":
    begin_script()

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import gymnasium as gym
import numpy as np
import pygame
import tyro

from agents.command_line import called, quiet, refuse
from agents.environments import CUSTOM, EnvChoice, LevelChoice, env_for, generates_levels, with_level_options
from agents.keyboard import ENTER, Keyboard
from agents.level_files import Drawing
from agents.menu import Item, choose, items, title_of
from agents.run_folder import run_at
from agents.saving import Saving, saved
from agents.scripted import SCENARIOS, ScriptedDriver, make_scripted
from agents.validation import require
from drivesim.core.event_table import EVENTS, Effect
from drivesim.decimals import decimal
from drivesim.files import require_place
from drivesim.registry import IDS, entry_of_id, ids, own_id
from drivesim.render.moment import Decision, Moment
from drivesim.render.window import Window
from drivesim.rendering import state_of
from drivesim.replay import Replay, ReplayRecorder, all_moments

if TYPE_CHECKING:  # torch is loaded for trained drivers only, which takes seconds
    from agents.policy import NetworkPolicy

REPLAYS = Path("replays")  # the folder of those that are saved by a key
STEERING_NOTES = ("arrows or WASD  drive", "enter  next level", "R  again", "V  save the replay", "M  menu")
WATCHING_NOTES = ("enter  next level",)
HUMAN_TICKS_PER_SECOND, WATCHING_TICKS_PER_SECOND = 2.5, 5.0

Env = gym.Env[Any, Any]


class Driver(Protocol):
    """Whoever drives before the window's eyes."""

    def think(self, env: Env) -> Decision | None:
        """Before a moment is shown: what to say about it."""

    def act(self, env: Env, obs: Any) -> int | None:
        """After it was shown: the action; None breaks the drive off."""


@dataclass(frozen=True)
class Arguments(LevelChoice):
    """Arguments of the command line."""

    env: str | None = None
    """Id of the environment, with --levels drivesim/Custom-v1; without either, a menu asks. With --watch, one of those
    that the driver was trained for. MODULE:ID imports the module that registers the id."""
    split: Literal["train", "test"] = "test"
    """Stream of levels."""
    seed: int = 0
    """Of the first level; every further one counts one up."""
    episodes: int = 0
    """How many to show before the window closes; 0 = until it is closed."""
    watch: Path | None = None
    """A run folder, whose best driver drives; runs/latest is the newest in runs."""
    demo: bool = False
    """The rule-based driver drives."""
    replay: Path | None = None
    """A replay to be shown; with --watch, that driver says what it would do."""
    xray: bool = False
    """Tint the cells that matter most to a trained driver."""
    wait: bool = False
    """The world waits for a key at every tick; Autodrive, which has no IDLE, always does."""
    save: Path | None = None
    """Folder in which the replay of every finished episode is saved, each in a file of its own."""
    ticks_per_second: float | None = None
    """How fast time goes; by default 2.5 for you and 5 for others."""
    countdown: float = 3.0
    """Seconds before your first tick; any key that drives begins at once."""


class Rules:
    """Drives by rules, until it is told to go on to the next level."""

    def __init__(self, driver: ScriptedDriver, window: Window) -> None:
        self.driver = driver
        self.window = window

    def think(self, env: Env) -> None:
        """Rules have nothing to say."""

    def act(self, env: Env, obs: Any) -> int | None:
        """The action that the rules ask for."""
        return None if asks_for_next(self.window) else int(self.driver(np.asarray(obs)[None])[0])


class Learnt:
    """Drives as a network has learnt to, until it is told to go on to the next level."""

    def __init__(self, policy: NetworkPolicy, window: Window) -> None:
        self.policy = policy
        self.window = window
        self._action = 0

    def think(self, env: Env) -> Decision:
        """What it makes of the state."""
        from agents.watching import decide

        if int(state_of(env).world["tick"]) == 0:
            self.policy.begin()
        self._action, decision = decide(self.policy, env, xray=self.window.has_xray)
        return decision

    def act(self, env: Env, obs: Any) -> int | None:
        """The action that it thought of."""
        return None if asks_for_next(self.window) else self._action


def asks_for_next(window: Window) -> bool:
    """Whether somebody who watches has asked for the next level, once no pause holds; other keys change nothing."""
    while True:
        window.wait_for_key(lambda: not window.is_held)
        pressed, window.keys = window.keys, []
        if any(key in ENTER for key in pressed):
            return True
        if not window.is_held:
            return False


def drive_episode(env: Env, obs: Any, driver: Driver, drawing: Drawing) -> dict[str, Any] | None:
    """Drives an episode that has begun; its last info, or None if it was broken off, by a key or for new levels."""
    window = drawing.window
    moment = Moment(state_of(env))
    is_over = False
    while not is_over:
        window.show(replace(moment, decision=driver.think(env)))
        action = None if drawing.look() else driver.act(env, obs)
        if action is None or not window.is_open:
            return None
        obs, reward, terminated, truncated, info = env.step(action)
        moment = Moment(state_of(env), action, float(reward), info["reward_terms"])
        is_over = terminated or truncated
    window.show(moment)
    return info


def begun(
    arguments: Arguments, config: EnvChoice, drawing: Drawing, notes: tuple[str, ...], seed: int
) -> tuple[ReplayRecorder, Any] | None:
    """An environment at the start of an episode, and its observation; None if the window was closed meanwhile."""
    window = drawing.window
    drawing.is_new = False
    title = drawing.files.title or title_of(config.env)

    def begin() -> tuple[ReplayRecorder, Any]:
        made = gym.make(config.env, **config.options(arguments.split))
        made.reset(seed=seed)
        made.step(0)  # so that nothing is left to be compiled
        env = ReplayRecorder(made)
        return env, env.reset(seed=seed)[0]

    start = window.load(title, begin)
    if start is not None:
        base: Any = start[0].unwrapped
        window.begin(title, base.action_names, base.config.scenario_class.top_speed, notes)
    window.keys = []
    return start


def score(who: str, info: dict[str, Any]) -> str:
    """The outcome of a drive, in a line."""
    ends = (*(event.name for event in EVENTS if Effect.ENDS | Effect.FAILS in event.effects), "timeout")
    end = next((name.replace("_", " ") for name in ends if info[name]), "arrived")
    return f"{who}: {end} after {info['episode_length']} ticks, return {decimal(info['episode_return'], 2)}"


def score_of_rules(config: EnvChoice, seed: int, split: str) -> tuple[str, ...]:
    """What the rule-based driver makes of the same level, in a line; nothing where there is none."""
    if entry_of_id(config.env).name not in SCENARIOS:
        return ()
    driver = make_scripted(config.env)
    env = gym.make(config.env, **replace(config, observation=driver.observation).options(split))
    obs, info = env.reset(seed=seed)
    is_over = False
    while not is_over:
        obs, _, terminated, truncated, info = env.step(int(driver(np.asarray(obs)[None])[0]))
        is_over = terminated or truncated
    env.close()
    return (score("rules", info),)


def choice(arguments: Arguments, env_id: str, difficulty: str, levels: tuple[str, ...]) -> EnvChoice:
    """The environment with its options; where levels are given, a difficulty has no meaning."""
    config = EnvChoice(env=env_id, level_options=arguments.level_options, levels=levels)
    return replace(config, difficulty=difficulty) if generates_levels(env_id) else config


def drawn(levels: tuple[str, ...], window: Window) -> Drawing:
    """The levels, if any are given, as their files are now; of a window that is closed meanwhile, none."""
    return window.load(" ".join(levels), lambda: Drawing(levels, window)) or Drawing((), window)


def play(arguments: Arguments, window: Window, save: Saving) -> None:
    """Lets the player drive, level after level, until the window is closed."""
    env_id, difficulty = env_for(arguments.env, arguments.levels, None), arguments.difficulty or "medium"
    drawing = drawn(arguments.levels, window)
    own = {" ".join(arguments.levels): Item(CUSTOM, arguments.levels, "Drive it.")} if arguments.levels else {}
    menu = own | items()
    name = " ".join(arguments.levels) or title_of(env_id or "")
    seed, finished = arguments.seed, 0
    while window.is_open and not (arguments.episodes and finished >= arguments.episodes):
        if env_id is None:
            chosen = choose(
                window, menu, name, difficulty, lambda item, how: choice(arguments, item.env, how, item.levels)
            )
            if chosen is None:
                return
            name, difficulty = chosen
            env_id = menu[name].env
            drawing = drawn(menu[name].levels, window)
        config = choice(arguments, env_id, difficulty, drawing.files.texts)
        start = begun(arguments, config, drawing, STEERING_NOTES, seed)
        if start is None:
            return
        env, obs = start
        driver = Keyboard(
            drawing, waits=arguments.wait, countdown=arguments.countdown, save=lambda env: saved(env, REPLAYS)
        )
        info = drive_episode(env, obs, driver, drawing)
        window.loses_drive = False
        key = driver.left_with
        if info is not None:
            finished += 1
            save(env)
            scores = score("you", info), *score_of_rules(config, seed, arguments.split)
            key = after_episode(drawing, env, (*scores, "", "enter  next     R  again     V  save     M  menu"))
        env.close()
        if key in ENTER:
            seed += 1
        elif key == pygame.K_m:
            env_id = None


def after_episode(drawing: Drawing, env: ReplayRecorder, lines: tuple[str, ...]) -> int | None:
    """Shows the score until the player chooses how to go on; the key, None for new levels or a closed window."""
    window = drawing.window
    drawing.lines = lines
    try:
        while True:
            window.wait_for_key(drawing.look)
            key = window.keys.pop(0) if window.keys else None
            if key == pygame.K_v:
                window.note(saved(env, REPLAYS))
            elif key is None or key in (*ENTER, pygame.K_r, pygame.K_m):
                return key
    finally:
        drawing.lines = window.banner = ()


def watch(arguments: Arguments, window: Window, save: Saving) -> None:
    """Shows a driver, level after level, until the window is closed."""
    if arguments.watch is not None:
        policy, trained = learnt(arguments.watch)
        roads = {own.env: own for own in trained.each()}
        env_id = arguments.env if arguments.env and not arguments.levels else next(iter(roads))
        own = trained.part(env_id)
        config = arguments.chosen_in(own)
        driver: Driver = Learnt(policy, window)
    else:
        env_id = env_for(arguments.env, arguments.levels, IDS[0])
        rules = make_scripted(env_id)
        config = choice(arguments, env_id, arguments.difficulty or "medium", arguments.levels)
        config = replace(config, observation=rules.observation)
        driver = Rules(rules, window)
    drawing = drawn(arguments.levels, window)
    shown = 0
    while window.is_open and not (arguments.episodes and shown >= arguments.episodes):
        config = replace(config, levels=drawing.files.texts or config.levels)
        start = begun(arguments, config, drawing, WATCHING_NOTES, arguments.seed + shown)
        if start is None:
            return
        env, obs = start
        info = drive_episode(env, obs, driver, drawing)
        if info is not None:
            save(env)
        env.close()
        shown += not drawing.is_new


def learnt(folder: Path) -> Any:
    """The best driver of a run, and the run's configuration."""
    from agents.checkpoint import CheckpointError
    from agents.training import load_policy

    try:
        return load_policy(run_at(folder))
    except CheckpointError as error:
        raise ValueError(str(error)) from error


def show_replay(arguments: Arguments, window: Window) -> None:
    """Shows a replay once and leaves its end on the screen."""
    assert arguments.replay is not None
    replay = Replay.load(arguments.replay)
    require("env", arguments.env, arguments.env in (None, replay.env_id), f"that of the replay, {replay.env_id}")
    if arguments.watch is not None:
        from agents.watching import think_along

        policy, config = learnt(arguments.watch)
        shown = think_along(policy, config, replay, xray=arguments.xray)
    else:
        shown = all_moments(replay)
    base: Any = gym.make(replay.env_id, **replay.options).unwrapped
    window.begin(
        f"{title_of(replay.env_id)}, seed {replay.seed}", base.action_names, base.config.scenario_class.top_speed
    )
    for moment in shown:
        asks_for_next(window)  # the end stays on the screen, whatever is asked for
        window.show(moment)
    while window.is_open and not arguments.episodes and not asks_for_next(window):
        window.wait_for_key()


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = tyro.cli(Arguments, args=given, description=with_level_options(__doc__ or "", given))
    is_human = parsed.watch is None and parsed.replay is None and not parsed.demo
    usual = HUMAN_TICKS_PER_SECOND if is_human else WATCHING_TICKS_PER_SECOND
    try:
        if parsed.env is not None:
            parsed = replace(parsed, env=own_id(parsed.env))
            require("env", parsed.env, parsed.env in ids(), f"one of {list(ids())}, or MODULE:ID of a module's own")
        if parsed.level_options and is_human and parsed.env is None:
            raise ValueError(f"level_options need an env, whose they are, got {parsed.level_options}")
        require_place(parsed.save, is_folder=True)
        with quiet():
            window = Window("drivesim", ticks_per_second=parsed.ticks_per_second or usual, xray=parsed.xray)
        try:
            if not window.is_visible:
                raise OSError(
                    f"there is no display to open a window on; {called('record')} makes films and pages without"
                )
            window.reads_keys = True
            save = Saving(parsed.save, window)
            if parsed.replay is not None:
                show_replay(parsed, window)
            elif is_human:
                play(parsed, window, save)
            else:
                watch(parsed, window, save)
        finally:
            window.close()
    except (ValueError, OSError, ModuleNotFoundError, pygame.error, gym.error.Error) as error:
        return refuse(error)
    return int(save.has_failed)


if __name__ == "__main__":
    sys.exit(run_script(main))
