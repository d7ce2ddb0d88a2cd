"""A DuckDB view over the files of a table, described as the table is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from connector.record.column import TIMESTAMP, Column
from connector.warehouse.founding import WITHOUT_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from connector.record.column import Table

SQL_TYPES: Final = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.binary(): "BLOB",
    TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    pa.date32(): "DATE",
}

# What means something in a pattern of file names; in brackets it means itself.
WILD: Final = re.compile(r"[\[*?]")


@dataclass(frozen=True, slots=True)
class View:
    """A view that is to be made.

    Attributes:
        table: What it shows.
        partition: The column that readers make of the names of partition folders.
        pattern: Path of the files; None if there are none, for DuckDB refuses to look for those.
    """

    table: Table
    partition: Column | None
    pattern: str | None

    def make(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the view, in place of one of its name.

        Raises:
            duckdb.IOException: A file cannot be read, or was replaced meanwhile.
            duckdb.InvalidInputException: It is no Parquet.
        """
        view, columns = quoted(self.table.name), self._columns()
        types = self._types(connection)
        selected = ", ".join(_selected(column, types.get(column.name)) for column in columns)
        made_from = f"FROM {self._source()}" if self.pattern else "WHERE false"
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT {selected} {made_from}")
        connection.execute(f"COMMENT ON VIEW {view} IS {literal(self.table.description)}")
        for column in columns:
            name, about = quoted(column.name), literal(_about(column))
            connection.execute(f"COMMENT ON COLUMN {view}.{name} IS {about}")

    def _columns(self) -> list[Column]:
        return [*self.table.columns, *([self.partition] if self.partition else [])]

    def _types(self, connection: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
        """Type of each column that the files have."""
        if self.pattern is None:
            return {}
        files = connection.sql(f"FROM {self._source()}")
        return dict(zip(files.columns, map(str, files.types), strict=True))

    def _source(self) -> str:
        is_partitioned = str(self.partition is not None).lower()
        return (
            f"read_parquet({literal(self.pattern or '')}, union_by_name = true,"
            f" hive_partitioning = {is_partitioned}, hive_types_autocast = false)"
        )


def view_of(table: Table, folder: str | None, partition_by: str) -> View:
    """Lay out the view of a table.

    Args:
        table: What it is to show.
        folder: Of the warehouse, as DuckDB shall find it; None if the table has no file yet.
        partition_by: `month` or `day`, for what is partitioned by creation.
    """
    pattern = WILD.sub(r"[\g<0>]", folder) + f"/{table.name}/**/*.parquet" if folder else None
    if table.partition is None:
        return View(table, None, pattern)
    span = partition_by if table.partition == "created" else "month"
    about = f"{span.capitalize()} of the partition; {WITHOUT_TIME[span]} if there is no time."
    type_ = pa.date32() if span == "day" else pa.string()
    return View(table, Column(f"{table.partition}_{span}", type_, about), pattern)


def _selected(column: Column, found: str | None) -> str:
    """A column in its declared type, also if another version wrote the files."""
    name, type_ = quoted(column.name), SQL_TYPES[column.type]
    if found == type_:
        return name
    if type_ == "DATE":
        # The name of a folder: an earlier version has called one `unknown`.
        return f"TRY_CAST({name} AS DATE) AS {name}"
    return f"CAST({name if found else 'NULL'} AS {type_}) AS {name}"


def _about(column: Column) -> str:
    return " ".join(_sentences(column))


def _sentences(column: Column) -> Iterator[str]:
    yield column.description
    if column.unit:
        yield f"In {column.unit}."
    if column.allowed:
        yield f"One of: {', '.join(column.allowed)}."


def quoted(name: str) -> str:
    """An identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
