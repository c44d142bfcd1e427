"""What scripts must know to use the compiled kernels: where in memory all lies, and how environments are made."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from drivesim.config import CERTAIN, DIFFICULTIES, DRIVER_MODELS, EnvConfig
from drivesim.core import batch, certificate, event_table, texts
from drivesim.core.episode import FLAGS
from drivesim.core.event_table import BITS, EVENTS, Effect
from drivesim.core.map import MAP
from drivesim.core.memory import Structure
from drivesim.core.prices import TERMS
from drivesim.core.styles import DAWDLES
from drivesim.core.world import MAX_EGOS, MAX_VEHICLES, TOP_SPEED, WORLD
from drivesim.levels import alphabet, faults, head, reading
from drivesim.levels.library import GALLERY
from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES, Entry, entry_of

Json = dict[str, Any]

GENERAL = (
    "observation",
    "window",
    "all_planes",
    "num_entities",
    "all_actions",
    "difficulty",
    "split",
    "num_levels",
    "levels",
)
"""Options of `drivesim.config.EnvConfig` that are no level options and that a page may be made with."""

PLAIN = ">E0 >G0\n"  # a level whose head says nothing


def manifest(module: Json) -> Json:
    """All of it, in terms of JSON.

    Args:
        module: the description of the module of WebAssembly.
    """
    parts = ("frames", "structures", "records", "bindings")
    kernels = {
        name: {key: kind.get(key, -1) for key in ("lay", "populate")} for name, kind in module["scenarios"].items()
    }
    base = environment(module, "Custom", levels=PLAIN)
    return {
        **{name: module[name] for name in parts},
        "scenarios": kernels,
        "terms": list(TERMS),
        "flags": list(FLAGS),
        "events": [event_of(event, bit) for event, bit in zip(EVENTS, BITS, strict=True)],
        "roads": [road_of(module, entry) for entry in ENTRIES],
        "custom": {"dawdles": list(DAWDLES), "certain": CERTAIN, "driver_models": DRIVER_MODELS, "base": base},
        "texts": text_tables(),
        "gallery": {name: path.read_text(encoding="utf-8") for name, path in GALLERY.items()},
    }


def event_of(event: event_table.Event, bit: int) -> Json:
    """An event: its bit, its name, and what kind of one it is."""
    kind = "good" if event.is_good else "mild" if Effect.MILD in event.effects else "grave"
    ends = Effect.ENDS in event.effects
    return {"bit": bit, "name": event.name, "label": event.label, "kind": kind, "ends": ends}


def road_of(module: Json, entry: Entry) -> Json:
    """A scenario with its environments, by difficulty; none where levels are given."""
    generates = EnvConfig(entry.name).scenario_class.generates_levels()
    kinds = {name: environment(module, entry.name, difficulty=name, split="test") for name in DIFFICULTIES * generates}
    return {"id": entry.id, "name": entry.name, "summary": entry.summary, "environments": kinds}


def environment(module: Json, scenario: str, **options: Any) -> Json:
    """What an engine needs of `gym.make(id, **options)`.

    Args:
        module: the description of the module of WebAssembly.
        scenario: name in the registry.
        **options: keyword arguments of `gym.make`, none of those of the reward and the traffic.
    """
    general = {name: value for name, value in options.items() if name in GENERAL}
    level = {name: value for name, value in options.items() if name not in GENERAL}
    config = EnvConfig(scenario, **general, level=level)
    entry, road = entry_of(scenario), config.scenario_class
    maps, worlds = config.dtypes(1)
    kinds = {name: EnvConfig(scenario, observation=name) for name in ENCODERS} | {str(config.observation): config}
    return {
        "id": entry.id,
        "scenario": scenario,
        "number": entry.number,
        "kwargs": options,
        "split": config.split,
        "actions": list(config.actions),
        "max_steps": entry.max_episode_steps,
        "maps_by": road.maps_by,
        "num_maps": road.num_maps(config.level_config) if road.maps_by == batch.BY_POOL else 1,
        "map": lengths_of(maps, MAP),
        "world": lengths_of(worlds, WORLD),
        "options": base64.b64encode(config.to_options(config.level_max_steps).tobytes()).decode("ascii"),
        "observation": config.observation,
        "observations": {name: observation_of(module, kind, config.map_shape) for name, kind in kinds.items()},
        "speed_limit": road.speed_limit,
        "top_speed": road.top_speed,
    }


def lengths_of(dtype: np.dtype[Any], structure: Structure) -> dict[str, int]:
    """How long the blocks of a structure are in a record of it."""
    return {name: dtype[name].shape[0] for name, _ in structure.blocks}


def observation_of(module: Json, config: EnvConfig, map_shape: tuple[int, int]) -> Json:
    """Shape, format and size of an observation, and the number of the kernel that writes it."""
    encoder = config.encoder
    shape, dtype = encoder.shape_and_dtype(config.shown, *map_shape)
    size = int(np.prod(shape))
    encode = module["encoders"][encoder.name][int(encoder.encode_for(config.shown) is not encoder.encode)]
    return {"encode": encode, "shape": list(shape), "form": dtype.str[1:], "size": size, "bytes": size * dtype.itemsize}


def text_tables() -> Json:
    """What may stand in a text of a level, and what is said of it that may not."""
    groups = {
        "options": head.OPTIONS,
        "level": head.LEVEL,
        "lists": head.LISTS,
        "egos": head.EGOS,
        "goals": head.GOALS,
        "walkers": head.WALKERS,
        "class": head.CLASS,
        "junction": head.JUNCTION,
    }
    return {
        "keys": {name: {key: key_of(row) for key, row in rows.items()} for name, rows in groups.items()},
        "kinds": alphabet.KINDS,
        "form": alphabet.FORM,
        "all_keys": head.all_keys(),
        "faults": {str(fault): message for fault, message in faults.FAULTS.items()},
        "reasons": list(certificate.REASONS),
        "max_characters": reading.MAX_CHARACTERS,
        "max_rows": texts.MAX_ROWS,
        "max_cols": texts.MAX_COLS,
        "max_junctions": texts.MAX_JUNCTIONS,
        "max_destinations": texts.MAX_DESTINATIONS,
        "max_slots": texts.MAX_SLOTS,
        "max_walkers": texts.MAX_WALKERS,
        "max_vehicles": MAX_VEHICLES,
        "max_egos": MAX_EGOS,
        "top_speed": TOP_SPEED,
    }


def key_of(key: head.Key) -> Json:
    """What may stand behind a key of a head."""
    return {
        "low": key.low,
        "high": key.high,
        "default": key.default,
        "words": key.words,
        "is_list": key.is_list,
        "allowed": key.allowed,
    }
