"""The options of an environment: frozen dataclasses, validated, every field with a sentence and a unit."""

from __future__ import annotations

import inspect
import sys
from dataclasses import Field, asdict, astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from drivesim.checks import chosen, real, whole
from drivesim.core.event_table import HEADS
from drivesim.core.options import OPTIONS
from drivesim.core.prices import FACTORS, PRICES, TERMS
from drivesim.core.styles import DAWDLES
from drivesim.core.world import KRAUSS, NASCH, UNAWARE
from drivesim.observations import ENCODERS
from drivesim.observations.encoder import Encoder
from drivesim.registry import entry_of, scenario_of
from drivesim.scenarios.scenario import LevelConfig, Scenario

REWARDS = {name: number for number, name in enumerate(HEADS)}
DRIVER_MODELS = {"krauss": KRAUSS, "nasch": NASCH, "unaware": UNAWARE}
DIFFICULTIES = ("easy", "medium", "hard")
SPLITS = ("train", "test")
LARGEST = sys.float_info.max
MAX_LEVELS = 2**31 - 1
T = TypeVar("T")


def _with_weights(cls: type[T]) -> type[T]:
    """`cls` as a frozen dataclass that has a field, and in its docstring a sentence, for every price."""
    cls.__annotations__ = {price.name: float for price in PRICES}
    for price in PRICES:
        setattr(cls, price.name, price.default)
    if cls.__doc__:  # there is none under python -OO
        lines = [f"    {price.name}: {price.meaning}" for price in PRICES]
        cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__), "", "Attributes:", *lines])
    return dataclass(frozen=True)(cls)


@_with_weights
class RewardWeights:
    """What events and progress are worth. Signs are checked: a penalty above 0 is an error.

    Which weights a head uses: `"route"` all but those marked Shaped; `"shaped"` all; `"sparse"` arrived (only if the
    drive counts as a success) and the accidents; `"cost"` progress and arrived, everything else is counted in
    `info["cost"]` instead.
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

        def __init__(self, *in_order: float, **by_name: float) -> None: ...

        def __getattr__(self, name: str) -> float: ...

    def __post_init__(self) -> None:
        """Check that every weight is finite and has its sign."""
        for price in PRICES:
            value = getattr(self, price.name)
            if not price.heads:
                low, high, allowed = 0.0, 1.0, "in (0, 1]"
            elif price.default > 0.0:
                low, high, allowed = 0.0, LARGEST, "finite and at least 0"
            else:
                low, high, allowed = -LARGEST, 0.0, "finite and at most 0"
            number = real(f"reward weight {price.name}", value, low, high, allowed)
            if number == 0.0 and not price.heads:
                raise ValueError(f"reward weight {price.name} must be {allowed}, got {value}")
            object.__setattr__(self, price.name, number)


@dataclass(frozen=True)
class EnvConfig:
    """Everything that, with seed and actions, determines a trajectory."""

    scenario: str
    """Name in the registry."""
    observation: str | None = None
    """`"grid"`, `"features"` or `"full_grid"`; None = the scenario's own."""
    difficulty: str = "medium"
    """`"easy"`, `"medium"` or `"hard"`: the preset of the level options."""
    split: str = "train"
    """`"train"` or `"test"`: disjoint streams of level seeds."""
    num_levels: int | None = None
    """Only the first so many levels of the split; None = unlimited."""
    reward: str = "route"
    """`"route"`, `"shaped"`, `"sparse"` or `"cost"`."""
    reward_weights: RewardWeights = field(default_factory=RewardWeights)
    """What the reward's terms are worth."""
    traffic: str | None = None
    """`"krauss"`, `"nasch"` or `"unaware"`; None = the scenario's own."""
    dawdle: float | None = None
    """Probability with which traffic dawdles in a tick; None = the scenario's own."""
    level: dict[str, int] = field(default_factory=dict)
    """Level options that replace the difficulty's."""
    is_dawdle_chosen: bool = field(init=False, repr=False, compare=False, default=False)
    """Whether `dawdle` was given, which then is that of all driver styles."""

    def __post_init__(self) -> None:
        """Check every option and fill in the scenario's own."""
        entry_of(self.scenario)
        scenario = self.scenario_class
        if self.observation is None:
            object.__setattr__(self, "observation", scenario.observation)
        chosen("observation", self.observation, ENCODERS)
        chosen("difficulty", self.difficulty, DIFFICULTIES)
        chosen("split", self.split, SPLITS)
        chosen("reward", self.reward, REWARDS)
        if self.num_levels is not None:
            object.__setattr__(self, "num_levels", whole("num_levels", self.num_levels, 1, MAX_LEVELS))
        weights = self.reward_weights
        if weights is None:
            object.__setattr__(self, "reward_weights", RewardWeights())
        elif isinstance(weights, dict):
            names = [weight.name for weight in fields(RewardWeights)]
            for name in weights:
                if name not in names:
                    raise ValueError(f"reward_weights has no {name!r}; there are {names}")
            object.__setattr__(self, "reward_weights", RewardWeights(**weights))
        elif not isinstance(weights, RewardWeights):
            raise TypeError(f"reward_weights must be a RewardWeights or a dict, got {weights!r}")
        if self.traffic is None:
            own = next(name for name, model in DRIVER_MODELS.items() if model == scenario.driver_model)
            object.__setattr__(self, "traffic", own)
        chosen("traffic", self.traffic, DRIVER_MODELS)
        object.__setattr__(self, "is_dawdle_chosen", self.dawdle is not None)
        if self.dawdle is None:
            object.__setattr__(self, "dawdle", scenario.dawdle)
        object.__setattr__(self, "dawdle", real("dawdle", self.dawdle, 0.0, 1.0, "in [0, 1]"))
        names = [option.name for option in fields(scenario.config)]
        for name in self.level:
            if name not in names:
                others = [option.name for option in fields(EnvConfig) if option.init]
                allowed = [*names, *(other for other in others if other not in ("scenario", "level"))]
                # TorchRL's GymEnv goes by Python's own words for it.
                refused = f"unexpected keyword argument {name!r}: {self.scenario} has no option {name!r}"
                raise TypeError(f"{refused}; there are {allowed}")
        scenario.check_fit(self.level_config, entry_of(self.scenario).max_episode_steps)

    @property
    def scenario_class(self) -> type[Scenario]:
        """The scenario."""
        return scenario_of(self.scenario)

    @property
    def encoder(self) -> Encoder:
        """The observation's encoder."""
        assert self.observation is not None
        return ENCODERS[self.observation]

    @property
    def level_config(self) -> LevelConfig:
        """The difficulty's level options with the replacements."""
        scenario = self.scenario_class
        values = asdict(scenario.presets[self.difficulty])
        for name, value in self.level.items():
            metadata = next(option.metadata for option in fields(scenario.config) if option.name == name)
            values[name] = whole(name, value, metadata["low"], metadata["high"])
        return scenario.config(**values)

    def to_options(self, max_steps: int, num_egos: int = 1) -> np.ndarray[Any, Any]:
        """The record (shape (1,)) that the kernels read; `max_steps` 0 = the batch applies no time limit."""
        scenario = self.scenario_class
        options = np.zeros(1, OPTIONS)
        record = options[0]
        record["num_egos"] = num_egos
        record["has_idle"] = "IDLE" in scenario.actions
        record["speed_limit"] = scenario.speed_limit
        record["top_speed"] = scenario.top_speed
        record["driver_model"] = DRIVER_MODELS[str(self.traffic)]
        record["dawdle"] = round(float(self.dawdle or 0.0) * 65536)
        if not self.is_dawdle_chosen:
            record["more_dawdle"] = [round(float(self.dawdle or 0.0) * (share - 1.0) * 65536) for share in DAWDLES]
        record["styles"] = scenario.styles
        record["test_split"] = self.split == "test"
        record["num_levels"] = self.num_levels or 0
        record["certified_within"] = entry_of(self.scenario).max_episode_steps
        record["max_steps"] = max_steps
        record["reward"] = REWARDS[self.reward]
        record["ahead"] = scenario.window.ahead
        record["behind"] = scenario.window.behind
        record["beside"] = scenario.window.beside
        weights = asdict(self.reward_weights)
        paid = [price.name for price in PRICES if self.reward in price.heads]
        options["weights"]["terms"][0] = [weights[name] if name in paid else 0.0 for name in TERMS]
        for name in FACTORS:
            options["weights"][name][0] = weights[name]
        chosen_level = astuple(self.level_config)
        options["level"][0, : len(chosen_level)] = chosen_level
        return options


def jsonable(value: Any) -> Any:
    """`value` in terms of JSON: enums by their value, NumPy scalars and arrays as numbers and lists.

    `gym.make` keeps the keyword arguments in `env.spec`; this is what keeps `env.spec.to_json()` working whatever
    was passed.
    """
    if isinstance(value, RewardWeights):
        return asdict(value)
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "value") and hasattr(value, "name"):  # an enum
        return value.value
    return value
