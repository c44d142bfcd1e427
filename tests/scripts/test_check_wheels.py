"""`make test-wheels` installs all that the tests import which it runs, beside the wheel and what that needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from loading import load_script

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys

class NothingElse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

names, *tests = sys.argv[1:]
refused = set(names.split(","))
sys.meta_path.insert(0, NothingElse())
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *tests]))
"""


def with_all_they_need(requirements: list[str]) -> set[str]:
    """The names of packages, in small letters with hyphens, that pip installs here for some requirements."""
    packaging = pytest.importorskip("packaging.requirements")
    found: set[str] = set()
    asked = [packaging.Requirement(text) for text in requirements]
    while asked:
        requirement = asked.pop()
        name = normal(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found.add(name)
            asked += [packaging.Requirement(text) for text in metadata.requires(name) or ()]
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_its_tests_import_nothing_that_it_does_not_install() -> None:
    check = load_script("check_wheels")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = with_all_they_need([*project["dependencies"], *check.TOOLS]) | {"drivesim"}
    refused = [
        module
        for module, packages in metadata.packages_distributions().items()
        if not installed & set(map(normal, packages))
    ]
    assert {"torch", "onnx"} <= set(refused)
    command = [sys.executable, "-c", PROGRAM, ",".join(refused), *check.TESTS]
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HYPOTHESIS_NO_PLUGINS": "1"}  # of other packages
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
