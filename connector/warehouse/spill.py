"""Groups rows by partition, on disk if they do not fit into memory."""

from __future__ import annotations

import contextlib
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.record.order import Procession
from connector.record.pieces import in_lists, split
from connector.storage.local import trying_to
from connector.storage.memory import release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.storage.storage import Storage

Chunk = list[pa.RecordBatch]
"""Rows for `join`, which empties the list."""


class Part(NamedTuple):
    """The rows of a partition, in chunks of a bounded size; any thread may take them."""

    partition: str
    size: int
    chunks: Iterator[Chunk]


PARTITION: Final = "__partition"
# Three times this is in memory: what is added, what is written, and the same by partition.
MEMORY_BYTES: Final = 32 * 1024 * 1024

# Read back at once.
CHUNK_ROWS: Final = 100_000
CHUNK_BYTES: Final = 128 * 1024 * 1024

# Written at once, and so the least that can be read back.
BATCH_BYTES: Final = 16 * 1024 * 1024


class Spill:
    """Rows by partition, in the order in which they were added.

    Beyond `MEMORY_BYTES` they are appended to one file per partition, by a thread beside, and
    removed at the end of the `with` block. `Storage.sweep` removes what a dead run leaves.
    """

    def __init__(self, storage: Storage) -> None:
        self._folder = storage.scratch
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._spilled: dict[str, pa.ipc.RecordBatchStreamWriter] = {}
        self._writing: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1)
        self._procession = Procession()
        self._partitions: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.shutdown()
        for writer in self._spilled.values():
            with contextlib.suppress(OSError):  # its content is no longer needed
                writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, rows: pa.Table, partitions: pa.Array) -> None:
        """Add rows, each with its partition."""
        self._procession.note(rows)
        self._partitions.update(pc.unique(partitions).to_pylist())
        self._held.append(rows.append_column(PARTITION, partitions))
        self._held_bytes += rows.nbytes
        if self._held_bytes > MEMORY_BYTES:
            self._write_out()

    @property
    def has_one(self) -> bool:
        """Whether all rows are of one partition."""
        return len(self._partitions) == 1

    def by_partition(self) -> Iterator[Part]:
        """Yield all rows by partition.

        A task's rows are in the order of the log, or in one chunk.
        """
        if self._writing:
            self._write_out()
            self._wait()
            with trying_to(f"write to {self._folder}"):
                for writer in self._spilled.values():
                    writer.close()
            for partition in sorted(self._spilled):
                size = (self._folder / partition).stat().st_size
                is_in_order = self._procession.is_in_order
                read = self._read_back if is_in_order else self._read_back_by_task
                yield Part(partition, size, read(partition))
        else:
            for partition, rows in _by_partition(self._held):
                yield Part(partition, rows.nbytes, iter([rows.to_batches()]))

    def _write_out(self) -> None:
        self._wait()
        self._writing = self._thread.submit(self._append, self._held)
        self._held, self._held_bytes = [], 0

    def _wait(self) -> None:
        if self._writing:
            with trying_to(f"write to {self._folder}"):
                self._writing.result()

    def _append(self, held: list[pa.Table]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for partition, rows in _by_partition(held):
            if partition not in self._spilled:
                # Not compressed: it lives for seconds, mostly in the page cache.
                path = str(self._folder / partition)
                self._spilled[partition] = pa.ipc.new_stream(path, rows.schema)
            for piece in split(rows, CHUNK_ROWS, BATCH_BYTES):
                self._spilled[partition].write_table(piece)
        release()

    def _read_back(self, partition: str) -> Iterator[Chunk]:
        return in_lists(self._batches(partition), rows=CHUNK_ROWS, size=CHUNK_BYTES)

    def _batches(self, partition: str) -> Iterator[pa.RecordBatch]:
        path = str(self._folder / partition)
        # Not mapped: pages of a mapped file count as the process's memory.
        with pa.OSFile(path) as file, pa.ipc.open_stream(file) as stream:
            yield from stream

    def _read_back_by_task(self, partition: str) -> Iterator[Chunk]:
        """The same, with all rows of a task in one chunk; reads the file once for each chunk."""
        ids, size = [], 0
        for batch in self._batches(partition):
            ids.append(batch["task_id"])
            size += batch.nbytes
        ordered = pa.chunked_array(ids).combine_chunks().sort()
        chunks = max(-(-len(ordered) // CHUNK_ROWS), -(-size // CHUNK_BYTES))
        bounds = [ordered[len(ordered) * number // chunks] for number in range(1, chunks)]
        for first, last in pairwise([None, *bounds, None]):
            gathered = []
            for batch in self._batches(partition):
                is_here = pa.repeat(True, len(batch))
                if first is not None:
                    is_here = pc.and_(is_here, pc.greater_equal(batch["task_id"], first))
                if last is not None:
                    is_here = pc.and_(is_here, pc.less(batch["task_id"], last))
                gathered.append(batch.filter(is_here))
            yield gathered


def _by_partition(held: list[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each partition; empties the list."""
    if not held:
        return
    whole = pa.concat_tables(held)
    held.clear()
    partitions = pc.unique(whole[PARTITION]).sort()
    numbers = pc.index_in(whole[PARTITION], partitions)
    # All at once: of many columns, a copy for each of many partitions costs three times this.
    rows = whole.drop_columns(PARTITION).take(pc.sort_indices(numbers))
    del whole
    ends = np.cumsum(np.bincount(numbers.to_numpy())).tolist()
    for partition, (start, end) in zip(partitions.to_pylist(), pairwise([0, *ends]), strict=True):
        yield partition, rows.slice(start, end - start)


def join(chunk: Chunk) -> pa.Table:
    """Join a chunk, and empty it: kept, its rows would be in memory twice."""
    rows = pa.Table.from_batches(chunk)
    chunk.clear()
    rows = rows.combine_chunks()
    release()
    return rows
