"""Parquet and Arrow files: one column, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from connector.errors import SourceError
from connector.task_ids.columns import choose_column
from connector.task_ids.kept import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.task_ids.content import Content
    from connector.task_ids.kept import Keep

_ROWS = 1 << 16
_KEPT_ROWS = 1 << 13


def read_parquet(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[pa.Array | Rows]:
    """The column of task IDs, in the type that it has.

    Raises:
        SourceError: There is no such column, or its type cannot hold IDs.
    """
    stream = content.stream
    # A compressed file cannot be read from its end, where Parquet says what is in it.
    file = pq.ParquetFile(stream if stream.seekable() else pa.BufferReader(stream.read()))
    name = _column_name(file.schema_arrow, column, content.name)
    if keep:
        chosen = _choose(file.schema_arrow, name, keep, content.name)
        names = file.schema_arrow.names
        # With a name that occurs twice, all columns are read, so that positions stay what they are.
        wanted = [name, *(names[place] for place in chosen.values())]
        is_clear = all(names.count(one) == 1 for one in wanted)
        for batch in file.iter_batches(_KEPT_ROWS, columns=wanted if is_clear else None):
            places = map(batch.schema.names.index, wanted[1:]) if is_clear else chosen.values()
            yield _rows(batch, name, dict(zip(chosen, places, strict=True)))
        return
    for batch in file.iter_batches(batch_size=_ROWS, columns=[name]):
        yield batch.column(name)


def read_arrow(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[pa.Array | Rows]:
    """The same for Arrow's own format, which is also Feather's.

    Raises:
        SourceError: As for `read_parquet`.
    """
    file = pa.ipc.open_file(pa.BufferReader(content.stream.read()))
    name = _column_name(file.schema, column, content.name)
    chosen = _choose(file.schema, name, keep, content.name) if keep else None
    for index in range(file.num_record_batches):
        batch = file.get_batch(index)
        yield batch.column(name) if chosen is None else _rows(batch, name, chosen)


def _choose(schema: pa.Schema, name: str, keep: Keep, where: str) -> dict[str, int]:
    return keep.choose(schema.names, schema.names.index(name), where)


def _rows(batch: pa.RecordBatch, name: str, chosen: dict[str, int]) -> Rows:
    return Rows(batch.column(name), {one: batch.column(at) for one, at in chosen.items()})


def _column_name(schema: pa.Schema, column: str | None, where: str) -> str:
    name: str = schema.names[choose_column(schema.names, column, where)]
    if schema.names.count(name) > 1:
        raise SourceError(f"{where} has more than one column {name}: which one is meant?")
    kind = schema.field(name).type
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
        raise SourceError(f"{where}: the column {name} is of type {kind}, not task IDs.")
    return name
