"""The page in which one drives, watches and draws: one file that holds all it needs and asks for nothing."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from drivesim._version import __version__
from drivesim.browser.manifest import manifest
from drivesim.browser.pictures import pictures
from drivesim.build import build
from drivesim.core.prebuilt import FOLDER, path_of
from drivesim.core.sources import kernel_digest
from drivesim.files import write_whole
from drivesim.render.page import COLOURS

SCRIPTS = (
    "render/player_picture.js",
    "render/player_charts.js",
    "browser/numbers.js",
    "browser/memory.js",
    "browser/engine.js",
    "browser/replays.js",
    "browser/ground.js",
    "browser/scene.js",
    "browser/tiles.js",
    "browser/level_text.js",
    "browser/level_facts.js",
    "browser/level_building.js",
    "browser/occlusion.js",
    "browser/network.js",
    "browser/rules.js",
    "browser/stage.js",
    "browser/drives.js",
    "browser/game.js",
    "browser/elements.js",
    "browser/choice.js",
    "browser/play.js",
    "browser/drawing.js",
    "browser/editor.js",
    "browser/main.js",
)
STYLES = ("render/player.css", "browser/play.css")
MODULE, DESCRIPTION = path_of("wasm32"), FOLDER / "wasm32.json"


class PageError(Exception):
    """The page cannot be made."""


def text_of(name: str) -> str:
    """The text of a file of the package."""
    return files("drivesim").joinpath(name).read_text(encoding="utf-8")


def is_fresh() -> bool:
    """Whether the module of WebAssembly is there and of these sources."""
    if not (MODULE.exists() and DESCRIPTION.exists()):
        return False
    return bool(json.loads(DESCRIPTION.read_text(encoding="utf-8"))["sources"] == kernel_digest().hex())


def require_module() -> None:
    """Build the module of WebAssembly, unless it is there and of these sources.

    Raises:
        PageError: if it cannot be built.
    """
    if not is_fresh() and build(["wasm32"]) != 0:
        raise PageError("the page needs the kernels as WebAssembly, which could not be built, see above")


def page_data(
    rules: Mapping[str, Sequence[str]],
    drivers: Sequence[Mapping[str, Any]],
    ruled: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What the page holds beside its scripts, in terms of JSON.

    Args:
        rules: drives of the rule-based driver, a string of digits for each of the levels 0, 1, …, by a road's name and
            difficulty.
        drivers: trained drivers, as `agents.export.page_form` makes them.
        ruled: rule-based drivers that drive in the page, by a road's name, as `agents.export.rules_form` makes them.
    """
    module = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    return {
        "module": base64.b64encode(MODULE.read_bytes()).decode("ascii"),
        "manifest": {**manifest(module), "version": __version__},
        "art": pictures(),
        "rules": dict(rules),
        "ruled": dict(ruled),
        "drivers": list(drivers),
    }


def write_play_page(
    path: Path,
    rules: Mapping[str, Sequence[str]],
    drivers: Sequence[Mapping[str, Any]],
    ruled: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write the page; the same bytes for the same arguments.

    Args:
        path: of the HTML file; its folder must exist.
        rules: as in `page_data`.
        drivers: likewise.
        ruled: likewise.

    Raises:
        PageError: if the kernels are not there and cannot be built.
    """
    require_module()
    data = json.dumps(page_data(rules, drivers, ruled), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {
        "colours": "".join(f"--{name}:rgb{colour};" for name, colour in COLOURS.items()).replace(" ", ""),
        "style": "\n".join(text_of(name) for name in STYLES),
        "script": "\n".join(text_of(name) for name in SCRIPTS),
        "data": data,
    }
    page = re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], text_of("browser/play.html"))
    write_whole(path, page)
