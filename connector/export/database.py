"""Tables in any database that SQLAlchemy supports, each replaced in one transaction.

Rows are deleted and inserted; the table is not dropped. Readers see the old rows until the commit,
and views, indexes and grants of the table stay.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from connector.errors import StorageFailed, UsageError
from connector.export import postgresql
from connector.export.cells import Exported, Mended, without_nul
from connector.record.column import TIMESTAMP
from connector.record.schema import GIVEN
from connector.storage.database_url import (
    display,
    engine_of,
    parse_database_url,
    translate_errors,
)
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
        StorageFailed: The connection is lost.
    """
    url = parse_database_url(address)
    _refuse_memory(url)
    with translate_errors(url):
        engine = engine_of(url)
        if engine.dialect.name == "sqlite":
            _begin_early(engine)
        if schema:
            _make_schema(engine, schema)
        return [
            retried(partial(_replace, engine, storage, table, _declared(table, schema, engine)))
            for table in tables
        ]


def _refuse_memory(url: sa.URL) -> None:
    """Refuse an SQLite database that would be gone with the process."""
    name = url.database or ":memory:"
    if url.get_backend_name() == "sqlite" and (
        ":memory:" in name or url.query.get("mode") == "memory"
    ):
        raise UsageError(
            f"{display(url)} is a database in memory, which ends with this command: name a file,"
            " such as sqlite:///tables.db"
        )


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
    if engine.dialect.name == "sqlite":
        raise UsageError("SQLite has no schemas: omit --schema")
    if not _fits(schema, engine):
        raise UsageError(
            f"--schema has more than {engine.dialect.max_identifier_length} bytes, the most that"
            " this database takes: choose a shorter name"
        )
    with engine.begin() as connection:
        _lock(connection, schema)
        if not sa.inspect(connection).has_schema(schema):
            connection.execute(sa.schema.CreateSchema(schema))


def _lock(connection: sa.Connection, name: str) -> None:
    """Keep two exports from making the same; SQLite is locked as a whole by now."""
    if connection.dialect.name == "postgresql":
        postgresql.lock_name(connection, name)


def _fits(name: str, engine: sa.Engine) -> bool:
    return len(name.encode()) <= engine.dialect.max_identifier_length


def _declared(table: Table, schema: str | None, engine: sa.Engine) -> sa.Table:
    # A key of several columns may hold nulls, which no primary key allows.
    key = table.key if len(table.key) == 1 and engine.dialect.name in WITH_TEXT_KEYS else ()
    columns = [
        sa.Column(
            _name_in(engine, column.name),
            SQL_TYPES[column.type],
            # SQLAlchemy makes names of parameters of it, which may not have all characters.
            key=f"c{position}",
            primary_key=column.name in key,
            comment=column.description,
        )
        for position, column in enumerate(table.columns)
    ]
    return sa.Table(
        table.name, sa.MetaData(), *columns, schema=schema or None, comment=table.description
    )


def _name_in(engine: sa.Engine, name: str) -> str:
    """What a column is called in this database: its name, unless that is too long or taken.

    It depends on nothing else, so that a query of yours finds the same column for ever.
    """
    is_taken = engine.dialect.name == "postgresql" and name in postgresql.SYSTEM_COLUMNS
    if _fits(name, engine) and not is_taken:
        return name
    end = f"_{hashlib.blake2s(name.encode(), digest_size=4).hexdigest()}"
    start = name.encode()[: engine.dialect.max_identifier_length - len(end)]
    return start.decode(errors="ignore") + end


def _replace(engine: sa.Engine, storage: Storage, table: Table, target: sa.Table) -> Exported:
    rows, mended = 0, Mended()
    try:
        with engine.begin() as connection:
            _lock(connection, target.fullname)
            _prepare(connection, target, {*table.key})
            for piece in pieces(storage, table, table.schema):
                rows += len(piece)
                _insert(connection, target, piece, mended)
    except sa.exc.DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise StorageFailed(
            f"{display(engine.url)}: the connection is lost. The table {table.name} is as it was:"
            " export again"
        ) from None
    renamed = tuple(
        f"column {own} is called {column.name}: the database takes no such name"
        for own, column in zip(table.schema.names, target.columns, strict=True)
        if own != column.name
    )
    return Exported(table.name, rows, (*renamed, *mended.notes))


def _prepare(connection: sa.Connection, target: sa.Table, key: set[str]) -> None:
    """Create the table, or empty it and add the columns that it lacks, within the transaction."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(target.name, schema=target.schema):
        target.create(connection)
        return
    columns = inspector.get_columns(target.name, target.schema)
    there, declared = {one["name"]: one for one in columns}, {one.name: one for one in target.c}
    tables = map(str.lower, inspector.get_table_names(target.schema))
    kind = "table" if target.name in tables else "view"
    if kind == "view" or not key <= there.keys() <= declared.keys():
        raise UsageError(
            f"the database has a {kind} {target.fullname} that this export did not make (columns"
            f" {', '.join(sorted(there))}): choose a --schema for the export, or rename that {kind}"
        )
    for name, column in declared.items():
        if name in there and _has_other_type(there[name], column):
            _alter(connection, target, f"DROP COLUMN {_quoted(connection, name)}")
            del there[name]
        if name not in there:
            _add(connection, target, column)
    connection.execute(target.delete())


def _has_other_type(found: Any, column: sa.Column[Any]) -> bool:
    """Whether a kept column has another type by now; other tables keep theirs."""
    return column.table.name == GIVEN.name and (
        found["type"]._type_affinity is not column.type._type_affinity  # noqa: SLF001  SQLAlchemy has no public name for it
    )


def _add(connection: sa.Connection, target: sa.Table, column: sa.Column[Any]) -> None:
    definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
    _alter(connection, target, f"ADD {definition}")
    if connection.dialect.supports_comments and not connection.dialect.inline_comments:
        connection.execute(sa.schema.SetColumnComment(column))


def _alter(connection: sa.Connection, target: sa.Table, change: str) -> None:
    name = connection.dialect.identifier_preparer.format_table(target)
    connection.exec_driver_sql(f"ALTER TABLE {name} {change}")


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


def _insert(connection: sa.Connection, target: sa.Table, rows: pa.Table, mended: Mended) -> None:
    if connection.dialect.name == "postgresql":
        rows = mended.apply(without_nul, "NUL characters removed", rows)
    if connection.dialect.driver == "psycopg":
        postgresql.copy_in(connection, target, rows)
    elif len(rows):
        keyed = rows.rename_columns([column.key for column in target.columns])
        connection.execute(target.insert(), keyed.to_pylist())
