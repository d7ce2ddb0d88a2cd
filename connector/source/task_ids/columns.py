"""Which column of a table, or key of an object, holds the task IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

USUAL = ("task_id", "id")
_SHOWN = 20


def find_column(names: Sequence[str], column: str | None) -> int | None:
    """The position of `column`, or else of `task_id`, or else of `id`; None if there is none.

    Letter case counts only where it tells two columns apart: some databases export `TASK_ID`.
    """
    bare = [name.strip() for name in names]
    folded = [name.casefold() for name in bare]
    for wanted in USUAL if column is None else (column.strip(),):
        if wanted in bare:
            return bare.index(wanted)
        if wanted.casefold() in folded:
            return folded.index(wanted.casefold())
    return None


def choose_column(names: Sequence[str], column: str | None, where: str, hint: str = "") -> int:
    """As `find_column`, but without one raises a SourceError that lists the columns of `where`."""
    index = find_column(names, column)
    if index is None:
        wanted = " or ".join(USUAL) if column is None else column
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        raise SourceError(
            f"{where} has no column {wanted}. Its columns: {shown}. "
            f"Name the one that holds the task IDs with --column.{hint}"
        )
    return index
