"""Tables as an Excel workbook, one sheet each.

Texts stay texts: none runs as a formula or becomes a link. The notes say what Excel cannot hold.
Times are in UTC, and headers say so.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import UsageError
from connector.export.cells import (
    CELL_UNITS,
    NO_CONTROL,
    Exported,
    Mended,
    in_utc,
    readable,
    shortened,
    without_control,
)
from connector.storage.replace import folder_beside, replacing
from connector.warehouse.reading import pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from connector.record.column import Table
    from connector.storage.storage import Storage

    # Writes a value into the cell at a row and a column.
    Write = Callable[[int, int, Any], object]

# The most rows of a sheet, including the header.
SHEET_ROWS: Final = 1_048_576

# Excel's calendar starts here: an earlier time is written as text.
FIRST_YEAR: Final = 1900

# Widths of columns, in characters: of a time as it is shown, of the button beside a header, and of
# the longest text that is not cut.
TIME_WIDTH: Final = 23
BUTTON: Final = 4
NARROWEST, WIDEST = 8, 60

OPTIONS: Final = {
    "constant_memory": True,
    "nan_inf_to_errors": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


def write_xlsx(
    storage: Storage, tables: Sequence[Table], target: Path, sheet_rows: int = SHEET_ROWS
) -> list[Exported]:
    """Write tables as the sheets of an Excel file, replacing what is there.

    Notes say if a table has more rows than fit on a sheet.

    Raises:
        DamagedFile: As `pieces`.
        UsageError: XlsxWriter is not installed, or the file cannot be written.
    """
    xlsxwriter = _import_xlsxwriter()
    with replacing(target) as draft, folder_beside(draft) as folder:
        options = {**OPTIONS, "tmpdir": str(folder)}
        try:
            with xlsxwriter.Workbook(draft, options) as book:
                return [_Sheet(book, table, sheet_rows).fill(storage) for table in tables]
        except xlsxwriter.exceptions.FileCreateError as error:
            _collect(error)
            raise error.__context__ or error from None  # that of the operating system
        except OSError as error:
            _collect(error)
            raise


def _collect(error: Exception) -> None:
    """Drop what a failed write has left open: it fails once more, and Python prints a traceback."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = hook


class _Sheet:
    def __init__(self, book: Any, table: Table, sheet_rows: int) -> None:
        self._table, self._sheet_rows = table, sheet_rows
        self._mended = Mended()
        self._sheet = book.add_worksheet(table.name)
        self._time = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        self._date = book.add_format({"num_format": "yyyy-mm-dd"})
        self._head(book.add_format({"bold": True}))

    def _head(self, bold: Any) -> None:
        schema = in_utc(self._table.schema.empty_table()).schema
        self._widths = [max(NARROWEST, len(name) + BUTTON) for name in schema.names]
        for position, name in enumerate(schema.names):
            self._sheet.write_string(0, position, name, bold)
        self._sheet.freeze_panes(1, 1)

    def fill(self, storage: Storage) -> Exported:
        total = written = 0
        for piece in pieces(storage, self._table, self._table.schema):
            total += len(piece)
            fitting = piece.slice(0, self._sheet_rows - 1 - written)
            self._write(self._mend(fitting), 1 + written)
            written += len(fitting)
        for position, width in enumerate(self._widths):
            self._sheet.set_column(position, position, min(width, WIDEST))
        self._sheet.autofilter(0, 0, written, len(self._table.columns) - 1)
        notes = self._mended.notes
        if written < total:
            notes += (f"only the first {written:,} of {total:,} rows fit on a sheet",)
        return Exported(self._table.name, written, notes)

    def _mend(self, piece: pa.Table) -> pa.Table:
        cells = self._mended.apply(without_control, NO_CONTROL, in_utc(readable(piece)))
        return self._mended.apply(shortened, f"text cut at {CELL_UNITS:,} characters", cells)

    def _write(self, cells: pa.Table, first_row: int) -> None:
        self._widths = list(map(max, self._widths, map(_width, cells.columns)))
        writes = [self._writer(field.type) for field in cells.schema]
        columns = [column.to_pylist() for column in cells.columns]
        for row, values in enumerate(zip(*columns, strict=True), first_row):
            for position, value in enumerate(values):
                if value is not None:
                    writes[position](row, position, value)

    def _writer(self, type_: pa.DataType) -> Write:
        if pa.types.is_timestamp(type_):
            return partial(self._write_time, style=self._time)
        if pa.types.is_date(type_):
            return partial(self._write_time, style=self._date)
        writers: dict[pa.DataType, Write] = {
            pa.string(): self._sheet.write_string,
            pa.bool_(): self._sheet.write_boolean,
        }
        number: Write = self._sheet.write_number
        return writers.get(type_, number)

    def _write_time(self, row: int, position: int, moment: Any, style: Any) -> None:
        if moment.year < FIRST_YEAR:
            self._sheet.write_string(row, position, str(moment))
        else:
            self._sheet.write_datetime(row, position, moment, style)


def _width(values: pa.ChunkedArray) -> int:
    """The characters of the longest value as Excel shows it, with a little room."""
    if pa.types.is_timestamp(values.type):
        return TIME_WIDTH
    if pa.types.is_floating(values.type):
        return NARROWEST + 4  # Excel rounds to what fits
    return 1 + (pc.max(pc.utf8_length(values.cast(pa.string()))).as_py() or 0)


def _import_xlsxwriter() -> Any:
    try:
        return importlib.import_module("xlsxwriter")  # an extra
    except ImportError:
        raise UsageError(
            "XlsxWriter is not installed: pip install 'luma-to-parquet[xlsx]', or export to .csv"
        ) from None
