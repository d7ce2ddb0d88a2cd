"""From located sources to clean chunks of task IDs, with every error translated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import SourceError
from connector.storage.address import is_from_store, reason
from connector.task_ids.content import open_content
from connector.task_ids.formats import choose_format
from connector.task_ids.sources import Query, StandardInput
from connector.task_ids.sources.memory import read_values
from connector.task_ids.sources.objects import StoredFile
from connector.task_ids.values import as_text, clean, split_several

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connector.task_ids.formats import Values
    from connector.task_ids.sources import Located


def chunks(sources: Iterable[Located], column: str | None) -> Iterator[pa.StringArray]:
    """The task IDs of all `sources`; see `task_ids.read`."""
    any_given = False
    for source in sources:
        for values in _read(source, column):
            task_ids = split_several(clean(as_text(values)))
            any_given = any_given or bool(pc.any(pc.not_equal(task_ids, "")).as_py())
            yield task_ids
    if not any_given:
        raise SourceError("There is no task ID in what was given: it is empty, or only blanks.")


def _read(source: Located, column: str | None) -> Values:
    if isinstance(source, Path | StoredFile | StandardInput):
        return _read_file(source, column)
    if isinstance(source, Query):
        # Here because SQLAlchemy takes half a second to import, and few lists come from SQL.
        from connector.task_ids.sources.sql import read_query  # noqa: PLC0415

        return read_query(source, column)
    return read_values(source, column)


def _read_file(source: Path | StoredFile | StandardInput, column: str | None) -> Values:
    try:
        with open_content(source) as content:
            yield from choose_format(content, column).read(content, column)
    except (OSError, UnicodeError, pa.ArrowException) as exc:
        name = getattr(source, "name", "Standard input") if not isinstance(source, Path) else source
        raise SourceError(f"{name} cannot be read: {_reason(exc)}.") from exc


def _reason(exc: Exception) -> str:
    """The operating system's words without the number and the name that it puts around them."""
    if is_from_store(exc):
        return reason(exc)
    return str(getattr(exc, "strerror", None) or exc).rstrip(".")
