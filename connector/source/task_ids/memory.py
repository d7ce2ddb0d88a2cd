"""Values in memory: lists and other iterables, columns and tables of pandas, Polars and Arrow."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connector.source.task_ids.columns import choose_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VALUES = 1 << 13


def read(values: Iterable[object], column: str | None) -> Iterator[pa.Array | list[object]]:
    """The values in order; of a table, those of the column of task IDs.

    Raises:
        SourceError: The table has no such column.
    """
    if hasattr(values, "columns"):
        values = _column_of(values, column)
    arrays = _as_arrow(values)
    if arrays is not None:
        yield from arrays
        return
    iterator = iter(values)
    while part := list(islice(iterator, _VALUES)):
        yield part


def _column_of(table: Any, column: str | None) -> Iterable[object]:
    """Iterating a data frame would give the names of its columns as task IDs."""
    names = list(getattr(table, "column_names", table.columns))
    chosen: Iterable[object] = table[
        names[choose_column(list(map(str, names)), column, "The table")]
    ]
    return chosen


def _as_arrow(values: object) -> list[pa.Array] | None:
    """What is a column already, taken over without making a Python object of each value."""
    if isinstance(values, pa.Array):
        return [values]
    if not hasattr(values, "__arrow_c_stream__"):
        return None
    try:
        chunks: list[pa.Array] = pa.chunked_array(values).chunks
    except (TypeError, ValueError, pa.ArrowException):
        # A pandas column of objects of several types.
        return None
    return chunks
