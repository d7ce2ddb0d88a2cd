"""The data dictionary: the table `columns`, from the declared tables."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from connector.record.schema import COLUMNS, TABLES


def columns_table() -> pa.Table:
    """Return a row for each column of each table."""
    return pa.Table.from_pylist(list(_rows()), schema=COLUMNS.schema)


def _rows() -> Any:
    for table in TABLES.values():
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
