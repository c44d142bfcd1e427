"""The fundamental diagram: what is measured on the ring road, against what is known of it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agents.plots import plot_traffic
from agents.plots.traffic import LENGTH, MAX_VEHICLES, Ring, drive, exact_flow, measure_flow
from drivesim.config import EnvConfig
from drivesim.core import batch
from drivesim.core.tick import tick
from drivesim.engine import Engine


@pytest.mark.parametrize("num_vehicles", [2, 9, 18, 23, 24, 30, MAX_VEHICLES])
def test_traffic_of_nagel_and_schreckenberg_flows_exactly_as_known_without_dawdling(num_vehicles: int) -> None:
    ring = Ring("nasch", 0.0, num_vehicles)
    measured = measure_flow(ring, worlds=3, ticks=400, seed=1)
    assert measured == pytest.approx(min(5 * num_vehicles / LENGTH, 1 - num_vehicles / LENGTH), abs=1e-12)
    assert exact_flow(np.array([ring.density])) == pytest.approx(measured[:1], abs=1e-12)


@pytest.mark.parametrize("traffic", ["nasch", "krauss"])
def test_traffic_at_low_density_dawdles_in_a_share_of_all_ticks(traffic: Any) -> None:
    """Everybody, the ego too, drives at 5 - p on average: if one of two did not dawdle, at 4.9 instead of 4.8."""
    for dawdle, tolerance in ((0.0, 1e-12), (0.2, 0.01)):
        measured = measure_flow(Ring(traffic, dawdle, 2), worlds=8, ticks=1000, seed=0)
        assert measured.mean() == pytest.approx(2 / LENGTH * (5 - dawdle), rel=tolerance)


@pytest.mark.parametrize("dawdle", [0.0, 1.0])
@pytest.mark.parametrize("traffic", ["nasch", "krauss"])
def test_traffic_drives_as_if_the_ego_were_one_of_them(traffic: Any, dawdle: float) -> None:
    """Without chance the ring goes exactly as one without an ego, in which the traffic's rules drive everybody."""
    ring = Ring(traffic, dawdle, 30)
    level = {"length": LENGTH, "distance": 20, "num_lanes": 1, "num_vehicles": 29, "slowest": 5, "fastest": 5}
    config = EnvConfig("Highway", traffic=traffic, dawdle=dawdle, level=level)
    options = config.to_options(0, num_egos=0)
    states = drive(ring, worlds=2, seed=3)
    worlds = next(states)["world"]
    worlds["num_egos"] = 0
    road = Engine(config, 1, batch.DISABLED).map_of(0)
    no_actions = np.zeros(1, np.int64)
    moved = 0
    for state in islice(states, 200):
        for world in worlds:
            tick(road, world, options[0], no_actions, 0)
        for name in ("cell", "speed"):
            assert (state["world"]["vehicles"][name][:, :30] == worlds["vehicles"][name][:, :30]).all()
        moved += int(state["world"]["vehicles"]["speed"][:, 0].sum())
    assert moved > 0
    states.close()


def test_starts_differ_between_worlds_and_seeds_and_repeat() -> None:
    def start(seed: int) -> Any:
        states = drive(Ring("krauss", 0.2, 20), worlds=2, seed=seed)
        cells = next(islice(states, 5, None))["world"]["vehicles"]["cell"]
        states.close()
        return cells

    assert (start(0) == start(0)).all()
    assert (start(0)[0] != start(0)[1]).any()
    assert (start(0) != start(1)).any()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"traffic": "unaware"}, "traffic must be one of"),
        ({"dawdle": 1.5}, r"dawdle must be in \[0, 1\], got 1.5"),
        ({"num_vehicles": 1}, r"num_vehicles must be in \[2, 36\], got 1"),
        ({"num_vehicles": 37}, r"num_vehicles must be in \[2, 36\], got 37"),
    ],
)
def test_an_impossible_ring_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ring(**{"traffic": "nasch", "dawdle": 0.0, "num_vehicles": 2, **changed})


def test_the_figure_is_written_and_repeats(tmp_path: Path) -> None:
    written = [plot_traffic(tmp_path / name, worlds=2, ticks=20, counts=(2, 24)) for name in ("a", "b")]
    assert [path.name for path in written[0]] == ["traffic.png", "traffic.svg"]
    assert [path.read_bytes() for path in written[0]] == [path.read_bytes() for path in written[1]]
    with Image.open(written[0][0]) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 100


@pytest.mark.parametrize(("name", "value", "least"), [("worlds", 1, 2), ("ticks", 0, 1), ("seed", -1, 0)])
def test_the_figure_needs_something_to_measure(tmp_path: Path, name: str, value: int, least: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least {least}, got {value}"):
        plot_traffic(tmp_path, **{name: value})
