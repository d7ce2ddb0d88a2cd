"""Parquet: one column, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from connector.errors import SourceError
from connector.source.task_ids.columns import choose_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.source.task_ids.content import Content

_ROWS = 1 << 16


def read(content: Content, column: str | None) -> Iterator[pa.Array]:
    """The column of task IDs, in the type that it has.

    Raises:
        SourceError: There is no such column, or its type cannot hold IDs.
    """
    stream = content.stream
    # A compressed file cannot be read from its end, where Parquet says what is in it.
    file = pq.ParquetFile(stream if stream.seekable() else pa.BufferReader(stream.read()))
    names = file.schema_arrow.names
    name = names[choose_column(names, column, content.name)]
    if names.count(name) > 1:
        raise SourceError(f"{content.name} has more than one column {name}: which one is meant?")
    kind = file.schema_arrow.field(name).type
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
        raise SourceError(f"{content.name}: the column {name} is of type {kind}, not task IDs.")
    for batch in file.iter_batches(batch_size=_ROWS, columns=[name]):
        yield batch.column(name)
