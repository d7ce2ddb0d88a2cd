"""Upserts what a run gathered into the table `given`, a piece of the file at a time."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile
from connector.record import kept
from connector.record.kept import KEY, NOTHING, TEXT, WORDS, joined, same_name
from connector.record.schema import GIVEN
from connector.storage import parquet
from connector.warehouse.given import FILE, PROMPT, declared, set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from connector.record.column import Table
    from connector.storage.storage import Storage
    from connector.warehouse.gathered import Gathered

logger = logging.getLogger(__name__)

MOST_PROMPTED: Final = 100_000  # changed prompts that are held at once


class Merged(NamedTuple):
    """What a merge made.

    Attributes:
        table: The declaration of the table.
        prompted: Task IDs with another prompt than before; None if they are many.
    """

    table: Table
    prompted: pa.Array | None


def merge(
    storage: Storage, gathered: Gathered, is_forgotten: Callable[[pa.Array], pa.Array]
) -> Merged:
    """Update the table by what was gathered; equal values change no file.

    Args:
        storage: The warehouse's.
        gathered: What the sources of a run gave.
        is_forgotten: Tells which task IDs must not be kept.

    Raises:
        StorageFailed: It cannot be written.
    """
    try:
        return _merge(storage, gathered, is_forgotten)
    except DamagedFile as error:
        set_aside(storage, error)
        return _merge(storage, gathered, is_forgotten)


def _merge(
    storage: Storage, gathered: Gathered, is_forgotten: Callable[[pa.Array], pa.Array]
) -> Merged:
    before = declared(storage)
    names = [name for name in before.schema.names if name != KEY]
    types = {name: _type_now(storage, before, name) for name in names}
    now, own_names = dict(types), {}
    for name, type_ in gathered.types().items():
        own = own_names[name] = same_name(name, names) or name
        now[own] = joined([types.get(own, NOTHING), type_])
        had = types.get(own, NOTHING)
        is_odd = had != TEXT or gathered.has_types(name)
        if now[own] == TEXT and NOTHING not in {had, type_} and had != type_ and is_odd:
            remark = f"{own} had {WORDS[had]} so far, and now has {WORDS[type_]}"
            logger.warning("The kept column %s: it is text from now on.", remark)
    for remark in gathered.remarks():
        logger.warning("The kept column %s: it is kept as text.", remark)
    columns = [kept.kept_column(n, TEXT if t == NOTHING else t) for n, t in now.items()]
    after = replace(GIVEN, columns=(*GIVEN.columns, *columns))
    incoming = (
        rows.rename_columns([own_names.get(name, name) for name in rows.column_names])
        for found in gathered.sorted_rows()
        if len(rows := found.filter(pc.invert(is_forgotten(found[KEY]))))
    )
    changes = _Changes(same_name(PROMPT, after.schema.names))
    pieces = parquet.read_pieces(storage, FILE, before.schema)
    spliced = _spliced(pieces, incoming, after.schema, changes)
    parquet.write_table(storage, FILE, after, spliced, unless_same=True)
    return Merged(after, changes.task_ids())


class _Changes:
    """The task IDs whose prompt a merge changes, up to `MOST_PROMPTED`."""

    def __init__(self, column: str | None) -> None:
        self._column = column
        self._found: list[pa.Array] = []
        self._count = 0

    def noted(self, before: pa.Table, after: pa.Table) -> pa.Table:
        """Return what is merged."""
        if self._column and self._count <= MOST_PROMPTED:
            found = kept.changed(before, after, self._column)
            self._count += len(found)
            self._found += found.chunks
        return after

    def task_ids(self) -> pa.Array | None:
        """The task IDs; None if they are more."""
        if self._count > MOST_PROMPTED:
            return None
        return pa.chunked_array(self._found, TEXT).combine_chunks()


def _type_now(storage: Storage, table: Table, name: str) -> pa.DataType:
    """A column's type; that of nothing if it has had no value so far."""
    type_ = table[name].type
    is_empty = type_ == TEXT and parquet.is_all_null(storage, FILE, name)
    return NOTHING if is_empty else type_


def _spliced(
    pieces: Iterable[pa.Table],
    incoming: Iterable[pa.Table],
    schema: pa.Schema,
    changes: _Changes,
) -> Iterator[pa.Table]:
    """Merge two sorted streams, holding a piece and a bucket at a time."""
    old, new = (iter(filter(len, tables)) for tables in (pieces, incoming))
    piece, bucket = next(old, None), next(new, None)
    nothing = GIVEN.schema.empty_table()
    while piece is not None or bucket is not None:
        before = nothing if piece is None else piece
        given = nothing if bucket is None else bucket
        if piece is not None and bucket is not None:
            last = min(piece[KEY][-1].as_py(), bucket[KEY][-1].as_py())
            before, given = _up_to(piece, last), _up_to(bucket, last)
        yield changes.noted(before, kept.merged(before, given, schema))
        if piece is not None:
            piece = piece.slice(len(before)) if len(before) < len(piece) else next(old, None)
        if bucket is not None:
            bucket = bucket.slice(len(given)) if len(given) < len(bucket) else next(new, None)


def _up_to(rows: pa.Table, last: str) -> pa.Table:
    return rows.slice(0, pc.sum(pc.less_equal(rows[KEY], last)).as_py() or 0)
