# ruff: noqa: INP001  a script, not a package
"""Generates the data dictionary: `python -m tools.tables_page docs/tables.md`.

The page, the table `columns` and the descriptions in the files come from the same declarations.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connector.record.schema import TABLES
from connector.warehouse.since import TIME_COLUMNS
from tools.markdown import cell, code, codes, grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.record.column import Column, Table

HEAD: Final = """\
# Tables

<!-- Made by `make docs` from the declarations in connector/record. Do not edit. -->

Every table is a folder of Parquet files that pandas, DuckDB, Polars, Spark and BI tools read as
they are. The same texts are in the files, as metadata of their fields, and in the table `columns`.

- Timestamps are in UTC, to the microsecond.
- Null means that nothing is known: the gateway did not say, or what it said made no sense (then
  `coercions` has it).
- Source is the JSON path in the gateway's answer; the first path that exists counts. If none does,
  a key whose words mean the same counts (`createdTime`, `generateParam.prompt`), if its value fits;
  a video is found in lists too.
- Every table exists from the first run on, with all its columns, and with zero rows if there are
  none. For that, some folders have a file without rows.
- Readers see the name of a partition folder as a column. A month is text such as `2024-10`. A day
  such as `2024-10-15` is a date, except in pandas and pyarrow, which read it as text.
- Generations without a time of creation, or with one outside 2000 to 2099, are in the month
  `unknown` or on the day `1970-01-01`. A day must be a date, or readers would take the whole column
  for text. Hive's name for null does not work: pandas and ClickHouse fail on it.
  [BI tools](bi.md#readers-of-parquet) lists the readers that were tried.
"""

COLUMNS: Final = ("Column", "Type", "Unit", "What it holds", "Source", "Example")


def page() -> str:
    """The page in Markdown."""
    return "\n".join([HEAD, *_contents(), *(_section(table) for table in TABLES.values())])


def _contents() -> Iterable[str]:
    rows = ((_link(table), cell(table.description)) for table in TABLES.values())
    return (*grid(("Table", "Content"), rows), "")


def _link(table: Table) -> str:
    return f"[`{table.name}`](#{table.name})"


def _section(table: Table) -> str:
    lines = (
        f"## {table.name}",
        "",
        table.description,
        "",
        f"- **Files:** {_files(table)}",
        f"- **Key:** {codes(table.key)}",
        f"- **Sorted by:** {codes(table.sort) or 'order of writing'}",
        f"- **`since` looks at:** {codes([TIME_COLUMNS.get(table.name)]) or 'no column'}",
        "",
        *grid(COLUMNS, map(_row, table.columns)),
        "",
    )
    return "\n".join(lines)


def _files(table: Table) -> str:
    if table.partition is None:
        return f"`{table.name}/*.parquet`"
    by_month = f"`{table.name}/{table.partition}_month=2024-10/*.parquet`"
    if table.partition != "created":
        return by_month
    return f"{by_month}, or `{table.partition}_day=2024-10-15` in a warehouse partitioned by day"


def _row(column: Column) -> tuple[str, ...]:
    allowed = f" One of {codes(column.allowed)}." if column.allowed else ""
    return (
        code(column.name),
        str(column.type),
        cell(column.unit or ""),
        cell(column.description + allowed),
        codes(column.paths, " or "),
        codes([column.example]),
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
