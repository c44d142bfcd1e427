"""The panel beside the picture: what is going on, in figures. Drawn by pygame without a display."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from drivesim.decimals import DASH, decimal
from drivesim.render import palette
from drivesim.render.moment import GOOD_EVENTS, MILD_EVENTS, Decision, Moment
from drivesim.render.palette import Colour

Array = np.ndarray[Any, Any]

WIDTH = 264  # pixels
MARGIN, GAP = 14, 8
LINE = 20
BAR = 12
CAPTION = 2 * LINE  # below a picture
TEXT, HEADING = 15, 19  # pixels of height
BACKGROUND: Colour = (24, 27, 33)
FOREGROUND: Colour = (232, 234, 238)
MUTED: Colour = (146, 152, 162)
TROUGH: Colour = (52, 57, 66)
GOOD: Colour = palette.BLUISH_GREEN
BAD: Colour = palette.VERMILION
NOTE: Colour = palette.SKY_BLUE
LASTING = 12  # ticks for which an event that is not grave stays in the list
MOST_EVENTS = 6


_fonts: dict[int, pygame.font.Font] = {}


def font(height: int) -> pygame.font.Font:
    """pygame's own font, which comes with it. Made anew after a `pygame.quit`, which leaves older ones unusable."""
    try:
        _fonts[height].get_height()
    except (KeyError, pygame.error):
        pygame.font.init()
        _fonts[height] = pygame.font.Font(None, round(height * 1.35))
    return _fonts[height]


def cut(text: str, height: int, width: int) -> str:
    """A text as far as it fits into a width in pixels, with an ellipsis if it does not."""
    if font(height).size(text)[0] <= width:
        return text
    while text and font(height).size(text + "…")[0] > width:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, height: int, width: int) -> list[str]:
    """A text in lines that fit into a width in pixels, broken at blanks if it has any in time."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if font(height).size(longer)[0] <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font(height).size(lines[-1] + letter)[0] > width:
                lines.append("")
            lines[-1] += letter
    return lines


class Panel:
    """Keeps what it has been shown of an episode and draws it.

    Args:
        title: on top.
        action_names: one per action.
        speed_limit: cells per tick, for the bar of the speed.
    """

    def __init__(self, title: str, action_names: Sequence[str], speed_limit: int = 5) -> None:
        self.title = title
        self.action_names = tuple(action_names)
        self.speed_limit = speed_limit
        self.episode_return = 0.0
        self._log: list[tuple[int, str]] = []
        self._decision: Decision | None = None
        self._moment: Moment | None = None

    def take(self, moment: Moment) -> None:
        """Go on to the next moment; one at an episode's start empties the panel."""
        if moment.is_start or self._moment is None:
            self.episode_return, self._log, self._decision = 0.0, [], None
        else:
            self._decision = self._moment.decision
        self.episode_return += moment.reward
        tick = int(moment.world["tick"])
        self._log += [(tick, event) for event in moment.events]
        self._moment = moment

    def draw(self, height: int, notes: Sequence[str] = (), width: int = WIDTH) -> pygame.Surface:
        """The panel as a surface.

        Args:
            height: pixels.
            notes: lines at the foot, such as the keys.
            width: pixels.
        """
        surface = pygame.Surface((width, height))
        surface.fill(BACKGROUND)
        pen = _Pen(surface)
        pen.text(self.title, FOREGROUND, HEADING)
        pen.skip(6)
        if self._moment is not None:
            self._draw_facts(pen, self._moment)
            if self._decision is not None:
                self._draw_decision(pen, self._decision, self._moment.action)
            self._draw_reward(pen, self._moment)
            self._draw_events(pen, int(self._moment.world["tick"]))
        foot = height - MARGIN // 2 - LINE * len(notes)
        if foot > pen.y:
            pen.y = foot
            for note in notes:
                pen.text(note, MUTED)
        return surface

    def to_array(self, height: int, width: int = WIDTH) -> Array:
        """The panel as a picture, uint8 (height, width, 3)."""
        picture: Array = pygame.surfarray.array3d(self.draw(height, width=width)).transpose(1, 0, 2)
        return picture

    def _draw_facts(self, pen: _Pen, moment: Moment) -> None:
        """Tick, speed, route and action."""
        speed = int(moment.world["vehicles"]["speed"][0])
        pen.row("tick", str(int(moment.world["tick"])))
        pen.bar("speed", decimal(speed, 0), speed / max(1, self.speed_limit), palette.SKY_BLUE)
        pen.bar("route", f"{moment.completion:.0%}", moment.completion, GOOD)
        pen.row("action", DASH if moment.action is None else self.action_names[moment.action])
        pen.skip(8)

    def _draw_decision(self, pen: _Pen, decision: Decision, action: int | None) -> None:
        """The scores from which the driver chose."""
        pen.text("probabilities" if decision.is_probability else "action values", MUTED)
        low = 0.0 if decision.is_probability else min(0.0, *decision.scores)
        high = 1.0 if decision.is_probability else max(0.0, *decision.scores)
        for n, (name, score) in enumerate(zip(self.action_names, decision.scores, strict=True)):
            share = (score - low) / (high - low) if high > low else 0.0
            shown = f"{decimal(100 * score, 0)}%" if decision.is_probability else decimal(score, 2)
            pen.bar(name, shown, share, palette.YELLOW if n == action else MUTED)
        if decision.value is not None:
            pen.row("value", decimal(decision.value, 2))
        pen.skip(8)

    def _draw_reward(self, pen: _Pen, moment: Moment) -> None:
        """This tick's reward and its parts."""
        pen.row("return", decimal(self.episode_return, 3, is_change=True))
        pen.row("reward", decimal(moment.reward, 3, is_change=True))
        for name, term in moment.reward_terms.items():
            if term != 0.0:
                shown = decimal(term, 3, is_change=True)
                pen.row(f"   {name.replace('_', ' ')}", shown, GOOD if term > 0.0 else BAD)
        pen.skip(8)

    def _draw_events(self, pen: _Pen, tick: int) -> None:
        """What has happened in the last ticks, the latest first."""
        fading = MILD_EVENTS + GOOD_EVENTS
        recent = [(at, event) for at, event in self._log if tick - at < LASTING or event not in fading]
        for at, event in reversed(recent[-MOST_EVENTS:]):
            colour = GOOD if event in GOOD_EVENTS else NOTE if event in MILD_EVENTS else BAD
            pen.row(event, f"tick {at}", MUTED, colour)


def caption(title: str, left: str, right: str, colour: Colour, width: int) -> Array:
    """Two lines below a picture, uint8 (height, width, 3): a title; a figure on the left and a coloured one right."""
    surface = pygame.Surface((width, CAPTION))
    surface.fill(BACKGROUND)
    figure = font(TEXT).render(right, True, colour)
    surface.blit(font(TEXT).render(cut(title, TEXT, width - 2 * GAP), True, MUTED), (GAP, 2))
    surface.blit(font(TEXT).render(left, True, FOREGROUND), (GAP, LINE))
    surface.blit(figure, (width - GAP - figure.get_width(), LINE))
    picture: Array = pygame.surfarray.array3d(surface).transpose(1, 0, 2)
    return picture


class _Pen:
    """Writes from the top of a surface down, and stops at its end."""

    def __init__(self, surface: pygame.Surface) -> None:
        self.surface = surface
        self.y = MARGIN

    def skip(self, pixels: int) -> None:
        """Leave some room."""
        self.y += pixels

    def text(self, text: str, colour: Colour, height: int = TEXT) -> None:
        """A line of text."""
        shown = cut(text, height, self.surface.get_width() - 2 * MARGIN)
        self.surface.blit(font(height).render(shown, True, colour), (MARGIN, self.y))
        self.y += height + LINE - TEXT

    def row(self, name: str, value: str, colour: Colour = FOREGROUND, name_colour: Colour = MUTED) -> None:
        """A name on the left and a value on the right."""
        drawn = font(TEXT).render(value, True, colour)
        left = self.surface.get_width() - MARGIN - drawn.get_width()
        self.surface.blit(font(TEXT).render(cut(name, TEXT, left - MARGIN - GAP), True, name_colour), (MARGIN, self.y))
        self.surface.blit(drawn, (left, self.y))
        self.y += LINE

    def bar(self, name: str, value: str, share: float, colour: Colour) -> None:
        """A row with a bar between name and value."""
        left, right = MARGIN + 82, self.surface.get_width() - MARGIN - 52
        trough = pygame.Rect(left, self.y + 1, right - left, BAR)
        pygame.draw.rect(self.surface, TROUGH, trough, border_radius=3)
        filled = trough.copy()
        filled.width = round(trough.width * min(1.0, max(0.0, share)))
        if filled.width:
            pygame.draw.rect(self.surface, colour, filled, border_radius=3)
        self.row(name, value)
