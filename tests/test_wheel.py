"""What pip installs: one name, the commands below it, and a source distribution that holds all of the project."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from drivesim.core import prebuilt
from drivesim.programs import PROGRAMS

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"agents", "docs", "drivesim", "scripts", "tests", ".ci", ".github"}
WRITTEN = {"PKG-INFO", "setup.cfg"}  # into every source distribution
BUILD = """
import sys
from setuptools import build_meta
name = getattr(build_meta, sys.argv[1])(sys.argv[2])
print(name, file=sys.stderr)
"""


def build(form: str, source: Path, target: Path) -> Path:
    """Builds `source` without a network, with the setuptools that is there; the one file in `target`."""
    target.mkdir()
    command = [sys.executable, "-I", "-c", BUILD, form, str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target / done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """The source distribution, unpacked."""
    pytest.importorskip("setuptools", minversion="77")
    tmp = tmp_path_factory.mktemp("sdist")
    copy = tmp / "checkout"
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.name in FOLDERS:
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
        elif path.is_file() and path.name != ".git":
            shutil.copy(path, copy)
    with tarfile.open(build("build_sdist", copy, tmp / "dist")) as archive:
        archive.extractall(tmp / "unpacked", filter="data")
    (unpacked,) = (tmp / "unpacked").iterdir()
    return unpacked


@pytest.fixture(scope="module")
def site(sdist, tmp_path_factory) -> Path:
    """A folder as site-packages is after `pip install`, and before it another project's package `agents`."""
    tmp = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build("build_wheel", sdist, tmp / "dist")) as archive:
        archive.extractall(tmp / "site")
    if prebuilt.FOLDER.exists():  # as in a wheel for this machine; else the commands compile all kernels
        shutil.copytree(prebuilt.FOLDER, tmp / "site" / "drivesim" / "objects", dirs_exist_ok=True)
    for name in ("agents", "scripts"):
        (tmp / "others" / name).mkdir(parents=True)
        (tmp / "others" / name / "__init__.py").write_text("raise ImportError('somebody else\\'s')\n")
    return tmp / "site"


def python(site: Path, *words: str, cwd: Path, compiles: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs Python where the wheel is installed and the checkout is not on the path."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site.parent / "others"), str(site)]),
        "NUMBA_DISABLE_JIT": "0" if compiles else "1",
    }
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )


def test_the_source_distribution_holds_all_that_the_repository_holds(sdist) -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs the repository")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    packed = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    assert tracked - packed == set()
    assert {name for name in packed - tracked if ".egg-info/" not in name} == WRITTEN


def test_a_wheel_takes_no_name_but_its_own_and_needs_none_of_its_former_ones(site) -> None:
    names = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"drivesim"}
    files = sorted((site / "drivesim").rglob("*.py"))
    assert {f"scripts/{name}.py" for name in PROGRAMS} | {"agents/targets.py", "agents/export/int8.py"} <= {
        path.relative_to(site / "drivesim").as_posix() for path in files
    }
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                imported = [str(node.module)]
            elif isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            else:
                continue
            assert not {name.split(".")[0] for name in imported} & {"agents", "scripts", "tests"}, (path, imported)


def test_every_command_of_a_wheel_tells_how_it_is_called(site, tmp_path) -> None:
    code = (
        "import sys\n"
        "from drivesim.__main__ import main\n"
        "for words in sys.argv[1:]:\n"
        "    try:\n"
        "        main([words, '--help'])\n"
        "    except SystemExit as stop:\n"
        "        assert not stop.code, words\n"
    )
    done = python(site, "-c", code, *PROGRAMS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in PROGRAMS:
        assert f"usage: drivesim {name} " in done.stdout
    assert "scripts/" not in "".join(line for line in done.stdout.splitlines() if "python" in line)
    listed = python(site, "-m", "drivesim", "--help", cwd=tmp_path).stdout
    assert set(PROGRAMS) <= {line.split()[0] for line in listed.splitlines() if line.strip()}


@pytest.mark.slow
def test_from_a_wheel_one_trains_evaluates_records_and_compares(site, tmp_path) -> None:
    train = "train --env drivesim/LaneKeep-v1 --agent ppo --total-steps 512 --num-envs 8 --eval-episodes 2 --out run"
    for words in (
        f"{train} --final-episodes 2",
        "evaluate run --episodes 2",
        "record run --formats html",
        "leaderboard run never-steers --episodes 2",
    ):
        done = python(site, "-m", "drivesim", *words.split(), cwd=tmp_path, compiles=True)
        assert done.returncode == 0, done.stderr
    assert list((tmp_path / "run").glob("*.html"))


def test_a_command_without_what_it_needs_says_which_extra_brings_it(site, tmp_path) -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from drivesim.__main__ import main\n"
        "sys.exit(main(['evaluate', '--baseline', 'random']))\n"
    )
    done = python(site, "-c", code, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: drivesim evaluate needs torch: pip install 'drivesim[agents]'"


def test_in_a_checkout_the_commands_are_its_scripts(tmp_path) -> None:
    done = python(ROOT, "-m", "drivesim", "record", str(tmp_path / "nothing"), cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing" in done.stderr
