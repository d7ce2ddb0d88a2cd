"""The inbox: answers that are durable but not yet in the tables, and the log that they end in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.schema import ANSWERS
from connector.warehouse import parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connector.record.answer import Answer
    from connector.warehouse.storage import LocalStorage

FOLDER: Final = "inbox"
GROUP_BYTES: Final = 32 * 1024 * 1024
"""Bytes of bodies that are merged at once."""


def save(storage: LocalStorage, batch: str, answers: Sequence[Answer], run_id: str) -> str:
    """Make a batch of answers durable, as one file named after the batch.

    A batch saved again replaces what it was. Returns the file's name.
    """
    columns = {
        name: [getattr(answer, name) for answer in answers]
        for name in ANSWERS.schema.names
        if name != "run_id"
    }
    table = pa.table({**columns, "run_id": [run_id] * len(answers)}, schema=ANSWERS.schema)
    name = f"{FOLDER}/{batch}.parquet"
    parquet.write(storage, name, ANSWERS, [table])
    return name


def names(storage: LocalStorage) -> list[str]:
    """Files that wait for a commit, oldest batch first."""
    return storage.list(FOLDER)


def read_groups(
    storage: LocalStorage, files: Iterable[str]
) -> Iterator[tuple[list[str], pa.Table]]:
    """Read files in groups of a bounded size, in order."""
    group: list[str] = []
    tables: list[pa.Table] = []
    for name in files:
        group.append(name)
        tables.append(parquet.read(storage, name, ANSWERS.schema))
        if sum(table.nbytes for table in tables) >= GROUP_BYTES:
            yield group, pa.concat_tables(tables)
            group, tables = [], []
    if group:
        yield group, pa.concat_tables(tables)


def archive(storage: LocalStorage, files: Iterable[str]) -> None:
    """Move merged files to the log, oldest first.

    The order matters: what is merged again after a crash must be the newer part.
    """
    for name in files:
        storage.move(name, f"{ANSWERS.name}/{_month_of(storage, name)}/{name.rpartition('/')[2]}")


def _month_of(storage: LocalStorage, name: str) -> str:
    times = parquet.read(storage, name, pa.schema([ANSWERS.schema.field("fetched_at")]))
    latest = pc.max(times["fetched_at"]).as_py() or datetime.now(UTC)
    return f"{ANSWERS.partition}_month={latest:%Y-%m}"
