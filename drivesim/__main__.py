"""`python -m drivesim` lists the environments; `warm [ID ...]` compiles their kernels, `build` makes files of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from drivesim.registry import ENTRIES, IDS, is_registered


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    parser = argparse.ArgumentParser("python -m drivesim", description="Without a command: list the environments.")
    commands = parser.add_subparsers(dest="command", metavar="{warm,build}")
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
    given = parser.parse_args(arguments)
    if given.command is None:
        list_environments()
        return 0
    if given.command == "build":
        from drivesim.build import build

        return build(given.target, given.out)
    for env_id in given.ids:
        if not is_registered(env_id):
            warming.error(f"ID must be one of {', '.join(IDS)}, or my_module:ID of a module's own, got {env_id!r}")
    from drivesim.warm import warm

    try:
        return warm(list(dict.fromkeys(given.ids)) or IDS)
    except KeyboardInterrupt:
        return 130  # what a shell says of a program that was interrupted; what was compiled is kept


def list_environments() -> None:
    """Print one line per registered environment, and where their kernels come from."""
    from drivesim.core.jit import origin

    width = max(len(entry.id) for entry in ENTRIES)
    for entry in ENTRIES:
        print(f"{entry.id:{width}}  {entry.max_episode_steps:4d} steps  {entry.summary}")  # noqa: T201
    print(f"kernels: {origin()}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
