"""The table `given`: what came with the task IDs, one file that each run with kept columns updates.

It is its own log: no answer holds its values, so `rebuild` leaves it as it is. A run replaces the
file before its first request (`given_upsert`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile, UsageError
from connector.record import kept
from connector.record.kept import KEY, same_name
from connector.record.schema import GENERATIONS, GIVEN, TIMINGS
from connector.storage import parquet
from connector.warehouse import damage
from connector.words import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.record.column import Column, Table
    from connector.storage.storage import Storage

logger = logging.getLogger(__name__)

FILE: Final = f"{GIVEN.name}/{GIVEN.name}.parquet"
PROMPT: Final = "prompt"

# Of kept columns whose names are taken, beside the columns of another table.
PREFIX: Final = "given_"
# Taken everywhere, so that a kept column has one name in every table and view.
TAKEN: Final = frozenset(
    {"family_id", "month", "created_month", "created_day"}.union(
        *(GENERATIONS.schema.names, TIMINGS.schema.names)
    )
)


def declared(storage: Storage) -> Table:
    """The table `given` as it is, with its kept columns."""
    if not storage.exists(FILE):
        return GIVEN
    return replace(GIVEN, columns=kept.declare(GIVEN, parquet.read_schema(storage, FILE)))


def as_found(storage: Storage, table: Table) -> Table:
    """The declaration of a table of this warehouse: only that of `given` is not the same in all."""
    return declared(storage) if table.name == GIVEN.name else table


def read_column(storage: Storage, column: str) -> pa.Table:
    """Read one kept column: `task_id` and `value`, one row per task ID, sorted by task ID.

    Args:
        storage: The warehouse's.
        column: Its name, in any letter case.

    Raises:
        UsageError: No such column was kept.
        DamagedFile: The file cannot be read.
    """
    table = declared(storage)
    names = [name for name in table.schema.names if name != KEY]
    name = same_name(column, names)
    if name is None:
        known = f"kept are {', '.join(names)}" if names else "none is kept so far"
        raise UsageError(
            f"no column {column!r} was kept{did_you_mean(column, names)}; {known}: `ingest --keep`"
            " takes it from the list of task IDs"
        )
    schema = pa.schema([table[KEY].field, table[name].field])
    return parquet.read_table(storage, FILE, schema).rename_columns([KEY, "value"])


def joined_columns(table: Table, given: Table) -> dict[str, Column]:
    """What the kept columns are called beside those of another table, to their declarations.

    Raises:
        UsageError: The table has no task IDs.
    """
    if KEY not in table.schema.names or table.name == GIVEN.name:
        raise UsageError(f"{table.name} has no task IDs to which kept columns could be added")
    taken = {name.casefold() for name in TAKEN.union(table.schema.names)}
    called: dict[str, Column] = {}
    # Those with a free name first: they keep it.
    for column in sorted(given.columns, key=lambda column: column.name.casefold() in taken):
        name = column.name
        while name.casefold() in taken:
            name = f"{PREFIX}{name}"
        called[name] = column
        taken.add(name.casefold())
    order = {column.name: name for name, column in called.items() if column.name != KEY}
    return {order[name]: given[name] for name in given.schema.names if name in order}


def with_given_columns(storage: Storage, rows: pa.Table, called: Mapping[str, Column]) -> pa.Table:
    """Add kept columns, as `joined_columns` calls them; null for a task ID that has none."""
    fields = [GIVEN[KEY].field, *(column.field for column in called.values())]
    found = parquet.read_table(storage, FILE, pa.schema(fields))
    places = pc.index_in(rows[KEY], found[KEY].combine_chunks())
    for name, column in called.items():
        rows = rows.append_column(name, found[column.name].take(places))
    return rows


def mend(storage: Storage) -> Table:
    """`declared`; of a damaged file, what can be read stays."""
    try:
        return declared(storage)
    except DamagedFile as error:
        set_aside(storage, error)
        return declared(storage)


def set_aside(storage: Storage, error: DamagedFile) -> None:
    """Keep what can be read of a damaged file, and say that the rest is lost."""
    try:
        table = declared(storage)
    except DamagedFile:
        table = GIVEN
    damage.set_aside(storage, FILE, error, table)
    logger.warning("Columns that came with task IDs are lost: give the lists again with `keep`.")
