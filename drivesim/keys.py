"""The keys that `gymnasium.utils.play.play` steers with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations

__all__ = ["keys_to_action"]

NOTHING = ""
"""The combination of no keys; without it `play` would take the first action, which steers."""


def keys_to_action(action_names: Sequence[str]) -> dict[str | tuple[int, ...], int]:
    """The action of every combination of arrow keys and letters of WASD.

    Keys of several actions at once steer, if they steer to one side, and else do nothing.

    Args:
        action_names: of the actions 0, 1 and so on.
    """
    import pygame

    keys = {
        **dict.fromkeys((pygame.K_LEFT, pygame.K_a), "LEFT"),
        **dict.fromkeys((pygame.K_RIGHT, pygame.K_d), "RIGHT"),
        **dict.fromkeys((pygame.K_UP, pygame.K_w), "FASTER"),
        **dict.fromkeys((pygame.K_DOWN, pygame.K_s), "SLOWER"),
    }
    idle = action_names.index("IDLE" if "IDLE" in action_names else "SLOWER")
    actions: dict[str | tuple[int, ...], int] = {NOTHING: idle}
    for held in chain.from_iterable(combinations(keys, size) for size in range(1, len(keys) + 1)):
        wanted = {keys[key] for key in held}
        steering = wanted & {"LEFT", "RIGHT"} or wanted
        actions[held] = action_names.index(steering.pop()) if len(steering) == 1 else idle
    return actions
