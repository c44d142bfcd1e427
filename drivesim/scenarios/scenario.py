"""What every scenario states about itself."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from drivesim.core.batch import BY_LIBRARY, BY_OPTIONS
from drivesim.core.map import map_dtype
from drivesim.core.options import MAX_LEVEL_OPTIONS
from drivesim.core.world import KRAUSS, MAX_VEHICLES, NASCH, TOP_SPEED, UNAWARE, world_dtype
from drivesim.observations.encoder import MAX_ENTITIES, MIN_ENTITIES, Window

ACTIONS = ("LEFT", "IDLE", "RIGHT", "FASTER", "SLOWER")
ACTIONS_WITHOUT_IDLE = ("LEFT", "RIGHT", "FASTER", "SLOWER")


def within(low: int, high: int) -> Any:
    """A required config field whose value must lie in [low, high]."""
    return field(metadata={"low": low, "high": high})


@dataclass(frozen=True)
class LevelConfig:
    """Base of the scenarios' level options: whole numbers, in `options.level` in the order of the fields."""

    def __post_init__(self) -> None:
        """Check what the fields' metadata allow."""
        for option in fields(self):
            value = getattr(self, option.name)
            low, high = option.metadata["low"], option.metadata["high"]
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{option.name} must be an int in [{low}, {high}], got {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{option.name} must be in [{low}, {high}], got {value}")


def option_indices(config: type[LevelConfig]) -> Any:
    """Where each level option stands in `options.level`: a named tuple of indices, which kernels read as a constant.

        AT = option_indices(HighwayConfig)
        length = options.level[AT.length]  # in a kernel

    Raises:
        ValueError: if there are more options than `options.level` has room for.
    """
    names = [option.name for option in fields(config)]
    if len(names) > MAX_LEVEL_OPTIONS:
        raise ValueError(f"{config.__name__} has {len(names)} options, at most {MAX_LEVEL_OPTIONS} are allowed")
    return namedtuple("AT", names)(*range(len(names)))


class Scenario:
    """Base of the scenarios: class attributes only, overridden by each.

    Name, version, time limit, reward threshold and summary are the registry's: `drivesim.registry.Entry`.
    """

    config: ClassVar[type[LevelConfig]]
    presets: ClassVar[dict[str, LevelConfig]]
    """The level options of each difficulty."""
    lay: ClassVar[Callable[..., Any]]
    """Kernel that paints a blank map, `core.batch.LAY`."""
    populate: ClassVar[Callable[..., Any]]
    """Kernel that fills a blank world, or refuses the draw, `core.batch.POPULATE`."""
    maps_by: ClassVar[int] = BY_OPTIONS
    """BY_OPTIONS: one map serves all worlds; BY_LEVEL: each level lays its own; BY_POOL: each takes one of `num_maps`;
    BY_LIBRARY: levels are given, as texts, and neither `lay` nor `populate` nor a shape is."""
    level: ClassVar[str]
    """BY_LIBRARY: the text of the level that there is if none is given."""
    has_portals: ClassVar[bool] = False
    """Whether the road leads from one end of the map to another."""
    num_junctions: ClassVar[int] = 0
    num_destinations: ClassVar[int] = 1
    num_slots: ClassVar[int] = 0
    """Cells in and behind junctions, which traffic reserves."""
    max_people: ClassVar[int] = 0
    """Pedestrians of a level, at most."""
    has_ways: ClassVar[bool] = False
    """Whether traffic follows ways to its destinations; else it drives straight on."""
    has_passing: ClassVar[bool] = False
    """Whether there is memory for cells on which overtaking is allowed."""
    has_goal_headings: ClassVar[bool] = False
    """Whether a goal must be reached in a heading, so that distances depend on the ego's; `lay` tells the map so."""
    window: ClassVar[Window]
    """What `"grid"` shows: how far, and those planes of which the scenario has something to tell."""
    speed_limit: ClassVar[int]
    """Speed limit, cells per tick; `lay` finds it in `options.speed_limit`."""
    top_speed: ClassVar[int] = TOP_SPEED
    """Fastest speed of an ego, cells per tick."""
    driver_model: ClassVar[int] = KRAUSS
    driver_models: ClassVar[tuple[int, ...]] = (KRAUSS, NASCH, UNAWARE)
    """Those that the traffic may have: who is unaware needs a road that leads straight on for ever."""
    dawdle: ClassVar[float] = 0.0
    """Probability with which traffic dawdles."""
    styles: ClassVar[tuple[int, int, int]] = (0, 1, 0)
    """Weights of calm, normal and hasty drivers in the traffic, for a `populate` that draws them: `core.styles`."""
    observation: ClassVar[str] = "grid"
    """The default observation."""
    max_egos: ClassVar[int] = 1
    actions: ClassVar[tuple[str, ...]] = ACTIONS
    """`ACTIONS`, or `ACTIONS_WITHOUT_IDLE`."""

    @classmethod
    def generates_levels(cls) -> bool:
        """Whether there is a generator, with difficulties and splits; else levels are given, as texts."""
        return cls.maps_by != BY_LIBRARY

    @classmethod
    def shape(cls, level: LevelConfig) -> tuple[int, int]:
        """Rows and columns of the map."""
        raise NotImplementedError

    @classmethod
    def num_vehicles(cls, level: LevelConfig) -> int:
        """Vehicles of a level, the ego included."""
        return 1

    @classmethod
    def num_maps(cls, level: LevelConfig) -> int:
        """BY_POOL: maps of each split."""
        return 1

    @classmethod
    def num_people(cls, level: LevelConfig) -> int:
        """Pedestrians of a level."""
        return cls.max_people

    @classmethod
    def num_entities(cls) -> int:
        """Rows of `"entities"`, whatever the difficulty: for all inhabitants of the fullest preset, if there is room.

        Given levels may have any number of them.
        """
        if not cls.generates_levels():
            return MAX_ENTITIES
        most = max(cls.num_vehicles(level) + cls.num_people(level) for level in cls.presets.values())
        return min(max(most, MIN_ENTITIES), MAX_ENTITIES)

    @classmethod
    def storage(cls, level: LevelConfig) -> int | None:
        """Cells of the smallest cycle of the traffic, see `core.certificate`; None = there is none that could fill."""
        return None

    @classmethod
    def map_dtype(cls, level: LevelConfig) -> np.dtype[np.void]:
        """The record of a map of such a level."""
        return map_dtype(
            *cls.shape(level),
            junctions=cls.num_junctions,
            destinations=cls.num_destinations,
            has_portals=cls.has_portals,
            has_ways=cls.has_ways,
            has_passing=cls.has_passing,
            has_goal_headings=cls.has_goal_headings,
        )

    @classmethod
    def world_dtype(cls, level: LevelConfig, num_egos: int = 1) -> np.dtype[np.void]:
        """The record of a world on it with so many egos."""
        vehicles = cls.num_vehicles(level) - 1 + num_egos
        return world_dtype(
            *cls.shape(level),
            vehicles,
            num_egos,
            people=cls.num_people(level),
            junctions=cls.num_junctions,
            slots=cls.num_slots,
        )

    @classmethod
    def check_fit(cls, level: LevelConfig, max_episode_steps: int) -> None:
        """Refuse what cannot be certified or does not fit into a world; nothing is clipped."""
        count = cls.num_vehicles(level)
        if count > MAX_VEHICLES:
            raise ValueError(f"{count} vehicles do not fit: at most {MAX_VEHICLES}, the ego included")
        cls.check_traffic(level, num_egos=1)

    @classmethod
    def check_traffic(cls, level: LevelConfig, num_egos: int) -> None:
        """Refuse more vehicles than can drive without ever standing for good, egos included."""
        storage = cls.storage(level)
        count = cls.num_vehicles(level) - 1 + num_egos
        if storage is not None and count >= storage:
            raise ValueError(
                f"num_vehicles must leave a free cell on the smallest cycle of the road, which has {storage}, "
                f"but there are {count} with the {'ego' if num_egos == 1 else f'{num_egos} egos'}"
            )
