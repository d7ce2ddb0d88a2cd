"""Values in memory: lists and other iterables, columns and tables of pandas, Polars and Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connector.errors import SourceError
from connector.task_ids.columns import choose_column
from connector.task_ids.keys import Picker

if TYPE_CHECKING:
    from collections.abc import Iterator

_VALUES = 1 << 13


def read_values(values: Any, column: str | None) -> Iterator[pa.Array | list[object]]:
    """The values in order; of a table, or a dict of columns, those of the column of task IDs.

    Raises:
        SourceError: The table has no such column, or more than one.
    """
    if isinstance(values, Mapping) and not any(map(_is_column, values.values())):
        values = [dict(values)] if values else []  # one generation, as a gateway answers it
    values = _column_of(values, column)
    if not _is_column(values):
        values = [values]
    arrays = _as_arrow(values)
    if arrays is not None:
        yield from arrays
        return
    picker = Picker("The list", column)
    iterator = iter(
        values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else values
    )
    while part := list(islice(iterator, _VALUES)):
        yield [picker.pick(value) for value in part] if dict in set(map(type, part)) else part
    picker.check()


def _is_column(value: object) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _column_of(values: Any, column: str | None) -> Any:
    """The column of a table, which by itself would yield its rows or the names of its columns."""
    if isinstance(values, pa.RecordBatchReader):
        values = values.read_all()
    if hasattr(values, "collect_schema") and hasattr(values, "collect"):
        values = values.collect()  # a lazy frame of Polars
    if isinstance(values, Mapping):
        names = list(values)
    elif hasattr(values, "columns"):
        values = _with_named_index(values)
        names = list(getattr(values, "column_names", values.columns))
    else:
        return values
    name = names[choose_column(list(map(str, names)), column, "The table")]
    if names.count(name) > 1:
        raise SourceError(f"The table has more than one column {name}: which one is meant?")
    return values[name]


def _with_named_index(frame: Any) -> Any:
    """What pandas has as a named index was a column once."""
    names = getattr(getattr(frame, "index", None), "names", ())
    free = [name for name in names if name is not None and name not in frame.columns]
    return frame.reset_index(level=free) if free else frame


def _as_arrow(values: object) -> list[pa.Array] | None:
    """A column as Arrow arrays, without a Python object for each value; None if it cannot be."""
    if isinstance(values, pa.Array):
        return None if pa.types.is_struct(values.type) else [values]
    if not hasattr(values, "__arrow_c_stream__"):
        return None
    try:
        chunks: list[pa.Array] = pa.chunked_array(values).chunks
    except (TypeError, ValueError, pa.ArrowException):
        # A pandas column of objects of several types.
        return None
    return None if any(pa.types.is_struct(chunk.type) for chunk in chunks) else chunks
