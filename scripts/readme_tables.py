"""Writes the README's tables: of environments and observations from the registry, of results from docs/results.json.

python scripts/readme_tables.py
python scripts/readme_tables.py --check
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import tyro
from gymnasium import spaces

import drivesim  # noqa: F401 - registers the ids
from agents.results import markdown, read_summary
from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES, scenario_of

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    readme: Path = ROOT / "README.md"
    """File with the tables, each between `<!-- name -->` and `<!-- /name -->`."""
    results: Path = ROOT / "docs" / "results.json"
    """Summary of the results, as scripts/results.py writes it with --summary."""
    check: bool = False
    """Write nothing; exit with 1 if a table is stale."""


def shape_of(env_id: str, observation: str) -> str:
    """An observation's dtype and shape in an environment."""
    env = gym.make(env_id, observation=observation)
    box = env.observation_space
    env.close()
    assert isinstance(box, spaces.Box)
    return f"{box.dtype} {box.shape}"


def environments() -> str:
    """One row per registered environment."""
    rows = [("id", "task", "actions", "default observation", "time limit")]
    for entry in ENTRIES:
        scenario = scenario_of(entry.name)
        default = f'`"{scenario.observation}"` {shape_of(entry.id, scenario.observation)}'
        limit = f"{entry.max_episode_steps} steps"
        rows.append((f"`{entry.id}`", entry.summary, ", ".join(scenario.actions), default, limit))
    return table(rows)


def observations() -> str:
    """One row per registered environment, one column per observation."""
    rows = [("id", *(f'`"{name}"`' for name in ENCODERS))]
    for entry in ENTRIES:
        rows.append((f"`{entry.id}`", *(shape_of(entry.id, name) for name in ENCODERS)))
    return table(rows)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lays rows out as a Markdown table; the first is its header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def filled_in(text: str, results: Path) -> str:
    """The README's text with fresh tables.

    Args:
        text: the README's.
        results: path of the summary of the results.

    Raises:
        ValueError: if a table's markers are not there exactly once.
    """
    contents = {
        "environments": environments(),
        "results": markdown(read_summary(results)),
        "observations": observations(),
    }
    for name, content in contents.items():
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        parts = pattern.split(text)
        if len(parts) != 4:
            raise ValueError(f"the README must hold <!-- {name} --> … <!-- /{name} --> exactly once")
        before, opening, closing, after = parts
        text = f"{before}{opening}{content}\n{closing}{after}"
    return text


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    text = parsed.readme.read_text(encoding="utf-8")
    try:
        fresh = filled_in(text, parsed.results)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if parsed.check:
        if fresh != text:
            print(f"{parsed.readme} is stale: run python scripts/readme_tables.py", file=sys.stderr)
        return int(fresh != text)
    parsed.readme.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
