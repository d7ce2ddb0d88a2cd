"""Spreadsheets of Excel and LibreOffice: the first sheet with a column of task IDs."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

from connector.errors import SourceError
from connector.task_ids.columns import HEADER_WITHIN, choose_column, find_header
from connector.task_ids.kept import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.task_ids.content import Content
    from connector.task_ids.kept import Keep

_CHUNK = 1 << 13
_INEXACT = 2**53  # from here on, a float is not a certain whole number

# The name of the part that holds an encrypted .xlsx. The reader sees a password in .xls only.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def read_spreadsheet(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[list[object] | Rows]:
    """The cells below the header of the column of task IDs, without empty rows.

    Visible sheets come before hidden ones.

    Raises:
        SourceError: It cannot be read, no sheet has such a column, or the first that has it lacks
            one to keep.
    """
    first: list[str] | None = None
    for rows in _sheets(content):
        texts = [list(map(str, row)) for row in rows[:HEADER_WITHIN]]
        header = find_header(texts, column)
        if header is not None:
            position, index = header
            below = [row for row in rows[position + 1 :] if any(cell != "" for cell in row)]
            names = [rows[position]] if position >= 0 else []
            chosen = keep.choose_below(names, position, index, content.name) if keep else None
            for start in range(0, len(below), _CHUNK):
                part = below[start : start + _CHUNK]
                ids = [row[index] for row in part]
                yield ids if chosen is None else Rows(ids, _cells(part, chosen))
            return
        first = first or next(filter(any, texts), None)
    if first is not None:
        choose_column([name for name in first if name], column, content.name)


def _cells(rows: list[list[Any]], chosen: dict[str, int]) -> dict[str, list[object]]:
    return {name: [_value(row[place]) for row in rows] for name, place in chosen.items()}


def _value(cell: object) -> object:
    """A cell's value: a whole number is one, although spreadsheets have only one kind of number."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _INEXACT:
        return int(cell)
    return None if cell == "" else cell


def _sheets(content: Content) -> Iterator[list[list[Any]]]:
    """The rows of each sheet, the visible ones first."""
    calamine = _import_calamine()
    data = content.stream.read()
    encrypted = f"{content.name} is encrypted. Save it without a password, or as CSV."
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
            f"{content.name} cannot be read as a spreadsheet: {exc}. "
            "Save it as CSV or .xlsx; unpack it first if it is an archive."
        ) from exc


def _import_calamine() -> Any:
    try:
        return importlib.import_module("python_calamine")  # an extra
    except ImportError:
        raise SourceError(
            "Spreadsheets are read with python-calamine, which is not installed: "
            "pip install 'luma-to-parquet[xlsx]', or save the sheet as CSV."
        ) from None
