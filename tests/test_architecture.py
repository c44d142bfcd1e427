"""The cut of the code: who may import whom, and how long a file may get."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from drivesim.browser import page as play_page
from drivesim.render import page as replay_page

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 400
STANDARD = sys.stdlib_module_names
INTEGRATIONS = "drivesim/integrations/"  # each file may import the library that it is for
FRAMEWORKS = {"torch", "tensorflow", "jax", "stable_baselines3", "tensorboard", "safetensors"}

# For each part: the packages beyond the standard library that it may import. A name allows what lies below it.
ALLOWED = {
    "drivesim/cache.py": set(),
    "drivesim/files.py": set(),
    "drivesim/ranges.py": {"numpy"},
    "drivesim/core": {"numpy", "numba", "llvmlite", "drivesim.cache", "drivesim.core"},
    "drivesim/levels": {"numpy", "drivesim.core", "drivesim.levels", "drivesim.registry"},
    "drivesim/observations": {
        "numpy",
        "gymnasium",
        "drivesim.core",
        "drivesim.observations",
        "drivesim.render",
        "drivesim.render.palette",
    },
    "drivesim/scenarios": {"numpy", "drivesim.core", "drivesim.observations.encoder", "drivesim.scenarios"},
    "drivesim/planning": {
        "numpy",
        "gymnasium",
        "drivesim.checks",
        "drivesim.core",
        "drivesim.engine",
        "drivesim.env",
        "drivesim.planning",
        "drivesim.ranges",
        "drivesim.registry",
        "drivesim.replay_file",
        "drivesim.vector_env",
    },
    "drivesim/browser": {
        "numpy",
        "drivesim._version",
        "drivesim.browser",
        "drivesim.build",
        "drivesim.config",
        "drivesim.core",
        "drivesim.files",
        "drivesim.levels",
        "drivesim.observations",
        "drivesim.registry",
        "drivesim.render",
    },
    "drivesim/render": {
        "numpy",
        "pygame",
        "drivesim.core.event_table",
        "drivesim.core.map",
        "drivesim.core.texts",
        "drivesim.core.world",
        "drivesim.decimals",
        "drivesim.files",
        "drivesim.levels.alphabet",
        "drivesim.levels.ground",
        "drivesim.render",
    },
}
FORBIDDEN = {
    "drivesim": FRAMEWORKS | {"agents", "scripts"},
    "agents": {"drivesim.core", "drivesim.scenarios", "drivesim.engine", "scripts"},
}
FILES = sorted(path for part in ("drivesim", "agents", "scripts") for path in (ROOT / part).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever in the file; `from a import b` counts as a and as a.b."""
    found = set()
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            module = base if node.level else str(node.module)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def is_below(name: str, packages: set[str]) -> bool:
    """Whether `name` is one of `packages` or lies below one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_files_to_look_at() -> None:
    parts = {name_of(path).rsplit("/", 1)[0] for path in FILES}
    assert {"drivesim", "drivesim/core", "drivesim/scenarios", "drivesim/observations", "agents", "scripts"} <= parts


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_nothing_but_what_lies_beneath_it(part) -> None:
    for path in FILES:
        if f"{name_of(path)}/".startswith(f"{part}/"):
            foreign = {
                name
                for name in imports_of(path)
                if name.split(".")[0] not in STANDARD and not is_below(name, ALLOWED[part])
            }
            assert not foreign, f"{name_of(path)} imports {sorted(foreign)}"


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_part_imports_nothing_of_what_builds_on_it_or_lies_behind_its_interface(part) -> None:
    for path in FILES:
        if f"{name_of(path)}/".startswith(f"{part}/"):
            forbidden = FORBIDDEN[part] - (FRAMEWORKS if name_of(path).startswith(INTEGRATIONS) else set())
            foreign = {name for name in imports_of(path) if is_below(name, forbidden)}
            assert not foreign, f"{name_of(path)} imports {sorted(foreign)}"


def test_registering_loads_nothing_but_gymnasium() -> None:
    for name in ("__init__", "__main__", "_version", "actions", "registry"):
        path = ROOT / "drivesim" / f"{name}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]  # not those for typing
        modules = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        modules |= {str(node.module) for node in top if isinstance(node, ast.ImportFrom)}
        light = {
            "gymnasium",
            "drivesim._version",
            "drivesim.actions",
            "drivesim.programs",
            "drivesim.registry",
        }
        assert {module for module in modules if module.split(".")[0] not in STANDARD} <= light, name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_longer_than_a_reader_can_hold(path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


OWN_FILES = [path for path in FILES if not name_of(path).startswith("scripts/examples/")]  # other libraries need seeds


@pytest.mark.parametrize("path", OWN_FILES, ids=name_of)
def test_no_random_numbers_come_from_a_global_generator(path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            is_numpy_random = node.value.attr == "random" and getattr(node.value.value, "id", "") in ("np", "numpy")
            assert not is_numpy_random or node.attr in ("default_rng", "Generator", "SeedSequence", "PCG64", "Philox")


@pytest.mark.parametrize("scripts", [play_page.SCRIPTS, [f"render/{name}" for name in replay_page.SCRIPTS]])
def test_what_scripts_of_one_page_declare_has_names_of_its_own(scripts) -> None:
    """They become one text, in which the later of two functions of a name would silently be both."""
    declared = re.compile(r"^(?:async )?(?:function\*?|class|const|let|var) ([\w$]+)", re.MULTILINE)
    names = Counter(name for script in scripts for name in declared.findall(play_page.text_of(script)))
    assert len(names) > 20
    assert [name for name, times in names.items() if times > 1] == []
