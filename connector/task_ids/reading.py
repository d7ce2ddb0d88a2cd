"""From located sources to clean chunks of task IDs, with every error translated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import SourceError
from connector.storage.store_errors import is_from_store, reason
from connector.task_ids.content import open_content
from connector.task_ids.formats import choose_format
from connector.task_ids.kept import LONGEST_KEPT, Rows
from connector.task_ids.kept_values import is_blank, kept_values
from connector.task_ids.sources import Query, StandardInput, name_of
from connector.task_ids.sources.memory import read_values
from connector.task_ids.sources.objects import StoredFile
from connector.task_ids.validity import valid_mask
from connector.task_ids.values import as_text, clean, split_rows, split_several

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from connector.record.kept import Values as TextValues
    from connector.task_ids.formats import Values
    from connector.task_ids.kept import Keep, Take
    from connector.task_ids.sources import Located


def chunks(
    sources: Iterable[Located],
    column: str | None,
    keep: Keep | None = None,
    take: Take | None = None,
) -> Iterator[pa.StringArray]:
    """The task IDs of all `sources`; see `task_ids.read`."""
    any_given = False
    for source in sources:
        for values in _read(source, column, keep):
            if isinstance(values, Rows):
                task_ids = _taken(values, name_of(source), keep, take)
            else:
                task_ids = split_several(clean(as_text(values)))
            any_given = any_given or bool(pc.any(pc.not_equal(task_ids, "")).as_py())
            yield task_ids
    if not any_given:
        raise SourceError("There is no task ID in what was given: it is empty, or only blanks.")


def _taken(rows: Rows, where: str, keep: Keep | None, take: Take | None) -> pa.StringArray:
    """The task IDs of rows, whose kept columns are handed on for each valid one."""
    task_ids, origins = split_rows(clean(as_text(rows.values)))
    chosen = valid_mask(task_ids)
    places = origins.filter(chosen)
    columns = {
        name: kept_values(_picked(values, places), has_types=rows.has_types)
        for name, values in rows.columns.items()
    }
    unnamed = keep.unnamed if keep else ()
    columns = {n: v for n, v in columns.items() if n not in unnamed or not is_blank(v)}
    _check_lengths(columns, task_ids.filter(chosen), where)
    if take and columns:
        take(where, task_ids.filter(chosen), columns, has_types=rows.has_types)
    return task_ids


def _check_lengths(columns: Mapping[str, TextValues], task_ids: pa.Array, where: str) -> None:
    for name, values in columns.items():
        lengths = pc.binary_length(values.texts)
        longest = pc.max(lengths).as_py() or 0
        if longest > LONGEST_KEPT:
            task_id = task_ids[pc.index(lengths, longest).as_py()]
            raise SourceError(
                f"{where}: the column {name} has {longest:,} bytes for the task ID {task_id}, and "
                f"of one value at most {LONGEST_KEPT:,} bytes are kept. Shorten it, or leave this "
                "column out."
            )


def _picked(values: pa.Array | Sequence[object], places: pa.Array) -> pa.Array | list[object]:
    """Those of valid IDs: a total below the list must not make a column text."""
    if isinstance(values, pa.Array):
        is_view = pa.types.is_string_view(values.type)  # of Polars; Arrow takes none of them
        return (values.cast(pa.string()) if is_view else values).take(places)
    return [values[place] for place in places.to_pylist()]


def _read(source: Located, column: str | None, keep: Keep | None) -> Values:
    if isinstance(source, Path | StoredFile | StandardInput):
        return _read_file(source, column, keep)
    if isinstance(source, Query):
        # Here because SQLAlchemy takes half a second to import, and few lists come from SQL.
        from connector.task_ids.sources.sql import read_query  # noqa: PLC0415

        return read_query(source, column, keep)
    return read_values(source, column, keep)


def _read_file(
    source: Path | StoredFile | StandardInput, column: str | None, keep: Keep | None
) -> Values:
    try:
        with open_content(source) as content:
            yield from choose_format(content, column).read(content, column, keep)
    except (OSError, UnicodeError, pa.ArrowException) as exc:
        raise SourceError(f"{name_of(source)} cannot be read: {_reason(exc)}.") from exc


def _reason(exc: Exception) -> str:
    """The operating system's words without the number and the name that it puts around them."""
    if is_from_store(exc):
        return reason(exc)
    return str(getattr(exc, "strerror", None) or exc).rstrip(".")
