"""A person who drives with the keys of a window."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pygame

from agents.level_files import Drawing

__all__ = ["ENTER", "STEERING", "Keyboard"]

STEERING = {
    "LEFT": (pygame.K_LEFT, pygame.K_a),
    "RIGHT": (pygame.K_RIGHT, pygame.K_d),
    "FASTER": (pygame.K_UP, pygame.K_w),
    "SLOWER": (pygame.K_DOWN, pygame.K_s),
}
"""The keys of each action."""
ENTER = (pygame.K_RETURN, pygame.K_KP_ENTER)
LEAVING = {key: "go on to the next level" for key in ENTER} | {
    pygame.K_r: "begin this level again",
    pygame.K_m: "go to the menu",
}
"""What the keys do that leave a drive."""
HINT = ("arrows or WASD drive,", "and begin at once")  # a narrow box finds room beside the road


class Keyboard:
    """Drives as the keys say: the last one pressed in a tick, or one held that changes the speed; else IDLE.

    Args:
        drawing: of the level, and its window.
        waits: whether the world waits for a key at every tick; without an IDLE it always does.
        countdown: seconds before the first tick, so that nobody crashes before seeing the road.
        save: saves the drive so far, and returns where, in words.
    """

    def __init__(
        self, drawing: Drawing, *, waits: bool, countdown: float, save: Callable[[gym.Env[Any, Any]], str]
    ) -> None:
        self.window = drawing.window
        self.drawing = drawing
        self.waits = waits
        self.countdown = countdown
        self.save = save
        self.left_with: int | None = None
        """The key with which the drive was left."""
        self._has_begun = False

    def think(self, env: gym.Env[Any, Any]) -> None:
        """Nobody knows."""

    def act(self, env: gym.Env[Any, Any], obs: Any) -> int | None:
        """The action that was asked for; None if the drive is left, the level is another or the window closed.

        A key without a meaning changes nothing, and one that leaves a drive must be pressed twice once it has begun. A
        pause changes none of that, and a key that drives is kept for the next tick.
        """
        names: tuple[str, ...] = env.unwrapped.action_names  # type: ignore[attr-defined]
        must_wait = self.waits or "IDLE" not in names
        if not self._has_begun and not must_wait:
            self._count_down(env)
        wish = None

        def is_free() -> bool:
            return not self.window.is_held and (wish is not None or not must_wait)

        while True:
            self.window.wait_for_key(lambda: self.drawing.look() or is_free())
            pressed, self.window.keys = self.window.keys, []
            for key in pressed:
                wish = next((name for name, keys in STEERING.items() if key in keys), wish)
                if key == pygame.K_v:
                    self._save(env)
                elif key in LEAVING and (not self._has_begun or self.window.is_meant(key, LEAVING[key])):
                    self.left_with = key
                    return None
            if self.drawing.is_new or not self.window.is_open:
                return None
            if is_free():
                break
        if wish is None:
            held = pygame.key.get_pressed()
            wish = next((name for name in ("FASTER", "SLOWER") if any(held[key] for key in STEERING[name])), "IDLE")
        self._has_begun = self.window.loses_drive = True
        return names.index(wish)

    def _save(self, env: gym.Env[Any, Any]) -> None:
        """Saves the drive, if there is any, and says where."""
        self.window.note(self.save(env) if self._has_begun else "nothing has been driven yet that could be saved")

    def _count_down(self, env: gym.Env[Any, Any]) -> None:
        """Counts seconds until the first tick, unless a key drives or leaves before; a pause holds it."""
        left, before = self.countdown, time.monotonic()

        def is_over() -> bool:
            nonlocal left, before
            now = time.monotonic()
            left -= 0.0 if self.window.is_paused else now - before
            before = now
            self.drawing.lines = (str(math.ceil(left)), *HINT)
            has_to_tick = self.window.is_paused and not self.window.is_held
            return self.drawing.look() or left <= 0.0 or has_to_tick

        meant = (*(key for keys in STEERING.values() for key in keys), *LEAVING)
        while self.window.is_open and not is_over() and not any(key in meant for key in self.window.keys):
            if pygame.K_v in self.window.keys:
                self._save(env)
            self.window.keys = []
            self.window.wait_for_key(is_over)
        self.drawing.lines = ()
        self.drawing.look()
