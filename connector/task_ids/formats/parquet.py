"""Parquet and Arrow files: the columns that are wanted, in pieces of a bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connector.errors import SourceError
from connector.task_ids.columns import choose_column
from connector.task_ids.kept import LONGEST_KEPT, Rows
from connector.task_ids.validity import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connector.task_ids.content import Content
    from connector.task_ids.kept import Keep

_ROWS = 1 << 16
_KEPT_ROWS = 1 << 13
_PIECE_BYTES = 1 << 24
_BUFFER = 1 << 20
_VALUE = 32  # what one counts for beside its bytes: of a list, it becomes an object

# Several task IDs may be in one cell. A column of longer ones is refused unread if it is large.
_LONGEST = 1 << 16
_LARGEST = 1 << 28

_TEXT = {"STRING", "NONE", "ENUM", "JSON", "BSON"}


def read_parquet(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[pa.Array | Rows]:
    """The column of task IDs, in the type that it has.

    Raises:
        SourceError: There is no such column, or its type cannot hold IDs; or one to keep is
            missing, or holds values that are too long.
    """
    # A compressed file cannot be read from its end, where Parquet says what is in it.
    with content.seekable() as stream:
        known = pq.ParquetFile(stream)
        schema, name = known.schema_arrow, _column_name(known.schema_arrow, column, content.name)
        chosen = _choose(schema, name, keep, content.name) if keep else {}
        wanted = [name, *(schema.names[place] for place in chosen.values())]
        # With a name that occurs twice, all columns are read, so that positions stay what they are.
        is_clear = all(schema.names.count(one) == 1 for one in wanted)
        names = wanted if is_clear else schema.names
        file = pq.ParquetFile(
            stream, read_dictionary=_texts(known.schema, names), buffer_size=_BUFFER
        )
        for group in range(file.num_row_groups):
            size = _rows_at_once(file.metadata.row_group(group), name, wanted, content.name)
            rows = min(size, _KEPT_ROWS if keep else _ROWS)
            read = names if is_clear else None
            for batch in file.iter_batches(rows, row_groups=[group], columns=read):
                found = batch.schema.names
                places = map(found.index, wanted[1:]) if is_clear else chosen.values()
                columns = dict(zip(chosen, map(batch.column, places), strict=True))
                yield from _pieces(batch.column(found.index(name)), columns if keep else None)


def _texts(schema: pq.ParquetSchema, names: Sequence[str]) -> list[str]:
    """Columns to read as dictionaries, so that a text that many rows share is held once."""
    leaves = (schema.column(place) for place in range(len(schema.names)))
    return [
        leaf.path
        for leaf in leaves
        if leaf.physical_type == "BYTE_ARRAY"
        and leaf.logical_type.type in _TEXT
        and _is_of(leaf.path, names)
    ]


def _is_of(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in names)


def _rows_at_once(group: pq.RowGroupMetaData, name: str, wanted: Sequence[str], where: str) -> int:
    """How many rows stay within a bounded size, as far as the metadata says."""
    columns = [group.column(position) for position in range(group.num_columns)]
    whole = 0
    for one in wanted:
        size = sum(
            part.total_uncompressed_size for part in columns if _is_of(part.path_in_schema, [one])
        )
        if one == name and size > _LARGEST and size > group.num_rows * _LONGEST:
            raise SourceError(
                f"{where}: the column {name} has {size:,} bytes in {group.num_rows:,} rows, so it "
                "does not hold task IDs. Name another one with `column`."
            )
        if size > _LARGEST and size > group.num_rows * LONGEST_KEPT:
            raise SourceError(
                f"{where}: the column {one} has {size:,} bytes in {group.num_rows:,} rows, and of "
                f"one value at most {LONGEST_KEPT:,} bytes are kept. Leave this column out."
            )
        whole += size
    fitting: int = group.num_rows * _PIECE_BYTES // max(whole, 1)
    return max(1, fitting)


def _pieces(ids: pa.Array, columns: dict[str, pa.Array] | None) -> Iterator[pa.Array | Rows]:
    """The rows in pieces of a bounded size, without what is too long for a task ID."""
    ids = _shortened(ids)
    size = sum(map(_decoded_size, (ids, *(columns or {}).values())))
    if size > _PIECE_BYTES and len(ids) > 1:
        half = len(ids) // 2
        for start, length in ((0, half), (half, len(ids) - half)):
            part = columns and {name: one.slice(start, length) for name, one in columns.items()}
            yield from _pieces(ids.slice(start, length), part)
        return
    ids = ids.dictionary_decode() if isinstance(ids, pa.DictionaryArray) else ids
    yield ids if columns is None else Rows(ids, columns)


def _decoded_size(values: pa.Array) -> int:
    """About how many bytes the values take once they are decoded."""
    kind = values.type
    size = _VALUE * len(values)
    if isinstance(values, pa.ExtensionArray):
        return _decoded_size(values.storage)
    if pa.types.is_dictionary(kind):
        if not _has_length(kind.value_type):
            return size
        lengths = pc.binary_length(values.dictionary).take(values.indices)
        return size + (pc.sum(lengths).as_py() or 0)
    if pa.types.is_map(kind):
        values = values.cast(pa.list_(pa.struct([kind.key_field, kind.item_field])))
    if pa.types.is_struct(kind):
        return size + sum(map(_decoded_size, values.flatten()))
    if pa.types.is_nested(values.type) and hasattr(values, "flatten"):
        return size + _decoded_size(values.flatten())
    return size + int(values.nbytes)


def _shortened(values: pa.Array) -> pa.Array:
    """Values with a note in place of those that are much too long."""
    if isinstance(values, pa.DictionaryArray):
        texts = _shortened(values.dictionary)
        is_same = texts is values.dictionary
        return values if is_same else pa.DictionaryArray.from_arrays(values.indices, texts)
    kind = values.type
    if not _has_length(kind):
        return values
    lengths = pc.binary_length(values)
    if (pc.max(lengths).as_py() or 0) <= _LONGEST:
        return values
    note = pa.scalar(unreadable(f"a value of more than {_LONGEST:,} bytes is not a task ID"))
    return pc.if_else(pc.greater(lengths, _LONGEST), note.cast(kind), values)


def _has_length(kind: pa.DataType) -> bool:
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(is_text or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def read_arrow(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[pa.Array | Rows]:
    """The same for Arrow's own format, which is also Feather's.

    Raises:
        SourceError: As for `read_parquet`.
    """
    with content.seekable() as stream:
        schema = pa.ipc.open_file(stream).schema
        name = _column_name(schema, column, content.name)
        chosen = _choose(schema, name, keep, content.name) if keep else {}
        id_place = schema.names.index(name)
        places = sorted({id_place, *chosen.values()})
        only_these = pa.ipc.IpcReadOptions(included_fields=places)
        file = pa.ipc.open_file(stream, options=only_these)
        for index in range(file.num_record_batches):
            found = dict(zip(places, file.get_batch(index).columns, strict=True))
            columns = {one: found[place] for one, place in chosen.items()}
            yield from _pieces(found[id_place], columns if keep else None)


def _choose(schema: pa.Schema, name: str, keep: Keep, where: str) -> dict[str, int]:
    return keep.choose(schema.names, schema.names.index(name), where)


def _column_name(schema: pa.Schema, column: str | None, where: str) -> str:
    name: str = schema.names[choose_column(schema.names, column, where)]
    if schema.names.count(name) > 1:
        raise SourceError(f"{where} has more than one column {name}: rename all but one.")
    kind = schema.field(name).type
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
        raise SourceError(
            f"{where}: the column {name} is of type {kind}, not task IDs. Name another one with"
            " `column`."
        )
    return name
