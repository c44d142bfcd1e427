"""No outcome depends on the order in which vehicles are stored."""

import numpy as np
import pytest
from levels import levels
from records import tick_all

# Numbers of vehicles, which a permutation renames.
POINTERS = ("leader",)


def permuted(worlds, order):
    """The worlds with vehicle order[n] stored as vehicle n."""
    worlds = worlds.copy()
    place_of = np.argsort(order)
    num = len(order)
    renamed = np.concatenate([[-1], place_of])  # of 1 + vehicle, so that -1 stays -1
    worlds["vehicles"][:, :num] = worlds["vehicles"][:, order]
    for name in POINTERS:
        worlds["vehicles"][name][:, :num] = renamed[worlds["vehicles"][name][:, :num] + 1]
    worlds["occupants"] = renamed[worlds["occupants"]] + 1
    worlds["held"] = renamed[worlds["held"]] + 1
    return worlds


@pytest.mark.parametrize("scenario", ["Highway", "Intersection", "FourWayStop", "Roundabout", "City", "Autodrive"])
def test_generators_number_the_traffic_in_reading_order_behind_the_egos(scenario) -> None:
    num_egos = 1 if scenario == "Autodrive" else 3
    _, worlds, _ = levels(scenario, range(8), num_egos=num_egos, difficulty="hard")
    for world in worlds:
        vehicles = world["vehicles"][: world["num_vehicles"]]
        assert (np.diff(vehicles["cell"][num_egos:]) > 0).all()
        assert (world["occupants"][vehicles["cell"]] == 1 + np.arange(len(vehicles))).all()
        assert np.count_nonzero(world["occupants"]) == len(vehicles)


@pytest.mark.parametrize("traffic", ["krauss", "nasch"])
@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("scenario", ["Highway", "Intersection", "FourWayStop", "Roundabout", "City", "Autodrive"])
def test_vehicles_stored_in_another_order_drive_alike(scenario, difficulty, traffic) -> None:
    """The ego stays number 0. Nobody dawdles and destinations are carried over, since both are drawn per number."""
    chosen = {} if scenario == "Autodrive" else {"traffic": traffic}
    maps, worlds, options = levels(scenario, range(8), difficulty=difficulty, dawdle=0.0, **chosen)
    random = np.random.default_rng(1)
    num = int(worlds["num_vehicles"][0])
    assert (worlds["num_vehicles"] == num).all()
    order = np.concatenate([[0], 1 + random.permutation(num - 1)])
    image = permuted(worlds, order)
    names = [name for name in worlds["vehicles"].dtype.names if name not in POINTERS]
    for _ in range(60):
        actions = random.choice(4, len(worlds), p=[0.05, 0.35, 0.05, 0.55])
        tick_all(maps, worlds, options, actions)
        tick_all(maps, image, options, actions)
        image["vehicles"]["destination"][:, :num] = worlds["vehicles"]["destination"][:, order]
        for name in names:
            assert (image["vehicles"][name][:, :num] == worlds["vehicles"][name][:, order]).all(), name
        assert (image["egos"] == worlds["egos"]).all()
        assert (image["held"] == permuted(worlds, order)["held"]).all()
