"""One word, one thing: the words that are out stand nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from words import ALLOWED, LOOKED_AT, NEVER, WORDS, Word

ROOT = Path(__file__).resolve().parent.parent


def files() -> Iterator[tuple[str, Path]]:
    """The Python and Markdown files, each with its path seen from the root."""
    for name in LOOKED_AT:
        top = ROOT / name
        for path in sorted(top.rglob("*") if top.is_dir() else [top]):
            seen = path.relative_to(ROOT).as_posix()
            if path.suffix in (".py", ".md") and not seen.startswith(NEVER):
                yield seen, path


FILES = {seen: path.read_text(encoding="utf-8").splitlines() for seen, path in files()}


def test_there_are_files_to_look_at() -> None:
    assert {"README.md", "agents/training.py", "docs/autoreset.md", "drivesim/vector_env.py"} <= FILES.keys()


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.example)
def test_a_word_that_is_out_would_be_found(word: Word) -> None:
    assert re.search(word.pattern, word.example)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.example)
def test_a_word_that_is_out_stands_nowhere(word: Word) -> None:
    pattern = re.compile(word.pattern)
    found = [
        f"{seen}:{number}: say {word.instead}: {line.strip()}"
        for seen, lines in FILES.items()
        if word.is_out_in(seen)
        for number, line in enumerate(lines, 1)
        if pattern.search(ALLOWED.sub("", line))
    ]
    assert not found, "\n" + "\n".join(found)
