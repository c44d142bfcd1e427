"""What the compiled loops call by address: generators of scenarios, encoders of observations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from drivesim.core import batch
from drivesim.core.memory import BlockType
from drivesim.observations import ENCODERS
from drivesim.observations.encoder import Window
from drivesim.registry import scenario_of


@dataclass(frozen=True)
class Bindings:
    """What the loops call by address, for one scenario and one observation."""

    lay: Any
    populate: Any
    encode: Any


@cache
def bindings_of(scenario: str, observation: str, window: Window | None = None) -> Bindings:
    """Compile, or load, a scenario's generator and an observation's encoder, for the scenario's or another window."""
    road, encoder = scenario_of(scenario), ENCODERS[observation]
    encoder_arguments = (*batch.ENCODE.arguments[:-1], BlockType(encoder.dtype))
    return Bindings(
        lay=batch.LAY.address_of(road.lay) if road.generates_levels() else 0,
        populate=batch.POPULATE.address_of(road.populate) if road.generates_levels() else 0,
        encode=batch.ENCODE.address_of(encoder.encode_for(window or road.window), *encoder_arguments),
    )
