"""A scenario from outside is checked when it is registered: what is wrong is named, and nothing is registered."""

from __future__ import annotations

import sys
from dataclasses import field, make_dataclass
from types import MappingProxyType

import gymnasium as gym
import pytest
from env_tools import LANE_KEEP, assert_refused, assert_same

import drivesim
from drivesim import registry
from drivesim.core.batch import BY_LIBRARY, BY_POOL
from drivesim.scenarios.lane_keep import LaneKeep, LaneKeepConfig
from drivesim.scenarios.scenario import ACTIONS, LevelConfig, Scenario, option_indices, within

FACTS = MappingProxyType({"max_episode_steps": 100, "reward_threshold": 1.7, "summary": "follow a winding road"})


def lane_keep(name: str = "Ribbon", without: str = "", **attributes: object) -> type[Scenario]:
    """LaneKeep under another name, with some attributes replaced and one left out."""
    own = {key: value for key, value in vars(LaneKeep).items() if not key.startswith("__") and key != without}
    return type(name, (Scenario,), {"__module__": __name__, **own, **attributes})


@pytest.fixture(autouse=True)
def nothing_stays_registered(monkeypatch) -> None:
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(registry, "_scenarios", dict(registry._scenarios))
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    monkeypatch.setattr(gym, "registry", gym.envs.registration.registry)


def test_a_registered_scenario_is_driven_under_its_own_id() -> None:
    env_id = drivesim.register_scenario(lane_keep(), version=2, namespace="mine", **FACTS)
    assert env_id == "mine/Ribbon-v2"
    spec = gym.spec(env_id)
    assert (spec.max_episode_steps, spec.reward_threshold) == (100, 1.7)
    ours, theirs = gym.make(env_id, difficulty="easy"), gym.make(LANE_KEEP, difficulty="easy")
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    assert_same(ours.step(3), theirs.step(3))
    with pytest.raises(ValueError, match="scenario"):
        ours.unwrapped.set_state(theirs.unwrapped.get_state())


def test_a_pool_may_have_more_maps_than_a_map_has_cells() -> None:
    num_maps = 2000
    pool = {"maps_by": BY_POOL, "num_maps": classmethod(lambda cls, level: num_maps)}
    env_id = drivesim.register_scenario(lane_keep(**pool), **FACTS)
    envs = gym.make_vec(env_id, num_envs=3, length=16)
    scratch = envs.unwrapped._engine._scratch  # in which a step counts the worlds of every map
    assert 4 * envs.unwrapped._engine.worlds.dtype["occupants"].shape[0] < 2 * num_maps <= scratch.shape[1]
    envs.reset(seed=0)
    for _ in range(40):
        envs.step(envs.action_space.sample())


def test_the_same_class_may_be_registered_again_and_takes_its_own_place() -> None:
    for limit in (50, 70):
        env_id = drivesim.register_scenario(lane_keep(), **{**FACTS, "max_episode_steps": limit})
        assert gym.make(env_id).spec.max_episode_steps == limit
    assert [entry.id for entry in registry.entries()].count(env_id) == 1


def test_a_text_gives_no_level_more_time_than_there_is() -> None:
    given = {"maps_by": BY_LIBRARY, "level": "max_steps = 101\n\n^G\n^E\n"}
    short = drivesim.register_scenario(lane_keep("Given", **given), **FACTS)
    assert_refused(lambda: gym.make(short), "max_steps", "100", "101")
    for limit in (1000, 1001):
        env_id = drivesim.register_scenario(lane_keep(), **{**FACTS, "max_episode_steps": limit})
        env = gym.make(env_id)
        env.reset(seed=0)
        if limit == 1000:
            gym.make("drivesim/Custom-v1", levels=env.unwrapped.level_text())
        else:
            assert_refused(env.unwrapped.level_text, "max_steps", "1000", "Ribbon has 1001")


WITHOUT_RANGE = make_dataclass("C", [("length", int)], bases=(LevelConfig,), frozen=True)
BAD_RANGE = make_dataclass("C", [("length", int, within(9, 8))], bases=(LevelConfig,), frozen=True)
TOO_LARGE = make_dataclass("C", [("length", int, within(0, 2**31))], bases=(LevelConfig,), frozen=True)
TAKEN = make_dataclass("C", [("reward", int, within(0, 1))], bases=(LevelConfig,), frozen=True)
WITH_DEFAULT = make_dataclass(
    "C", [("length", int, field(default=3, metadata={"low": 1, "high": 5}))], bases=(LevelConfig,), frozen=True
)
MANY = make_dataclass("C", [(f"o{n}", int, within(0, 1)) for n in range(17)], bases=(LevelConfig,), frozen=True)
EASY = LaneKeep.presets["easy"]


def plain(map, world, options, scratch) -> bool:
    """No kernel."""
    return True


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        *(({"without": name}, (f"{name} is missing",)) for name in ("config", "presets", "lay", "populate", "window")),
        ({"without": "speed_limit"}, ("speed_limit is missing",)),
        ({"without": "shape"}, ("shape is missing",)),
        ({"config": dict}, ("config", "LevelConfig")),
        ({"config": WITHOUT_RANGE}, ("C.length", "within(low, high)")),
        ({"config": WITH_DEFAULT}, ("C.length", "within(low, high)")),
        ({"config": BAD_RANGE}, ("high of C.length", "8", "[9, ")),
        ({"config": TOO_LARGE}, ("high of C.length", str(2**31))),
        ({"config": TAKEN}, ("C.reward", "'reward'")),
        ({"config": MANY}, ("17 options", "at most 16")),
        ({"presets": {"easy": EASY, "hard": EASY}}, ("presets", "'medium'")),
        ({"presets": [EASY]}, ("presets", "dict")),
        ({"presets": dict.fromkeys(("easy", "medium", "hard"), 48)}, ("presets['easy']", "LaneKeepConfig")),
        ({"lay": 3}, ("Ribbon.lay", "@kernel", "3")),
        ({"populate": staticmethod(plain)}, ("Ribbon.populate", "@kernel")),
        ({"window": (1, 2, 3)}, ("window", "(1, 2, 3)")),
        ({"speed_limit": 0}, ("speed_limit", "0", "[1, 5]")),
        ({"top_speed": 6}, ("top_speed", "6", "[1, 5]")),
        ({"actions": ACTIONS[::-1]}, ("actions", "SLOWER")),
        ({"observation": "image"}, ("observation", "'image'", "'grid'")),
        ({"driver_model": 7}, ("driver_model", "7")),
        ({"maps_by": 4}, ("maps_by", "4")),
        ({"maps_by": BY_LIBRARY}, ("level is missing",)),
        ({"maps_by": BY_LIBRARY, "level": ". ^F\n"}, ("Ribbon.level", "line 1, column 3")),
        ({"dawdle": 2.0}, ("dawdle", "2.0")),
        ({"max_egos": 0}, ("max_egos", "0")),
        ({"num_vehicles": classmethod(lambda cls, level: 10**6)}, ("presets['easy']", "1000000 vehicles")),
        ({"name": "Road-1"}, ("name", "'Road-1'", "identifier")),
        ({"name": "Highway"}, ("'Highway' is taken", "drivesim/Highway-v1")),
    ],
    ids=lambda value: ",".join(value)[:60],
)
def test_what_is_wrong_with_a_scenario_is_named_and_it_is_not_registered(changes, parts) -> None:
    before = list(gym.registry)
    assert_refused(lambda: drivesim.register_scenario(lane_keep(**changes), **FACTS), *parts)
    assert list(gym.registry) == before
    assert [entry.id for entry in registry.entries()] == list(registry.IDS)


@pytest.mark.parametrize(
    ("facts", "parts"),
    [
        ({"version": -1}, ("version", "-1")),
        ({"version": "1"}, ("version", "'1'")),
        ({"namespace": "my roads"}, ("namespace", "'my roads'", "identifier")),
        ({"namespace": ""}, ("namespace", "''")),
        ({"max_episode_steps": 0}, ("max_episode_steps", "0")),
        ({"reward_threshold": float("nan")}, ("reward_threshold", "nan")),
        ({"summary": " "}, ("summary", "' '")),
    ],
    ids=str,
)
def test_wrong_facts_are_refused_by_name(facts, parts) -> None:
    assert_refused(lambda: drivesim.register_scenario(lane_keep(), **{**FACTS, **facts}), *parts)


def test_what_is_no_scenario_is_refused() -> None:
    for thing in (None, "Ribbon", lane_keep()(), Scenario, dict):
        assert_refused(lambda thing=thing: drivesim.register_scenario(thing, **FACTS), "subclass of Scenario")
    with pytest.raises(TypeError, match="summary"):
        drivesim.register_scenario(lane_keep(), max_episode_steps=100, reward_threshold=1.7)


def test_one_name_has_one_id(monkeypatch) -> None:
    drivesim.register_scenario(lane_keep(), **FACTS)
    assert_refused(lambda: drivesim.register_scenario(lane_keep(), version=1, **FACTS), "drivesim/Ribbon-v0", "-v1")
    monkeypatch.setattr(registry.Entry, "number", 4)
    assert_refused(lambda: drivesim.register_scenario(lane_keep("Other"), **FACTS), "number 4", "drivesim/Other-v0")


def test_a_preset_out_of_its_range_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"length must be in \[16, 64\], got 65"):
        LaneKeepConfig(length=65, half_lane=2, wander=30)


def test_options_stand_in_the_order_of_their_fields() -> None:
    at = option_indices(LaneKeepConfig)
    level = gym.make(LANE_KEEP, length=50, half_lane=3, wander=7).unwrapped.config.to_options(0)[0].level
    assert (level[at.length], level[at.half_lane], level[at.wander]) == (50, 3, 7)
    assert level.sum() == 60
    with pytest.raises(ValueError, match="17 options"):
        option_indices(MANY)


def test_a_module_that_registers_nothing_of_that_name_is_refused(tmp_path, monkeypatch) -> None:
    (tmp_path / "bare_module.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("bare_module:Ribbon", "no_such_module:Ribbon"):
        assert_refused(lambda name=name: registry.entry_of(name), "scenario", repr(name))
    sys.modules.pop("bare_module", None)
