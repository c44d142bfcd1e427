"""Rendering of an environment by its render mode: a window, pictures or text. Loads pygame only for the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym

from drivesim.checks import whole
from drivesim.core.prices import TERMS
from drivesim.core.world import NOT_STARTED
from drivesim.engine import Array, Engine
from drivesim.render.state import State
from drivesim.render.view import LARGEST_SIZE, SMALLEST_SIZE

if TYPE_CHECKING:
    from drivesim.render.window import Window

RENDER_FPS = 5  # ticks per second in windows and videos


def state_of(env: Any, index: int = 0) -> State:
    """A copy of one of the worlds of an environment and of its map, for `draw_frame` at any later time.

    Args:
        env: an environment of the suite, or several in one, wrapped or not.
        index: of the world.
    """
    return _copy_of(env.unwrapped._engine, index)


def _copy_of(engine: Engine, index: int) -> State:
    """A copy of one of an engine's worlds and of its map."""
    return State(engine.map_of(index).copy(), engine.worlds[index].copy())


class Renderer:
    """Draws the worlds of an engine and never changes them.

    Args:
        engine: whose worlds are drawn.
        render_mode: None, `"human"`, `"rgb_array"`, `"ansi"`, or one of these two with `_list`.
        size: pixels along the longer side of a picture, at most.
        title: of the window.

    Raises:
        TypeError, ValueError: for a size that is no integer or out of range.
    """

    def __init__(self, engine: Engine, render_mode: str | None, size: int, title: str) -> None:
        self.render_mode = render_mode
        self.is_human = render_mode == "human"
        self._engine = engine
        self._size = whole("render_size", size, SMALLEST_SIZE, LARGEST_SIZE)
        self._title = title
        self._window: Window | None = None
        self._frames: list[list[Any]] | None = None
        if render_mode is not None and render_mode.endswith("_list"):
            self._frames = [[] for _ in range(engine.num_worlds)]

    def follow(self, mask: Array | None = None) -> None:
        """Show all worlds in the window, or keep a picture of each of those in `mask`, which were reset or stepped.

        Of a world that has just begun an episode, earlier pictures go, as in Gymnasium's `RenderCollection`.
        """
        if self.is_human:
            self.show_worlds()
        elif self._frames is not None:
            for index, frames in enumerate(self._frames):
                if mask is None or mask[index]:
                    if self._engine.worlds["tick"][index] == 0:
                        frames.clear()
                    frames.append(self._drawn(index))

    def show(self, action: int | None = None, reward: float = 0.0) -> None:
        """Show world 0 in the window, opened the first time; returns when the tick has been shown."""
        from drivesim.render.moment import Moment

        terms = dict(zip(TERMS, self._engine.terms[0].tolist(), strict=False))
        window = self._opened(self._engine.actions)
        window.show(Moment(_copy_of(self._engine, 0), action, reward, terms))

    def show_worlds(self) -> None:
        """Show all worlds in the window, opened the first time; returns when the tick has been shown."""
        self._opened(()).show_worlds([_copy_of(self._engine, index) for index in range(self._engine.num_worlds)])

    def _opened(self, action_names: tuple[str, ...]) -> Window:
        """The window. One that was closed stays closed: the simulation goes on without it."""
        if self._window is None:
            from drivesim.render.window import Window

            top_speed = self._engine.config.scenario_class.top_speed
            self._window = Window(self._title, action_names, speed_limit=top_speed, ticks_per_second=RENDER_FPS)
            if not self._window.is_visible:
                gym.logger.warn("there is no display: the window stays invisible; use render_mode='rgb_array'")
        return self._window

    def render(self, index: int) -> Any:
        """One world as a picture, uint8 (H, W, 3), or as text; None where there is a window or no render mode.

        Under a mode of lists, the pictures that were kept; they are handed over once.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if self.render_mode is None:
            gym.logger.warn(
                "render() without a render_mode shows nothing: pass render_mode= when making the environment"
            )
            return None
        if self._engine.worlds["stage"][index] == NOT_STARTED:
            raise gym.error.ResetNeeded("call reset() before render()")
        if self.is_human:
            return None
        if self._frames is not None:
            frames, self._frames[index] = self._frames[index], []
            return frames
        return self._drawn(index)

    def _drawn(self, index: int) -> Any:
        """One world as a picture or text."""
        from drivesim.render.frame import draw_frame, draw_text

        state = self._state(index)
        return draw_text(state) if str(self.render_mode).startswith("ansi") else draw_frame(state, size=self._size)

    def render_grid(self, columns: int | None) -> Array:
        """All worlds in one picture, uint8 (H, W, 3)."""
        from drivesim.render.grid import MOST_WORLDS, draw_grid
        from drivesim.render.scene import Scene

        shown = range(min(self._engine.num_worlds, MOST_WORLDS))
        return draw_grid([Scene(self._state(index)) for index in shown], size=self._size, columns=columns)

    def _state(self, index: int) -> State:
        """One of the worlds as it is, and its map."""
        return State(self._engine.map_of(index), self._engine.worlds[index])

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def __getstate__(self) -> dict[str, Any]:
        """For pickling and copying: a copy opens a window of its own."""
        return {**self.__dict__, "_window": None}
