"""Times in the future: answers that came while a clock was ahead.

When a warehouse is opened and has answers from a time that is still to come by the clock of now,
those of each run are moved back by what its latest one is ahead: that is the latest they can have
come, and the time between them stays. A note says which, so that a rebuild does the same. The log
keeps the times as they came.

It is the clock of now that is wrong if the gateway created something after now and before its
answer: then nothing is moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.order import FIRST_YEAR, TOLERANCE
from connector.record.schema import ANSWERS, GENERATIONS
from connector.storage import parquet
from connector.warehouse.notes import read_note, write_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from connector.storage.storage import Storage

NOTE: Final = "clocks.json"
TIMES: Final = pa.schema([ANSWERS[name].field for name in ("run_id", "fetched_at")])
WITNESSES: Final = pa.schema([GENERATIONS[name].field for name in ("created_at", "fetched_at")])


class Moved(NamedTuple):
    """Answers of a run whose clock was ahead, in microseconds (since 1970).

    Attributes:
        after: Those later than this are moved.
        back: By this much.
    """

    run_id: str
    after: int
    back: int


def read_moved(storage: Storage) -> list[Moved]:
    """What was moved so far; nothing if the note is missing or damaged."""
    note = read_note(storage, NOTE)
    try:
        moved = [Moved(str(one["run_id"]), int(one["after"]), int(one["back"])) for one in note]
    except (ValueError, LookupError, TypeError, OverflowError):
        return []
    return [one for one in moved if 0 < one.back < 2**62 and abs(one.after) < 2**62]


def write_moved(storage: Storage, moved: Iterable[Moved]) -> None:
    """Note what is moved, durably."""
    write_note(storage, NOTE, [one._asdict() for one in moved])


def with_right_times(answers: pa.Table, moved: Sequence[Moved]) -> pa.Table:
    """Answers with the times that they can have come at."""
    position = answers.schema.get_field_index("fetched_at")
    field = answers.schema.field(position)
    for one in moved:
        times = answers["fetched_at"].cast(pa.int64())
        is_ahead = pc.and_(pc.equal(answers["run_id"], one.run_id), pc.greater(times, one.after))
        if pc.any(is_ahead, min_count=0).as_py():
            right = pc.if_else(is_ahead, pc.subtract(times, one.back), times)
            answers = answers.set_column(position, field, right.cast(field.type))
    return answers


def find_ahead(
    storage: Storage, names: Iterable[str], moved: Sequence[Moved], now: datetime
) -> list[Moved]:
    """What is to be moved besides, of the answers in these files."""
    if now.year < FIRST_YEAR:
        return []
    latest: dict[str, int] = {}
    limit = pa.scalar(now + TOLERANCE, TIMES.field("fetched_at").type)
    for name in names:
        for piece in parquet.read_pieces(storage, name, TIMES):
            rows = with_right_times(piece, moved)
            rows = rows.filter(pc.greater(rows["fetched_at"], limit))
            found = rows.group_by("run_id").aggregate([("fetched_at", "max")])
            times = found["fetched_at_max"].cast(pa.int64()).to_pylist()
            for run_id, time in zip(found["run_id"].to_pylist(), times, strict=True):
                latest[run_id] = max(time, latest.get(run_id, time))
    after = pa.scalar(now, limit.type).cast(pa.int64()).as_py()
    return [Moved(run_id, after, time - after) for run_id, time in sorted(latest.items())]


def is_behind(storage: Storage, names: Iterable[str], now: datetime) -> bool:
    """Whether the gateway created something that is still to come by the clock of now."""
    limit = pa.scalar(now + TOLERANCE, WITNESSES.field("created_at").type)
    for name in names:
        for piece in parquet.read_pieces(storage, name, WITNESSES):
            is_later = pc.greater(piece["created_at"], limit)
            is_true = pc.less_equal(piece["created_at"], piece["fetched_at"])
            if pc.any(pc.and_kleene(is_later, is_true), min_count=0).as_py():
                return True
    return False
