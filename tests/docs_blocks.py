"""Runs the Python blocks of a page and checks what the page says they show."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
SHOWN = "  # -> "


def blocks_of(path: Path, fence: str) -> list[tuple[int, str]]:
    """The blocks of a page that open with ```fence, each after the number of lines before it."""
    text = path.read_text(encoding="utf-8")
    blocks = re.finditer(rf"^```{re.escape(fence)}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, block.start(1)), block[1]) for block in blocks]


def run_page(path: Path, fence: str = "python") -> dict[str, Any]:
    """Runs all blocks of a page from top to bottom in one namespace, which it returns; there must be some.

    A line `expression  # -> text` must have the value whose repr is the text. Blocks that need a further library open
    with "{code-block} python": the library's own tests run them.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    blocks = blocks_of(path, fence)
    assert blocks, f"{path.name} has no block that opens with {fence}"
    for first_line, source in blocks:
        run_block(source, path.name, first_line, namespace)
    return namespace


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


def run_library_page(library: str) -> dict[str, Any]:
    """`run_page` for the page of a library that is installed here."""
    return run_page(DOCS / "integrations" / f"{library}.md", "{code-block} python")
