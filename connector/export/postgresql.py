"""PostgreSQL's own ways to lock and to load a table."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

# In this order: a backslash from a later escape must not be escaped again.
ESCAPES: Final = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


# Names that each table has already.
SYSTEM_COLUMNS: Final = frozenset({"ctid", "cmax", "cmin", "tableoid", "xmax", "xmin"})


def lock_name(connection: sa.Connection, name: str) -> None:
    """Block other exports to a table or a schema, also one that is missing; readers continue.

    The transaction's end unlocks it.
    """
    number = int.from_bytes(hashlib.blake2s(name.encode(), digest_size=8).digest(), signed=True)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


def copy_in(connection: sa.Connection, target: sa.Table, rows: pa.Table) -> None:
    """Append rows by COPY, which is much faster than INSERT; needs psycopg 3.

    Raises:
        sqlalchemy.exc.DBAPIError: The database refuses the rows, or the connection is lost.
    """
    import psycopg  # noqa: PLC0415  an extra, and the driver in use
    from psycopg import sql  # noqa: PLC0415

    table = sql.Identifier(*filter(None, (target.schema, target.name)))
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in target.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table, names)
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(_lines(rows))
    except psycopg.Error as error:
        raise DBAPIError(None, None, error, connection_invalidated=driver.broken) from error


def _lines(rows: pa.Table) -> str:
    """Rows in COPY's text format: https://www.postgresql.org/docs/current/sql-copy.html."""
    texts = [_text(column) for column in rows.columns]
    lines = pc.binary_join_element_wise(
        *texts, "\t", null_handling="replace", null_replacement="\\N"
    )
    return "".join(f"{line}\n" for line in lines.to_pylist())


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type == pa.binary():
        values = column.to_pylist()
        hexed = [None if value is None else f"\\\\x{value.hex()}" for value in values]
        return pa.chunked_array([pa.array(hexed, pa.string())])
    if pa.types.is_timestamp(column.type):
        # Twenty times as fast as a text with a time zone.
        text = column.cast(pa.timestamp("us")).cast(pa.string())
        return pc.binary_join_element_wise(text, "+00", "")
    text = column.cast(pa.string())
    if column.type == pa.string():
        for character, escape in ESCAPES:
            text = pc.replace_substring(text, character, escape)
    return text
