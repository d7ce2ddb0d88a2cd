# ruff: noqa: INP001  a script's, not a package's
"""Tables and code in Markdown, for the pages that `make docs` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def grid(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """The lines of a table."""
    every = (head, ("---",) * len(head), *rows)
    return [f"| {' | '.join(cells)} |" for cells in every]


def codes(texts: Iterable[str | None], separator: str = ", ") -> str:
    """Several texts as code."""
    return separator.join(code(text) for text in texts if text)


def code(text: str) -> str:
    """Text as code, in a cell."""
    return f"`{cell(text)}`"


def cell(text: str) -> str:
    """Text for a cell: a bar would end it."""
    return text.replace("|", "\\|")
