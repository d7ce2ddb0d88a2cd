"""CSV and its kin: a header, and cells apart by a comma, a semicolon, a tab or a bar."""

from __future__ import annotations

import csv
import io
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from connector.errors import SourceError
from connector.source.task_ids.columns import choose_column, find_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.source.task_ids.content import Content

DELIMITERS = ",;\t|"
_CHUNK = 1 << 13
_LONGEST_CELL = 1 << 24

_rows = partial(csv.reader, strict=True)


def read(content: Content, column: str | None) -> Iterator[list[str]]:
    """The cells of the column of task IDs; "" where a row is too short to have one.

    Python's reader and not Arrow's, which is quicker but gives up on ragged rows and on long cells.

    Raises:
        SourceError: There is no such column, or quotes do not match: an open one may hide rows.
    """
    # The reader's only setting of this kind is one for the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    head = content.head_text()
    likeliest = max(DELIMITERS, key=head.partition("\n")[0].count)
    rows = _rows(content.text(newline=""), delimiter=delimiter_of(head, column) or likeliest)
    try:
        header = next(filter(any, rows), None)
        if header is None:
            return
        index = choose_column(header, column, content.name, _hint(header))
        while cells := [row[index] if index < len(row) else "" for row in islice(rows, _CHUNK)]:
            yield cells
    except csv.Error as exc:
        raise SourceError(
            f"{content.name} is broken near line {rows.line_num}: {exc}. Is a quote left open?"
        ) from exc


def delimiter_of(head: str, column: str | None) -> str | None:
    """The delimiter by which the first row of `head` has the column of task IDs, if one does."""
    for delimiter in DELIMITERS:
        try:
            header = next(
                filter(any, _rows(io.StringIO(head, newline=""), delimiter=delimiter)), []
            )
        except csv.Error:
            continue
        if find_column(header, column) is not None:
            return delimiter
    return None


def _hint(header: list[str]) -> str:
    return " A list without a header belongs in a .txt file." if len(header) == 1 else ""
