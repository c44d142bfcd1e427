"""Opens a window to drive in, or to watch somebody drive.

    python scripts/play.py                                        # choose a scenario and drive
    python scripts/play.py --env drivesim/Highway-v1 --difficulty hard
    python scripts/play.py --env drivesim/Intersection-v1 --demo  # the rule-based driver
    python scripts/play.py --levels gallery/chicane               # a drawn level
    python scripts/play.py --levels road.txt                      # your own: it is read anew whenever you save it
    python scripts/play.py --watch runs/first --xray              # a trained driver, and what it looks at
    python scripts/play.py --replay replays/Highway-v1-7-0.json

Steer with the arrow keys or WASD; all other keys are on the screen. While a file of a level is faulty, the window says
what is wrong and where, and the drive goes on in the level as it was.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np
import pygame
import tyro

from agents.checkpoint import CheckpointError
from agents.environments import CUSTOM, EnvChoice, LevelChoice, generates_levels, with_level_options
from agents.level_files import Drawing
from agents.policy import NetworkPolicy, Policy
from agents.scripted import make_scripted
from agents.training import load_policy
from agents.watching import decide, think_along
from agents.watching import watch as watch_drive
from drivesim.core.event_table import EVENTS, Effect
from drivesim.levels.library import GALLERY
from drivesim.registry import IDS
from drivesim.render.moment import Decision, Moment
from drivesim.render.window import Window
from drivesim.rendering import state_of
from drivesim.replay import Replay, ReplayRecorder, all_moments

REPLAYS = Path("replays")  # the folder of those that are saved by a key
DIFFICULTIES = ("easy", "medium", "hard")
STEERING = {
    "LEFT": (pygame.K_LEFT, pygame.K_a),
    "RIGHT": (pygame.K_RIGHT, pygame.K_d),
    "FASTER": (pygame.K_UP, pygame.K_w),
    "SLOWER": (pygame.K_DOWN, pygame.K_s),
}
ENTER = (pygame.K_RETURN, pygame.K_KP_ENTER)
MENU_KEYS = "arrows choose, enter begins, esc closes"
STEERING_NOTES = ("arrows or WASD  drive", "enter  next level", "R  again", "V  save the replay", "M  menu")
WATCHING_NOTES = ("enter  next level",)
HUMAN_TICKS_PER_SECOND, WATCHING_TICKS_PER_SECOND = 2.5, 5.0
Menu = dict[str, tuple[str, tuple[str, ...]]]
MENU: Menu = {env_id: (env_id, ()) for env_id in IDS} | {name: (CUSTOM, (name,)) for name in GALLERY}
"""Environment and levels of what there is to choose."""

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
    that the driver was trained for."""
    split: Literal["train", "test"] = "test"
    """Stream of levels."""
    seed: int = 0
    """Of the first level; every further one counts one up."""
    episodes: int = 0
    """How many to show before the window closes; 0 = until it is closed."""
    watch: Path | None = None
    """A run folder, whose best driver drives."""
    demo: bool = False
    """The rule-based driver drives."""
    replay: Path | None = None
    """A replay to be shown; with --watch, that driver says what it would do."""
    xray: bool = False
    """Tint the cells that matter most to a trained driver."""
    wait: bool = False
    """The world waits for a key at every tick; Autodrive, which has no IDLE, always does."""
    save: Path | None = None
    """Folder in which the replay of every finished episode is saved."""
    ticks_per_second: float | None = None
    """How fast time goes; by default 2.5 for you and 5 for others."""


class Keyboard:
    """Drives as the keys say: the last one pressed in a tick, or one held that changes the speed; else IDLE."""

    def __init__(self, window: Window, drawing: Drawing, *, waits: bool) -> None:
        self.window = window
        self.drawing = drawing
        self.waits = waits
        self.other_key: int | None = None
        """Another key, with which the drive was broken off."""

    def think(self, env: Env) -> None:
        """Nobody knows."""

    def act(self, env: Env, obs: Any) -> int | None:
        """The action that was asked for."""
        names: tuple[str, ...] = env.unwrapped.action_names  # type: ignore[attr-defined]
        must_wait = self.waits or "IDLE" not in names
        if must_wait:
            self.window.wait_for_key(self.drawing.look)
        pressed, self.window.keys = self.window.keys, []
        wishes = [name for key in pressed for name, keys in STEERING.items() if key in keys]
        others = [key for key in pressed if all(key not in keys for keys in STEERING.values())]
        if others or not self.window.is_open or self.drawing.is_new:
            self.other_key = others[-1] if others else None
            return None
        if not wishes and not must_wait:
            held = pygame.key.get_pressed()
            wishes = [name for name in ("FASTER", "SLOWER") if any(held[key] for key in STEERING[name])]
        return names.index(wishes[-1] if wishes else "IDLE")


class Program:
    """Drives as a policy says, until a key is pressed."""

    def __init__(self, policy: Policy, window: Window) -> None:
        self.policy = policy
        self.window = window
        self._action: int | None = None

    def think(self, env: Env) -> Decision | None:
        """What a trained driver makes of the state."""
        if not isinstance(self.policy, NetworkPolicy):
            return None
        if int(state_of(env).world["tick"]) == 0:
            self.policy.begin()
        self._action, decision = decide(self.policy, env, xray=self.window.has_xray)
        return decision

    def act(self, env: Env, obs: Any) -> int | None:
        """The policy's action."""
        if self.window.keys:
            return None
        return self._action if isinstance(self.policy, NetworkPolicy) else int(self.policy(np.asarray(obs)[None])[0])


def drive_episode(env: Env, driver: Driver, seed: int, drawing: Drawing) -> dict[str, Any] | None:
    """Drives one episode; its last info, or None if it was broken off, by a key or since there are new levels."""
    window = drawing.window
    obs, info = env.reset(seed=seed)
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


def open_env(arguments: Arguments, config: EnvChoice, drawing: Drawing, notes: tuple[str, ...]) -> ReplayRecorder:
    """Makes an environment and tells the window about it."""
    window = drawing.window
    drawing.is_new = False
    made = gym.make(config.env, **config.options(arguments.split))
    base: Any = made.unwrapped
    title = drawing.files.title or config.env
    window.begin(title, base.action_names, base.config.scenario_class.top_speed, notes)
    window.keys = []
    return ReplayRecorder(made, folder=arguments.save)


def score(info: dict[str, Any]) -> str:
    """The outcome of the player's drive, in a line."""
    ends = (*(event.name for event in EVENTS if Effect.ENDS | Effect.FAILS in event.effects), "timeout")
    end = next((name.replace("_", " ") for name in ends if info[name]), "arrived")
    return f"you: {end} after {info['episode_length']} ticks, return {info['episode_return']:.2f}"


def score_of_rules(config: EnvChoice, seed: int, split: str) -> str:
    """What the rule-based driver makes of the same level, in a line."""
    driver = make_scripted(config.env)
    replay, _ = watch_drive(driver, replace(config, observation=driver.observation), seed=seed, split=split)
    end = "arrived" if replay.outcome["success"] else "failed"
    return f"rules: {end} after {replay.outcome['length']} ticks, return {replay.outcome['return']:.2f}"


def key_press(window: Window) -> int | None:
    """The next key that means nothing to the window; None once it is closed."""
    window.wait_for_key()
    return window.keys.pop(0) if window.keys else None


def choice(arguments: Arguments, env_id: str, difficulty: str, levels: tuple[str, ...]) -> EnvChoice:
    """The environment with its options; where levels are given, a difficulty has no meaning."""
    config = EnvChoice(env=env_id, level_options=arguments.level_options, levels=levels)
    return replace(config, difficulty=difficulty) if generates_levels(env_id) else config


def around(names: Sequence[str], chosen: str, room: int) -> list[str]:
    """As many names as there is room for, the chosen one marked and about in the middle; dots are for more of them."""
    marks = ["> " + name if name == chosen else name for name in names]
    room = max(3, room)
    if len(marks) <= room:
        return marks
    first = min(max(names.index(chosen) - room // 2, 0), len(marks) - room)
    shown = marks[first : first + room]
    if first > 0:
        shown[0] = "..."
    if first + room < len(marks):
        shown[-1] = "..."
    return shown


def choose(arguments: Arguments, window: Window, menu: Menu, difficulty: str) -> tuple[str, str] | None:
    """Lets the player choose from the menu, and a difficulty; None if the window was closed."""
    names = list(menu)
    name = names[0]
    while True:
        env_id, levels = menu[name]
        env = gym.make(env_id, **choice(arguments, env_id, difficulty, levels).options())
        env.reset(seed=0)
        window.begin("drivesim", (), 1)
        difficulties = "   ".join(f"[ {each} ]" if each == difficulty else each for each in DIFFICULTIES)
        below = ("", difficulties if generates_levels(env_id) else "a drawn level", "", MENU_KEYS)
        window.banner = (*around(names, name, window.banner_room - len(below)), *below)
        window.show(Moment(state_of(env)))
        env.close()
        window.wait_for_key()
        if not window.keys:
            return None
        key = window.keys.pop(0)
        if key in ENTER:
            window.banner = ()
            return name, difficulty
        if key in STEERING["FASTER"] + STEERING["SLOWER"]:
            step = 1 if key in STEERING["SLOWER"] else -1
            name = names[(names.index(name) + step) % len(names)]
        elif key in STEERING["LEFT"] + STEERING["RIGHT"]:
            step = 1 if key in STEERING["RIGHT"] else -1
            difficulty = DIFFICULTIES[(DIFFICULTIES.index(difficulty) + step) % len(DIFFICULTIES)]


def play(arguments: Arguments, window: Window) -> None:
    """Lets the player drive, level after level, until the window is closed."""
    env_id, difficulty = arguments.env or (CUSTOM if arguments.levels else None), arguments.difficulty or "medium"
    drawing = Drawing(arguments.levels, window)
    menu = {" ".join(arguments.levels): (CUSTOM, arguments.levels)} | MENU if arguments.levels else MENU
    seed, finished = arguments.seed, 0
    while window.is_open and not (arguments.episodes and finished >= arguments.episodes):
        if env_id is None:
            chosen = choose(arguments, window, menu, difficulty)
            if chosen is None:
                return
            name, difficulty = chosen
            env_id, levels = menu[name]
            drawing = Drawing(levels, window)
        config = choice(arguments, env_id, difficulty, drawing.files.texts)
        env = open_env(arguments, config, drawing, STEERING_NOTES)
        driver = Keyboard(window, drawing, waits=arguments.wait)
        info = drive_episode(env, driver, seed, drawing)
        key = driver.other_key
        if info is not None:
            finished += 1
            scores = score(info), score_of_rules(config, seed, arguments.split)
            key = after_episode(drawing, env, (*scores, "", "enter  next     R  again     V  save     M  menu"))
        elif key == pygame.K_v:
            save(env)
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
                drawing.lines = (*lines, f"saved as {save(env)}")
            elif key is None or key in (*ENTER, pygame.K_r, pygame.K_m):
                return key
    finally:
        drawing.lines = window.banner = ()


def save(env: ReplayRecorder) -> Path:
    """Saves an episode, as far as it was driven."""
    replay = env.replay
    REPLAYS.mkdir(parents=True, exist_ok=True)
    path = REPLAYS / f"{replay.env_id.rpartition('/')[2]}-{replay.seed}-{replay.episode}.json"
    replay.save(path)
    return path


def watch(arguments: Arguments, window: Window) -> None:
    """Shows a driver, level after level, until the window is closed."""
    policy: Policy
    config: EnvChoice
    if arguments.watch is not None:
        policy, trained = load_policy(arguments.watch)
        own = next((own for own in trained.each() if own.env == arguments.env), trained.each()[0])
        config = arguments.chosen_in(own)
    else:
        env_id = arguments.env or (CUSTOM if arguments.levels else IDS[0])
        policy = make_scripted(env_id)
        config = choice(arguments, env_id, arguments.difficulty or "medium", arguments.levels)
        config = replace(config, observation=policy.observation)
    drawing = Drawing(arguments.levels, window)
    shown = 0
    while window.is_open and not (arguments.episodes and shown >= arguments.episodes):
        env = open_env(arguments, replace(config, levels=drawing.files.texts or config.levels), drawing, WATCHING_NOTES)
        drive_episode(env, Program(policy, window), arguments.seed + shown, drawing)
        env.close()
        shown += not drawing.is_new


def show_replay(arguments: Arguments, window: Window) -> None:
    """Shows a replay once and leaves its end on the screen."""
    assert arguments.replay is not None
    replay = Replay.load(arguments.replay)
    if arguments.watch is not None:
        policy, config = load_policy(arguments.watch)
        shown = think_along(policy, config, replay, xray=arguments.xray)
    else:
        shown = all_moments(replay)
    base: Any = gym.make(replay.env_id, **replay.options).unwrapped
    window.begin(f"{replay.env_id}, seed {replay.seed}", base.action_names, base.config.scenario_class.top_speed)
    for moment in shown:
        window.show(moment)
    if not arguments.episodes:
        window.wait_for_key()


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = tyro.cli(Arguments, args=given, description=with_level_options(__doc__ or "", given))
    is_human = parsed.watch is None and parsed.replay is None and not parsed.demo
    usual = HUMAN_TICKS_PER_SECOND if is_human else WATCHING_TICKS_PER_SECOND
    try:
        if parsed.env is not None and parsed.env not in IDS:
            raise ValueError(f"env must be one of {list(IDS)}, got {parsed.env!r}")
        if parsed.level_options and is_human and parsed.env is None:
            raise ValueError(f"level_options need an env, whose they are, got {parsed.level_options}")
        window = Window("drivesim", ticks_per_second=parsed.ticks_per_second or usual, xray=parsed.xray)
        try:
            if parsed.replay is not None:
                show_replay(parsed, window)
            elif is_human:
                play(parsed, window)
            else:
                watch(parsed, window)
        finally:
            window.close()
    except (ValueError, OSError, ModuleNotFoundError, CheckpointError, gym.error.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
