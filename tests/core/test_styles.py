"""Drivers of one road differ in style: their own limit, how often they dawdle, what they change lane for."""

import numpy as np
import pytest
from ascii_map import Car, from_ascii, options_of
from checker import found
from levels import levels, without_ego
from roads import driven, roads

from drivesim.config import EnvConfig
from drivesim.core.map import NORTH
from drivesim.core.world import CALM, HASTY, NASCH, NORMAL
from drivesim.registry import scenario_of

STYLES = (CALM, NORMAL, HASTY)


@pytest.fixture
def mixture(monkeypatch):
    """Sets the weights of the styles on Highway."""
    return lambda *weights: monkeypatch.setattr(scenario_of("Highway"), "styles", weights)


def highway(**options):
    """Vehicles of some levels of Highway, and options."""
    maps, worlds, record = levels("Highway", range(60), **options)
    num_vehicles = int(worlds["num_vehicles"][0])
    return maps, worlds, record, worlds["vehicles"][:, 1:num_vehicles]


@pytest.mark.parametrize("scenario", ["Highway", "Intersection"])
def test_all_traffic_is_normal_where_the_scenario_has_no_mixture(scenario) -> None:
    _, worlds, options = levels(scenario, range(4))
    assert (worlds["vehicles"]["style"][:, 1 : int(worlds["num_vehicles"][0])] == NORMAL).all()
    assert options["more_dawdle"][0, NORMAL] == 0


def test_styles_are_drawn_in_the_mixture_of_the_scenario_and_shift_a_driver_s_own_limit(mixture) -> None:
    _, _, _, plain = highway()
    mixture(1, 2, 1)
    _, _, _, mixed = highway()
    shares = np.bincount(mixed["style"].ravel(), minlength=3) / mixed.size
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=4 * np.sqrt(0.25 / mixed.size))
    where = lambda vehicles: np.sort(vehicles["cell"], axis=1)  # noqa: E731
    assert (where(plain) == where(mixed)).all()
    shift = np.array([-1, 0, 1])[mixed["style"]]
    assert (mixed["top_speed"] == np.clip(plain["top_speed"] + shift, 1, 5)).all()
    assert (mixed["speed"] <= mixed["top_speed"]).all()


def test_nasch_has_no_styles(mixture) -> None:
    mixture(1, 0, 1)
    assert (highway(traffic="nasch")[3]["style"] == NORMAL).all()


def test_a_dawdling_that_the_user_chose_is_everybodys(mixture) -> None:
    mixture(1, 1, 1)
    own = EnvConfig("Highway").to_options(0)[0]
    assert own["more_dawdle"].tolist() == [round(0.1 * 65536), 0, -round(0.1 * 65536)]
    assert not EnvConfig("Highway", dawdle=0.2).to_options(0)[0]["more_dawdle"].any()


def test_calm_drivers_dawdle_more_often_than_hasty_ones() -> None:
    """On a free lane a vehicle at its limit loses a cell in every tick in which it dawdles."""
    lost = []
    for style in STYLES:
        maps, worlds = roads(20, 1, 200, 5, seed=1, slowest=1, fastest=1)
        worlds["vehicles"]["style"] = style
        options = options_of(num_egos=0, dawdle=6554)
        options["more_dawdle"] = 3277, 0, -3277
        driven(maps, worlds, options, 20)
        cells, faults = driven(maps, worlds, options, 1000)
        assert not found(faults)
        lost.append(1 - cells / (20 * 5 * 1000))
    assert lost == pytest.approx([0.15, 0.1, 0.05], abs=0.005)


@pytest.mark.parametrize(("style", "changes"), [(CALM, False), (NORMAL, True), (HASTY, True)])
def test_calm_drivers_do_not_change_lane_for_a_cell_or_two(style, changes) -> None:
    """The left lane has two cells more room than the own one, in which b drives."""
    rows = ["^ ^"] * 6 + ["c ^", "^ ^", "^ b", "^ ^", "^ a"] + ["^ ^"] * 12
    cars = {"a": Car(NORTH, 1), "b": Car(NORTH, 0, 0), "c": Car(NORTH, 0, 0)}
    situation = from_ascii("\n".join(rows), **cars)
    situation.vehicle("a").style = style
    situation.play()
    assert (situation.at("a")[1] == 0) == changes


def test_no_mixture_of_styles_breaks_a_rule(mixture) -> None:
    mixture(1, 1, 1)
    maps, worlds, options, _ = highway(difficulty="hard")
    _, faults = driven(maps, without_ego(maps, worlds), options, 300, patience=100)
    assert not found(faults)
    assert options["driver_model"][0] != NASCH
