"""Opens a window to drive in, or to watch somebody drive.

    python scripts/play.py                                        # choose a scenario and drive
    python scripts/play.py --env drivesim/Highway-v1 --difficulty hard
    python scripts/play.py --env drivesim/Intersection-v1 --demo  # the rule-based driver
    python scripts/play.py --env drivesim/Custom-v1 --levels roads/*.txt
    python scripts/play.py --watch runs/first --xray              # a trained driver, and what it looks at
    python scripts/play.py --replay replays/Highway-v1-7-0.json

Steer with the arrow keys or WASD; all other keys are on the screen.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np
import pygame
import tyro

from agents.checkpoint import CheckpointError
from agents.environments import EnvChoice, generates_levels
from agents.policy import NetworkPolicy, Policy
from agents.scripted import make_scripted
from agents.training import load_policy
from agents.watching import decide, think_along
from agents.watching import watch as watch_drive
from drivesim.core.event_table import EVENTS, Effect
from drivesim.registry import IDS
from drivesim.render.moment import Decision, Moment
from drivesim.render.window import Window
from drivesim.rendering import state_of
from drivesim.replay import Replay, ReplayRecorder, moments

REPLAYS = Path("replays")  # the folder of those that are saved by a key
DIFFICULTIES = ("easy", "medium", "hard")
STEERING = {
    "LEFT": (pygame.K_LEFT, pygame.K_a),
    "RIGHT": (pygame.K_RIGHT, pygame.K_d),
    "FASTER": (pygame.K_UP, pygame.K_w),
    "SLOWER": (pygame.K_DOWN, pygame.K_s),
}
ENTER = (pygame.K_RETURN, pygame.K_KP_ENTER)
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
class Arguments:
    """Arguments of the command line."""

    env: str | None = None
    """Id of the environment; without one, a menu asks. With --watch, one of those that the driver was trained for."""
    difficulty: Literal["easy", "medium", "hard"] = "medium"
    """Of the levels."""
    levels: tuple[str, ...] = ()
    """Levels of your own for drivesim/Custom-v1, files or patterns of files."""
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

    def __init__(self, window: Window, *, waits: bool) -> None:
        self.window = window
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
            self.window.wait_for_key()
        pressed, self.window.keys = self.window.keys, []
        wishes = [name for key in pressed for name, keys in STEERING.items() if key in keys]
        others = [key for key in pressed if all(key not in keys for keys in STEERING.values())]
        if others or not self.window.is_open:
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


def drive_episode(env: Env, driver: Driver, seed: int, window: Window) -> dict[str, Any] | None:
    """Drives one episode; its last info, or None if it was broken off."""
    obs, info = env.reset(seed=seed)
    moment = Moment(state_of(env))
    is_over = False
    while not is_over:
        window.show(replace(moment, decision=driver.think(env)))
        action = driver.act(env, obs)
        if action is None or not window.is_open:
            return None
        obs, reward, terminated, truncated, info = env.step(action)
        moment = Moment(state_of(env), action, float(reward), info["reward_terms"])
        is_over = terminated or truncated
    window.show(moment)
    return info


def open_env(arguments: Arguments, config: EnvChoice, window: Window, notes: tuple[str, ...]) -> ReplayRecorder:
    """Makes an environment and tells the window about it."""
    made = gym.make(config.env, **config.options(arguments.split))
    base: Any = made.unwrapped
    window.begin(config.env, base.action_names, base.config.scenario_class.top_speed, notes)
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


def choice(env_id: str, difficulty: str, levels: tuple[str, ...] = ()) -> EnvChoice:
    """The environment with its options; where levels are given, a difficulty has no meaning."""
    if generates_levels(env_id):
        return EnvChoice(env=env_id, difficulty=difficulty)
    return EnvChoice(env=env_id, levels=levels)


def choose(window: Window, env_id: str, difficulty: str) -> tuple[str, str] | None:
    """Lets the player choose a scenario and its difficulty; None if the window was closed."""
    while True:
        env = gym.make(env_id, **choice(env_id, difficulty).options())
        env.reset(seed=0)
        window.begin("drivesim", (), 1)
        marks = ["> " + name if name == env_id else name for name in IDS]
        levels = "   ".join(f"[ {name} ]" if name == difficulty else name for name in DIFFICULTIES)
        window.banner = (*marks, "", levels, "", "arrows choose, enter begins, esc closes")
        window.show(Moment(state_of(env)))
        env.close()
        key = key_press(window)
        if key is None:
            return None
        if key in ENTER:
            window.banner = ()
            return env_id, difficulty
        if key in STEERING["FASTER"] + STEERING["SLOWER"]:
            step = 1 if key in STEERING["SLOWER"] else -1
            env_id = IDS[(IDS.index(env_id) + step) % len(IDS)]
        elif key in STEERING["LEFT"] + STEERING["RIGHT"]:
            step = 1 if key in STEERING["RIGHT"] else -1
            difficulty = DIFFICULTIES[(DIFFICULTIES.index(difficulty) + step) % len(DIFFICULTIES)]


def play(arguments: Arguments, window: Window) -> None:
    """Lets the player drive, level after level, until the window is closed."""
    env_id, difficulty = arguments.env, str(arguments.difficulty)
    seed, finished = arguments.seed, 0
    while window.is_open and not (arguments.episodes and finished >= arguments.episodes):
        if env_id is None:
            chosen = choose(window, IDS[0], difficulty)
            if chosen is None:
                return
            env_id, difficulty = chosen
        config = choice(env_id, difficulty, arguments.levels)
        env = open_env(arguments, config, window, STEERING_NOTES)
        driver = Keyboard(window, waits=arguments.wait)
        info = drive_episode(env, driver, seed, window)
        key = driver.other_key
        if info is not None:
            finished += 1
            scores = score(info), score_of_rules(config, seed, arguments.split)
            key = after_episode(window, env, (*scores, "", "enter  next     R  again     V  save     M  menu"))
        elif key == pygame.K_v:
            save(env)
        env.close()
        if key in ENTER:
            seed += 1
        elif key == pygame.K_m:
            env_id = None


def after_episode(window: Window, env: ReplayRecorder, lines: tuple[str, ...]) -> int | None:
    """Shows the score until the player chooses how to go on; the key, None once the window is closed."""
    window.banner = lines
    try:
        while True:
            key = key_press(window)
            if key == pygame.K_v:
                window.banner = (*lines, f"saved as {save(env)}")
            elif key is None or key in (*ENTER, pygame.K_r, pygame.K_m):
                return key
    finally:
        window.banner = ()


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
        config = next((own for own in trained.each() if own.env == arguments.env), trained.each()[0])
    else:
        env_id = arguments.env or IDS[0]
        policy = make_scripted(env_id)
        config = choice(env_id, arguments.difficulty, arguments.levels)
        config = replace(config, observation=policy.observation)
    env = open_env(arguments, config, window, WATCHING_NOTES)
    shown = 0
    while window.is_open and not (arguments.episodes and shown >= arguments.episodes):
        window.keys = []
        drive_episode(env, Program(policy, window), arguments.seed + shown, window)
        shown += 1
    env.close()


def show_replay(arguments: Arguments, window: Window) -> None:
    """Shows a replay once and leaves its end on the screen."""
    assert arguments.replay is not None
    replay = Replay.load(arguments.replay)
    if arguments.watch is not None:
        policy, config = load_policy(arguments.watch)
        shown = think_along(policy, config, replay, xray=arguments.xray)
    else:
        shown = list(moments(replay))
    base: Any = gym.make(replay.env_id, **replay.options).unwrapped
    window.begin(f"{replay.env_id}, seed {replay.seed}", base.action_names, base.config.scenario_class.top_speed)
    for moment in shown:
        window.show(moment)
    if not arguments.episodes:
        window.wait_for_key()


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    is_human = parsed.watch is None and parsed.replay is None and not parsed.demo
    usual = HUMAN_TICKS_PER_SECOND if is_human else WATCHING_TICKS_PER_SECOND
    try:
        if parsed.env is not None and parsed.env not in IDS:
            raise ValueError(f"env must be one of {list(IDS)}, got {parsed.env!r}")
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
