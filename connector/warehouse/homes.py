"""Finds the partitions of known task IDs by hash: the time hardly grows with their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLACES: Final = pa.schema({"task_id": pa.string(), "partition": pa.string()})

# Look-ups in which all task IDs that were known before are read: most commits need no more.
SCANS: Final = 4

# Two levels of the index are merged unless one is larger by this factor.
APART: Final = 4


class Homes:
    """The partition of each known task ID.

    Args:
        known: Task IDs and partitions, of each task ID one.
    """

    def __init__(self, known: pa.Table) -> None:
        self._known, self._scans = known, 0
        self._names: dict[str, int] = {}
        # Sorted hashes, and the numbers of partitions.
        self._levels: list[tuple[NDArray[np.int64], NDArray[np.int32]]] = []

    def find(self, task_ids: pa.ChunkedArray) -> pa.Table:
        """Which of these task IDs are known, as rows of `PLACES`."""
        self._scans += 1
        if self._scans > SCANS and len(self._known):
            for batch in self._known.to_batches():
                self.add(pa.Table.from_batches([batch]))
            self._known = self._known.slice(0, 0)
        known = self._known.filter(pc.is_in(self._known["task_id"], task_ids)).cast(PLACES)
        given = pc.unique(task_ids)
        hashes = _hashes(given)
        order = np.argsort(hashes)  # in order, look-ups stay within the processor's cache
        hashes, number = hashes[order], np.full(len(order), -1, np.int32)
        for level, numbers in self._levels:
            at = np.minimum(np.searchsorted(level, hashes), len(level) - 1)
            is_there = level[at] == hashes
            number[order[is_there]] = numbers[at[is_there]]
        is_known = number >= 0
        names = pa.array(self._names, pa.string()).take(pa.array(number[is_known]))
        return pa.concat_tables(
            [known, pa.table([given.filter(pa.array(is_known)), names], PLACES)]
        )

    def add(self, places: pa.Table) -> None:
        """Take in task IDs that were not known, with their partitions."""
        if not len(places):
            return
        encoded = places["partition"].cast(pa.string()).combine_chunks().dictionary_encode()
        known = self._names
        own = [known.setdefault(name, len(known)) for name in encoded.dictionary.to_pylist()]
        level = _level(_hashes(places["task_id"]), np.array(own, np.int32)[encoded.indices])
        while self._levels and len(self._levels[-1][0]) <= APART * len(level[0]):
            hashes, numbers = self._levels.pop()
            level = _level(np.concatenate([hashes, level[0]]), np.concatenate([numbers, level[1]]))
        self._levels.append(level)


def _level(
    hashes: NDArray[np.int64], numbers: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    order = np.argsort(hashes, kind="stable")  # merges what is sorted already
    return hashes[order], numbers[order]


def _hashes(task_ids: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """64 bits of each, keyed by the process: nobody can choose two that agree."""
    return np.fromiter(map(hash, task_ids.to_pylist()), np.int64, len(task_ids))
