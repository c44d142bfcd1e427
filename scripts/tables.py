"""Tables in Markdown, and the places in pages where they stand."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lays rows out as a Markdown table; the first is its header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def filled_in(text: str, tables: dict[str, str], *, needs_all: bool = False) -> str:
    """A page's text with fresh tables, each between `<!-- name -->` and `<!-- /name -->`.

    Args:
        text: the page's.
        tables: by name.
        needs_all: whether the page must have a place for every table; else those without one are left out.

    Raises:
        ValueError: if the page holds a place that is not closed, or twice, or lacks one that it must have.
    """
    for name, content in tables.items():
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        if (text.count(opening), text.count(closing)) == (0, 0) and not needs_all:
            continue
        if (text.count(opening), text.count(closing)) != (1, 1):
            raise ValueError(f"a page must hold {opening} … {closing} once{'' if needs_all else ' or not at all'}")
        before, _, rest = text.partition(opening)
        after = rest.partition(closing)[2]
        text = f"{before}{opening}\n{content}\n{closing}{after}"
    return text
