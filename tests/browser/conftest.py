"""What tests of the page need: Node.js, the module of WebAssembly, and a page."""

import json
import os
import shutil

import pytest
from browsers import chromium

from drivesim.browser import page
from drivesim.browser.manifest import manifest
from drivesim.linking import LinkError, linker_of


@pytest.fixture(scope="session")
def node():
    """The path of Node.js."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("Node.js is not installed")
    return path


@pytest.fixture(scope="session")
def module(tmp_path_factory):
    """The module of WebAssembly of these sources, as bytes, and what the page knows of it; made by one worker."""
    try:
        linker_of("wasm32")
    except LinkError as error:
        pytest.skip(str(error))
    base = tmp_path_factory.getbasetemp()
    fcntl = pytest.importorskip("fcntl")
    with open((base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "wasm32.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        page.require_module()
    described = json.loads(page.DESCRIPTION.read_text(encoding="utf-8"))
    return page.MODULE.read_bytes(), {**manifest(described), "version": "0"}


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as found:
        yield found
