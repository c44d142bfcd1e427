"""Compares this code with an earlier commit for `benchmark.py`, in turns, and says which budgets are reached."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmark_sides import MeasurementError, Side, resolve_commit, run_peer, say, worktree

HIGHWAY, SECOND = "Highway", "Intersection"  # the scenario that is looked at most, and a second one to compile after it
VEHICLES = {HIGHWAY: 22, "City": 40}  # beside the ego, where the time of a vehicle's tick is compared
NUM_ENVS = 1024
FLAT_SIZES = (256, 1024, 8192, 65_536)  # envs, between which steps per second should hardly change
PEER_SIZES = (64, 256)  # envs with which EnvPool was fastest; the better one counts
MORE = 3  # times as many turns where they are short


@dataclass(frozen=True)
class Budget:
    """What must be reached."""

    of: str
    """`"ratio"`, today's figure over the earlier one, or `"today"`, the figure itself."""
    bound: float
    is_least: bool
    """Whether the figure must be at least `bound`; at most otherwise."""
    unit: str

    def __str__(self) -> str:
        return f"{'>=' if self.is_least else '<='} {self.bound:,g}{self.unit}"

    def is_reached(self, before: float, today: float, ratio: float) -> bool:
        """Whether the figure is on the right side of the bound."""
        figure = ratio if self.of == "ratio" else today
        return figure >= self.bound if self.is_least else figure <= self.bound


BUDGETS = {
    "highway": Budget("ratio", 2.5, True, " times"),
    "envpool": Budget("today", 40.0, True, " EnvPools"),
    "scenario": Budget("ratio", 1.5, True, " times"),
    "city": Budget("ratio", 2.0, False, " times"),
    "single": Budget("today", 120_000.0, True, "/s"),
    "flatness": Budget("today", 1.3, False, " max/min"),
    "first": Budget("today", 10.0, False, " s"),
    "second": Budget("today", 4.0, False, " s"),
    "prebuilt": Budget("today", 1.0, False, " s"),
}

Pairs = list[tuple[float, float]]  # (before, today) of each turn


def compare(what: str, unit: str, pairs: Pairs, budget: Budget | None) -> dict[str, Any]:
    """A row of the table: medians over the turns, and the median and range of the ratios within a turn."""
    before, today = (median(side) for side in zip(*pairs, strict=True))
    ratios = [of_today / of_before for of_before, of_today in pairs]
    ratio = median(ratios)
    figures = {"before": before, "today": today, "ratio": ratio, "ratio_min": min(ratios), "ratio_max": max(ratios)}
    must = {} if budget is None else {"must": str(budget), "reached": budget.is_reached(before, today, ratio)}
    return {"what": what, "unit": unit, **figures, **must}


def not_measured(what: str, error: object, budget: Budget | None) -> dict[str, Any]:
    """The row of what could not be measured."""
    return {"what": what, "error": str(error), **({} if budget is None else {"must": str(budget)})}


@dataclass(frozen=True)
class Comparison:
    """Two sides and how long to measure them."""

    before: Side
    today: Side
    repetitions: int
    seconds: float

    def turns(self, measure: Callable[[Side], float], repetitions: int) -> Pairs:
        """Measures the sides in turns, so that other work on the machine meets both alike."""
        return [(measure(self.before), measure(self.today)) for _ in range(repetitions)]

    def measure(self, what: str, key: str, name: str, num_envs: int = NUM_ENVS, **options: Any) -> dict[str, Any]:
        """The row of one thread's steps per second, of CPU time: others' work takes nothing of that."""
        say(f"{what} (kernels that are not compiled yet take their time)")
        try:
            pairs = self.turns(
                lambda side: side.rate(name, num_envs, 1, self.seconds, "cpu", **options), MORE * self.repetitions
            )
            return compare(what, "/s", pairs, BUDGETS[key])
        except MeasurementError as error:
            return not_measured(what, error, BUDGETS[key])
        finally:
            self.forget()

    def measure_city(self) -> dict[str, Any]:
        """The row of the time that City takes for one vehicle in one tick, beside Highway's; both of today."""
        what = f"ns of a vehicle's tick, {VEHICLES['City']} in City; before: Highway"

        def nanoseconds(name: str) -> float:
            options = {"observation": "grid", "num_vehicles": VEHICLES[name]}
            rate = self.today.rate(name, NUM_ENVS, 1, self.seconds, "cpu", **options)
            return 1e9 / (rate * (1 + VEHICLES[name]))

        say(what)
        try:
            pairs = [(nanoseconds(HIGHWAY), nanoseconds("City")) for _ in range(MORE * self.repetitions)]
            return compare(what, " ns", pairs, BUDGETS["city"])
        except MeasurementError as error:
            return not_measured(what, error, BUDGETS["city"])
        finally:
            self.forget()

    def measure_flatness(self, sizes: tuple[int, ...]) -> dict[str, Any]:
        """The row of the fastest over the slowest batch size within a turn."""
        what = f"Highway grid, {sizes[0]:,} to {sizes[-1]:,} envs"

        def flatness(side: Side) -> float:
            rates = [side.rate(HIGHWAY, size, 1, self.seconds, "cpu", observation="grid") for size in sizes]
            return max(rates) / min(rates)

        say(what)
        try:
            return compare(what, " max/min", self.turns(flatness, self.repetitions), BUDGETS["flatness"])
        except MeasurementError as error:
            return not_measured(what, error, BUDGETS["flatness"])
        finally:
            self.forget()

    def measure_two_threads(self, peer_python: Path) -> list[dict[str, Any]]:
        """The rows of two threads, in wall time, and of EnvPool's highway, measured in every turn too."""
        what, peer_what = "Highway grid, two threads", "the same over EnvPool's highway"
        pairs: Pairs = []
        multiples: Pairs = []
        peer: dict[str, Any] = {}

        def rate(side: Side) -> float:
            return side.rate(HIGHWAY, NUM_ENVS, 2, self.seconds, observation="grid")

        say(what)
        try:
            for _ in range(self.repetitions):
                before, today = rate(self.before), rate(self.today)
                pairs.append((before, today))
                if "error" not in peer:
                    peer = fastest_envpool(peer_python, 3 * self.seconds)
                if "error" not in peer:
                    multiples.append((before / peer["steps_per_second"], today / peer["steps_per_second"]))
        except MeasurementError as error:
            return [not_measured(what, error, None), not_measured(peer_what, error, BUDGETS["envpool"])]
        finally:
            self.forget()
        rows = [compare(what, "/s", pairs, None)]
        if "error" in peer:
            return [*rows, not_measured(peer_what, peer["error"], BUDGETS["envpool"])]
        peer_what = f"the same over EnvPool {peer['version']}'s {peer['env']}"
        return [*rows, compare(peer_what, " EnvPools", multiples, BUDGETS["envpool"])]

    def forget(self) -> None:
        """Drops the environments of both sides."""
        self.before.forget()
        self.today.forget()


def fastest_envpool(python: Path, seconds: float) -> dict[str, Any]:
    """What `run_peer` says of EnvPool's highway with two threads, at its faster batch size; or an error."""
    found = [run_peer(python, "envpool", size, 2, seconds) for size in PEER_SIZES]
    return max(found, key=lambda peer: float("inf") if "error" in peer else peer["steps_per_second"])


def measure_start_up(before: tuple[Path, Path], today: tuple[Path, Path]) -> list[dict[str, Any]]:
    """The rows of the first steps; (root, cache) of either side, whose caches are empty before and not afterwards.

    Both sides compile their kernels; then today's code is measured with those that were built beforehand, beside what
    the earlier code took with nothing cached.
    """

    def first_step(name: str, title: str, place: tuple[Path, Path], prebuilt: bool = False) -> float:
        say(f"{title}: the first step of {name}")
        with Side(*place, prebuilt=prebuilt) as side:
            return side.first_step(name)

    rows = []
    of_before: dict[str, float] = {}
    for key, name, what in (
        ("first", HIGHWAY, f"first step of {HIGHWAY}, compiling"),
        ("second", SECOND, f"first step of {SECOND} after it, compiling"),
        ("prebuilt", HIGHWAY, f"first step of {HIGHWAY}, prebuilt; before: compiling"),
    ):
        try:
            if name not in of_before:
                of_before[name] = first_step(name, "before", before)
            of_today = first_step(name, "today", today, prebuilt=key == "prebuilt")
            rows.append(compare(what, " s", [(of_before[name], of_today)], BUDGETS[key]))
        except MeasurementError as error:
            rows.append(not_measured(what, error, BUDGETS[key]))
    return rows


def measure_budgets(
    root: Path,
    commit: str,
    *,
    names: Iterable[str],
    peer_python: Path,
    repetitions: int,
    seconds: float,
    quick: bool = False,
) -> dict[str, Any]:
    """Measures every budget, in a few minutes.

    Args:
        root: today's code: the working tree of a git repository.
        commit: the earlier one.
        names: scenarios; those that both sides have are compared. Highway always is.
        peer_python: Python that has EnvPool.
        repetitions: turns of which the median is taken, three times as many where they are short; start-up is
            measured once.
        seconds: time of a turn, at least.
        quick: whether to leave the largest batches out.

    Returns:
        `commit`, its hash; `sides`, the file that either side imported; `rows`, as `compare` and `not_measured` say.

    Raises:
        UnknownCommitError: if there is no such commit.
        MeasurementError: if either side cannot be imported.
    """
    commit = resolve_commit(root, commit)
    with worktree(root, commit) as folder, tempfile.TemporaryDirectory(prefix="drivesim-caches-") as caches:
        places = (folder, Path(caches) / "before"), (root, Path(caches) / "today")
        start_up = measure_start_up(*places)
        with Side(*places[0]) as before, Side(*places[1]) as today:
            comparison = Comparison(before, today, repetitions, seconds)
            rows = [comparison.measure("Highway grid, one thread", "highway", HIGHWAY, observation="grid")]
            rows += comparison.measure_two_threads(peer_python)
            for name in names:
                if name != HIGHWAY and name in before.ids and name in today.ids:
                    rows.append(comparison.measure(f"{name}, one thread", "scenario", name))
            if "City" in today.ids:
                rows.append(comparison.measure_city())
            rows.append(comparison.measure("Highway, batch of one, unwrapped", "single", HIGHWAY, num_envs=1))
            rows.append(comparison.measure_flatness(FLAT_SIZES[:2] if quick else FLAT_SIZES))
            sides = {"before": str(before.file), "today": str(today.file)}
    return {"commit": commit, "sides": sides, "rows": rows + start_up}
