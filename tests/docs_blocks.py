"""Runs the Python blocks of a page and checks what the page says they show."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
SHOWN = "  # -> "


def run_page(path: Path) -> int:
    """Runs all blocks of a page from top to bottom in one namespace; returns how many there are.

    A line `expression  # -> text` must have the value whose repr is the text.
    """
    text = path.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    matches = list(BLOCK.finditer(text))
    for match in matches:
        first_line = text.count("\n", 0, match.start(1))
        run_block(match[1], path.name, first_line, namespace)
    return len(matches)


def run_block(source: str, name: str, first_line: int, namespace: dict[str, Any]) -> None:
    """Runs one block statement by statement; `first_line` lines of the page come before it."""
    lines = source.splitlines()
    tree = ast.parse(source, name)
    checked = set()
    for statement in tree.body:
        last = statement.end_lineno or 0
        where = f"{name}, line {first_line + last}"
        _, arrow, expected = lines[last - 1].partition(SHOWN)
        ast.increment_lineno(statement, first_line)
        if arrow:
            assert isinstance(statement, ast.Expr), f"{where}: nothing is shown"
            value = eval(compile(ast.Expression(statement.value), name, "eval"), namespace)
            assert repr(value) == expected, f"{where}: shows {value!r}, the page says {expected}"
            checked.add(last)
        else:
            exec(compile(ast.Module([statement], []), name, "exec"), namespace)
    unchecked = {number for number, line in enumerate(lines, 1) if SHOWN in line} - checked
    assert not unchecked, f"{name}, lines {sorted(first_line + number for number in unchecked)}: not checked"
