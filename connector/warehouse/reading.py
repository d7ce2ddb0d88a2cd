"""Tables of a warehouse, read by name: right and without an error, also while a run writes.

A file is opened once, so a replacement does not touch what is being read. A file that is gone
before it is opened (`compact` and `rebuild` remove some) makes the reading start over.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from connector.errors import DamagedFile, StorageFailed, UsageError, WarehouseError
from connector.record.kept import KEY
from connector.record.schema import MARTS, TABLES
from connector.settings import load
from connector.storage.parquet import ROW_GROUP_ROWS, UNREADABLE, as_declared, iterate
from connector.storage.store_errors import reason
from connector.warehouse import refresh as marts
from connector.warehouse.compact import CONTAINS
from connector.warehouse.files import files_of
from connector.warehouse.given import as_found, declared, joined_columns, with_given_columns
from connector.warehouse.since import IsRecent, moment
from connector.warehouse.warehouse import Warehouse
from connector.words import did_you_mean

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime, timedelta

    import pandas as pd

    from connector.record.column import Table
    from connector.storage.storage import Storage

T = TypeVar("T")

ATTEMPTS: Final = 5


def read(
    table: str,
    warehouse: str | os.PathLike[str] | None = None,
    *,
    columns: Sequence[str] | None = None,
    since: datetime | date | timedelta | str | None = None,
    dtype_backend: Literal["pyarrow"] | None = None,
    given: bool = False,
) -> pd.DataFrame:
    """Read a table as a data frame, as `pd.read_parquet` does: the same columns and types.

    Args:
        table: Its name, such as `generations`.
        warehouse: Folder or bucket of the tables; that of the settings (`LUMA_WAREHOUSE`) if not
            given.
        columns: The columns wanted, in this order; all if not given, then also the one that the
            table's folders are named after, such as `created_month`.
        since: Only rows whose time (`TIME_COLUMNS`) is this or later. A moment or a day, also as
            ISO 8601 text; or a time span, which ends now. UTC where it names no time zone. Rows
            whose time is unknown are left out.
        dtype_backend: `pyarrow` for Arrow's types in place of pandas' own.
        given: Add the kept columns of each row's task ID, under their names; a name that
            `generations` or `timings` has, such as `prompt`, becomes `given_prompt`. `columns` may
            name them.

    Raises:
        connector.errors.UsageError: There is no such table, column or backend, `since` makes no
            sense, or `given` is for a table without task IDs.
        connector.errors.WarehouseError: There is no warehouse, or a file of it is damaged.
    """
    import pandas as pd  # noqa: PLC0415  half a second, which a wrong name need not wait for

    if dtype_backend not in {None, "pyarrow"}:
        raise UsageError(
            f"dtype_backend {dtype_backend!r} is unknown: leave it out for pandas' own types, or"
            " write pyarrow"
        )
    named = table_named(table)
    wanted = [columns] if isinstance(columns, str) else columns
    start = None if since is None else moment(since)
    storage = Warehouse.existing(warehouse or load().warehouse, look_at=[table]).storage
    rows, whole = retried(lambda: _rows(storage, named, wanted, start, with_given=given))
    if dtype_backend:
        # Without what the files tell pandas: it would ask for other types.
        return rows.replace_schema_metadata(None).to_pandas(types_mapper=pd.ArrowDtype)
    return rows.replace_schema_metadata(whole.schema.metadata).to_pandas()


def _rows(
    storage: Storage,
    table: Table,
    wanted: Sequence[str] | None,
    start: datetime | None,
    *,
    with_given: bool,
) -> tuple[pa.Table, Table]:
    """The rows that `read` asks for, and the declaration of what they have."""
    table = as_found(storage, table)
    kept = joined_columns(table, declared(storage)) if with_given else {}
    added = (replace(column, name=name) for name, column in kept.items())
    whole = replace(table, columns=(*table.columns, *added))
    partition = _partition_column(storage, table)
    schema = schema_of(whole, wanted, partition)
    joined = {name: column for name, column in kept.items() if name in schema.names}
    own = [field for field in schema if field.name not in joined]
    if joined and KEY not in schema.names:
        own.append(table[KEY].field)
    own_schema = pa.schema(own)
    found = [own_schema.empty_table(), *pieces(storage, table, own_schema, start)]
    rows = pa.concat_tables(found)
    if joined:
        rows = with_given_columns(storage, rows, joined)
    rows = rows.select(schema.names)
    if partition in schema.names:
        place = schema.names.index(partition)
        rows = rows.set_column(place, partition, rows[place].dictionary_encode())
    return rows, whole


def _partition_column(storage: Storage, table: Table) -> str | None:
    """What the folders of a table are named after, if it has folders: `created_month`, say."""
    if table.partition is None:
        return None
    names = files_of(storage, table)
    folder = names[0].split("/")[1] if names else f"{table.partition}_month="
    return folder.partition("=")[0]


def table_named(name: str) -> Table:
    """Find a table's declaration.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in TABLES:
        raise UsageError(
            f"there is no table {name!r}{did_you_mean(str(name), TABLES)};"
            f" there are {', '.join(TABLES)}"
        )
    return TABLES[name]


def schema_of(
    table: Table, columns: Sequence[str] | None = None, partition: str | None = None
) -> pa.Schema:
    """The schema of these columns of a table, in this order; of all if None.

    Args:
        table: The table.
        columns: Names of columns.
        partition: What its folders are named after, which is a column then.

    Raises:
        UsageError: It has not got one of them.
    """
    schema = table.schema
    if partition:
        schema = schema.append(pa.field(partition, pa.string()))
    if columns is None:
        return schema
    for column in columns:
        if column not in schema.names:
            raise UsageError(
                f"{table.name} has no column {column!r}{did_you_mean(str(column), schema.names)};"
                f" it has {', '.join(schema.names)}"
            )
    return pa.schema([schema.field(column) for column in dict.fromkeys(columns)])


def retried(attempt: Callable[[], T]) -> T:
    """Do what reads `pieces`, and do it over when a file was gone before it could be opened.

    Raises:
        DamagedFile: Some file cannot be read, however often it is tried.
        StorageFailed: It is the storage that cannot be read.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(DamagedFile):
            return attempt()
    try:
        return attempt()
    except DamagedFile as error:
        cause = error.__cause__
        if getattr(cause, "errno", None) is None or isinstance(cause, FileNotFoundError):
            raise
        raise StorageFailed(f"{error.what}. Start again when the storage can be read.") from error


def pieces(
    storage: Storage, table: Table, schema: pa.Schema, since: datetime | None = None
) -> Iterator[pa.Table]:
    """Read a table piece by piece, in the order of its files; the memory needed is bounded.

    A column that is none of the table's, but in the names of its folders, is read from there.

    Raises:
        DamagedFile: A file cannot be read, or was gone before it was opened: see `retried`.
        UsageError: `since` is given for a table that has no time.
        WarehouseError: The table has not been made yet.
    """
    is_recent = None if since is None else IsRecent(table, since)
    names = files_of(storage, table)
    if table in MARTS and marts.was_left_out(storage, table):
        raise WarehouseError(
            f"{storage.address} holds no {table.name} yet: the next run or `rebuild` makes it,"
            " unless the settings leave it out"
        )
    contained: set[str] = set()
    for name in names:
        if name in contained:
            continue
        try:
            with (
                storage.open_file(name) as source,
                pq.ParquetFile(source, page_checksum_verification=True) as file,
            ):
                # Compacting adds the joined file before it removes what went into it.
                contained |= _contained(file, name)
                for piece in _pieces_of(file, schema, is_recent):
                    yield _with_partition(piece, name)
        except (*UNREADABLE, ValueError) as error:
            raise DamagedFile(f"{storage.where(name)} cannot be read: {reason(error)}") from error


def _contained(file: pq.ParquetFile, name: str) -> set[str]:
    """Files beside a compacted one that are in it as well."""
    note = (file.metadata.metadata or {}).get(CONTAINS.encode(), b"[]")
    folder = name.rpartition("/")[0]
    return {f"{folder}/{other}" for other in json.loads(note)}


def _pieces_of(
    file: pq.ParquetFile, schema: pa.Schema, is_recent: IsRecent | None
) -> Iterator[pa.Table]:
    groups = list(range(file.num_row_groups))
    wanted = {*schema.names}
    if is_recent:
        groups = [group for group in groups if is_recent.is_in(file, group)]
        wanted.add(is_recent.column)
    names = [name for name in file.schema_arrow.names if name in wanted]
    for batch in iterate(file, names, groups, ROW_GROUP_ROWS):
        piece = pa.Table.from_batches([batch])
        yield as_declared(is_recent.filter(piece) if is_recent else piece, schema)


def _with_partition(piece: pa.Table, name: str) -> pa.Table:
    """Fill in the column that a file's folder, `created_month=2025-10`, has the value of."""
    column, _, value = name.split("/")[-2].partition("=")
    if column not in piece.schema.names:
        return piece
    place = piece.schema.names.index(column)
    return piece.set_column(place, column, pa.repeat(pa.scalar(value), len(piece)))
