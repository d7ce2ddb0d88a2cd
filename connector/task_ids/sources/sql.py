"""A query to any database that SQLAlchemy knows, streamed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import SourceError
from connector.storage import database_url
from connector.task_ids.columns import choose_column
from connector.task_ids.kept import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import URL

    from connector.task_ids.kept import Keep
    from connector.task_ids.sources import Query

_ROWS = 10_000


def read_query(
    query: Query, column: str | None, keep: Keep | None = None
) -> Iterator[list[object] | Rows]:
    """The column of task IDs in the answer to `query`; the only column needs no name.

    The rows come in parts from a server-side cursor, where the driver has one. All changes that the
    query makes are rolled back.

    Raises:
        SourceError: No driver, no connection, a faulty query, or no such column. The text shows no
            part of the URL that may be secret.
    """
    target = database_url.parse_database_url(query.url, SourceError)
    _check_file(target)
    with (
        database_url.translate_errors(target, SourceError),
        database_url.engine_of(target, SourceError).connect() as connection,
    ):
        # Straight to the driver, without parameters: `:` and `%` mean nothing to SQLAlchemy.
        options = {"stream_results": True, "max_row_buffer": _ROWS, "no_parameters": True}
        result = connection.exec_driver_sql(query.sql, execution_options=options)
        if not result.returns_rows:
            raise SourceError(
                f"{database_url.display(target)}: the query returns no rows. Is it a SELECT?"
            )
        names, where = list(result.keys()), database_url.display(target)
        index = _index(names, column, where)
        what = f"The result of the query to {where}"
        chosen = keep.choose(names, index, what) if keep else None
        for rows in result.partitions(_ROWS):
            ids = [row[index] for row in rows]
            if chosen is None:
                yield ids
            else:
                columns = {name: [row[at] for row in rows] for name, at in chosen.items()}
                yield Rows(ids, columns)


def _index(names: Sequence[str], column: str | None, where: str) -> int:
    if len(names) == 1 and column is None:
        return 0
    return choose_column(names, column, f"The result of the query to {where}")


def _check_file(target: URL) -> None:
    """SQLite creates a file that does not exist."""
    name = target.database
    if target.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return
    if not Path(name).is_file():
        raise SourceError(
            f"There is no database file {name}. A path from the root has four slashes: sqlite:////…"
        )
