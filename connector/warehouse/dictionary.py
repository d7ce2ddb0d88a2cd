"""The data dictionary: the table `columns`, from the declared tables."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from connector.errors import DamagedFile
from connector.record.schema import COLUMNS, TABLES
from connector.storage import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.record.column import Table
    from connector.storage.storage import Storage

FILE: Final = f"{COLUMNS.name}/{COLUMNS.name}.parquet"


def write_dictionary(storage: Storage, given: Table) -> None:
    """Write a row for each column of each table, unless the file has them.

    Args:
        storage: The warehouse's.
        given: The table `given` as it is found.
    """
    dictionary = pa.Table.from_pylist(list(_rows(given)), schema=COLUMNS.schema)
    with contextlib.suppress(DamagedFile):
        if storage.exists(FILE) and parquet.read_table(storage, FILE, COLUMNS.schema) == dictionary:
            return
    parquet.write_table(storage, FILE, COLUMNS, [dictionary])


def _rows(given: Table) -> Iterator[dict[str, Any]]:
    for table in {**TABLES, given.name: given}.values():
        for position, column in enumerate(table.columns, 1):
            yield {
                "table": table.name,
                "position": position,
                "column": column.name,
                "type": str(column.type),
                "unit": column.unit,
                "description": column.description,
                "source": " | ".join(column.paths) or None,
                "allowed": ", ".join(column.allowed) or None,
                "example": column.example,
            }
