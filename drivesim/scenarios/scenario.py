"""What every scenario states about itself."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from drivesim.core.rules import LEVEL
from drivesim.core.world import KRAUSS, MAX_CELLS, MAX_VEHICLES, TOP_SPEED
from drivesim.observations.encoder import Window


def within(low: int, high: int) -> Any:
    """A required config field whose value must lie in [low, high]."""
    return field(metadata={"low": low, "high": high})


@dataclass(frozen=True)
class LevelConfig:
    """Base of the scenarios' level options: whole numbers, one per field of `core.rules.LEVEL`."""

    def __post_init__(self) -> None:
        """Check what the fields' metadata allow."""
        for option in fields(self):
            if option.name not in (LEVEL.names or ()):
                raise ValueError(f"{type(self).__name__}.{option.name} is no field of LEVEL: {LEVEL.names}")
            value = getattr(self, option.name)
            low, high = option.metadata["low"], option.metadata["high"]
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{option.name} must be an int in [{low}, {high}], got {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{option.name} must be in [{low}, {high}], got {value}")


class Scenario:
    """Base of the scenarios: class attributes only, overridden by each."""

    name: ClassVar[str]
    number: ClassVar[int]
    """Written into every world, so that a state cannot be restored into another scenario."""
    config: ClassVar[type[LevelConfig]]
    presets: ClassVar[dict[str, LevelConfig]]
    """The level options of each difficulty."""
    generate: ClassVar[Callable[..., Any]]
    """Kernel `generate(world, rules, queue) -> bool`: fill a blank world, or refuse the draw."""
    window: ClassVar[Window]
    limit: ClassVar[int]
    """Speed limit, cells per tick."""
    max_episode_steps: ClassVar[int]
    top_speed: ClassVar[int] = TOP_SPEED
    """Fastest speed of a controlled car, cells per tick."""
    has_idle: ClassVar[bool] = True
    """Whether IDLE is among the actions."""
    driver_model: ClassVar[int] = KRAUSS
    dawdle: ClassVar[float] = 0.0
    """Probability with which traffic dawdles."""
    observation: ClassVar[str] = "grid"
    """The default observation."""
    max_controlled: ClassVar[int] = 1
    is_ring: ClassVar[bool] = False
    """A periodic road: no goal cell, an odometer."""
    actions: ClassVar[tuple[str, ...]] = ("LEFT", "IDLE", "RIGHT", "FASTER", "SLOWER")

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        raise NotImplementedError

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """Vehicles of a level, the ego included."""
        return 1

    @classmethod
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Refuse what cannot be certified or does not fit into a world; nothing is clipped."""
        rows, cols = cls.shape(level)
        if rows * cols > MAX_CELLS:
            raise ValueError(f"a map of {rows} x {cols} cells does not fit: at most {MAX_CELLS} cells")
        count = cls.num_vehicles(level)
        if count > MAX_VEHICLES:
            raise ValueError(f"{count} vehicles do not fit: at most {MAX_VEHICLES}, the ego included")
