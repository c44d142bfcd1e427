"""How what kernels work on lies in memory, in terms of JSON, for who hosts them without Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.config import DIFFICULTIES, EnvConfig
from drivesim.core import batch, levels, refusals, texts, world
from drivesim.core import map as maps
from drivesim.core.episode import DETAIL, EPISODE, EPISODE_ARRAYS
from drivesim.core.memory import BatchType, FrameType, RowsType, Structure
from drivesim.core.options import OPTIONS
from drivesim.core.prices import WEIGHTS
from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES, Entry

STRUCTURES = (maps.MAP, world.WORLD, texts.TEXT)
RECORDS = {
    "OPTIONS": OPTIONS,
    "WEIGHTS": WEIGHTS,
    "DETAIL": DETAIL,
    "EPISODE": EPISODE,
    "EPISODE_ARRAYS": EPISODE_ARRAYS,
    "JUNCTION": maps.JUNCTION,
    "GOAL": maps.GOAL,
    "VEHICLE": world.VEHICLE,
    "EGO": world.EGO,
    "PEDESTRIAN": world.PEDESTRIAN,
    "LAMP": world.LAMP,
    "TOKEN": texts.TOKEN,
    "CLASS_FACTS": texts.CLASS_FACTS,
    "EGO_FACTS": texts.EGO_FACTS,
    "JUNCTION_FACTS": texts.JUNCTION_FACTS,
    "GOAL_FACTS": texts.GOAL_FACTS,
    "WALKER_FACTS": texts.WALKER_FACTS,
}
FRAMES = {"batch": batch.FRAME, "building": levels.BUILDING, "certificate": refusals.FRAME}


def layouts() -> dict[str, Any]:
    """Frames, structures, records and scenarios.

    A field of a record, or a number of a structure's head, is [offset, format, count]; a format is NumPy's, such as
    "i4", or a record's name.
    """
    return {
        "frames": {name: frame_layout(frame) for name, frame in FRAMES.items()},
        "structures": {structure.name: structure_layout(structure) for structure in STRUCTURES},
        "records": {
            name: {"size": record.itemsize, "fields": record_layout(record)} for name, record in RECORDS.items()
        },
        "scenarios": {entry.name: scenario_layout(entry) for entry in ENTRIES},
    }


def form_of(dtype: np.dtype[Any]) -> str:
    """A record's name, or a number's format."""
    if dtype.fields is None:
        return dtype.str[1:].replace("b1", "?")
    return next(name for name, record in RECORDS.items() if record == dtype)


def record_layout(record: np.dtype[Any]) -> dict[str, list[Any]]:
    """[offset, format, count] of every field."""
    found = {}
    for name, (form, offset, *_) in (record.fields or {}).items():
        element = form if form.subdtype is None else form.subdtype[0]
        found[name] = [offset, form_of(element), form.itemsize // element.itemsize]
    return found


def structure_layout(structure: Structure) -> dict[str, Any]:
    """Where the numbers of its head lie, and (name, format) of its blocks, in order."""
    fields = structure.dtype(**{name: 1 for name, _ in structure.blocks}).fields
    assert fields is not None
    head = {name: [int(fields[name][1]), form, 1] for name, form in structure.head}
    return {"head": head, "blocks": [[name, form_of(np.dtype(form))] for name, form in structure.blocks]}


def frame_layout(frame: FrameType) -> dict[str, Any]:
    """How many words it has, and of each field the first one, what it is, and of what."""
    fields = {}
    for name, (word, kind) in frame.fields.items():
        if kind is int:
            fields[name] = [word, "number", ""]
        elif isinstance(kind, BatchType):
            fields[name] = [word, "batch", kind.structure.name]
        elif isinstance(kind, RowsType):
            fields[name] = [word, "rows", form_of(kind.block.element)]
        else:
            fields[name] = [word, "block", form_of(kind.element)]
    return {"words": frame.num_words, "fields": fields}


def scenario_layout(entry: Entry) -> dict[str, Any]:
    """What an environment of it is made of."""
    config = EnvConfig(entry.name)
    scenario = config.scenario_class
    found = {
        "id": entry.id,
        "number": entry.number,
        "max_episode_steps": entry.max_episode_steps,
        "maps_by": scenario.maps_by,
        "actions": list(config.actions),
        "observation": scenario.observation,
    }
    if not scenario.generates_levels():
        return found | {"options": config.to_options(0).tobytes().hex()}
    configs = {difficulty: EnvConfig(entry.name, difficulty=difficulty) for difficulty in DIFFICULTIES}
    return found | {"difficulties": {difficulty: size_layout(config) for difficulty, config in configs.items()}}


def size_layout(config: EnvConfig) -> dict[str, Any]:
    """How large everything is in environments of one ego, and their options."""
    map_type, world_type = config.dtypes(1)
    found: dict[str, Any] = {"map": block_layout(map_type, maps.MAP), "world": block_layout(world_type, world.WORLD)}
    found["num_maps"] = config.scenario_class.num_maps(config.level_config)
    found["options"] = config.to_options(0).tobytes().hex()
    found["observations"] = {}
    for name, encoder in ENCODERS.items():
        shape, dtype = encoder.shape_and_dtype(config.shown, *config.map_shape)
        found["observations"][name] = [list(shape), form_of(dtype)]
    return found


def block_layout(record: np.dtype[Any], structure: Structure) -> dict[str, Any]:
    """The size of a structure, and [offset, count] of its blocks, in order."""
    assert record.fields is not None
    blocks = [record.fields[name] for name, _ in structure.blocks]
    return {"size": record.itemsize, "blocks": [[int(offset), form.shape[0]] for form, offset, *_ in blocks]}
