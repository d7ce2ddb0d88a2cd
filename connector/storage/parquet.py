"""Reads and writes Parquet: zstd, page index, sorted, with described columns."""

from __future__ import annotations

import contextlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connector.errors import ConnectorError, DamagedFile, StorageFailed, WarehouseError
from connector.record.merge import conform
from connector.record.pieces import fitting
from connector.storage.ahead import ahead
from connector.storage.store_errors import is_from_store, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from connector.record.column import Table
    from connector.storage.storage import Storage

# Rows per row group, held in memory while a file is written: about 25 MB of generations. Large
# prompts and bodies fill a group earlier.
ROW_GROUP_ROWS: Final = 16_384
ROW_GROUP_BYTES: Final = 64 * 1024 * 1024

# Rows read at once; a rewrite holds each a few times over.
PIECE_ROWS: Final = 4_096
PIECE_BYTES: Final = 16 * 1024 * 1024

# Endings of columns whose values rarely repeat: a dictionary would be useless.
MANY_VALUED: Final = ("_url", "task_id", "prompt_id", "_at", "body", "extra")
FEW_VALUED: Final = frozenset({"base_url"})

# Errors of pyarrow about a damaged file, and of the storage.
UNREADABLE: Final = (pa.ArrowException, OSError)

# Times that Python knows, in microseconds.
FIRST, LAST = (
    (end - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for end in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
)


def write_table(
    storage: Storage,
    name: str,
    table: Table,
    pieces: Iterable[pa.Table],
    metadata: Mapping[str, str] | None = None,
    *,
    unless_same: bool = False,
    is_new: bool = False,
) -> None:
    """Write pieces of a table as one file, replacing an existing one.

    Args:
        storage: The storage to write to.
        name: Name of the file.
        table: Gives schema and order.
        pieces: Rows in order, in pieces of any size.
        metadata: Added to the file's own metadata.
        unless_same: Leave an existing file with the same bytes untouched.
        is_new: The name is this writer's own; see `Storage.replacing`.

    Raises:
        StorageFailed: The storage is full or not writable.
    """
    with (
        storage.replacing(name, unless_same=unless_same, is_new=is_new) as file,
        pq.ParquetWriter(
            file,
            table.schema,
            compression="zstd",
            write_page_index=True,
            write_page_checksum=True,
            use_dictionary=[name for name in table.schema.names if _repeats(name)],
            sorting_columns=_sorting(table),
        ) as writer,
    ):
        for group in ahead(_regroup(pieces, table.schema)):
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            del group  # or it would stay in memory while the next one is gathered
        if metadata:
            writer.add_key_value_metadata(metadata)


def _repeats(name: str) -> bool:
    return name in FEW_VALUED or not name.endswith(MANY_VALUED)


def _sorting(table: Table) -> list[pq.SortingColumn] | None:
    if not table.sort:
        return None
    keys = [(name, "ascending") for name in table.sort]
    return list(pq.SortingColumn.from_ordering(table.schema, keys, null_placement="at_end"))


def _regroup(pieces: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather pieces into full row groups; yield at least one, so that the file has a schema."""
    held, rows, size = [schema.empty_table()], 0, 0
    for piece in pieces:
        # Joined only once they may be enough: each time would cost as much as there are pieces.
        held += [piece.replace_schema_metadata(schema.metadata)] * (len(piece) > 0)
        rows, size = rows + len(piece), size + piece.nbytes
        if rows < ROW_GROUP_ROWS and size <= ROW_GROUP_BYTES:
            continue
        joined = pa.concat_tables(held)
        held.clear()
        while len(joined):
            full = fitting(joined, ROW_GROUP_ROWS, ROW_GROUP_BYTES)
            if full == len(joined) < ROW_GROUP_ROWS:
                break
            yield joined.slice(0, full)
            joined = joined.slice(full)
        held, rows, size = [joined], len(joined), joined.nbytes
    yield pa.concat_tables(held)


def read_table(
    storage: Storage, name: str, schema: pa.Schema, *, all_of: pa.Schema | None = None
) -> pa.Table:
    """Read a file's columns in this schema; missing ones are null.

    If `all_of` is given, the file may have no column beside those of it.

    Raises:
        DamagedFile: The file is cut short or not Parquet.
        StorageFailed: The storage cannot be read.
        WarehouseError: The file has other columns than `all_of`.
    """
    pieces = list(read_pieces(storage, name, schema, all_of=all_of))
    return pa.concat_tables(pieces) if pieces else schema.empty_table()


def read_pieces(
    storage: Storage,
    name: str,
    schema: pa.Schema,
    *,
    all_of: pa.Schema | None = None,
    groups: Sequence[int] | None = None,
) -> Iterator[pa.Table]:
    """Read a file, or some of its row groups, like `read_table`.

    A piece has `PIECE_ROWS` rows, or about `PIECE_BYTES`.
    """
    with _open_parquet(storage, name) as file:
        written = set(file.schema_arrow.names)
        if all_of is not None:
            _refuse(storage, name, written.difference(all_of.names))
        names = [column for column in schema.names if column in written]
        for batch in iterate(file, names, groups):
            yield _converted(storage, name, pa.Table.from_batches([batch]), schema)


def _converted(storage: Storage, name: str, piece: pa.Table, schema: pa.Schema) -> pa.Table:
    """Convert what was read; values that cannot be are the file's fault, not the storage's."""
    try:
        return as_declared(piece, schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DamagedFile(f"{storage.where(name)} cannot be read: {reason(error)}") from error


def as_declared(piece: pa.Table, schema: pa.Schema) -> pa.Table:
    """Convert rows of a file to this schema; missing columns are null.

    Raises:
        pa.ArrowException: Another program wrote what a column cannot hold: another type, text that
            is not UTF-8, or a time that no calendar of Python has.
    """
    rows = conform(piece, schema)
    rows.validate(full=True)
    for column in rows.columns:
        if pa.types.is_timestamp(column.type):
            ends = pc.min_max(column.cast(pa.int64()))
            if any(end.is_valid and not FIRST <= end.as_py() <= LAST for end in ends.values()):
                raise pa.ArrowInvalid("a time is not between the years 1 and 9999")
    return rows


def iterate(
    file: pq.ParquetFile,
    columns: Sequence[str],
    groups: Iterable[int] | None = None,
    rows: int = PIECE_ROWS,
) -> Iterator[pa.RecordBatch]:
    """Read columns of some or all row groups, at most `rows` and about `PIECE_BYTES` at a time."""
    for group in range(file.num_row_groups) if groups is None else groups:
        rows_at_once = _rows_at_once(file.metadata.row_group(group), set(columns), rows)
        yield from file.iter_batches(rows_at_once, row_groups=[group], columns=columns)


def _rows_at_once(group: pq.RowGroupMetaData, names: set[str], most: int) -> int:
    columns = (group.column(position) for position in range(group.num_columns))
    size = sum(one.total_uncompressed_size for one in columns if one.path_in_schema in names)
    return max(1, min(most, most if size <= PIECE_BYTES else group.num_rows * PIECE_BYTES // size))


def read_column_names(storage: Storage, name: str) -> list[str]:
    """Read the names of a file's columns; raises as `read_table` does."""
    with _open_parquet(storage, name) as file:
        names: list[str] = file.schema_arrow.names
        return names


def read_rows(storage: Storage, name: str) -> int:
    """Read the number of a file's rows; raises as `read_table` does."""
    with _open_parquet(storage, name) as file:
        return int(file.metadata.num_rows)


def read_schema(storage: Storage, name: str) -> pa.Schema:
    """Read the schema of a file; raises as `read_table` does."""
    with _open_parquet(storage, name) as file:
        return file.schema_arrow


def is_all_null(storage: Storage, name: str, column: str) -> bool:
    """Whether a column is known to hold no value; raises as `read_table` does."""
    with _open_parquet(storage, name) as file:
        place = file.schema_arrow.names.index(column)
        groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
        found = ((group.num_rows, group.column(place).statistics) for group in groups)
        return all(known is not None and known.null_count == rows for rows, known in found)


def refuse_unknown(storage: Storage, name: str, schema: pa.Schema) -> None:
    """Refuse to rewrite a file that has columns beside those of a schema: they would be lost.

    Raises:
        WarehouseError: It has some.
    """
    _refuse(storage, name, set(read_column_names(storage, name)).difference(schema.names))


def _refuse(storage: Storage, name: str, unknown: set[str]) -> None:
    if unknown:
        columns = ", ".join(sorted(unknown))
        raise WarehouseError(
            f"{storage.where(name)} has columns that this release does not know ({columns}): a"
            " later one wrote it. Update luma-to-parquet: this release would lose them."
        )


def own_metadata(metadata: Mapping[bytes, bytes]) -> dict[str, str]:
    """A file's metadata without that of its schema."""
    usual = {b"description", b"pandas", b"ARROW:schema"}
    return {key.decode(): text.decode() for key, text in metadata.items() if key not in usual}


def read_metadata(storage: Storage, name: str) -> dict[bytes, bytes]:
    """Read a file's key-value metadata; raises as `read_table` does."""
    with _open_parquet(storage, name) as file:
        return dict(file.metadata.metadata or {})


@contextlib.contextmanager
def _open_parquet(storage: Storage, name: str) -> Iterator[pq.ParquetFile]:
    """Open a file; an error while it is read is the file's fault, or the storage's."""
    try:
        with (
            storage.open_file(name) as source,
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            yield file
    except UNREADABLE as error:
        raise _fault(storage, name, error) from error


def _fault(storage: Storage, name: str, error: Exception) -> DamagedFile | StorageFailed:
    """The error to raise: a file is damaged only if a second read, of all of it, fails too."""
    where, said = storage.where(name), reason(error)
    is_of_storage = getattr(error, "errno", None) is not None or is_from_store(error)
    if is_of_storage or _is_sound(storage, name):
        return StorageFailed.reading(where, said)
    return DamagedFile(f"{where} cannot be read: {said}")


def _is_sound(storage: Storage, name: str) -> bool:
    """Whether a file can be read after all, or cannot be had whole."""
    try:
        content = storage.read(name)
        if len(content) != storage.bytes_of(name):
            return True
    except (OSError, ConnectorError):
        return True
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            for _ in iterate(file, file.schema_arrow.names):
                continue
    except UNREADABLE:
        return False
    return True


def is_same(one: Storage, other: Storage, name: str, schema: pa.Schema) -> bool:
    """Whether two storages' files of this name both have this schema and the same rows."""
    try:
        with one.open_file(name) as source, pq.ParquetFile(source) as file:
            if not file.schema_arrow.equals(schema, check_metadata=True):
                return False
        pieces = (read_pieces(storage, name, schema) for storage in (one, other))
        return all(
            a is not None and b is not None and a.equals(b)
            for a, b in itertools.zip_longest(*pieces)
        )
    except (DamagedFile, *UNREADABLE):
        return False
