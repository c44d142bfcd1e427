"""Numbers as people read them: with a minus sign, wherever the source writes one that may be negative, or a dash."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivesim.decimals import DASH, decimal, significant

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for part in ("drivesim", "agents", "scripts") for path in (ROOT / part).rglob("*.py"))
WORDS = "return|reward|regret|optimum|lower|upper|earned|loss|term|score|value|share"
MAY_BE_NEGATIVE = re.compile(rf"(?<![a-z])({WORDS})(?![a-z_])")


def test_negative_numbers_have_a_minus_sign_and_no_zero_has_one() -> None:
    minus = "\N{MINUS SIGN}"
    assert [decimal(number, 2) for number in (1.5, -1.5, -0.001)] == ["1.50", f"{minus}1.50", "0.00"]
    assert [decimal(number, 1, is_change=True) for number in (1, -1, -0.01)] == ["+1.0", f"{minus}1.0", "+0.0"]
    written = ["12.3", f"{minus}12.3", f"{minus}1e{minus}07", "0"]
    assert [significant(number, 3) for number in (12.345, -12.345, -1e-7, -0.0)] == written


def formatted(source: str) -> Iterator[tuple[str, str]]:
    """What f-strings write in a format: (expression, format)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
            parts = node.format_spec.values
            yield ast.unparse(node.value), "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


def written_otherwise(source: str) -> list[str]:
    """Numbers that may be negative, by a sign that is asked for or by what they are called, and get a hyphen."""
    return [
        f"{{{value}:{spec}}}"
        for value, spec in formatted(source)
        if "+" in spec or (re.search("[efg%]$", spec) and MAY_BE_NEGATIVE.search(value))
    ]


@pytest.mark.parametrize("text", ["{x:+d}", "{record['mean_return']:.3f}", "{value:.4g}", "{run.best_share:.1%}"])
def test_a_number_written_otherwise_would_be_found(text: str) -> None:
    assert written_otherwise(f'f"{text}"') == [text]


def test_numbers_that_may_be_negative_are_written_as_people_read_them() -> None:
    examples = ROOT / "scripts" / "examples"  # which are read more than run
    exempt = {"decimals.py", "tune.py"}  # which does it; whose values are shares of drives
    found = {
        path.relative_to(ROOT).as_posix(): written_otherwise(path.read_text(encoding="utf-8"))
        for path in FILES
        if path.name not in exempt and examples not in path.parents
    }
    assert not {path: numbers for path, numbers in found.items() if numbers}


def dashes_of_its_own(source: str) -> list[str]:
    """What a source writes where a value is missing, and dashes, instead of the constant."""
    found = []
    for node in ast.walk(ast.parse(source)):
        instead: list[ast.expr] = []
        if isinstance(node, ast.IfExp):
            instead = [node.body, node.orelse]
        elif isinstance(node, ast.BoolOp):
            instead = node.values
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            instead = node.args[1:]
        found += [ast.unparse(node) for value in instead if isinstance(value, ast.Constant) and value.value == "-"]
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and DASH in node.value:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "text", ["'-' if x is None else str(x)", "record['file'] or '-'", "rates.get(name, '-')", f"'1{DASH}2'"]
)
def test_a_dash_of_its_own_would_be_found(text: str) -> None:
    assert dashes_of_its_own(text) == [text]
    assert not dashes_of_its_own("DASH if x is None else x.partition('-')[0]")


def test_whatever_is_missing_is_shown_by_one_dash() -> None:
    exempt = {"decimals.py", "stages.py"}  # which has it; which knows what is written where an encoding lacks it
    found = {path: dashes_of_its_own(path.read_text(encoding="utf-8")) for path in FILES if path.name not in exempt}
    assert not {path.relative_to(ROOT).as_posix(): dashes for path, dashes in found.items() if dashes}
    scripts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "drivesim").rglob("*.js"))]
    assert [line for script in scripts for line in script.splitlines() if DASH in line] == [
        f'const MISSING = "{DASH}";'
    ]
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    hyphens = re.compile(r"\| *(-|None) *\|")
    assert not [page.relative_to(ROOT).as_posix() for page in pages if hyphens.search(page.read_text(encoding="utf-8"))]
