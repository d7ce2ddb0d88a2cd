"""CSV and its relatives: cells between commas, semicolons, tabs or bars, below a header."""

from __future__ import annotations

import csv
import io
import re
from functools import partial
from itertools import chain, dropwhile, islice
from typing import TYPE_CHECKING

from connector.errors import SourceError
from connector.task_ids.columns import (
    HEADER_WITHIN,
    choose_column,
    find_column,
    find_header,
    first_row,
    has_ids,
    is_comment,
    rows_below,
)
from connector.task_ids.kept import Rows
from connector.task_ids.parts import CELL, in_parts
from connector.task_ids.spelling import BLANKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connector.task_ids.content import Content
    from connector.task_ids.kept import Keep

DELIMITERS = ",;\t|"
_LONGEST_CELL = 1 << 24
_MOST_COLUMNS = 1 << 16

# The line that tells Excel the delimiter.
_SEP_LINE = re.compile(r"\s*\"?sep=([,;\t|])\"?[ ]*[\r\n]", re.IGNORECASE)
# What Markdown and the shells of databases put between rows, and what these put below them.
_DRAWN = re.compile(r"[-+:=|\s]*-{3}[-+:=|\s]*")
_COUNT = re.compile(r"\(?\d+ rows?( affected| selected)?[.)]?\s*")
_SEP_CELL = re.compile(r"\s*sep=[,;\t|]?\s*", re.IGNORECASE)

_rows = partial(csv.reader, strict=True)


def read_delimited(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[list[str] | Rows]:
    """The cells of the column of task IDs; "" where a row is too short to have one.

    Python's reader and not Arrow's, which is quicker but gives up on ragged rows and on long cells.

    Raises:
        SourceError: The column or one to keep does not exist; or quotes do not match, which may
            hide rows.
    """
    # The reader's only setting of this kind is one for the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    delimiter = _delimiter_of(content.head_text(), column)
    rows = _rows(content.lines(), delimiter=delimiter)
    wanted = rows if delimiter != "|" else (r for r in rows if not _DRAWN.fullmatch("|".join(r)))
    try:
        yield from _cells(wanted, column, content.name, keep)
    except csv.Error as exc:
        raise SourceError(
            f"{content.name} is broken near line {rows.line_num}: {exc}. Is a quote left open?"
        ) from exc


def _cells(
    rows: Iterator[list[str]], column: str | None, where: str, keep: Keep | None
) -> Iterator[list[str] | Rows]:
    """The cells below the header, which files that were put together have several times.

    A count of rows below them is left out.
    """
    first = _without_sep_line(list(_narrow(islice(rows, HEADER_WITHIN), where)))
    if not first:
        return
    header = find_header(first, column)
    if header is None:
        names = first_row(first) or first[0]
        choose_column(names, column, where, _hint(names))
        return
    position, index = header
    name = first[position][index] if position >= 0 else None
    below = chain(rows_below(first, position), rows)
    if keep:
        yield from _kept(below, keep.choose_below(first, position, index, where), index, name)
        return
    cells = (row[index] if index < len(row) else "" for row in below)
    wanted = (c for c in cells if c != name and not ("row" in c and _COUNT.fullmatch(c)))
    yield from in_parts(wanted, len)


def _narrow(rows: Iterable[list[str]], where: str) -> Iterator[list[str]]:
    """Rows that are kept to look for a header in."""
    for number, row in enumerate(rows, 1):
        if len(row) > _MOST_COLUMNS:
            raise SourceError(f"{where}: row {number} has {len(row):,} columns. Is it CSV?")
        yield row


def _kept(
    below: Iterator[list[str]], chosen: dict[str, int], index: int, header: str | None
) -> Iterator[Rows]:
    """The same with columns to keep; a cell that a short row does not have is blank."""
    places = [index, *chosen.values()]
    width = max(places) + 1
    whole = (row if len(row) >= width else row + [""] * (width - len(row)) for row in below)
    wanted = (
        [row[place] for place in places]
        for row in whole
        if row[index] != header and not _COUNT.fullmatch(row[index])
    )
    for part in in_parts(wanted, lambda cells: sum(map(len, cells)) + CELL * len(cells)):
        ids, *columns = map(list, zip(*part, strict=True))
        yield Rows(ids, dict(zip(chosen, columns, strict=True)), has_types=False)


def is_delimited(head: str, column: str | None) -> bool:
    """Whether text is a table: its first line names columns, one of them that of the task IDs."""
    if _SEP_LINE.match(head):
        return True
    lines = io.StringIO(head.lstrip(BLANKS))
    line = next((line for line in lines if not line.lstrip(BLANKS).startswith("#")), "")
    rows = [next(iter(_first_rows(line, delimiter)), []) for delimiter in DELIMITERS]
    rows = [row for row in rows if len(row) > 1 and not has_ids(row)]
    return any(find_column(row, column) is not None for row in rows)


def _delimiter_of(head: str, column: str | None) -> str:
    """The one that the text names, else the one that finds a header first, else the commonest."""
    if named := _SEP_LINE.match(head):
        return named[1]
    headers = {}
    for delimiter in DELIMITERS:
        header = find_header(_first_rows(head, delimiter), column)
        if header is not None:
            # A list without a header, which is at -1, comes last.
            headers[delimiter] = header[0] if header[0] >= 0 else HEADER_WITHIN
    if headers:
        return min(headers, key=headers.__getitem__)
    line = next((line for line in head.splitlines() if not is_comment([line])), "")
    return max(DELIMITERS, key=line.count)


def _first_rows(head: str, delimiter: str) -> list[list[str]]:
    """The first rows of `head` with this delimiter; its end may be cut off."""
    found: list[list[str]] = []
    try:
        for row in islice(_rows(io.StringIO(head, newline=""), delimiter=delimiter), HEADER_WITHIN):
            found.append(row)  # noqa: PERF402  those before an error count
    except csv.Error:
        pass
    return _without_sep_line(found)


def _without_sep_line(rows: list[list[str]]) -> list[list[str]]:
    """`rows` from the first that is not empty, without the line that is there for Excel."""
    filled = list(dropwhile(lambda row: not any(row), rows))
    is_there = filled and _SEP_CELL.fullmatch(filled[0][0]) and not any(filled[0][1:])
    return filled[1:] if is_there else filled


def _hint(header: Sequence[str]) -> str:
    return " A list without a header belongs in a .txt file." if len(header) == 1 else ""
