"""The options of an environment: frozen dataclasses, validated, every field with a sentence and a unit."""

from __future__ import annotations

import inspect
import sys
from dataclasses import Field, asdict, astuple, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from drivesim.checks import boolean, chosen, real, whole
from drivesim.core.event_table import HEADS
from drivesim.core.options import OPTIONS
from drivesim.core.prices import FACTORS, PRICES, TERMS
from drivesim.core.styles import DAWDLES
from drivesim.core.world import HAS_IDLE, KRAUSS, MASKED_IDLE, NASCH, NO_IDLE, UNAWARE
from drivesim.levels.head import MAX_STEPS
from drivesim.levels.library import Library, canonical_texts, certify_for, library_of
from drivesim.observations import ENCODERS
from drivesim.observations.encoder import MAX_ENTITIES, MIN_ENTITIES, Encoder, Window
from drivesim.observations.grid import places_of_planes
from drivesim.registry import entry_of, scenario_of
from drivesim.scenarios.scenario import ACTIONS, ACTIONS_WITHOUT_IDLE, LevelConfig, Scenario

REWARDS = {name: number for number, name in enumerate(HEADS)}
DRIVER_MODELS = {"krauss": KRAUSS, "nasch": NASCH, "unaware": UNAWARE}
DIFFICULTIES = ("easy", "medium", "hard")
SPLITS = ("train", "test")
LARGEST = sys.float_info.max
LARGEST_WEIGHT = 1e6  # so that no sum of rewards is ever infinite, in 32 bits neither
MAX_LEVELS = 2**31 - 1
OF_OBSERVATION = ("observation", "window", "all_planes", "num_entities")  # options that change nothing else
MAX_REACH = 64  # cells that a window may show to each side
CERTAIN = 65536  # a probability of 1, where kernels read it
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
        """Check that every weight has its sign and is no larger than what keeps rewards finite."""
        for price in PRICES:
            value = getattr(self, price.name)
            if not price.heads:
                low, high, allowed = 0.0, 1.0, "in (0, 1]"
            elif price.default > 0.0:
                low, high, allowed = 0.0, LARGEST_WEIGHT, f"finite, at least 0 and at most {LARGEST_WEIGHT:g}"
            else:
                low, high, allowed = -LARGEST_WEIGHT, 0.0, f"finite, at most 0 and at least {-LARGEST_WEIGHT:g}"
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
    """A name in `observations.ENCODERS`; None = the scenario's own."""
    window: tuple[int, int, int] | None = None
    """How far `"grid"` and `"rgb"` show the road (ahead, behind, beside), cells; None = the scenario's own window."""
    all_planes: bool = False
    """Whether `"grid"` has every plane, also those of which the scenario has nothing to tell."""
    num_entities: int | None = None
    """Rows of `"entities"`; None = as many as the scenario has inhabitants at the most, 32 at the most."""
    all_actions: bool = False
    """Whether the actions are numbered 0 … 4 where the scenario has no IDLE too: there it holds the speed and is
    masked."""
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
    levels: Any = None
    """Of a scenario that has no generator: its levels as `drivesim.levels.library` takes them, kept as a tuple of
    canonical texts; None = the scenario's own."""
    is_dawdle_chosen: bool = field(init=False, repr=False, compare=False, default=False)
    """Whether `dawdle` was given, which then is that of all driver styles."""

    def __post_init__(self) -> None:
        """Check every option and fill in the scenario's own."""
        entry_of(self.scenario)
        scenario = self.scenario_class
        if self.observation is None:
            object.__setattr__(self, "observation", scenario.observation)
        chosen("observation", self.observation, ENCODERS)
        self._check_view()
        chosen("difficulty", self.difficulty, DIFFICULTIES)
        chosen("split", self.split, SPLITS)
        chosen("reward", self.reward, REWARDS)
        self._take_levels()
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
            own_model = self.head.get("traffic", scenario.driver_model)
            own = next(name for name, model in DRIVER_MODELS.items() if model == own_model)
            object.__setattr__(self, "traffic", own)
        chosen(
            "traffic", self.traffic, [name for name in DRIVER_MODELS if DRIVER_MODELS[name] in scenario.driver_models]
        )
        if self.levels and DRIVER_MODELS[str(self.traffic)] != self.head.get("traffic", scenario.driver_model):
            certify_for(self.levels, DRIVER_MODELS[str(self.traffic)])
        is_chosen = self.dawdle is not None or self.head.get("is_dawdle_chosen") == 1
        object.__setattr__(self, "is_dawdle_chosen", is_chosen)
        if self.dawdle is None:
            own_dawdle = self.head["dawdle"] / CERTAIN if "dawdle" in self.head else scenario.dawdle
            object.__setattr__(self, "dawdle", own_dawdle)
        object.__setattr__(self, "dawdle", real("dawdle", self.dawdle, 0.0, 1.0, "in [0, 1]"))
        names = [option.name for option in fields(scenario.config)]
        hidden = ("scenario", "level") if self.levels else ("scenario", "level", "levels")
        for name in self.level:
            if name not in names:
                others = [option.name for option in fields(EnvConfig) if option.init and option.name not in hidden]
                allowed = [*names, *others]
                # TorchRL's GymEnv goes by Python's own words for it.
                refused = f"unexpected keyword argument {name!r}: {self.scenario} has no option {name!r}"
                raise TypeError(f"{refused}; there are {allowed}")
        scenario.check_fit(self.level_config, entry_of(self.scenario).max_episode_steps)

    def _check_view(self) -> None:
        """Check what is said of the observation's size and of the actions."""
        if self.window is not None:
            if not isinstance(self.window, (list, tuple)) or len(self.window) != 3:
                raise TypeError(f"window must be None or (ahead, behind, beside) in cells, got {self.window!r}")
            sides = zip(("ahead", "behind", "beside"), self.window, strict=True)
            cells = tuple(whole(f"window's {side}", reach, 0, MAX_REACH) for side, reach in sides)
            object.__setattr__(self, "window", cells)
        if self.num_entities is not None:
            rows = whole("num_entities", self.num_entities, MIN_ENTITIES, MAX_ENTITIES)
            object.__setattr__(self, "num_entities", rows)
        boolean("all_planes", self.all_planes)
        boolean("all_actions", self.all_actions)
        for name, default in (("window", None), ("all_planes", False), ("num_entities", None)):
            value, able = getattr(self, name), [kind for kind in ENCODERS if name in ENCODERS[kind].options]
            if value != default and self.observation not in able:
                raise ValueError(
                    f"{name} must be {default}, got {value!r}: only the observations {able} take it, "
                    f"not {self.observation!r}"
                )

    def _take_levels(self) -> None:
        """Read given levels, if the scenario takes any, and refuse what is said of generated ones."""
        own = self.scenario_class
        if own.generates_levels():
            if self.levels is not None:
                raise TypeError(f"unexpected keyword argument 'levels': {self.scenario} generates its levels")
            return
        for name, default in (("difficulty", "medium"), ("split", "train")):
            if getattr(self, name) != default:
                raise ValueError(
                    f"{name} must be {default!r}, got {getattr(self, name)!r}: the levels of {self.scenario} are "
                    f"given, not generated; choose them with levels="
                )
        object.__setattr__(self, "levels", canonical_texts(own.level if self.levels is None else self.levels))
        if self.level_max_steps > entry_of(self.scenario).max_episode_steps:
            longest = entry_of(self.scenario).max_episode_steps
            raise ValueError(f"levels must have max_steps of at most {longest}, got {self.level_max_steps}")

    @property
    def library(self) -> Library | None:
        """The given levels; None where they are generated."""
        return None if self.levels is None else library_of(self.levels)

    @property
    def head(self) -> dict[str, Any]:
        """What the heads of given levels say of the environment; nothing where levels are generated."""
        library = self.library
        return {} if library is None else library.options

    @property
    def level_max_steps(self) -> int:
        """The time limit that given levels have of their own, ticks; 0 = none."""
        return int(self.head.get("max_steps", 0))

    def max_steps(self, wanted: int) -> int:
        """The time limit of episodes for which `wanted` ticks (0 = no limit) are asked: a level's own always holds."""
        own = self.level_max_steps
        return min(wanted or own, own) if own else wanted

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the actions in their order."""
        return ACTIONS if self.all_actions else self._own_actions

    @property
    def _own_actions(self) -> tuple[str, ...]:
        """The same without `all_actions`."""
        own = self.scenario_class.actions
        return ACTIONS_WITHOUT_IDLE if self.head.get("has_idle") == 0 else own

    def to_head(self) -> dict[str, int]:
        """What the head of a level's text says of the environment, so that it is driven there as here.

        Raises:
            ValueError: if it takes longer here than any given level may.
        """
        record, limit = self.to_options(0)[0], entry_of(self.scenario).max_episode_steps
        if self.library is None and limit > MAX_STEPS:
            raise ValueError(f"the text of a level has max_steps of at most {MAX_STEPS}, {self.scenario} has {limit}")
        head = {"has_idle": int("IDLE" in self.actions)}
        head |= {name: int(record[name]) for name in ("top_speed", "dawdle")}
        head |= {"traffic": int(record["driver_model"]), "max_steps": limit}
        if self.is_dawdle_chosen:
            head["is_dawdle_chosen"] = 1
        if self.library is None:
            return head
        own = {"traffic": self.scenario_class.driver_model, "dawdle": round(self.scenario_class.dawdle * CERTAIN)}
        own["is_dawdle_chosen"] = 0
        return self.head | {name: head[name] for name in own if head.get(name, 0) != self.head.get(name, own[name])}

    def spec_kwargs(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments of `gym.make` in terms of JSON, and with levels as texts, whatever files they came from."""
        if kwargs.get("levels") is not None:
            kwargs = {**kwargs, "levels": self.levels}
        return {name: jsonable(value) for name, value in kwargs.items()}

    @property
    def scenario_class(self) -> type[Scenario]:
        """The scenario."""
        return scenario_of(self.scenario)

    @property
    def encoder(self) -> Encoder:
        """The observation's encoder."""
        assert self.observation is not None
        return ENCODERS[self.observation]

    @cached_property
    def level_config(self) -> LevelConfig:
        """The difficulty's level options with the replacements."""
        scenario = self.scenario_class
        values = asdict(scenario.presets[self.difficulty])
        for name, value in self.level.items():
            metadata = next(option.metadata for option in fields(scenario.config) if option.name == name)
            values[name] = whole(name, value, metadata["low"], metadata["high"])
        return scenario.config(**values)

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the largest map."""
        library = self.library
        return self.scenario_class.shape(self.level_config) if library is None else library.shape

    @property
    def shown(self) -> Window:
        """What an observation shows."""
        window = self.scenario_class.window
        ahead, behind, beside = self.window or (window.ahead, window.behind, window.beside)
        rows = self.num_entities or self.scenario_class.num_entities()
        return Window(ahead, behind, beside, () if self.all_planes else window.planes, rows)

    def check_window(self, maps: np.ndarray[Any, Any]) -> None:
        """Refuse a window that would show a cell of a ring twice, on given levels or else on these maps.

        Raises:
            ValueError: naming the window and the ring.
        """
        maps = maps if self.library is None else self.library.maps
        rings = np.concatenate([maps["ring_rows"], maps["ring_cols"]])
        rings = rings[rings > 0]
        if self.window is not None and rings.size > 0 and 2 * max(self.window) >= rings.min():
            raise ValueError(f"window must reach less than half round a ring of {rings.min()} cells, got {self.window}")

    def dtypes(self, num_egos: int) -> tuple[np.dtype[np.void], np.dtype[np.void]]:
        """The records of a map and of a world with so many egos.

        Raises:
            ValueError: if given levels have another number of them.
        """
        library, scenario, level = self.library, self.scenario_class, self.level_config
        if library is None:
            return scenario.map_dtype(level), scenario.world_dtype(level, num_egos)
        if library.num_egos != num_egos:
            raise ValueError(
                f"levels must have {num_egos} egos, got {library.num_egos}: gym.make and gym.make_vec drive one, "
                f"drivesim.parallel_env and drivesim.parallel_vec_env as many as num_agents says"
            )
        return library.maps.dtype, library.worlds.dtype

    def to_options(self, max_steps: int, num_egos: int = 1) -> np.ndarray[Any, Any]:
        """The record (shape (1,)) that the kernels read; `max_steps` 0 = the batch applies no time limit."""
        scenario = self.scenario_class
        options = np.zeros(1, OPTIONS)
        record = options[0]
        record["num_egos"] = num_egos
        record["has_idle"] = HAS_IDLE if "IDLE" in self._own_actions else MASKED_IDLE if self.all_actions else NO_IDLE
        record["speed_limit"] = scenario.speed_limit
        record["top_speed"] = self.head.get("top_speed", scenario.top_speed)
        record["driver_model"] = DRIVER_MODELS[str(self.traffic)]
        record["dawdle"] = round(float(self.dawdle or 0.0) * CERTAIN)
        if not self.is_dawdle_chosen:
            record["more_dawdle"] = [round(float(self.dawdle or 0.0) * (share - 1.0) * CERTAIN) for share in DAWDLES]
        record["styles"] = scenario.styles
        record["test_split"] = self.split == "test"
        record["num_levels"] = self.num_levels or 0
        record["certified_within"] = self.level_max_steps or entry_of(self.scenario).max_episode_steps
        record["max_steps"] = max_steps
        record["reward"] = REWARDS[self.reward]
        window = self.shown
        record["ahead"], record["behind"], record["beside"] = window.ahead, window.behind, window.beside
        record["num_entities"] = window.entities
        record["rows"], record["cols"] = self.map_shape
        places = places_of_planes(window)
        record["planes"][: len(places)] = places
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
