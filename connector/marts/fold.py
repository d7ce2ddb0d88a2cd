"""Uses and outcomes, counted a piece at a time: counts of pieces add up to the count of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Read = Callable[[Sequence[str]], Iterator[pa.Table]]
    """Gives columns of `generations` in pieces: the same rows in the same order at each call."""

COUNTS: Final = {"completed": "sum", "failed": "sum", "unfinished": "sum"}

# Rows that gather before they are folded.
FOLD_ROWS: Final = 65_536


def counts(status: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """Turn each status into a count of one in one of three columns."""
    is_completed, is_failed = pc.equal(status, "completed"), pc.equal(status, "failed")
    masks = {
        "completed": is_completed,
        "failed": is_failed,
        "unfinished": pc.invert(pc.or_(is_completed, is_failed)),
    }
    return {name: mask.cast(pa.int64()) for name, mask in masks.items()}


def outcomes(counted: pa.Table) -> dict[str, pa.ChunkedArray]:
    """All columns on outcomes, given the three counts."""
    completed, failed, unfinished = (counted[name] for name in COUNTS)
    finished = pc.add(completed, failed)
    share = pc.divide(failed.cast(pa.float64()), finished.cast(pa.float64()))
    never = pa.scalar(None, pa.float64())
    return {
        "uses": pc.add(finished, unfinished),
        "completed": completed,
        "failed": failed,
        "unfinished": unfinished,
        "failure_share": pc.if_else(pc.greater(finished, 0), share, never),
    }


class Fold:
    """Groups rows by keys, in time that grows with the rows and memory that grows with the groups.

    Args:
        schema: Of the rows, and of the groups: the keys, then the columns to fold.
        keys: Null is a value like others.
        folds: How two values of a column become one (`sum`, `min`, `max`).
    """

    def __init__(self, schema: pa.Schema, keys: Sequence[str], folds: Mapping[str, str]) -> None:
        self._keys, self._folds = list(keys), dict(folds)
        self._waiting = [schema.empty_table()]
        self._groups = self._fresh = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows in."""
        self._waiting.append(rows)
        self._fresh += len(rows)
        # Not before as many rows are fresh as there are groups: each is folded a few times only.
        if self._fresh >= max(FOLD_ROWS, self._groups):
            self._waiting = [self.groups()]
            self._groups, self._fresh = len(self._waiting[0]), 0

    def groups(self) -> pa.Table:
        """A row for each group, in no certain order."""
        rows = pa.concat_tables(self._waiting)
        # One thread: each further one has a hash table of its own, and gains little time.
        grouped = rows.group_by(self._keys, use_threads=False).aggregate(list(self._folds.items()))
        return grouped.rename_columns([*self._keys, *self._folds])
