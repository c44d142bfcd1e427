"""What tests of the page need: Node.js, the module of WebAssembly, and a page."""

import json
import shutil

import pytest
from browsers import chromium
from object_files import copy_of, objects

from drivesim.browser import page
from drivesim.browser.manifest import manifest
from drivesim.core.prebuilt import FOLDER

__all__ = ["objects"]


@pytest.fixture(scope="session")
def node():
    """The path of Node.js."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("Node.js is not installed")
    return path


@pytest.fixture(scope="session")
def module(objects):
    """The module of WebAssembly of these sources, as bytes, and what the page knows of it; pages take it from there."""
    fcntl = pytest.importorskip("fcntl")
    with open(objects / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not page.is_fresh():
            copy_of("wasm32", objects, FOLDER)
    described = json.loads(page.DESCRIPTION.read_text(encoding="utf-8"))
    return page.MODULE.read_bytes(), {**manifest(described), "version": "0"}


@pytest.fixture(scope="module")  # a page that is left open goes on to move
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as found:
        yield found
