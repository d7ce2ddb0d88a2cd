"""Database URLs, for task IDs and exports, and errors without their secrets."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from connector.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRESQL: Final = ("postgresql", "postgres")

# Texts come and go as UTF-8, whatever the database keeps them in. Who waited for a lock sees what
# was done under it.
OF_POSTGRESQL: Final = {"client_encoding": "utf8", "isolation_level": "READ COMMITTED"}

# Longest wait for another writer of an SQLite file; by default it is five.
SQLITE_SECONDS: Final = 60


def parse_database_url(text: str, error: type[UsageError] = UsageError) -> URL:
    """Parse a SQLAlchemy URL; `postgresql://` uses psycopg where that is installed.

    Raises:
        UsageError: It is not a valid URL; raised as `error`, without any secret part.
    """
    scheme, colon, rest = text.partition("://")
    if scheme in POSTGRESQL:
        # SQLAlchemy's default is psycopg2, and it does not accept the short name.
        text = f"postgresql+{_driver()}{colon}{rest}"
    try:
        url = make_url(text)
    except (SQLAlchemyError, ValueError):
        # Not chained: the cause quotes parts of the URL, any of which may contain the password.
        raise error(
            f"{scheme}://… is not a URL that SQLAlchemy can read. It looks like"
            " postgresql://user@host:5432/database."
        ) from None
    if url.host and "@" in url.host:
        raise error(f"{scheme}://…: write an @ in the user's name or password as %40.")
    return url


def engine_of(url: URL, error: type[UsageError] = UsageError) -> Engine:
    """SQLAlchemy's engine for a database, which keeps no connection.

    Raises:
        UsageError: The driver is asynchronous; raised as `error`.
        SQLAlchemyError, ImportError: There is no such driver: see `translate_errors`.
    """
    options: dict[str, Any] = {}
    if url.drivername in {"postgresql+psycopg", "postgresql+psycopg2"}:
        options = {**OF_POSTGRESQL}
    elif url.get_backend_name() == "sqlite" and "timeout" not in url.query:
        options = {"connect_args": {"timeout": SQLITE_SECONDS}}
    engine = create_engine(url, poolclass=NullPool, **options)
    if engine.dialect.is_async:
        raise error(
            f"{display(url)}: {engine.driver} is an asynchronous driver. Name another one, such as"
            " psycopg for PostgreSQL."
        )
    return engine


def _driver() -> str:
    """psycopg, unless only psycopg2 is installed."""
    found = (name for name in ("psycopg", "psycopg2") if importlib.util.find_spec(name))
    return next(found, "psycopg")


def display(url: URL) -> str:
    """Return a URL without user, password and options, any of which may be a secret."""
    place = URL.create(url.drivername, host=url.host, port=url.port, database=url.database)
    return place.render_as_string()


@contextmanager
def translate_errors(url: URL, error: type[UsageError] = UsageError) -> Iterator[None]:
    """Translate errors of a database or its driver to `error`, without secrets."""
    try:
        yield
    except NoSuchModuleError:
        raise error(
            f"{display(url)}: SQLAlchemy does not know {url.drivername}. Is its package installed?"
        ) from None
    except ImportError as exc:
        extra = "pip install 'luma-to-parquet[postgresql]'"
        remedy = extra if url.get_backend_name() == "postgresql" else "install its driver"
        raise error(
            f"{display(url)} needs a Python package that is not installed: {exc.name or exc};"
            f" {remedy}"
        ) from None
    except SQLAlchemyError as exc:
        # Not chained: the cause may quote the password, and has the rows.
        reason = exc.orig if isinstance(exc, DBAPIError) else exc
        raise error(f"{display(url)}: {_without_secrets(str(reason), url)}") from None


def _without_secrets(message: str, url: URL) -> str:
    options = chain.from_iterable(url.normalized_query.values())
    for secret in filter(None, (url.password, *options)):
        message = message.replace(str(secret), "***")
    return message
