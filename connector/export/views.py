"""A DuckDB view over the files of a table, with the table's documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from connector.record.column import TIMESTAMP, Column
from connector.record.kept import KEY
from connector.record.schema import GENERATIONS, PROMPTS, TIMINGS
from connector.warehouse.founding import WITHOUT_TIME
from connector.warehouse.given import joined_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

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

# A column for the path of the file that a row is from.
FILE: Final = "__file"

# The view of `generations` with the kept columns.
JOINED: Final = "generations_given"

# The view of these with what other tables know of each.
ENRICHED: Final = "generations_enriched"
OF_TIMINGS: Final = (
    "seconds_lower",
    "seconds_upper",
    "basis",
    "is_measured",
    "queue_seconds",
    "work_seconds",
    "created_hour",
)
MONTH: Final = Column("month", pa.string(), "Month of `created_at`, as in `turnaround`.", "UTC")

# Wildcards of file name patterns; in brackets they stand for themselves.
WILD: Final = re.compile(r"[\[*?]")


@dataclass(frozen=True, slots=True)
class View:
    """A view to create.

    Attributes:
        table: The table that it shows.
        partition: The column that readers derive from the names of partition folders.
        pattern: Path of the files; None if there are none, because DuckDB refuses such a pattern.
    """

    table: Table
    partition: Column | None
    pattern: str | None

    def create(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create the view, replacing one of the same name.

        Raises:
            duckdb.IOException: A file cannot be read, or was just replaced.
            duckdb.InvalidInputException: A file is not Parquet.
        """
        columns = [*self.table.columns, *([self.partition] if self.partition else [])]
        types = self._types(connection)
        selected = ", ".join(self._selected(column, types) for column in columns)
        source = f"FROM {self._source()}" if self.pattern else "WHERE false"
        query = f"SELECT {selected} {source}"
        named = {column.name: column for column in columns}
        _create(connection, self.table.name, query, self.table.description, named)

    def _types(self, connection: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
        """Types of the columns in the files."""
        if self.pattern is None:
            return {}
        files = connection.sql(f"FROM {self._source()}")
        return dict(zip(files.columns, map(str, files.types), strict=True))

    def _source(self) -> str:
        # With `hive_partitioning`, a folder such as `status=failed` above the warehouse would
        # replace a column of the files.
        return (
            f"read_parquet({literal(self.pattern or '')}, union_by_name = true,"
            f" hive_partitioning = false, filename = {literal(FILE)})"
        )

    def _selected(self, column: Column, types: Mapping[str, str]) -> str:
        """A column in its declared type, even if another version wrote the files."""
        name, type_ = quoted(column.name), SQL_TYPES[column.type]
        if self.pattern and column is self.partition:
            # DuckDB skips whole files by a condition on this too.
            name = f"regexp_extract({quoted(FILE)}, '/{column.name}=([^/]*)/[^/]*$', 1)"
            # An earlier version called a day `unknown`.
            return f"TRY_CAST({name} AS {type_}) AS {quoted(column.name)}"
        found = types.get(column.name)
        if found == type_:
            return name
        return f"CAST({name if found else 'NULL'} AS {type_}) AS {name}"


def view_of(table: Table, folder: str | None, partition_by: str) -> View:
    """Describe the view of a table.

    Args:
        table: The table to show.
        folder: The warehouse's, as DuckDB will find it; None if the table has no file yet.
        partition_by: `month` or `day`, for tables partitioned by creation time.
    """
    pattern = WILD.sub(r"[\g<0>]", folder) + f"/{table.name}/**/*.parquet" if folder else None
    if table.partition is None:
        return View(table, None, pattern)
    span = partition_by if table.partition == "created" else "month"
    about = f"{span.capitalize()} of the partition; {WITHOUT_TIME[span]} if the time is unknown."
    type_ = pa.date32() if span == "day" else pa.string()
    return View(table, Column(f"{table.partition}_{span}", type_, about), pattern)


def create_joined(connection: duckdb.DuckDBPyConnection, given: Table) -> None:
    """Create the view of `generations` with the kept columns, from the views of both tables."""
    kept = joined_columns(GENERATIONS, given)
    selected = ", ".join(
        f"given.{quoted(column.name)} AS {quoted(name)}" for name, column in kept.items()
    )
    columns = ", ".join(filter(None, ("generations.*", selected)))
    query = f"SELECT {columns} FROM generations LEFT JOIN given USING ({KEY})"  # noqa: S608  quoted
    about = "The generations, with the columns that were kept with their task IDs."
    _create(connection, JOINED, query, about, kept)


def create_enriched(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the view of `generations` with what other tables know of each, from their views."""
    added = {
        **{f"timings.{column.name}": column for column in map(TIMINGS.__getitem__, OF_TIMINGS)},
        "prompts.family_id": PROMPTS["family_id"],
        "strftime(made.created_at AT TIME ZONE 'UTC', '%Y-%m')": MONTH,
    }
    columns = ", ".join(f"{what} AS {quoted(column.name)}" for what, column in added.items())
    query = (
        f"SELECT made.*, {columns} FROM {JOINED} AS made LEFT JOIN timings USING ({KEY})"  # noqa: S608  quoted
        " LEFT JOIN prompts ON made.prompt_id = prompts.prompt_id"
    )
    about = (
        "The generations with kept columns, bounds of their turnaround, family and month: a row "
        "for each, for dashboards and semantic layers."
    )
    _create(connection, ENRICHED, query, about, {one.name: one for one in added.values()})


def _create(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    query: str,
    about: str,
    columns: Mapping[str, Column],
) -> None:
    """Create or replace a view, with comments on it and on these columns."""
    view = quoted(name)
    connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
    connection.execute(f"COMMENT ON VIEW {view} IS {literal(about)}")
    for column_name, column in columns.items():
        comment = literal(_about(column))
        connection.execute(f"COMMENT ON COLUMN {view}.{quoted(column_name)} IS {comment}")


def _about(column: Column) -> str:
    unit = f"In {column.unit}." if column.unit else ""
    allowed = f"One of: {', '.join(column.allowed)}." if column.allowed else ""
    return " ".join(filter(None, (column.description, unit, allowed)))


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL text literal."""
    return "'" + text.replace("'", "''") + "'"
