"""Joins small files: the log by month, and all of `runs`."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from connector.errors import DamagedFile
from connector.record.schema import ANSWERS, RUNS
from connector.storage import parquet
from connector.warehouse.files import files_of
from connector.warehouse.founding import is_zero_rows

if TYPE_CHECKING:
    from connector.record.column import Table
    from connector.storage.storage import Storage

# Sorts before the batches and runs that come after it.
COMPACTED: Final = "0-compacted.parquet"

# Metadata of a compacted file: the names of the files that went into it.
CONTAINS: Final = "contains"

logger = logging.getLogger(__name__)


def compact(storage: Storage) -> int:
    """Join the files of each folder of `answers` and of `runs`; return how many were joined.

    Safe to kill: the joined file names the files it contains, and the next run removes those that
    this one could not.

    Raises:
        DamagedFile: A file cannot be read; its folder stays unchanged.
    """
    remove_contained(storage)
    return sum(_join(storage, table, names) for table, names in _folders(storage))


def remove_contained(storage: Storage) -> None:
    """Remove files that a compacted file beside them contains, unless that is damaged."""
    for _, names in _folders(storage):
        compacted = f"{names[0].rpartition('/')[0]}/{COMPACTED}"
        if len(names) > 1 and compacted in names:
            try:
                contained = set(_contained(storage, compacted))
            except DamagedFile as error:
                logger.warning(
                    "%s. Restore it from a backup, or run `rebuild --may-shrink`, which sets it"
                    " aside: the next run then requests its task IDs again.",
                    error.what,
                )
                continue
            for name in names:
                if name.rpartition("/")[2] in contained:
                    storage.remove(name)


def _folders(storage: Storage) -> list[tuple[Table, list[str]]]:
    """The files of each folder, with their table."""
    folders: dict[str, tuple[Table, list[str]]] = {}
    for table in (ANSWERS, RUNS):
        for name in files_of(storage, table):
            if is_zero_rows(name):
                continue
            folders.setdefault(name.rpartition("/")[0], (table, []))[1].append(name)
    return list(folders.values())


def _join(storage: Storage, table: Table, names: list[str]) -> int:
    compacted = f"{names[0].rpartition('/')[0]}/{COMPACTED}"
    loose = [name for name in names if name != compacted]
    if not loose or names == loose[:1]:
        return 0
    contained = _contained(storage, compacted) if compacted in names else []
    contained += [name.rpartition("/")[2] for name in loose]
    for name in names:
        parquet.refuse_unknown(storage, name, table.schema)
    pieces = (piece for name in names for piece in parquet.read_pieces(storage, name, table.schema))
    parquet.write_table(storage, compacted, table, pieces, {CONTAINS: json.dumps(contained)})
    for name in loose:
        storage.remove(name)
    return len(loose)


def _contained(storage: Storage, compacted: str) -> list[str]:
    metadata = parquet.read_metadata(storage, compacted)
    try:
        names: list[str] = json.loads(metadata.get(CONTAINS.encode(), b"[]"))
    except ValueError as error:
        raise DamagedFile(f"{storage.where(compacted)} has a damaged note: {error}") from error
    return names
