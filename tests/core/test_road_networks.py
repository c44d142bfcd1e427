"""On any road that may be driven, traffic never collides, breaks no rule and keeps moving."""

import pytest
from ascii_map import Situation
from checker import found
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from records import frame_of
from road_networks import networks, picture, traffic
from roads import driven, set_speeds

from drivesim.core.junctions import PATIENCE
from drivesim.core.map import ALL_WAY_STOP, NO_CONTROL, SIGNALS, YIELD


def longest_cycle(situation: Situation) -> int:
    """Ticks of the longest cycle of a signal."""
    junctions = situation.map.junctions[: situation.map.num_junctions]
    cycles = [2 * (j.yellow + j.all_red) + j.green_0 + j.green_1 for j in junctions if j.control == SIGNALS]
    return int(max(cycles, default=0))


def play(situation: Situation, ticks: int) -> dict[str, int]:
    """The faults of so many ticks, from speeds at which all can stop."""
    set_speeds(frame_of(situation.maps, situation.worlds, situation.options).argument, 0)
    num_vehicles = int(situation.world.num_vehicles)
    patience = PATIENCE * (num_vehicles + 1) + 2 * longest_cycle(situation)
    _, faults = driven(situation.maps, situation.worlds, situation.options, ticks, patience)
    return found(faults)


CONTROLS = {"signals": SIGNALS, "all-way stop": ALL_WAY_STOP, "yield": YIELD, "no control": NO_CONTROL}


@pytest.mark.parametrize("control", CONTROLS)
@given(data=st.data(), dawdle=st.sampled_from([0.0, 0.1, 0.3]))
@settings(max_examples=60, phases=[Phase.generate])  # failures take too long to shrink
def test_traffic_of_any_network_breaks_no_rule_and_keeps_moving(control, data, dawdle) -> None:
    network = data.draw(networks((CONTROLS[control],)))
    situation = data.draw(traffic(network, options={"dawdle": round(dawdle * 65536)}))
    drawing = picture(network, situation)
    assert not play(situation, 1000), drawing
