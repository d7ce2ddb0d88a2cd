"""Which column of a table, or key of an object, holds the task IDs."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, TypeVar

from connector.errors import SourceError
from connector.task_ids.spelling import BLANKS, is_usual, tidied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T", bound="Sequence[Any]")

# The first of these that there is, in any spelling, has the IDs.
USUAL: Final = ("task_id", "generation_id", "id", "uuid", "job_id")
# These can mean nothing else, wherever they stand.
SAYING_WHICH: Final = ("task_id", "generation_id")
# Only these first rows may be the header.
HEADER_WITHIN: Final = 20

_ALSO: Final = {
    "taskids": "taskid",
    "taskuuid": "taskid",
    "generationids": "generationid",
    "generationuuid": "generationid",
    "uuids": "uuid",
    "guid": "uuid",
    "jobids": "jobid",
}
_BETWEEN_WORDS = re.compile(r"[\s_.\-:#]+")
_SHOWN = 20


def find_column(
    names: Sequence[str], column: str | None, usual: Sequence[str] = USUAL
) -> int | None:
    """The position of `column`, or else of the first of `usual`; None if there is none.

    Letter case, blanks, `_` and `-` count only where they tell two columns apart: `Task ID`,
    `taskId` and `TASK-ID` are one name. A `column` that fits several in this way fits none.
    """
    for wanted in usual if column is None else (column,):
        found = _matches(names, wanted)
        if found and (column is None or len(found) == 1 or names[found[0]] == column):
            return found[0]
    return None


def _matches(names: Sequence[str], wanted: str) -> list[int]:
    """The positions of `wanted`, by the strictest comparison that finds any."""
    ways: tuple[Callable[[str], str], ...] = (_bare, lambda name: _bare(name).casefold(), _spelt)
    for way in ways:
        looked_for = way(wanted)
        if found := [index for index, name in enumerate(names) if way(name) == looked_for]:
            return found
    return []


def _bare(name: str) -> str:
    return tidied(name) or name.strip(BLANKS)


def _spelt(name: str) -> str:
    letters = _BETWEEN_WORDS.sub("", _bare(name).casefold())
    return _ALSO.get(letters, letters)


def choose_column(names: Sequence[str], column: str | None, where: str, hint: str = "") -> int:
    """As `find_column`, but without one raises a SourceError that lists the columns of `where`."""
    index = find_column(names, column)
    if index is not None:
        return index
    if column is not None and len(fitting := _matches(names, column)) > 1:
        raise SourceError(
            f"{where} has more than one column like {column}: "
            f"{', '.join(names[one] for one in fitting)}. Spell the one you mean exactly."
        )
    wanted = f"{', '.join(USUAL[:-1])} or {USUAL[-1]}" if column is None else column
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    raise SourceError(
        f"{where} has no column {wanted}. Its columns: {shown}. "
        f"Name the one that holds the task IDs with `column`.{hint}"
    )


def is_header(line: str, column: str | None) -> bool:
    """Whether a line of text is the name of the column of task IDs, and nothing else."""
    return find_column([tidied(line)], column) is not None


def has_ids(row: Sequence[str]) -> bool:
    """Whether a row holds a task ID of a usual shape: `task_id,4b3c…` is not a header."""
    return any(is_usual(tidied(cell)) for cell in row)


def says_which(name: str) -> bool:
    """Whether a name can mean nothing but the column of task IDs."""
    return find_column([name], None, SAYING_WHICH) is not None


def find_header(rows: Sequence[Sequence[str]], column: str | None) -> tuple[int, int] | None:
    """Which of the first `rows` is the header, and which column of it has the task IDs.

    What stands above a header is narrower: a title, a date; unless the header says `task_id`. A
    row that begins with `#` is the header only if no other one is: else it is a comment. If there
    is no header, but one column of IDs, the row is -1.
    """
    top = list(enumerate(rows[:HEADER_WITHIN]))
    plain = [(position, row) for position, row in top if not is_comment(row)]
    header = _header_among(plain, column) or _header_among(top, column)
    if header is not None:
        return header
    ids = [index for index, cell in enumerate(first_row(rows)) if is_usual(tidied(cell))]
    return (-1, ids[0]) if len(ids) == 1 and column is None else None


def _header_among(
    rows: Iterable[tuple[int, Sequence[str]]], column: str | None
) -> tuple[int, int] | None:
    widest = 1
    for position, row in rows:
        filled = sum(map(bool, row))
        index = None if has_ids(row) else find_column(row, column)
        if index is not None and (filled > widest or widest == 1 or says_which(row[index])):
            return position, index
        widest = max(widest, filled)
    return None


def first_row(rows: Iterable[Sequence[str]]) -> Sequence[str]:
    """The first row that is neither empty nor a comment."""
    return next((row for row in rows if any(row) and not is_comment(row)), ())


def rows_below(rows: Sequence[T], header: int) -> Sequence[T]:
    """The rows below a header; without one (-1), all but comments above them."""
    comments = takewhile(is_comment, rows) if header < 0 else ()
    return rows[header + 1 + sum(1 for _ in comments) :]


def is_comment(row: Sequence[object]) -> bool:
    """Whether a row begins with `#`, as a comment above a header does."""
    return bool(row) and str(row[0]).lstrip(BLANKS).startswith("#")
