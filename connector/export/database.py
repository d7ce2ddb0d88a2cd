"""Tables into any database that SQLAlchemy knows, each replaced in one transaction.

The rows are deleted and inserted rather than the table dropped: those who read see the old rows
until the new ones are all there, and views on the table, its indexes and grants stay.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.pool import NullPool

from connector.errors import UsageError
from connector.export import postgresql
from connector.export.cells import Mended, without_nul
from connector.export.exported import Exported
from connector.record.column import TIMESTAMP
from connector.storage.database_url import errors_told, parsed
from connector.warehouse.reading import pieces, retried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.record.column import Table
    from connector.storage.storage import Storage

MYSQL: Final = ("mysql", "mariadb")

SQL_TYPES: Final[dict[pa.DataType, sa.types.TypeEngine[Any]]] = {
    # Plain TEXT ends at 64 KiB there, and plain DATETIME at the second.
    pa.string(): sa.Text().with_variant(mysql.LONGTEXT(), *MYSQL),
    TIMESTAMP: sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), *MYSQL),
    pa.binary(): sa.LargeBinary().with_variant(mysql.LONGBLOB(), *MYSQL),
    pa.bool_(): sa.Boolean(),
    pa.int32(): sa.Integer(),
    pa.int64(): sa.BigInteger(),
    pa.float64(): sa.Double(),
}

# Where a text of any length can be a primary key.
WITH_TEXT_KEYS: Final = ("postgresql", "sqlite")


def export_to_database(
    storage: Storage, tables: Sequence[Table], address: str, schema: str | None = None
) -> list[Exported]:
    """Replace tables in a database, each in a transaction of its own; makes those not there yet.

    Args:
        storage: The warehouse's.
        tables: In the order in which they are replaced.
        address: A SQLAlchemy URL.
        schema: Where the tables go, made if need be; the database's default if None.

    Raises:
        DamagedFile: As `pieces`.
        UsageError: No driver, no connection, no right to do it, or a table of the name that holds
            something else. The text shows no part of the URL that may be secret.
    """
    url = parsed(address)
    with errors_told(url):
        engine = sa.create_engine(url, poolclass=NullPool)
        if engine.dialect.is_async:
            raise UsageError(
                f"{url.drivername} is an asynchronous driver: name another one, such as"
                " postgresql+psycopg"
            )
        if engine.dialect.name == "sqlite":
            _begin_at_once(engine)
        if schema:
            _make_schema(engine, schema)
        return [
            retried(partial(_replace, engine, storage, table, _declared(table, schema, engine)))
            for table in tables
        ]


def _begin_at_once(engine: sa.Engine) -> None:
    """Have SQLite's driver begin a transaction with the first statement, whichever it is.

    By itself it commits before each CREATE and DROP. The recipe is SQLAlchemy's own:
    https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
    """

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_schema(engine: sa.Engine, schema: str) -> None:
    with engine.begin() as connection:
        if not sa.inspect(connection).has_schema(schema):
            connection.execute(sa.schema.CreateSchema(schema))


def _declared(table: Table, schema: str | None, engine: sa.Engine) -> sa.Table:
    # Of a key with several columns some may be null, which no primary key allows.
    key = table.key if len(table.key) == 1 and engine.dialect.name in WITH_TEXT_KEYS else ()
    columns = [
        sa.Column(
            column.name,
            SQL_TYPES[column.type],
            primary_key=column.name in key,
            comment=column.description,
        )
        for column in table.columns
    ]
    return sa.Table(table.name, sa.MetaData(), *columns, schema=schema, comment=table.description)


def _replace(engine: sa.Engine, storage: Storage, table: Table, target: sa.Table) -> Exported:
    rows, mended = 0, Mended()
    with engine.begin() as connection:
        _make_room(connection, target, {*table.key})
        for piece in pieces(storage, table, table.schema):
            rows += len(piece)
            _insert(connection, target, piece, mended)
    return Exported(table.name, rows, mended.notes)


def _make_room(connection: sa.Connection, target: sa.Table, key: set[str]) -> None:
    """Have the table there, and empty to those who come after the transaction."""
    inspector, declared = sa.inspect(connection), {*target.columns.keys()}
    if not inspector.has_table(target.name, schema=target.schema):
        target.create(connection)
        return
    there = {column["name"] for column in inspector.get_columns(target.name, target.schema)}
    if there == declared:
        if connection.dialect.name == "postgresql":
            postgresql.lock(connection, target)
        connection.execute(target.delete())
    elif key <= there < declared:  # an earlier version made it
        target.drop(connection)
        target.create(connection)
    else:
        raise UsageError(
            f"the database has a table {target.fullname} that was not made by this export (columns"
            f" {', '.join(sorted(there))}): name a --schema of its own, or rename that table"
        )


def _insert(connection: sa.Connection, target: sa.Table, rows: pa.Table, mended: Mended) -> None:
    if connection.dialect.name == "postgresql":
        rows = mended.apply(without_nul, "the character NUL removed", rows)
    if connection.dialect.driver == "psycopg":
        postgresql.copy_in(connection, target, rows)
    elif len(rows):
        connection.execute(target.insert(), rows.to_pylist())
