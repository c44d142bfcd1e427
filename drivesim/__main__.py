"""`python -m drivesim`, and `drivesim` where it is installed, lists the environments and runs commands.

`drivesim warm [ID ...]` compiles kernels, `build` makes files of them; `drivesim train`, `play` and the like are the
scripts of the same name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from drivesim.programs import PROGRAMS, run
from drivesim.registry import ENTRIES, IDS, is_registered


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    from drivesim.stages import run_script

    return run_script(lambda: command(arguments))


def command(arguments: Sequence[str] | None) -> int:
    """Run a command, of a program whose output is somebody else's care; the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in PROGRAMS:
        return run(words[0], words[1:])
    parser = argparse.ArgumentParser("drivesim", description="Without a command: list the environments.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, about in PROGRAMS.items():
        commands.add_parser(name, help=about)
    about = "compile the kernels of these environments, by default of all, or load them if that was done before"
    warming = commands.add_parser("warm", help=about, description=about)
    warming.add_argument("ids", nargs="*", metavar="ID", help=", ".join(IDS))
    from drivesim.core.prebuilt import FOLDER, TARGETS

    about = "make files of all kernels, which need no compiler where they are used"
    building = commands.add_parser("build", help=about, description=about)
    building.add_argument(
        "--target",
        nargs="+",
        choices=(*TARGETS, "native"),
        default=TARGETS,
        help=f"by default {', '.join(TARGETS)}; native is the best of them for this machine",
    )
    building.add_argument("--out", type=Path, default=FOLDER, help="a folder, by default the package's own")
    given = parser.parse_args(words)
    if given.command is None:
        list_environments()
        return 0
    for env_id in given.ids if given.command == "warm" else ():
        if not is_registered(env_id):
            warming.error(f"ID must be one of {', '.join(IDS)}, or my_module:ID of a module's own, got {env_id!r}")
    from drivesim.stages import begin_script

    if arguments is None:
        begin_script()
    try:
        return build_files(given.target, given.out) if given.command == "build" else warm_up(given.ids)
    except KeyboardInterrupt:
        return 130  # what a shell says of a program that was interrupted; what was compiled is kept


def build_files(targets: Sequence[str], folder: Path) -> int:
    """Make files of kernels; the exit status."""
    from drivesim.build import build
    from drivesim.stages import show

    show("")
    return build(targets, folder)


def warm_up(ids: Sequence[str]) -> int:
    """Compile or load kernels; the exit status."""
    from drivesim.stages import ctrl_c_raises, show
    from drivesim.warm import warm

    show("")
    with ctrl_c_raises():
        return warm(list(dict.fromkeys(ids)) or IDS)


def list_environments() -> None:
    """Print one line per registered environment, and where their kernels come from."""
    from drivesim.core.jit import origin

    width = max(len(entry.id) for entry in ENTRIES)
    for entry in ENTRIES:
        print(f"{entry.id:{width}}  {entry.max_episode_steps:4d} steps  {entry.summary}")  # noqa: T201
    print(f"kernels: {origin()}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
