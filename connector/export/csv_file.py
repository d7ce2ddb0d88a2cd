"""A table as a CSV file for a spreadsheet.

No prompt runs as a formula. Spreadsheets have no time zones: times are in UTC, and headers say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
from pyarrow import csv

from connector.export.cells import (
    NO_CONTROL,
    Exported,
    Mended,
    in_utc,
    readable,
    without_control,
    without_formula,
)
from connector.storage.replace import replacing
from connector.warehouse.reading import pieces

if TYPE_CHECKING:
    from pathlib import Path

    from connector.record.column import Table
    from connector.storage.storage import Storage

# Without it Excel does not read the file as UTF-8.
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

NO_FORMULA: Final = "apostrophe added before a formula"


def write_csv(storage: Storage, table: Table, target: Path) -> Exported:
    """Write a table as a CSV file, replacing what is there.

    Raises:
        DamagedFile: As `pieces`.
        UsageError: The file cannot be written.
    """
    mended, rows = Mended(), 0
    schema = in_utc(readable(table.schema.empty_table())).schema
    with replacing(target) as draft, pa.OSFile(str(draft), "wb") as file:
        file.write(BYTE_ORDER_MARK)
        with csv.CSVWriter(file, schema) as writer:
            for piece in pieces(storage, table, table.schema):
                rows += len(piece)
                cells = mended.apply(without_control, NO_CONTROL, in_utc(readable(piece)))
                writer.write_table(mended.apply(without_formula, NO_FORMULA, cells))
    return Exported(table.name, rows, mended.notes)
