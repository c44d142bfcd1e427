"""A window that shows a drive as it goes on, smoothly, and obeys a few keys."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from drivesim.render import banner, panel
from drivesim.render.desktop import DesktopWindow
from drivesim.render.frame import draw_scene
from drivesim.render.grid import draw_grid
from drivesim.render.moment import Moment
from drivesim.render.panel import Panel
from drivesim.render.scene import Scene
from drivesim.render.state import State
from drivesim.render.view import extents_of, filling

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")

FRAMES_PER_SECOND = 60
LONGEST_FRAME = 0.05  # seconds that one picture may stand for: after a hitch the drive goes on, it does not jump
TICKS_PER_SECOND = 5.0
SLOWEST, FASTEST = 1 / 8, 16  # times the usual speed
USUAL_SIZE, SMALLEST = (1280, 720), (560, 440)  # pixels; the menu needs no less
NOTICE_SECONDS = 5.0  # for which the window tells what it has done
SECOND_PRESS = 3.0  # seconds in which a key that ends a drive is to be pressed again
XRAY_KEY = "X  x-ray"  # where a driver tells its decisions
KEYS = (
    "space  pause",
    "N  one tick",
    "+ -  faster, slower",
    "P  save a picture",
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
        size: width and height in pixels at the beginning, less where the screen is smaller.
        xray: whether salient cells are tinted from the beginning on.
        notes: further lines at the panel's foot.

    Several windows of a process are independent of each other. `show` returns when the tick has been shown, which takes
    its time; while the window is paused, it waits. Once the window is closed, by a key, by the mouse, by `close` or by
    a `pygame.quit`, nothing is shown any more and `show` returns at once.
    """

    def __init__(
        self,
        title: str,
        action_names: Sequence[str] = (),
        *,
        speed_limit: int = 5,
        ticks_per_second: float = TICKS_PER_SECOND,
        size: tuple[int, int] = USUAL_SIZE,
        xray: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        if not ticks_per_second > 0:
            raise ValueError(f"ticks_per_second must be above 0, got {ticks_per_second}")
        self._desktop = DesktopWindow(title, size, SMALLEST)
        self.is_visible = self._desktop.is_visible
        """False where there is no display: then SDL keeps the window to itself."""
        self.is_paused = False
        self.speed = 1.0
        self.has_panel = True
        self.has_xray = xray
        self.ticks_per_second = ticks_per_second
        self.banner: tuple[str, ...] = ()
        """Lines shown over the picture."""
        self.banner_is_aside = False
        """Whether they stand on the right, and not where they hide least."""
        self.keys: list[int] = []
        """Keys that were pressed and mean nothing to the window, the oldest first; empty it when you have read it."""
        self.reads_keys = False
        """Whether somebody reads `keys` between the ticks: in a pause, a key then ends the tick that is shown."""
        self.num_frames = 0
        """Pictures shown so far."""
        self.picture_folder = Path("pictures")
        """Where pictures are saved; it is made when it is needed."""
        self.loses_drive = False
        """Whether closing the window by a key would throw a drive away: then the key is to be pressed again."""
        self._banner_at: tuple[int, int, pygame.Rect] | None = None  # the room and the box of the last picture
        self._spots: list[banner.Spot] = []
        self._notice: tuple[str, float] = ("", 0.0)
        self._asked: tuple[int, float] = (0, 0.0)
        self._panel = Panel(title, action_names, speed_limit)
        self._notes = (*notes, *KEYS)
        self._has_decisions = False
        self._clock = pygame.time.Clock()
        self._single_step = False
        self._last: Moment | None = None
        self._last_states: Sequence[State] = ()
        self._draw: Callable[[float], None] = lambda share: self._clear()

    def begin(self, title: str, action_names: Sequence[str], speed_limit: int, notes: Sequence[str] = ()) -> None:
        """Go over to another environment; arguments as of the class."""
        if self.is_open:
            self._desktop.name(title)
        self._panel = Panel(title, action_names, speed_limit)
        self._notes = (*notes, *KEYS)
        self._last, self._has_decisions = None, False

    @property
    def is_open(self) -> bool:
        """Whether the window is there."""
        return self._desktop.is_open

    @property
    def is_held(self) -> bool:
        """Whether a pause holds the drive, and not one more tick is asked for."""
        return self.is_open and self.is_paused and not self._single_step

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
        self._has_decisions |= moment.decision is not None

        def draw(share: float) -> None:
            width, height = self._room()
            extents, cell = filling(scene.state.map, width, height)
            self._blit(draw_scene(scene, cell, share, saliency if self.has_xray else (), extents))
            if self.banner:
                self._spots = banner.spots_of(scene, share, cell, extents, (width, height))
            surface = self._desktop.surface
            if width < surface.get_width():
                surface.blit(self._panel.draw(height, self._footer()), (width, 0))

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

    def load(self, what: str, work: Callable[[], Result]) -> Result | None:
        """Do something slow while the window says so and obeys its keys.

        Args:
            what: is loaded, in a few words.
            work: what is to be done, in another thread; its exceptions come out here.

        Returns:
            What the work returns, or None if the window was closed before that.
        """
        results: list[Result] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(work())
            except BaseException as error:
                errors.append(error)

        before, keys = self.banner, self.keys
        self.keys = []
        worker = threading.Thread(target=run, daemon=True)
        worker.start()
        worker.join(0.05)  # most of the time that is enough, and the picture does not flicker
        while self.is_open and worker.is_alive():
            self.banner = (*before, f"loading {what} ...")
            self.wait_for_key(lambda: not worker.is_alive())
            keys, self.keys = keys + self.keys, []
        self.banner, self.keys = before, keys
        if errors:
            raise errors[0]
        return results[0] if results else None

    def note(self, text: str) -> None:
        """Tell something for some seconds, above the picture."""
        self._notice = text, time.monotonic() + NOTICE_SECONDS

    def is_meant(self, key: int, what: str) -> bool:
        """Whether a key that ends a drive was pressed twice; at the first time the window says that it has to be.

        Args:
            key: that was pressed.
            what: it does, in a few words.
        """
        asked, until = self._asked
        now = time.monotonic()
        self._asked = key, now + SECOND_PRESS
        is_second = asked == key and now < until
        if is_second:
            self._asked = 0, 0.0
            self._notice = "", 0.0
        else:
            self.note(f"press {pygame.key.name(key)} again to {what}: this drive would be lost")
        return is_second

    @property
    def banner_room(self) -> int:
        """How many lines of a banner the window has room for."""
        return (self._desktop.surface.get_height() - 2 * banner.MARGIN) // banner.LINE if self.is_open else 0

    def close(self) -> None:
        """Close the window; may be called again. Other windows stay."""
        self._desktop.close()

    def screenshot(self) -> Path:
        """Save what the window shows as a PNG, in a file that did not exist, and return its path.

        Raises:
            OSError: if it cannot be written.
        """
        self.picture_folder.mkdir(parents=True, exist_ok=True)
        number = 0
        while (path := self.picture_folder / f"drivesim-{number:03d}.png").exists():
            number += 1
        try:
            pygame.image.save(self._desktop.surface, str(path))
        except pygame.error as error:
            raise OSError(str(error)) from error
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
            is_asked = self.reads_keys and bool(self.keys)
            if self.is_held:
                share = 1.0 if is_asked else share
            elif moves:
                seconds = min(LONGEST_FRAME, self._clock.get_time() / 1000)
                share = min(1.0, share + seconds * self.ticks_per_second * self.speed)
            self._present(share)
            if share >= 1.0 and (not self.is_held or is_asked or not moves):
                self._single_step = False
                return
            self._clock.tick(FRAMES_PER_SECOND)

    def _present(self, share: float) -> None:
        """Draw and flip."""
        self._draw(share)
        self._draw_banner()
        self._draw_notice()
        self._desktop.flip()
        self.num_frames += 1

    def _room(self) -> tuple[int, int]:
        """Width and height that the picture has: the window's, less the panel's if there is one and room for it."""
        width, height = self._desktop.surface.get_size()
        has_panel = self.has_panel and self._panel.action_names and width >= 2 * panel.WIDTH
        return width - panel.WIDTH if has_panel else width, height

    def _blit(self, picture: Array) -> None:
        """Put a picture in the middle of its room, which cuts off what it has no place for."""
        width, height = self._room()
        self._clear()
        shape = picture.shape[1], picture.shape[0]
        surface = pygame.image.frombuffer(picture.tobytes(), shape, "RGB")
        self._desktop.surface.blit(surface, ((width - shape[0]) // 2, (height - shape[1]) // 2))

    def _clear(self) -> None:
        """Leave nothing but the ground of the panel."""
        self._desktop.surface.fill(panel.BACKGROUND)

    def _draw_banner(self) -> None:
        """Lines over the picture, where they hide least; there they stay until the ego gets below them."""
        last, self._banner_at = self._banner_at, None
        if not self.banner:
            return
        width, height = self._room()
        box = banner.box_of(self.banner, width)
        size = box.get_size()
        room = width, height
        stays = last is not None and last == (*room, pygame.Rect(last[2].topleft, size))
        if self.banner_is_aside:
            place = width - size[0], height - size[1]
        elif last is not None and stays and banner.hidden(last[2].topleft, size, self._spots) < banner.EGO_WEIGHT:
            place = last[2].topleft
        else:
            place = banner.place_of(size, room, self._spots)
        self._desktop.surface.blit(box, place)
        self._banner_at = width, height, pygame.Rect(place, size)

    def _draw_notice(self) -> None:
        """What the window has done, over the upper edge, or below the banner where that is there."""
        text, until = self._notice
        if text and time.monotonic() < until:
            width, _ = self._room()
            box = banner.box_of((text,), width)
            place = box.get_rect(midtop=(width // 2, 0))
            if self._banner_at is not None and place.colliderect(self._banner_at[2]):
                place.top = self._banner_at[2].bottom
            self._desktop.surface.blit(box, place)

    def _footer(self) -> list[str]:
        """The keys, and how fast time goes."""
        state = "paused" if self.is_paused else f"speed x{self.speed:g}"
        return [*self._notes, *([XRAY_KEY] if self._has_decisions else []), "", state]

    def _handle_events(self) -> None:
        """Do what keys and mouse ask for."""
        for event in self._desktop.events() if self.is_open else ():
            if event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
                self.close()
            if event.type == pygame.KEYDOWN:
                if event.key != self._asked[0]:
                    self._asked = 0, 0.0
                if not self._obeys(event.key):
                    self.keys.append(event.key)
            if not self.is_open:
                return

    def _obeys(self, key: int) -> bool:
        """Do what a key asks for; whether it means anything to the window."""
        if key == pygame.K_ESCAPE:
            if not self.loses_drive or self.is_meant(key, "close the window"):
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
            try:
                self.note(f"saved as {self.screenshot().absolute()}")
            except OSError as error:
                self.note(f"the picture could not be saved: {error}")
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
