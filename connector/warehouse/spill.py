"""Rows on their way to their partitions, on disk where they are too many for memory."""

from __future__ import annotations

import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.warehouse.storage import LocalStorage

FOLDER: Final = ".spill"
MEMORY_BYTES: Final = 48 * 1024 * 1024
CHUNK_ROWS: Final = 50_000
"""Rows that come back at once: about 80 MB of generations."""


def remove_leftovers(storage: LocalStorage) -> None:
    """Remove what a dead writer spilled."""
    shutil.rmtree(storage.path(FOLDER), ignore_errors=True)


class Spill:
    """Rows sorted by partition, in the order in which they were added.

    Kept in memory while they are few; else appended to a file a partition, which goes with the
    `with` block. A run that dies leaves the files behind.
    """

    def __init__(self, storage: LocalStorage) -> None:
        self._storage = storage
        self._folder = storage.path(FOLDER)
        self._held: defaultdict[str, list[pa.Table]] = defaultdict(list)
        self._held_bytes = 0
        self._writers: dict[str, pa.ipc.RecordBatchStreamWriter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for writer in self._writers.values():
            writer.close()
        remove_leftovers(self._storage)

    def add(self, rows: pa.Table, partitions: pa.Array) -> None:
        """Take rows in, each with its partition."""
        for partition in pc.unique(partitions).to_pylist():
            self._held[partition].append(rows.filter(pc.equal(partitions, partition)))
        self._held_bytes += rows.nbytes
        if self._held_bytes > MEMORY_BYTES:
            self._write_out()

    def _write_out(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for partition, tables in self._held.items():
            if partition not in self._writers:
                self._writers[partition] = pa.ipc.new_stream(
                    str(self._folder / partition),
                    tables[0].schema,
                    options=pa.ipc.IpcWriteOptions(compression="lz4"),
                )
            for table in tables:
                self._writers[partition].write_table(table)
        self._held.clear()
        self._held_bytes = 0

    def partitions(self) -> list[str]:
        """Every partition that has rows."""
        return sorted({*self._held, *self._writers})

    def chunks(self, partition: str) -> Iterator[pa.Table]:
        """Give a partition's rows back, in pieces of a bounded size."""
        gathered: list[pa.Table] = []
        for table in self._tables(partition):
            gathered.append(table)
            if sum(map(len, gathered)) >= CHUNK_ROWS:
                yield pa.concat_tables(gathered)
                gathered = []
        if gathered:
            yield pa.concat_tables(gathered)

    def _tables(self, partition: str) -> Iterator[pa.Table]:
        if partition in self._writers:
            self._writers.pop(partition).close()
            with pa.ipc.open_stream(str(self._folder / partition)) as stream:
                for batch in stream:
                    yield pa.Table.from_batches([batch])
        yield from self._held.pop(partition, [])
