"""The windows of a process on its screen: each independent of the others, each with events of its own."""

from __future__ import annotations

import contextlib
import os
from typing import ClassVar

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame


class DesktopWindow:
    """A window on the screen, empty at first.

    The first one opens pygame's display, and the last one that is closed closes it again; a display that somebody else
    has opened stays. A `pygame.quit` of somebody else closes all of them.

    Args:
        title: of the window.
        size: width and height in pixels at the beginning, less where the screen is smaller.
        smallest: width and height in pixels at least.
    """

    _open: ClassVar[list[DesktopWindow]] = []
    _owns_display: ClassVar[bool] = False

    def __init__(self, title: str, size: tuple[int, int], smallest: tuple[int, int]) -> None:
        if not pygame.display.get_init():
            _forget_all()
            pygame.display.init()
            pygame.register_quit(_forget_all)
            DesktopWindow._owns_display = True
        elif not DesktopWindow._open:
            DesktopWindow._owns_display = False
        self.is_visible = pygame.display.get_driver() != "offscreen"
        """False where there is no display: then SDL keeps the window to itself."""
        (width, height), *_ = pygame.display.get_desktop_sizes() or [size]
        self._window = pygame.Window(title, (min(size[0], width), min(size[1], height)), resizable=True)
        self._window.minimum_size = smallest
        self._waiting: list[pygame.event.Event] = []
        DesktopWindow._open.append(self)

    @property
    def surface(self) -> pygame.Surface:
        """What the window shows after the next `flip`, as large as the window is now."""
        return self._window.get_surface()

    @property
    def is_open(self) -> bool:
        """Whether it is on the screen."""
        return self in DesktopWindow._open and pygame.display.get_init()

    def name(self, title: str) -> None:
        """Give it another title."""
        self._window.title = title

    def flip(self) -> None:
        """Show the surface."""
        self._window.flip()

    def events(self) -> list[pygame.event.Event]:
        """What has happened to this window, keys and mouse included, since this was last asked.

        Events of the other windows wait until these ask; those that name no window are for whoever asks first.
        """
        for event in pygame.event.get():
            named = getattr(event, "window", None)
            owner = self if named is None else next((each for each in self._open if each._window is named), None)
            for each in self._open if event.type == pygame.QUIT else [owner]:
                if each is not None:
                    each._waiting.append(event)
        events, self._waiting = self._waiting, []
        return events

    def close(self) -> None:
        """Take it off the screen; may be called again."""
        if self not in DesktopWindow._open:
            return
        DesktopWindow._open.remove(self)
        self._window.destroy()
        if not DesktopWindow._open and DesktopWindow._owns_display:
            pygame.display.quit()


def _forget_all() -> None:
    """Close all windows without a display: SDL would give what they point to to others."""
    while DesktopWindow._open:
        with contextlib.suppress(pygame.error):
            DesktopWindow._open.pop()._window.destroy()
