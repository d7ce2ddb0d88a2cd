"""From located sources to clean chunks of task IDs, with every error translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import SourceError
from connector.storage.address import is_from_store, reason
from connector.task_ids.content import Content, opened
from connector.task_ids.formats import (
    Format,
    delimited,
    format_of,
    json_lists,
    parquet,
    spreadsheet,
    text,
)
from connector.task_ids.sources import Query, StandardInput, memory
from connector.task_ids.sources.objects import StoredFile
from connector.task_ids.values import as_text, clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.task_ids.sources import Located

Values = Iterator[pa.Array | Sequence[object]]


def chunks(sources: Iterable[Located], column: str | None) -> Iterator[pa.StringArray]:
    """The task IDs of all `sources`; see `task_ids.read`."""
    any_given = False
    for source in sources:
        for values in _values(source, column):
            task_ids = clean(as_text(values))
            any_given = any_given or bool(pc.any(pc.not_equal(task_ids, "")).as_py())
            yield task_ids
    if not any_given:
        raise SourceError("There is no task ID in what was given: it is empty, or only blanks.")


def _values(source: Located, column: str | None) -> Values:
    if isinstance(source, Path | StoredFile | StandardInput):
        return _from_file(source, column)
    if isinstance(source, Query):
        # Here because SQLAlchemy takes half a second to import, and few lists come from SQL.
        from connector.task_ids.sources import sql  # noqa: PLC0415

        return sql.read(source, column)
    return memory.read(source, column)


def _from_file(source: Path | StoredFile | StandardInput, column: str | None) -> Values:
    try:
        with opened(source) as content:
            yield from _READERS[format_of(content, column)](content, column)
    except (OSError, UnicodeError, pa.ArrowException) as exc:
        name = getattr(source, "name", "Standard input") if not isinstance(source, Path) else source
        raise SourceError(f"{name} cannot be read: {_reason(exc)}.") from exc


def _reason(exc: Exception) -> str:
    """The operating system's words without the number and the name that it puts around them."""
    if is_from_store(exc):
        return reason(exc)
    return str(getattr(exc, "strerror", None) or exc).rstrip(".")


_READERS: dict[Format, Callable[[Content, str | None], Values]] = {
    "parquet": parquet.read,
    "arrow": parquet.read_arrow,
    "spreadsheet": spreadsheet.read,
    "json": json_lists.read,
    "json_lines": json_lists.read_lines,
    "delimited": delimited.read,
    "text": text.read,
}
