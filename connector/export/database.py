"""Tables in any database that SQLAlchemy supports, each replaced in one transaction.

Rows are deleted and inserted; the table is not dropped. Readers see the old rows until the commit,
and views, indexes and grants of the table stay.
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
from connector.export.cells import Exported, Mended, without_nul
from connector.record.column import TIMESTAMP
from connector.record.schema import GIVEN
from connector.storage.database_url import parse_database_url, translate_errors
from connector.warehouse.reading import pieces, retried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.record.column import Table
    from connector.storage.storage import Storage

MYSQL: Final = ("mysql", "mariadb")

SQL_TYPES: Final[dict[pa.DataType, sa.types.TypeEngine[Any]]] = {
    # There, plain TEXT holds only 64 KiB, and plain DATETIME only whole seconds.
    pa.string(): sa.Text().with_variant(mysql.LONGTEXT(), *MYSQL),
    TIMESTAMP: sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), *MYSQL),
    pa.binary(): sa.LargeBinary().with_variant(mysql.LONGBLOB(), *MYSQL),
    pa.bool_(): sa.Boolean(),
    pa.int32(): sa.Integer(),
    pa.int64(): sa.BigInteger(),
    pa.float64(): sa.Double(),
    pa.date32(): sa.Date(),
}

# Databases where a text of any length can be a primary key.
WITH_TEXT_KEYS: Final = ("postgresql", "sqlite")


def export_to_database(
    storage: Storage, tables: Sequence[Table], address: str, schema: str | None = None
) -> list[Exported]:
    """Replace tables in a database, each in its own transaction; create missing ones.

    A schema is created if missing; None is the database's default.

    Raises:
        DamagedFile: As `pieces`.
        UsageError: No driver, no connection, no permission, or another table of the same name. The
            message shows no part of the URL that may be secret.
    """
    url = parse_database_url(address)
    with translate_errors(url):
        engine = sa.create_engine(url, poolclass=NullPool)
        if engine.dialect.is_async:
            raise UsageError(
                f"{url.drivername} is an asynchronous driver: use another one, such as"
                " postgresql+psycopg"
            )
        if engine.dialect.name == "sqlite":
            _begin_early(engine)
        if schema:
            _make_schema(engine, schema)
        return [
            retried(partial(_replace, engine, storage, table, _declared(table, schema, engine)))
            for table in tables
        ]


def _begin_early(engine: sa.Engine) -> None:
    """Make SQLite's driver begin a transaction with the first statement.

    By default it commits before each CREATE and DROP. SQLAlchemy's own recipe:
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
    # A key of several columns may hold nulls, which no primary key allows.
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
        _prepare(connection, target, {*table.key})
        for piece in pieces(storage, table, table.schema):
            rows += len(piece)
            _insert(connection, target, piece, mended)
    return Exported(table.name, rows, mended.notes)


def _prepare(connection: sa.Connection, target: sa.Table, key: set[str]) -> None:
    """Create the table if it is missing; empty it within the transaction."""
    inspector, declared = sa.inspect(connection), {*target.columns.keys()}
    if not inspector.has_table(target.name, schema=target.schema):
        target.create(connection)
        return
    columns = inspector.get_columns(target.name, target.schema)
    there = {column["name"] for column in columns}
    if there == declared and not _has_other_types(columns, target):
        if connection.dialect.name == "postgresql":
            postgresql.lock_for_writing(connection, target)
        connection.execute(target.delete())
    elif key <= there <= declared:  # by an earlier version, or a kept column is new or text now
        target.drop(connection)
        target.create(connection)
    else:
        raise UsageError(
            f"the database has a table {target.fullname} that this export did not make (columns"
            f" {', '.join(sorted(there))}): choose a --schema for the export, or rename that table"
        )


def _has_other_types(columns: Sequence[Any], target: sa.Table) -> bool:
    """Whether a kept column has another type by now; other tables keep theirs."""
    if target.name != GIVEN.name:
        return False
    return any(
        column["type"]._type_affinity is not target.c[column["name"]].type._type_affinity  # noqa: SLF001  SQLAlchemy has no public name for it
        for column in columns
    )


def _insert(connection: sa.Connection, target: sa.Table, rows: pa.Table, mended: Mended) -> None:
    if connection.dialect.name == "postgresql":
        rows = mended.apply(without_nul, "NUL characters removed", rows)
    if connection.dialect.driver == "psycopg":
        postgresql.copy_in(connection, target, rows)
    elif len(rows):
        connection.execute(target.insert(), rows.to_pylist())
