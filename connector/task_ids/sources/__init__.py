"""What a source is: files, standard input, a query to a database, values in memory, or one ID."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ClassVar
from uuid import UUID

from connector.errors import SourceError, UsageError
from connector.storage.address import is_object_store, is_url
from connector.storage.file_url import path_of
from connector.task_ids.sources.files import find_files
from connector.task_ids.sources.objects import StoredFile, find_objects
from connector.task_ids.spelling import usual_parts

Source = str | os.PathLike[str] | UUID | Iterable[object]

# Of lists, columns and tables, of whichever library.
_HOLDS_VALUES = ("__iter__", "__arrow_c_stream__", "collect_schema", "columns")


@dataclass(frozen=True, slots=True)
class StandardInput:
    """A pipe; None stands for the standard input of this process."""

    stream: BinaryIO | None
    name: ClassVar = "standard input"


@dataclass(frozen=True, slots=True)
class Query:
    """SQL for the database at a SQLAlchemy URL, which may hold a password."""

    url: str = field(repr=False)
    sql: str
    name: ClassVar = "the query"


Located = Path | StoredFile | StandardInput | Query | Iterable[object]


def name_of(source: Located) -> str:
    """A source's name for messages."""
    if isinstance(source, StoredFile | StandardInput | Query):
        return source.name
    return str(source) if isinstance(source, Path) else "the table"


def locate(
    sources: Sequence[Source], *, query: str | None, stdin: BinaryIO | None
) -> list[Located]:
    """All parts of `sources` in order; nothing is opened yet.

    Raises:
        SourceError: A file is missing, or only one of query and URL is given.
    """
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    located = [part for source in sources for part in _parts(source, query, stdin)]
    if query is not None and not any(isinstance(part, Query) for part in located):
        raise SourceError("A query needs a database: give its SQLAlchemy URL as the source.")
    return located


def _parts(source: Source, query: str | None, stdin: BinaryIO | None) -> Sequence[Located]:
    if isinstance(source, os.PathLike):
        return find_files(os.fspath(source))
    if not isinstance(source, str):
        return [_in_memory(source)]
    if is_object_store(source):
        return find_objects(source)
    return _named(source, query, stdin)


def _named(source: str, query: str | None, stdin: BinaryIO | None) -> Sequence[Located]:
    if source == "-":
        return [StandardInput(stdin)]
    task_ids = usual_parts(source)
    if task_ids and not os.path.exists(source):  # noqa: PTH110  a Path changes //
        return [task_ids]
    if is_url(source):
        return [_query(source, query)]
    if os.path.exists(source):  # noqa: PTH110  as above
        return find_files(source)
    try:
        path = path_of(source)
    except UsageError as error:
        raise SourceError(str(error)) from None
    return find_files(path)


def _in_memory(source: object) -> Located:
    if isinstance(source, UUID | bytes):
        return [source]
    if not any(hasattr(source, name) for name in _HOLDS_VALUES):
        raise SourceError(
            f"{type(source).__name__} is not a source of task IDs: give text, a path or a list."
        )
    return source  # type: ignore[return-value]  # tables need not be iterable


def _query(url: str, query: str | None) -> Query:
    if query is None:
        # The rest of the URL may hold a password.
        scheme = url.partition("://")[0]
        raise SourceError(
            f"{scheme}://… is read as the URL of a database: say what to ask it for with `query`. "
            "A file on the web must be downloaded first."
        )
    return Query(url, query)
