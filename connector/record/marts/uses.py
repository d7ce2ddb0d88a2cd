"""Uses and outcomes, counted a piece at a time: counts of pieces add up to the count of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Read = Callable[[Sequence[str]], Iterator[pa.Table]]
    """Gives columns of `generations` in pieces: the same rows in the same order at each call."""

COUNTS: Final = {"completed": "sum", "failed": "sum", "unfinished": "sum"}

FOLD_ROWS: Final = 262_144
"""Rows that gather before they are folded."""


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


def fold(
    pieces: Iterable[pa.Table], schema: pa.Schema, keys: Sequence[str], folds: Mapping[str, str]
) -> pa.Table:
    """Group by keys, in time that grows with the rows and memory that grows with the groups.

    Args:
        pieces: Any number of them.
        schema: Of each piece: the keys, then the columns to fold.
        keys: Null is a value like others.
        folds: How two values of a column become one (`sum`, `min`, `max`).

    Returns:
        A table of that schema, a row a group, in no certain order.
    """
    waiting = [schema.empty_table()]
    groups = fresh = 0
    for piece in pieces:
        waiting.append(piece)
        fresh += len(piece)
        # Not before as many rows are fresh as there are groups: each is folded a few times only.
        if fresh >= max(FOLD_ROWS, groups):
            waiting = [_fold(waiting, keys, folds)]
            groups, fresh = len(waiting[0]), 0
    return _fold(waiting, keys, folds)


def _fold(tables: list[pa.Table], keys: Sequence[str], folds: Mapping[str, str]) -> pa.Table:
    grouped = pa.concat_tables(tables).group_by(list(keys)).aggregate(list(folds.items()))
    return grouped.rename_columns([*keys, *folds])
