"""The order of answers: that of the log, whatever the clocks of the machines said.

The warehouse gives each batch of answers a number, `sequence`, above all that it gave before. It
counts in microseconds since 1970, like `fetched_at`, so answers of an earlier version, which have
no number, take their place by their time. Within a batch, time decides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from datetime import datetime

# An impossible time: nothing may depend on it.
FIRST_YEAR, LAST_YEAR = 2000, 2099

# Clocks may differ by this without a word.
TOLERANCE: Final = timedelta(minutes=5)

IN_ORDER: Final = [
    ("task_id", "ascending"),
    ("sequence", "ascending"),
    ("fetched_at", "ascending"),
]


def sequence_of(rows: pa.Table) -> pa.ChunkedArray:
    """Place in the log of each row; its time where it has no number."""
    return pc.coalesce(rows["sequence"], rows["fetched_at"].cast(pa.int64()))


def with_sequence(rows: pa.Table) -> pa.Table:
    """The rows, each with its place in the log."""
    position = rows.schema.get_field_index("sequence")
    return rows.set_column(position, rows.schema.field(position), sequence_of(rows))


def distinct(ordered: pa.Table) -> pa.Table:
    """Rows `IN_ORDER`, without those that are the same answer as the row before."""
    if len(ordered) < 2:  # noqa: PLR2004  nothing to compare
        return ordered
    is_repeated = pc.and_(
        pc.equal(ordered["task_id"][1:], ordered["task_id"][:-1]),
        pc.equal(ordered["fetched_at"][1:], ordered["fetched_at"][:-1]),
    )
    return ordered.filter(pa.chunked_array([pa.array([True]), *pc.invert(is_repeated).chunks]))


def is_later(rows: pa.Table, known: pa.Table) -> pa.ChunkedArray:
    """Whether each row comes after the known one of its task ID, or none is known.

    An answer of the very same time is the known one, saved twice.
    """
    places = pc.index_in(rows["task_id"], known["task_id"])
    sequence, fetched_at = (known[name].take(places) for name in ("sequence", "fetched_at"))
    in_same_batch = pc.equal(rows["sequence"], sequence)
    later = pc.if_else(
        in_same_batch,
        pc.greater(rows["fetched_at"], fetched_at),
        pc.greater(rows["sequence"], sequence),
    )
    is_other = pc.not_equal(rows["fetched_at"], fetched_at)
    return pc.fill_null(pc.and_(later, is_other), True)


def is_earlier(rows: pa.Table, known: pa.Table) -> pa.ChunkedArray:
    """Whether each row comes before the known one of its task ID, and is not the same answer.

    Args:
        rows: Of `generations` or `answers`, each with its place.
        known: The same, one per task ID.
    """
    places = pc.index_in(rows["task_id"], known["task_id"].combine_chunks())
    sequence, fetched_at = (known[name].take(places) for name in ("sequence", "fetched_at"))
    before = pc.or_(
        pc.less(rows["sequence"], sequence),
        pc.and_(pc.equal(rows["sequence"], sequence), pc.less(rows["fetched_at"], fetched_at)),
    )
    is_other = pc.not_equal(rows["fetched_at"], fetched_at)
    return pc.fill_null(pc.and_(before, is_other), False)


class Procession:
    """Watches whether rows come in the order of the log.

    Args:
        last: The place after which they should come, if there is one.

    Attributes:
        is_in_order: Whether all did so far.
    """

    def __init__(self, last: int | None = None) -> None:
        self.is_in_order = True
        self._last = last

    def note(self, rows: pa.Table) -> None:
        """Take in the next rows, in any order among themselves."""
        if len(rows):
            ends = pc.min_max(sequence_of(rows)).as_py()
            self.is_in_order &= self._last is None or ends["min"] >= self._last
            self._last = max(ends["max"], self._last or ends["max"])


def count_ahead(generations: pa.Table) -> int:
    """Number of rows created after the fetch that brought them, by more than clocks may differ."""
    latest = pc.add(generations["fetched_at"], pa.scalar(TOLERANCE))
    is_ahead = pc.greater(generations["created_at"], latest)
    return pc.sum(is_ahead).as_py() or 0


def plausible(times: pa.ChunkedArray, now: datetime) -> pa.ChunkedArray:
    """The times that can be true; null for those in the future, or of a clock that was not set."""
    is_past = pc.less_equal(times, pa.scalar(now, times.type))
    return pc.if_else(is_past, of_set_clock(times), pa.scalar(None, times.type))


def of_set_clock(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """The times from `FIRST_YEAR` on; null for earlier ones, such as 1970, which mean none."""
    is_set = pc.greater_equal(pc.year(times), FIRST_YEAR)
    return pc.if_else(is_set, times, pa.scalar(None, times.type))


def of_possible_year(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """The times from `FIRST_YEAR` to `LAST_YEAR`; null for others, which mean none."""
    year = pc.year(times)
    is_possible = pc.and_(pc.greater_equal(year, FIRST_YEAR), pc.less_equal(year, LAST_YEAR))
    return pc.if_else(is_possible, times, pa.scalar(None, times.type))
