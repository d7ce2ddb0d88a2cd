"""Parquet and Arrow files: one column, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from connector.errors import SourceError
from connector.task_ids.columns import choose_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.task_ids.content import Content

_ROWS = 1 << 16


def read_parquet(content: Content, column: str | None) -> Iterator[pa.Array]:
    """The column of task IDs, in the type that it has.

    Raises:
        SourceError: There is no such column, or its type cannot hold IDs.
    """
    stream = content.stream
    # A compressed file cannot be read from its end, where Parquet says what is in it.
    file = pq.ParquetFile(stream if stream.seekable() else pa.BufferReader(stream.read()))
    name = _column_name(file.schema_arrow, column, content.name)
    for batch in file.iter_batches(batch_size=_ROWS, columns=[name]):
        yield batch.column(name)


def read_arrow(content: Content, column: str | None) -> Iterator[pa.Array]:
    """The same for Arrow's own format, which is also Feather's.

    Raises:
        SourceError: As for `read_parquet`.
    """
    file = pa.ipc.open_file(pa.BufferReader(content.stream.read()))
    name = _column_name(file.schema, column, content.name)
    for index in range(file.num_record_batches):
        yield file.get_batch(index).column(name)


def _column_name(schema: pa.Schema, column: str | None, where: str) -> str:
    name: str = schema.names[choose_column(schema.names, column, where)]
    if schema.names.count(name) > 1:
        raise SourceError(f"{where} has more than one column {name}: which one is meant?")
    kind = schema.field(name).type
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
        raise SourceError(f"{where}: the column {name} is of type {kind}, not task IDs.")
    return name
