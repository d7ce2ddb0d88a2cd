"""Reads a spreadsheet in a process of its own: `python -m connector.task_ids.sheets NAME COLUMN …`.

The readers of these formats hold a sheet in memory with all cells up to the last one, so a few
kilobytes may ask for terabytes. Here that ends this process alone, which is why it does without
Arrow: that takes much of the memory that this process may have.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from connector.errors import SourceError
from connector.task_ids.columns import (
    HEADER_WITHIN,
    choose_column,
    find_header,
    first_row,
    rows_below,
)
from connector.task_ids.parts import CELL, in_parts
from connector.task_ids.validity import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MOST_MEMORY = 768 << 20

_LONGEST_CELL = 1 << 20  # thirty times what Excel allows
_LONGEST_ID = 1 << 16
_MICROSECOND = timedelta(microseconds=1)

# The name of the part that holds an encrypted .xlsx. The reader sees a password in .xls only.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")

# How what JSON cannot hold comes back from text.
_READERS: Final[dict[str, Callable[[str], object]]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda text: int(text) * _MICROSECOND,
}


def read_rows(
    data: bytes, name: str, column: str | None, *, whole: bool
) -> Iterator[list[Any] | dict[str, Any]]:
    """The cells below the header of the column of task IDs, without empty rows.

    Visible sheets come before hidden ones. With `whole`, all cells of each row come, and before
    them the header: its cells, which of the rows it is (-1 if there is none), and the place of the
    IDs.

    Raises:
        SourceError: It cannot be read, or no sheet has such a column.
    """
    first: Sequence[str] = ()
    for rows in _sheets(data, name):
        texts = [list(map(str, row)) for row in rows[:HEADER_WITHIN]]
        header = find_header(texts, column)
        if header is not None:
            position, index = header
            below = (row for row in rows_below(rows, position) if any(cell != "" for cell in row))
            size_of = partial(_size_of, name=name)
            if whole:
                yield {"header": [rows[max(position, 0)], position, index]}
                yield from in_parts(below, size_of)
                return
            for part in in_parts(([_short(row[index])] for row in below), size_of):
                yield [cell for (cell,) in part]
            return
        first = first or first_row(texts)
    if first:
        choose_column([one for one in first if one], column, name)


def _size_of(row: list[Any], name: str) -> int:
    lengths = [len(cell) for cell in row if isinstance(cell, str)]
    if max(lengths, default=0) > _LONGEST_CELL:
        shown = ", ".join(str(cell)[:40] for cell in row[:3])
        raise SourceError(
            f"{name}: the row {shown} has a cell of more than {_LONGEST_CELL:,} characters. "
            "Save the sheet as CSV."
        )
    return sum(lengths) + CELL * len(row)


def _short(cell: object) -> object:
    if isinstance(cell, str) and len(cell) > _LONGEST_ID:
        return unreadable(f"a cell of more than {_LONGEST_ID:,} characters is not a task ID")
    return cell


def _sheets(data: bytes, name: str) -> Iterator[list[list[Any]]]:
    """The rows of each sheet, the visible ones first."""
    calamine = importlib.import_module("python_calamine")
    encrypted = f"{name} is encrypted. Save it without a password, or as CSV."
    if _ENCRYPTED in data:
        raise SourceError(encrypted)
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        visible = calamine.SheetVisibleEnum.Visible
        for sheet in sorted(book.sheets_metadata, key=lambda sheet: sheet.visible != visible):
            if sheet.typ == calamine.SheetTypeEnum.WorkSheet:
                yield book.get_sheet_by_name(sheet.name).to_python()
    except calamine.PasswordError as exc:
        raise SourceError(encrypted) from exc
    except calamine.CalamineError as exc:
        raise SourceError(
            f"{name} cannot be read as a spreadsheet: {exc}. "
            "Save it as CSV or .xlsx; unpack it first if it is an archive."
        ) from exc


def _tagged(cell: Any) -> dict[str, str]:
    """A date or a time as JSON can hold it."""
    is_span = isinstance(cell, timedelta)
    return {type(cell).__name__: str(cell // _MICROSECOND) if is_span else cell.isoformat()}


def as_cell(tagged: dict[str, Any]) -> object:
    """The date or time that `_tagged` wrote; any other object as it is."""
    kind = next(iter(tagged), "")
    return _READERS[kind](tagged[kind]) if kind in _READERS else tagged


def main() -> None:
    """Print lines of JSON: lists of cells or rows, the header, or an object with what is wrong."""
    name, column, cells = sys.argv[1:]
    try:
        import resource  # noqa: PLC0415  Windows has none, and no limit then

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    except (ImportError, OSError, ValueError):
        pass
    try:
        data = sys.stdin.buffer.read()
        for part in read_rows(data, name, column or None, whole=cells == "all"):
            sys.stdout.write(json.dumps(part, default=_tagged) + "\n")
    except SourceError as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
    except MemoryError:
        sys.exit(1)


if __name__ == "__main__":
    main()
