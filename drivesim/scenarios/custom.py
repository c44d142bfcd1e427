"""Custom: levels given as texts."""

from dataclasses import dataclass
from pathlib import Path

from drivesim.core.batch import BY_LIBRARY
from drivesim.core.world import MAX_EGOS, TOP_SPEED
from drivesim.observations.encoder import Window
from drivesim.scenarios.scenario import LevelConfig, Scenario

LEVEL = Path(__file__).parents[1] / "levels" / "custom.txt"


@dataclass(frozen=True)
class CustomConfig(LevelConfig):
    """Level options of Custom: none, a level says everything itself."""


class Custom(Scenario):
    """PLACEHOLDER."""

    config = CustomConfig
    presets = {"easy": CustomConfig(), "medium": CustomConfig(), "hard": CustomConfig()}
    maps_by = BY_LIBRARY
    level = LEVEL.read_text(encoding="utf-8")
    window = Window(ahead=12, behind=10, beside=6)
    speed_limit = TOP_SPEED
    max_egos = MAX_EGOS
