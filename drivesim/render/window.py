"""A window that shows a drive as it goes on, smoothly, and obeys a few keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from drivesim.render import panel
from drivesim.render.frame import draw_scene
from drivesim.render.grid import draw_grid
from drivesim.render.moment import Moment
from drivesim.render.panel import Panel, font
from drivesim.render.scene import Scene
from drivesim.render.state import State
from drivesim.render.view import extents_of

Array = np.ndarray[Any, Any]

FRAMES_PER_SECOND = 60
LONGEST_FRAME = 0.05  # seconds that one picture may stand for: after a hitch the drive goes on, it does not jump
TICKS_PER_SECOND = 5.0
SLOWEST, FASTEST = 1 / 8, 16  # times the usual speed
SMALLEST = (320, 240)  # pixels
BANNER_LINE, BANNER_MARGIN = 30, 18  # pixels: a line's height, and the room above and below all of them
KEYS = (
    "space  pause",
    "N  one tick",
    "+ -  faster, slower",
    "P  save a picture",
    "X  x-ray",
    "tab  panel",
    "esc  close",
)


class Window:
    """A resizable pygame window.

    Args:
        title: of the window and the panel.
        action_names: one per action, for the panel; there is none without them.
        speed_limit: cells per tick, for the panel.
        ticks_per_second: how fast the simulation is shown at the usual speed, above 0.
        size: width and height in pixels at the beginning.
        xray: whether salient cells are tinted from the beginning on.
        notes: further lines at the panel's foot.

    `show` returns when the tick has been shown, which takes its time; while the window is paused, it waits. Once the
    window is closed, by a key, by the mouse, by `close` or by a `pygame.quit`, nothing is shown any more and `show`
    returns at once.
    """

    def __init__(
        self,
        title: str,
        action_names: Sequence[str] = (),
        *,
        speed_limit: int = 5,
        ticks_per_second: float = TICKS_PER_SECOND,
        size: tuple[int, int] = (960, 720),
        xray: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        if not ticks_per_second > 0:
            raise ValueError(f"ticks_per_second must be above 0, got {ticks_per_second}")
        pygame.display.init()
        self.is_visible = pygame.display.get_driver() != "offscreen"
        """False where there is no display: then SDL keeps the window to itself."""
        self._screen = pygame.display.set_mode(size, pygame.RESIZABLE)
        pygame.display.set_caption(title)
        self.is_open = True
        self.is_paused = False
        self.speed = 1.0
        self.has_panel = True
        self.has_xray = xray
        self.ticks_per_second = ticks_per_second
        self.banner: tuple[str, ...] = ()
        """Lines shown over the picture."""
        self.keys: list[int] = []
        """Keys that were pressed and mean nothing to the window, the oldest first; empty it when you have read it."""
        self.num_frames = 0
        """Pictures shown so far."""
        self.picture_folder = Path()
        """Where pictures are saved: the current directory, unless changed."""
        self._panel = Panel(title, action_names, speed_limit)
        self._notes = (*notes, *KEYS)
        self._clock = pygame.time.Clock()
        self._single_step = False
        self._last: Moment | None = None
        self._last_states: Sequence[State] = ()
        self._draw: Callable[[float], None] = lambda share: None

    def begin(self, title: str, action_names: Sequence[str], speed_limit: int, notes: Sequence[str] = ()) -> None:
        """Go over to another environment; arguments as of the class."""
        pygame.display.set_caption(title)
        self._panel = Panel(title, action_names, speed_limit)
        self._notes = (*notes, *KEYS)
        self._last = None

    # --- showing -----------------------------------------------------------------------------------------------------

    def show(self, moment: Moment) -> None:
        """Show how a moment follows from the last one shown, or the moment alone if it does not."""
        if not self.is_open:
            return
        self._panel.take(moment)
        scene = Scene(moment.state, None if self._last is None else self._last.state)
        decision = self._last.decision if scene.moves and self._last is not None else moment.decision
        saliency = decision.saliency if decision is not None else ()
        self._last = moment

        def draw(share: float) -> None:
            width, height = self._room()
            rows, cols = (extent.shown for extent in extents_of(scene.state.map))
            cell = max(2, min(height // rows, width // cols))
            picture = draw_scene(scene, cell, share, saliency if self.has_xray else ())
            self._blit(picture)
            if width < self._screen.get_width():
                self._screen.blit(self._panel.draw(height, self._footer()), (width, 0))

        self._run(draw, scene.moves)

    def show_worlds(self, states: Sequence[State]) -> None:
        """Show many worlds of one configuration side by side, as they follow from the last ones shown."""
        if not self.is_open:
            return
        last: Sequence[State | None] = self._last_states or [None] * len(states)
        scenes = [Scene(state, before) for state, before in zip(states, last, strict=True)]
        self._last_states = states

        def draw(share: float) -> None:
            width, height = self._room()
            rows, cols = (extent.shown for extent in extents_of(scenes[0].state.map))
            columns = _columns(len(scenes), rows, cols, width, height)
            down = -(-len(scenes) // columns)
            longer = max(columns * cols, down * rows)
            size = min(width * longer // (columns * cols), height * longer // (down * rows))
            self._blit(draw_grid(scenes, share, size, columns))

        self._run(draw, any(scene.moves for scene in scenes))

    def wait_for_key(self, until: Callable[[], bool] = lambda: False) -> None:
        """Wait until a key is pressed that means nothing to the window, or the window is closed.

        Args:
            until: asked before every picture; it ends the wait as well.
        """
        while self.is_open and not self.keys and not until():
            self._handle_events()
            if self.is_open:
                self._present(1.0)
                self._clock.tick(FRAMES_PER_SECOND)

    @property
    def banner_room(self) -> int:
        """How many lines of a banner the window has room for."""
        return (self._screen.get_height() - 2 * BANNER_MARGIN) // BANNER_LINE

    def close(self) -> None:
        """Close the window; may be called again."""
        if self.is_open:
            self.is_open = False
            pygame.display.quit()

    def screenshot(self) -> Path:
        """Save what the window shows as a PNG, in a file that did not exist, and return its path."""
        number = 0
        while (path := self.picture_folder / f"drivesim-{number:03d}.png").exists():
            number += 1
        pygame.image.save(self._screen, str(path))
        return path

    # --- inside ------------------------------------------------------------------------------------------------------

    def _run(self, draw: Callable[[float], None], moves: bool) -> None:
        """Show a tick from its beginning to its end."""
        self._draw = draw
        share = 0.0 if moves else 1.0
        self._clock.tick()  # time that has passed outside does not count
        while self.is_open:
            self._handle_events()
            if not self.is_open:
                return
            goes_on = not self.is_paused or self._single_step
            if goes_on and moves:
                seconds = min(LONGEST_FRAME, self._clock.get_time() / 1000)
                share = min(1.0, share + seconds * self.ticks_per_second * self.speed)
            self._present(share)
            if share >= 1.0 and (goes_on or not moves):
                self._single_step = False
                return
            self._clock.tick(FRAMES_PER_SECOND)

    def _present(self, share: float) -> None:
        """Draw and flip."""
        self._draw(share)
        self._draw_banner()
        pygame.display.flip()
        self.num_frames += 1

    def _room(self) -> tuple[int, int]:
        """Width and height that the picture has: the window's, less the panel's if there is one and room for it."""
        width, height = self._screen.get_size()
        has_panel = self.has_panel and self._panel.action_names and width >= 2 * panel.WIDTH
        return width - panel.WIDTH if has_panel else width, height

    def _blit(self, picture: Array) -> None:
        """Put a picture in the middle of its room."""
        width, height = self._room()
        self._screen.fill(panel.BACKGROUND)
        shape = picture.shape[1], picture.shape[0]
        surface = pygame.image.frombuffer(picture.tobytes(), shape, "RGB")
        self._screen.blit(surface, ((width - shape[0]) // 2, (height - shape[1]) // 2))

    def _draw_banner(self) -> None:
        """Lines over the lower edge of the picture, where they hide least of the drive that goes on."""
        if not self.banner:
            return
        lines = [font(22).render(line, True, panel.FOREGROUND) for line in self.banner]
        width = max(line.get_width() for line in lines) + 48
        height = BANNER_LINE * len(lines) + 2 * BANNER_MARGIN
        box = pygame.Surface((width, height), pygame.SRCALPHA)
        box.fill((*panel.BACKGROUND, 225))
        for n, line in enumerate(lines):
            box.blit(line, ((width - line.get_width()) // 2, BANNER_MARGIN + 2 + BANNER_LINE * n))
        room_width, room_height = self._room()
        self._screen.blit(box, ((room_width - width) // 2, room_height - height))

    def _footer(self) -> list[str]:
        """The keys, and how fast time goes."""
        state = "paused" if self.is_paused else f"speed x{self.speed:g}"
        return [*self._notes, "", state]

    def _handle_events(self) -> None:
        """Do what keys and mouse ask for."""
        if not pygame.display.get_init():  # somebody else has quit pygame, as Gymnasium's HumanRendering does
            self.is_open = False
            return
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.close()
                return
            if event.type == pygame.VIDEORESIZE:
                size = max(event.w, SMALLEST[0]), max(event.h, SMALLEST[1])
                screen = pygame.display.get_surface()  # resized already, where the window is a real one
                if screen is None or screen.get_size() != size:
                    screen = pygame.display.set_mode(size, pygame.RESIZABLE)
                self._screen = screen
            if event.type == pygame.KEYDOWN and not self._obeys(event.key):
                self.keys.append(event.key)
            if not self.is_open:
                return

    def _obeys(self, key: int) -> bool:
        """Do what a key asks for; whether it means anything to the window."""
        if key == pygame.K_ESCAPE:
            self.close()
        elif key == pygame.K_SPACE:
            self.is_paused = not self.is_paused
        elif key == pygame.K_n:
            self.is_paused = True
            self._single_step = True
        elif key in (pygame.K_PLUS, pygame.K_EQUALS, pygame.K_KP_PLUS):
            self.speed = min(FASTEST, self.speed * 2)
        elif key in (pygame.K_MINUS, pygame.K_KP_MINUS):
            self.speed = max(SLOWEST, self.speed / 2)
        elif key == pygame.K_p:
            self.screenshot()
        elif key == pygame.K_x:
            self.has_xray = not self.has_xray
        elif key == pygame.K_TAB:
            self.has_panel = not self.has_panel
        else:
            return False
        return True


def _columns(count: int, rows: int, cols: int, width: int, height: int) -> int:
    """How many of `count` pictures of rows x cols cells to put side by side to make cells largest."""

    def cell(columns: int) -> float:
        return min(width / (columns * cols), height / (-(-count // columns) * rows))

    return max(range(1, count + 1), key=cell)
