"""Wheels: one for each kind of processor, with its prebuilt kernels, and one for all others, without.

    .venv/bin/python scripts/make_wheels.py                # makes the kernels too
    .venv/bin/python scripts/make_wheels.py --objects drivesim/objects

Two runs on the same sources make equal files: nothing in them depends on the time or the place.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("drivesim", "agents", "scripts", "setup.py", "pyproject.toml", "README.md", "LICENSE")
DATE = (1980, 1, 1, 0, 0, 0)  # of every file, the first that an archive can tell
# Their code needs no library, so that any Linux will do; the names are those of the oldest that installers know.
LINUX = ("manylinux_2_17_{0}", "manylinux2014_{0}", "musllinux_1_1_{0}")
WHEELS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "x86_64": (LINUX, ("x86_64_v2", "x86_64_v3")),
    "aarch64": (LINUX, ("aarch64",)),
    "any": (("any",), ()),
}
"""Platforms and targets of each wheel."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the wheels; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=Path, help="a folder with kernels that have been built")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the wheels go, by default dist/")
    given = parser.parse_args(arguments)
    targets = [target for _, targets in WHEELS.values() for target in targets]
    from drivesim.stages import stage

    with tempfile.TemporaryDirectory() as folder:
        objects = given.objects
        if objects is None:
            from drivesim.build import build

            objects = Path(folder, "objects")
            if build(targets, objects):
                return 1
        lacking = [target for target in targets if not (objects / f"{target}.so").is_file()]
        if lacking:
            command = f"python -m drivesim build --target {' '.join(lacking)} --out {objects}"
            parser.error(f"{objects} has no kernels for {', '.join(lacking)}; `{command}` makes them")
        with stage("packing the sources"):
            plain = pure_wheel(Path(folder))
        given.out.mkdir(parents=True, exist_ok=True)
        for name in WHEELS:
            print(make_wheel(plain, name, objects, given.out))
    return 0


def pure_wheel(folder: Path) -> Path:
    """The wheel that setuptools makes of nothing but the sources."""
    tree = folder / "tree"
    tree.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "objects")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tree / name)
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder / "wheels")]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(tree)], check=True)
    (wheel,) = (folder / "wheels").glob("*.whl")
    return wheel


def make_wheel(plain: Path, name: str, objects: Path, out: Path) -> Path:
    """One of `WHEELS`, written to a folder."""
    patterns, targets = WHEELS[name]
    platforms = [pattern.format(name) for pattern in patterns]
    with zipfile.ZipFile(plain) as archive:
        files = {item: archive.read(item) for item in archive.namelist() if not item.endswith("/")}
    info = next(item.partition("/")[0] for item in files if item.endswith(".dist-info/WHEEL"))
    for target in targets:
        files[f"drivesim/objects/{target}.so"] = (objects / f"{target}.so").read_bytes()
    head = [line for line in files[f"{info}/WHEEL"].decode().splitlines() if line and not line.startswith("Tag:")]
    files[f"{info}/WHEEL"] = "\n".join([*head, *(f"Tag: py3-none-{platform}" for platform in platforms), ""]).encode()
    del files[f"{info}/RECORD"]
    lines = [f"{item},sha256={digest(content)},{len(content)}" for item, content in sorted(files.items())]
    path = out / f"{info.removesuffix('.dist-info')}-py3-none-{'.'.join(platforms)}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item, content in sorted(files.items()):
            add(archive, item, content)
        add(archive, f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]).encode())
    return path


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Put a file into an archive, readable for all."""
    item = zipfile.ZipInfo(name, DATE)
    item.external_attr = 0o100644 << 16
    item.compress_type = zipfile.ZIP_DEFLATED
    item.create_system = 3  # Unix, wherever it is made
    archive.writestr(item, content)


def digest(content: bytes) -> str:
    """As a wheel's record tells it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    sys.exit(main())
