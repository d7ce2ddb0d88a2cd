"""Damaged files of inbox, log and `runs`: a copy is kept, and what can be read stays in place.

A file that stays damaged would stop every reader of its table, and no other program can skip it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connector.errors import DamagedFile
from connector.record.schema import ANSWERS, TABLES
from connector.storage import parquet
from connector.warehouse.files import INBOX
from connector.warehouse.walks import forget_walks
from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.record.column import Table
    from connector.storage.storage import Storage

logger = logging.getLogger(__name__)

DAMAGED: Final = "damaged"
COPY_BYTES: Final = 16 * 1024 * 1024
REQUESTED: Final = ", and the next run requests its task IDs again where their answers are lost"


def set_aside(
    storage: Storage, name: str, error: DamagedFile, declared: Table | None = None
) -> None:
    """Copy a damaged file to `damaged/`, then replace it by those of its rows that can be read.

    Killed in between, it is done over. A file of the inbox of which nothing can be read is removed.

    Args:
        storage: The warehouse's.
        name: The file.
        error: What is wrong with it.
        declared: The table's declaration, if it has more columns than in other warehouses.
    """
    folder = name.partition("/")[0]
    table = declared or (ANSWERS if folder == INBOX else TABLES[folder])
    if table is ANSWERS:
        forget_walks(storage)  # they may have come from a walk
    copy = _copy(storage, name)
    pieces = list(_readable(storage, name, table))
    if pieces or folder != INBOX:
        parquet.write_table(storage, name, table, pieces, _metadata(storage, name))
    else:
        storage.remove(name)
    logger.warning(
        "%s. A copy is kept as %s; what can be read of it stays (%s)%s.",
        error.what,
        storage.where(copy),
        plural(sum(map(len, pieces)), "row"),
        REQUESTED if table is ANSWERS else "",
    )


def _copy(storage: Storage, name: str) -> str:
    """Copy a file under a name that no other file has; an equal copy is that of an earlier try."""
    stem = name.rpartition("/")[2].removesuffix(".parquet")
    number, copy = 1, f"{DAMAGED}/{stem}.parquet"
    while storage.exists(copy) and not are_equal(storage, name, copy):
        number += 1
        copy = f"{DAMAGED}/{stem}-{number}.parquet"
    with storage.replacing(copy, unless_same=True) as file:
        for part in _parts(storage, name):
            file.write(part)
    return copy


def _parts(storage: Storage, name: str) -> Iterator[bytes]:
    with storage.open_file(name) as source:
        while part := source.read(COPY_BYTES):
            yield part


def are_equal(storage: Storage, one: str, other: str) -> bool:
    """Whether two files have the same bytes."""
    if storage.bytes_of(one) != storage.bytes_of(other):
        return False
    pairs = zip(_parts(storage, one), _parts(storage, other), strict=False)
    return all(a == b for a, b in pairs)


def _metadata(storage: Storage, name: str) -> dict[str, str]:
    try:
        return parquet.own_metadata(parquet.read_metadata(storage, name))
    except DamagedFile:
        return {}


def _readable(storage: Storage, name: str, table: Table) -> Iterator[pa.Table]:
    """The rows of each row group up to the first that cannot be read."""
    try:
        with storage.open_file(name) as source, pq.ParquetFile(source) as file:
            groups = range(file.num_row_groups)
    except parquet.UNREADABLE:
        return
    for group in groups:
        try:
            for piece in parquet.read_pieces(storage, name, table.schema, groups=[group]):
                yield piece.filter(pc.is_valid(piece[table.schema.names[0]]))
        except DamagedFile:
            continue
