"""Builds the wheel; all else of the build is in pyproject.toml.

The checkout has its folders `drivesim agents scripts tests` side by side. In somebody's site-packages nothing but
`drivesim` may be ours: a package `agents` of another project would lie in the same folder as ours, and uninstalling one
would delete files of the other. So a wheel holds them as `drivesim.agents` and `drivesim.scripts`, and what they import
and tell is put into these words while they are copied. An editable installation uses the checkout as it is.
"""

import re
import runpy
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).resolve().parent
PROGRAMS = runpy.run_path(str(ROOT / "drivesim" / "programs.py"))["PROGRAMS"]  # what it needs is not there in a build

WORDS = (
    (re.compile(r"^(\s*(?:from|import)) agents\b", re.MULTILINE), r"\1 drivesim.agents"),
    (re.compile(rf"(?:\.venv/bin/|\b)python scripts/({'|'.join(PROGRAMS)})\.py\b"), r"drivesim \1"),
)


class BuildWithPrograms(build_py):
    """Copies the package, then what drives in it."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            for source in (*sorted((ROOT / "agents").rglob("*.py")), *programs()):
                target = Path(self.build_lib, "drivesim", source.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                text = source.read_text(encoding="utf-8")
                for word, other in WORDS:
                    text = word.sub(other, text)
                target.write_text(text, encoding="utf-8")

    def get_source_files(self) -> list[str]:
        """What the source distribution must hold."""
        own = [*(ROOT / "agents").rglob("*.py"), *programs()]
        return [*super().get_source_files(), *(str(path.relative_to(ROOT)) for path in own)]


class EditableWithAgents(editable_wheel):
    """An editable installation: `agents` is found where it lies, as the checkout's scripts import it."""

    def run(self) -> None:
        """Build."""
        self.distribution.packages += find_packages(str(ROOT), include=["agents*"])
        super().run()


def programs() -> list[Path]:
    """The scripts that are commands."""
    return [ROOT / "scripts" / f"{name}.py" for name in PROGRAMS]


setup(cmdclass={"build_py": BuildWithPrograms, "editable_wheel": EditableWithAgents})
