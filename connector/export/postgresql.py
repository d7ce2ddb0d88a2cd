"""PostgreSQL's own ways to lock and to load a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    import sqlalchemy as sa

# In this order: a backslash from a later escape must not be escaped again.
ESCAPES: Final = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


def lock_for_writing(connection: sa.Connection, target: sa.Table) -> None:
    """Block other writers of a table until the transaction ends; readers continue."""
    name = connection.dialect.identifier_preparer.format_table(target)
    connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def copy_in(connection: sa.Connection, target: sa.Table, rows: pa.Table) -> None:
    """Append rows by COPY, which is much faster than INSERT; needs psycopg 3.

    Raises:
        sqlalchemy.exc.DBAPIError: The database refuses the rows.
    """
    import psycopg  # noqa: PLC0415  an extra, and the driver in use

    preparer = connection.dialect.identifier_preparer
    names = ", ".join(map(preparer.quote, rows.schema.names))
    statement = f"COPY {preparer.format_table(target)} ({names}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(_lines(rows))
    except psycopg.Error as error:
        raise DBAPIError(None, None, error) from error


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
