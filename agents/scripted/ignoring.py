"""Drivers that see nobody else: how far one gets by following the route at the limit, among others who look out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.scripted.window import LINE, STOP, YELLOW, View, ahead, own_speed
from drivesim.observations.encoder import Window
from drivesim.observations.full_grid import EGO, GOAL_IN_HEADING, PEDESTRIAN, TURNING_LEFT, VEHICLE
from drivesim.observations.grid import shown_planes

if TYPE_CHECKING:
    from agents.scripted import ScriptedDriver

__all__ = ["IgnoringDriver"]

OTHERS = {"vehicle", "vehicle_heading", "vehicle_turn", "pedestrian"}  # planes that show other road users


class IgnoringDriver:
    """Drives as another driver would if nobody else were there.

    It keeps to the road and to its route, waits at red and yellow lights and stands at stop lines; but it takes every
    turn for its own, and enters a junction as soon as the control allows that.
    """

    def __init__(self, driver: ScriptedDriver, window: Window) -> None:
        """Sets the other driver, and the window that it is shown."""
        self.driver = driver
        self.window = window

    @property
    def observation(self) -> str:
        """Name of the observation that it reads."""
        return self.driver.observation

    def __call__(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Returns the other driver's actions on the empty road, (B,)."""
        return self.driver(_empty_field(obs) if self.observation == "full_grid" else self._empty_window(obs))

    def _empty_window(self, obs: NDArray[Any]) -> NDArray[Any]:
        """A copy of windows that shows nobody, and every turn as mine that the control ahead allows me."""
        obs = obs.copy()
        view = View(obs, self.window)
        for n, name in enumerate(shown_planes(self.window)):
            if name in OTHERS:
                obs[:, n] = 0
            elif name == "my_turn":
                obs[:, n] = np.where(_is_open(view), 255, 0)[:, None, None]
        return obs


def _is_open(view: View) -> NDArray[np.bool_]:
    """Whether the nearest line straight ahead may be passed by somebody who is alone: (B,)."""
    signal = ahead(view, "signal")[:, :, view.window.beside]
    line = (signal >= LINE).argmax(axis=1)
    value = signal[np.arange(len(signal)), line]
    has_stood = (line == 0) & (own_speed(view) == 0)
    is_open: NDArray[np.bool_] = (value < YELLOW) & ((value != STOP) | has_stood)
    return is_open


def _empty_field(obs: NDArray[Any]) -> NDArray[Any]:
    """A copy of codes of whole maps without the others."""
    is_other = (obs == PEDESTRIAN) | ((obs >= VEHICLE) & (obs < EGO))
    is_other |= (obs >= TURNING_LEFT) & (obs < GOAL_IN_HEADING)
    return np.where(is_other, 0, obs)
