"""A query to any database that SQLAlchemy knows, streamed."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from connector.errors import SourceError
from connector.source.task_ids.columns import choose_column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connector.source.task_ids.locate import Query

_ROWS = 10_000


def read(query: Query, column: str | None) -> Iterator[list[object]]:
    """The column of task IDs in the answer to `query`; the only column needs no name.

    The rows come in parts from a server-side cursor, where the driver has one. What the query may
    have changed is rolled back.

    Raises:
        SourceError: No driver, no connection, a faulty query, or no such column. The text shows no
            part of the URL that may be secret.
    """
    target = _parsed(query.url)
    with _translated(target):
        engine = create_engine(target, poolclass=NullPool)
        if engine.dialect.is_async:
            raise SourceError(
                f"{_shown(target)}: {engine.driver} is an asynchronous driver. "
                "Name another one, such as psycopg for PostgreSQL."
            )
        with engine.connect() as connection:
            # Straight to the driver, without parameters: `:` and `%` mean nothing to SQLAlchemy.
            options = {"stream_results": True, "max_row_buffer": _ROWS, "no_parameters": True}
            result = connection.exec_driver_sql(query.sql, execution_options=options)
            if not result.returns_rows:
                raise SourceError(
                    f"{_shown(target)}: the query answers with no rows. Is it a SELECT?"
                )
            index = _index(list(result.keys()), column, _shown(target))
            for rows in result.partitions(_ROWS):
                yield [row[index] for row in rows]


def _index(names: Sequence[str], column: str | None, where: str) -> int:
    if len(names) == 1 and column is None:
        return 0
    return choose_column(names, column, f"The result of the query to {where}")


def _parsed(url: str) -> URL:
    scheme = url.partition("://")[0]
    try:
        target = make_url(url)
    except (SQLAlchemyError, ValueError):
        # Not chained: the cause quotes parts of the URL, and the password may be in any of them.
        raise SourceError(
            f"{scheme}://… is no URL that SQLAlchemy can read. It looks like "
            "postgresql+psycopg://user:password@host:5432/database."
        ) from None
    if target.host and "@" in target.host:
        raise SourceError(f"{scheme}://…: write an @ in the user's name or password as %40.")
    _check_file(target)
    return target


def _check_file(target: URL) -> None:
    """SQLite makes the file that it does not find."""
    name = target.database
    if target.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return
    if not Path(name).is_file():
        raise SourceError(f"There is no database file {name}.")


def _shown(target: URL) -> str:
    """Without user, password and options, as any of them may be a secret."""
    place = URL.create(
        target.drivername, host=target.host, port=target.port, database=target.database
    )
    return place.render_as_string()


def _without_secrets(message: str, target: URL) -> str:
    options = chain.from_iterable(target.normalized_query.values())
    for secret in filter(None, (target.password, *options)):
        message = message.replace(secret, "***")
    return message


@contextmanager
def _translated(target: URL) -> Iterator[None]:
    """Errors on the way as a SourceError; not chained, as the cause may quote the password."""
    try:
        yield
    except NoSuchModuleError:
        raise SourceError(
            f"{_shown(target)}: SQLAlchemy knows no database {target.drivername}. Is its package "
            "installed? A file on the web or in a bucket must be downloaded first."
        ) from None
    except ImportError as exc:
        raise SourceError(
            f"{_shown(target)} needs a Python package that is not installed: {exc.name or exc}."
        ) from None
    except SQLAlchemyError as exc:
        reason = exc.orig if isinstance(exc, DBAPIError) else exc
        raise SourceError(f"{_shown(target)}: {_without_secrets(str(reason), target)}") from None
