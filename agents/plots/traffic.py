"""The fundamental diagram of the traffic: flow and mean speed over density on a ring road.

What is measured: ``drivesim/Highway-v1`` with one lane of 140 cells, through the public interface. All drivers set
themselves the limit of 5 cells per tick, and the ego drives by the traffic's rule, at speeds read from the state, so
that the ring holds one kind of driver; it is counted like any other vehicle. Rings first drive as many ticks as are
measured, so that the start is forgotten. The mean speed is that of all vehicles in all measured ticks, and the flow is
density times mean speed: on a ring, the number of vehicles that pass a point per tick, averaged over its points.

Highway's options allow traffic on a quarter of the cells, so densities end there: well beyond the greatest flow, but
short of a standstill.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.environments import require_registered
from agents.plots.figures import LOOKS, paper_style, save
from agents.plots.runs import mean_and_interval
from agents.scripted.window import follow_speed, room_to, speed_action
from agents.validation import check_choice, check_unit_interval, require
from drivesim import Action
from drivesim.stages import stage, tell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LENGTH", "MAX_VEHICLES", "Ring", "drive", "exact_flow", "measure_flow", "plot_traffic"]

LENGTH = 140  # cells: the longest ring that Highway allows
MAX_VEHICLES = LENGTH // 4 + 1  # traffic on a quarter of the cells, and the ego
LIMIT = 5  # cells per tick
DISTANCE = 20  # cells that the ego would have to cover: as few as there may be, for in a jam it does not get far

_ENV = "drivesim/Highway-v1"
_FAR = 2**30  # cells to the ego's goal, which it never reaches
_COUNTS = tuple(range(2, MAX_VEHICLES + 1, 2))
_METRES_PER_CELL, _SECONDS_PER_TICK = 7.5, 1.0
_PER_KM = 1000 / _METRES_PER_CELL
_PER_HOUR = 3600 / _SECONDS_PER_TICK
_TITLE = rf"One lane closed into a ring, speed limit {LIMIT} cells per tick; $p$: probability of dawdling in a tick"
_LOOKS = (replace(LOOKS[0], dashes="none"), LOOKS[1], LOOKS[4], LOOKS[2])  # the first lie on the exact curve


@dataclass(frozen=True)
class Ring:
    """A ring road and its drivers."""

    traffic: Literal["nasch", "krauss"]
    """Driver model of everybody: Nagel and Schreckenberg's, or Krauss's."""
    dawdle: float
    """Probability with which a driver dawdles in a tick."""
    num_vehicles: int
    """All of them, 2 to MAX_VEHICLES."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_choice(self, "traffic")
        check_unit_interval(self, "dawdle")
        require("num_vehicles", self.num_vehicles, 2 <= self.num_vehicles <= MAX_VEHICLES, f"in [2, {MAX_VEHICLES}]")

    @property
    def density(self) -> float:
        """Vehicles per cell."""
        return self.num_vehicles / LENGTH


def exact_flow(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the exact flow, in vehicles per tick, of the Nagel-Schreckenberg model without dawdling.

    All drive freely, or as fast as holes do (Nagel, Herrmann, Physica A 199 (1993) 254).

    Args:
        density: vehicles per cell.
    """
    return np.minimum(density * LIMIT, 1 - density)


def drive(ring: Ring, *, worlds: int, seed: int) -> Generator[NDArray[Any], None, None]:
    """Yields the states (worlds,) of copies of a ring with starts of their own: first the start, then tick after tick.

    Args:
        ring: the road and its drivers.
        worlds: copies, at least 1.
        seed: of starts and dawdling, at least 0.
    """
    require_registered(_ENV)
    rng = np.random.default_rng([seed, ring.num_vehicles])
    with contextlib.closing(_make_rings(ring, worlds)) as envs:
        envs.reset(seed=int(rng.integers(2**31)))
        rings: Any = envs.unwrapped
        state = rings.get_state()
        state["world"]["egos"]["remaining"][:, 0] = _FAR
        rings.set_state(state)
        while True:
            yield state.copy()
            speed, wish = _decide(state, ring, rng)
            if ring.traffic == "nasch":  # brakes harder than any action; whoever follows looks at its cell only
                state["world"]["vehicles"]["speed"][:, 0] = wish
                rings.set_state(state)
                envs.step(np.full(worlds, int(Action.IDLE)))
            else:
                envs.step(speed_action(speed, wish))
            state = rings.get_state()


def measure_flow(ring: Ring, *, worlds: int, ticks: int, seed: int) -> NDArray[np.float64]:
    """Returns the flow on copies of a ring, (worlds,) in vehicles per tick.

    Args:
        ring: the road and its drivers.
        worlds: copies with starts of their own, at least 1.
        ticks: measured, at least 1, after as many that are not.
        seed: of starts and dawdling, at least 0.
    """
    cells = np.zeros(worlds)
    with contextlib.closing(drive(ring, worlds=worlds, seed=seed)) as states:
        for state in islice(states, ticks + 1, 2 * ticks + 1):
            cells += state["world"]["vehicles"]["speed"][:, : ring.num_vehicles].sum(axis=1)
    return cells / (LENGTH * ticks)


def plot_traffic(
    out: Path, *, worlds: int = 8, ticks: int = 1000, seed: int = 0, counts: Sequence[int] = _COUNTS
) -> tuple[Path, Path]:
    """Draws flow and mean speed over density for both driver models, with and without dawdling.

    Beside them the exact curve of the Nagel-Schreckenberg model without dawdling. Error bars are Student's 95 %
    intervals of the mean over rings with starts of their own.

    Args:
        out: folder to write to.
        worlds: rings per point, at least 2.
        ticks: measured, after as many that are not.
        seed: of starts and dawdling.
        counts: vehicles on the ring, for each point.

    Returns:
        The paths of PNG and SVG, ``traffic``.
    """
    from matplotlib.figure import Figure

    require("worlds", worlds, worlds >= 2, "at least 2")
    require("ticks", ticks, ticks >= 1, "at least 1")
    require("seed", seed, seed >= 0, "at least 0")
    density = np.array(counts) / LENGTH
    with paper_style():
        figure = Figure(figsize=(7.6, 3.6))
        flow_axes, speed_axes = figure.subplots(1, 2)
        fine = np.linspace(0.01, 0.27, 521)
        for axes, exact in ((flow_axes, exact_flow(fine)), (speed_axes, exact_flow(fine) / fine)):
            axes.plot(fine, exact, color="black", linewidth=0.9, label=r"exact, $p = 0$: $\min(5\rho,\, 1 - \rho)$")
        cases: list[tuple[Literal["nasch", "krauss"], str]] = [("nasch", "Nagel-Schreckenberg"), ("krauss", "Krauss")]
        looks = iter(_LOOKS)
        for traffic, name in cases:
            for dawdle in (0.0, 0.2):
                look = next(looks)
                rings = [Ring(traffic, dawdle, count) for count in counts]
                with stage(f"driving round rings, {name}, p = {dawdle:g}"):
                    flows: list[NDArray[np.float64]] = []
                    for ring in rings:
                        tell(f"{len(flows)} of {len(rings)} densities")
                        flows.append(measure_flow(ring, worlds=worlds, ticks=ticks, seed=seed))
                    flow = np.stack(flows, axis=1)
                for axes, values in ((flow_axes, flow), (speed_axes, flow / density)):
                    mean, low, high = mean_and_interval(values)
                    axes.errorbar(
                        density,
                        mean,
                        (mean - low, high - mean),
                        color=look.colour,
                        linestyle=look.dashes,
                        linewidth=0.8,
                        marker=look.marker,
                        elinewidth=0.8,
                        label=rf"{name}, $p = {dawdle:g}$",
                    )
        flow_axes.set_ylabel("flow (vehicles per tick and lane)")
        speed_axes.set_ylabel("mean speed (cells per tick)")
        _finish(flow_axes, 0.9, _PER_HOUR, "vehicles per hour and lane")
        _finish(speed_axes, 5.4, _METRES_PER_CELL / _SECONDS_PER_TICK * 3.6, "km/h")
        exact_handle, *handles = flow_axes.get_legend_handles_labels()[0]
        figure.legend(
            handles=[*handles, exact_handle], loc="outside upper left", ncols=3, title=_TITLE, alignment="left"
        )
        return save(figure, out, "traffic")


def _make_rings(ring: Ring, worlds: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    return gym.make_vec(
        _ENV,
        num_envs=worlds,
        num_threads=1,
        max_episode_steps=-1,
        autoreset_mode="Disabled",
        traffic=ring.traffic,
        dawdle=ring.dawdle,
        length=LENGTH,
        distance=DISTANCE,
        num_lanes=1,
        num_vehicles=ring.num_vehicles - 1,
        slowest=LIMIT,
        fastest=LIMIT,
    )


def _decide(state: NDArray[Any], ring: Ring, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ego's speed and what the traffic's rule makes of it, both (worlds,)."""
    vehicles = state["world"]["vehicles"][:, : ring.num_vehicles]
    cells, speeds = vehicles["cell"].astype(np.int64), vehicles["speed"].astype(np.int64)
    speed = speeds[:, 0]
    gaps = (cells[:, 1:] - cells[:, :1] - 1) % LENGTH  # all cells are of one row
    gap, leader = gaps.min(axis=1), 1 + gaps.argmin(axis=1)
    if ring.traffic == "nasch":
        wish = np.minimum(np.minimum(speed + 1, LIMIT), gap)
    else:  # who brakes does not dawdle as well; no action brakes by 2 either
        wish = follow_speed(speed, room_to(gap, speeds[np.arange(len(speeds)), leader]), LIMIT)
    return speed, wish - ((wish > 0) & (rng.random(len(speed)) < ring.dawdle))


def _finish(axes: Axes, top: float, factor: float, label: str) -> None:
    """Limits and names of the axes; those opposite say the same in units of real roads."""
    axes.set_xlim(0, 0.27)
    axes.set_ylim(0, top)
    axes.set_xlabel(r"density $\rho$ (vehicles per cell)")
    for side, ratio, name in (("top", _PER_KM, "vehicles per km and lane"), ("right", factor, label)):
        convert = (lambda value, ratio=ratio: value * ratio, lambda value, ratio=ratio: value / ratio)
        if side == "top":
            axes.secondary_xaxis("top", functions=convert).set_xlabel(name)
        else:
            axes.secondary_yaxis("right", functions=convert).set_ylabel(name)
        axes.spines[side].set_visible(True)
