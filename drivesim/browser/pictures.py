"""What the page's pictures are made of: sprites as images, colours and the places of grass and bushes as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from drivesim.render import palette
from drivesim.render.frame import TINT
from drivesim.render.ground import NUM_VERGES
from drivesim.render.page import look_image
from drivesim.render.sprites import CAR, EGO, PEDESTRIAN, ROUTE, SIGNAL, TRUCK, WAKE, WRECK, Look
from drivesim.render.tiles import Verge, verge_of

CELL = 64  # pixels along a cell's side; the browser scales them to its window
BODIES = {"EGO": palette.EGO, "PARKED": palette.PARKED} | {f"TRAFFIC{n}": c for n, c in enumerate(palette.TRAFFIC)}
"""Colours of vehicles by the name that the scripts have for them."""
COLOURS = [
    "ASPHALT",
    "BARRIER",
    "BARRIER_STRIPE",
    "BAY",
    "BUSH",
    "BUSH_LIGHT",
    "CHECKER_DARK",
    "CHECKER_LIGHT",
    "DIVIDER",
    "GLASS",
    "GRASS",
    "GRASS_DARK",
    "GUIDE",
    "HAZARD",
    "HEADLIGHT",
    "JOINT",
    "MARKING",
    "OPEN_GROUND",
    "OUTLINE",
    "PARKED",
    "ROUTE",
    "SHOULDER",
    "VERGE",
]
"""Of the palette, those with which the scripts paint the ground."""


def looks() -> Iterator[tuple[str, Look]]:
    """All looks that a scene may have, by the names that the scripts have for them."""
    for name, body in BODIES.items():
        for brakes in (False, True):
            for indicator in (-1, 0, 1):
                for kind in (EGO,) if name == "EGO" else (CAR, TRUCK) if name != "PARKED" else (CAR,):
                    yield f"{kind} {name} {int(brakes)} {indicator} 0", Look(kind, body, brakes, indicator)
        yield f"{WRECK} {name} 0 0 0", Look(WRECK, body)
    for level in range(6):
        if level:
            yield f"{WAKE} EGO 0 0 {level}", Look(WAKE, level=level)
        if level < len(palette.LAMPS):
            yield f"{SIGNAL} EGO 0 0 {level}", Look(SIGNAL, level=level)
    for kind in (PEDESTRIAN, ROUTE):
        yield f"{kind} EGO 0 0 0", Look(kind)


def pictures() -> dict[str, Any]:
    """All of it, in terms of JSON."""
    return {
        "cell": CELL,
        "tint": TINT,
        "looks": {name: look_image(look, CELL) for name, look in looks()},
        "colours": {name: list(getattr(palette, name)) for name in COLOURS},
        "verges": [numbers(verge_of(verge)) for verge in range(NUM_VERGES)],
    }


def numbers(verge: Verge) -> dict[str, Any]:
    """The places of a verge's blades and bushes, cells from its middle."""
    return {name: np.asarray(places).round(6).tolist() for name, places in verge._asdict().items()}
