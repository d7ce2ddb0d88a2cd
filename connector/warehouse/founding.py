"""Files with zero rows, so that every table can be read before it has a row, and keeps its types.

A partitioned table has its file in the partition of rows without a time. Beside the partition
folders, as one would put it, DuckDB, Polars, ClickHouse and fastparquet fail over it, for they
expect the partition in every path. The files stay when rows arrive: a reader may have listed them.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from connector.record.schema import ANSWERS, COLUMNS, RUNS, TABLES
from connector.storage import parquet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.record.column import Table
    from connector.storage.storage import Storage

# Partition of rows whose time is unknown. A month is text to every reader, but a day is a date to
# most, and one folder with another name would turn the column into text. Hive's name for null will
# not do: pandas fails over it beside others, ClickHouse does among days, and alone it has no type.
# Of dates, ClickHouse has none before 1970.
WITHOUT_TIME: Final = {"month": "unknown", "day": "1970-01-01"}

# File of a table to which each run adds files. It sorts before them.
ZERO_ROWS: Final = "0-empty.parquet"


# All tables but the dictionary, which always has rows.
FOUNDED: Final = tuple(name for name in TABLES if name != COLUMNS.name)


def found(storage: Storage, partition_by: str, tables: Iterable[str] = FOUNDED) -> None:
    """Write a file with zero rows for each table that has none in its place, all at once.

    A disk takes little longer to sync a dozen files than to sync one, and a bucket to take them.

    Args:
        storage: The warehouse's.
        partition_by: `month` or `day`, for what is partitioned by creation.
        tables: Names of the tables.
    """
    names = {_file_of(TABLES[name], partition_by): TABLES[name] for name in tables}
    missing = [name for name in names if not storage.exists(name)]
    if missing:
        with ThreadPoolExecutor(len(missing)) as threads:
            written = threads.map(
                lambda name: parquet.write_table(storage, name, names[name], []), missing
            )
            deque(written, maxlen=0)  # which raises what one of them raised


def is_zero_rows(name: str) -> bool:
    """Whether a file holds the place of those that runs add."""
    return name.endswith(f"/{ZERO_ROWS}")


def _file_of(table: Table, partition_by: str) -> str:
    is_added_to = table.name in {ANSWERS.name, RUNS.name}
    file = ZERO_ROWS if is_added_to else f"{table.name}.parquet"
    if table.partition is None:
        return f"{table.name}/{file}"
    span = partition_by if table.partition == "created" else "month"
    return f"{table.name}/{table.partition}_{span}={WITHOUT_TIME[span]}/{file}"
