"""The commands that train, evaluate, play and record: `drivesim train ...` is `python scripts/train.py ...`.

In a checkout they are the files of `scripts/` beside this package, in a wheel those of `drivesim/scripts/`: `setup.py`
reads the table below and puts them there. No name but `drivesim` is taken from anybody by either.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["PROGRAMS", "as_programs", "run"]

PROGRAMS = {
    "train": "train a driver and compare it with simpler ones",
    "evaluate": "measure a driver on levels it has never seen",
    "play": "drive yourself, or watch somebody drive, in a window",
    "record": "make films and pages of episodes",
    "leaderboard": "compare any drivers on the same levels",
    "export": "write a driver as an ONNX model and as one file of Python",
    "plot": "draw learning curves and comparisons",
    "tune": "search for hyper-parameters",
    "results": "let the algorithms race",
}
"""Names, and what they do."""

_CALL = re.compile(rf"\.venv/bin/python scripts/({'|'.join(PROGRAMS)})\.py")

_EXTRAS = {"torch": "agents", "tyro": "agents", "optuna": "tune"} | dict.fromkeys(["onnx", "onnxruntime"], "export")
"""What brings the packages that a command cannot begin without."""


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command, as its script does; the exit status.

    Args:
        name: one of `PROGRAMS`.
        arguments: what follows it; `--help` lists what there is.
    """
    # Not above, for `setup.py` reads this file where nothing is installed yet.
    from drivesim.stages import begin_script, show

    package = Path(__file__).resolve().parent
    in_wheel = package / "scripts" / f"{name}.py"
    if not in_wheel.is_file():
        sys.path.insert(0, str(package.parent))  # where `agents` lies, before anybody else's
    path = in_wheel if in_wheel.is_file() else package.parent / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"drivesim.scripts.{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    program = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = program  # its dataclasses look their module up
    sys.argv = [f"drivesim {name}", *arguments]
    try:
        begin_script()
        spec.loader.exec_module(program)
    except ModuleNotFoundError as error:
        show("")
        if error.name not in _EXTRAS:
            raise
        extra = _EXTRAS[error.name]
        needs = f"drivesim {name} needs {error.name}: pip install 'drivesim[{extra}]'"
        print(f"error: {needs}", file=sys.stderr)  # noqa: T201
        return 2
    program.__doc__ = as_programs(program.__doc__ or "")
    show("")
    status: int = program.main(list(arguments))
    return status


def as_programs(text: str) -> str:
    """A text with its calls of scripts as they are made here, where there may be none."""
    return _CALL.sub(r"drivesim \1", text)
