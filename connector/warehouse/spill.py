"""Groups rows by partition, on disk if they do not fit into memory."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from connector.storage.local import trying_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.storage.storage import Storage

PARTITION: Final = "__partition"
MEMORY_BYTES: Final = 48 * 1024 * 1024

# Rows read back at once: about 100 MB of generations.
CHUNK_ROWS: Final = 100_000


class Spill:
    """Rows by partition, in the order in which they were added.

    Beyond `MEMORY_BYTES` they are appended to one file per partition, removed at the end of the
    `with` block. `Storage.sweep` removes what a dead run leaves.
    """

    def __init__(self, storage: Storage) -> None:
        self._folder = storage.scratch
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._spilled: dict[str, pa.ipc.RecordBatchStreamWriter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for writer in self._spilled.values():
            with contextlib.suppress(OSError):  # its content is no longer needed
                writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, rows: pa.Table, partitions: pa.Array) -> None:
        """Add rows, each with its partition."""
        self._held.append(rows.append_column(PARTITION, partitions))
        self._held_bytes += rows.nbytes
        if self._held_bytes > MEMORY_BYTES:
            with trying_to(f"write to {self._folder}"):
                self._write_out()

    def by_partition(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield all rows by partition, in pieces of a bounded size."""
        if self._spilled:
            with trying_to(f"write to {self._folder}"):
                self._write_out()
                for writer in self._spilled.values():
                    writer.close()
            for partition in sorted(self._spilled):
                for piece in self._read_back(partition):
                    yield partition, piece
        else:
            yield from self._split_held()

    def _write_out(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for partition, rows in self._split_held():
            if partition not in self._spilled:
                # Not compressed: it lives for seconds, mostly in the page cache.
                path = str(self._folder / partition)
                self._spilled[partition] = pa.ipc.new_stream(path, rows.schema)
            self._spilled[partition].write_table(rows)

    def _split_held(self) -> Iterator[tuple[str, pa.Table]]:
        if not self._held:
            return
        # One chunk per column: many small ones cost more than everything else.
        held = pa.concat_tables(self._held).combine_chunks()
        self._held, self._held_bytes = [], 0
        rows = held.drop_columns(PARTITION)
        for partition in sorted(pc.unique(held[PARTITION]).to_pylist()):
            yield partition, rows.filter(pc.equal(held[PARTITION], partition))

    def _read_back(self, partition: str) -> Iterator[pa.Table]:
        gathered: list[pa.RecordBatch] = []
        path = str(self._folder / partition)
        with pa.memory_map(path) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                gathered.append(batch)
                if sum(map(len, gathered)) >= CHUNK_ROWS:
                    yield pa.Table.from_batches(gathered).combine_chunks()
                    gathered = []
        if gathered:
            yield pa.Table.from_batches(gathered).combine_chunks()
