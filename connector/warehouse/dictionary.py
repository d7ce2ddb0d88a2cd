"""The data dictionary: the table `columns`, from the declared tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connector.record.schema import COLUMNS, TABLES

if TYPE_CHECKING:
    from connector.record.column import Table


def columns_table(given: Table) -> pa.Table:
    """Return a row for each column of each table; `given` is declared as it is found."""
    return pa.Table.from_pylist(list(_rows(given)), schema=COLUMNS.schema)


def _rows(given: Table) -> Any:
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
