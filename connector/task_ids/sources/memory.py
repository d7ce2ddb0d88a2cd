"""Values in memory: lists and other iterables, columns and tables of pandas, Polars and Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connector.errors import SourceError
from connector.task_ids.columns import choose_column
from connector.task_ids.kept import Rows, without_columns
from connector.task_ids.keys import Picker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.task_ids.kept import Keep

_VALUES = 1 << 13


def read_values(
    values: Any, column: str | None, keep: Keep | None = None
) -> Iterator[pa.Array | list[object] | Rows]:
    """The values in order; of a table, or a dict of columns, those of the column of task IDs.

    Raises:
        SourceError: The table has no such column, or more than one.
    """
    if isinstance(values, Mapping) and not any(map(_is_column, values.values())):
        values = [dict(values)] if values else []  # one generation, as a gateway answers it
    names, table = _as_table(values)
    if names is not None:
        name = _name_in(names, column)
        if keep:
            yield from _kept(table, names, name, keep)
            return
        values = table[name]
    if not _is_column(values):
        values = [values]
    arrays = _as_arrow(values)
    if arrays is not None and keep:
        raise without_columns("The list", "it is one column of task IDs")
    if arrays is not None:
        yield from arrays
        return
    picker = Picker("The list", column, keep)
    iterator = iter(
        values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else values
    )
    while part := list(islice(iterator, _VALUES)):
        yield picker.pick_all(part) if keep or dict in set(map(type, part)) else part
    picker.check()


def _is_column(value: object) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _as_table(values: Any) -> tuple[list[Any] | None, Any]:
    """The names of the columns of a table, and the table; None if it is not a table.

    By itself a table would yield its rows, or the names of its columns.
    """
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
        names = None
    return names, values


def _name_in(names: list[Any], column: str | None) -> Any:
    name = names[choose_column(list(map(str, names)), column, "The table")]
    if names.count(name) > 1:
        raise SourceError(f"The table has more than one column {name}: rename all but one.")
    return name


def _kept(table: Any, names: list[Any], name: Any, keep: Keep) -> Iterator[Rows]:
    """The column of task IDs with the columns to keep, in parts of a bounded size."""
    chosen = keep.choose(names, names.index(name), "The table")
    columns = {one: _whole(_column_at(table, place)) for one, place in chosen.items()}
    ids = _whole(_column_at(table, names.index(name)))
    lengths = {len(column) for column in (ids, *columns.values())}
    if len(lengths) > 1:
        raise SourceError(
            "The columns of the table have different lengths. Give each one value per task ID."
        )
    for start in range(0, len(ids), _VALUES):
        end = start + _VALUES
        yield Rows(ids[start:end], {one: column[start:end] for one, column in columns.items()})


def _column_at(table: Any, place: int) -> Any:
    """The column at a position: of several with one name, pandas gives all by their name."""
    if isinstance(table, Mapping):
        return list(table.values())[place]
    if hasattr(table, "iloc"):
        return table.iloc[:, place]
    if hasattr(table, "to_series") or hasattr(table, "get_column_index"):
        return table.to_series(place)  # Polars
    return table.column(place)


def _whole(column: Any) -> pa.Array | list[object]:
    """A column as one array, or as a list if its values are of several types."""
    if not _is_column(column):
        column = [column]
    arrays = _as_arrow(column)
    if arrays is None:
        return list(column.to_pylist() if hasattr(column, "to_pylist") else column)
    return pa.chunked_array(arrays).combine_chunks() if arrays else []


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
