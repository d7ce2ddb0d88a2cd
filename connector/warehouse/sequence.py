"""Numbers for batches of answers and IDs for runs, in order whatever the clock says.

A number is the time in microseconds since 1970, or one more than the highest that the warehouse
has given, whichever is higher. So a clock that was ahead, is behind or jumps changes no order, and
numbers that are lost with a file are not given again. A run's ID shows the run's number as a time.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

# How a run's ID begins; what `strptime` takes may be written in more than one way.
STAMP: Final = "%Y%m%dT%H%M%S%fZ"
STAMP_LENGTH: Final = len("20260102T120000000000Z")

# A higher number is of another program: none is counted up from it.
HIGHEST: Final = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND


def next_after(highest: int, moment: datetime | None = None) -> int:
    """Give a number above the highest one given before: that of a moment, by default now."""
    number = time.time_ns() // 1_000 if moment is None else (moment - EPOCH) // MICROSECOND
    return max(number, min(highest, HIGHEST) + 1)


def run_id_of(sequence: int) -> str:
    """Make an ID for the run with this number; IDs sort as their runs do."""
    moment = EPOCH + min(sequence, HIGHEST) * MICROSECOND
    return f"{moment:{STAMP}}-{secrets.token_hex(3)}"


def number_in(run_id: str) -> int | None:
    """The number of the run with this ID; None if it is not an ID of a run."""
    try:
        moment = datetime.strptime(run_id[:STAMP_LENGTH], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return (moment - EPOCH) // MICROSECOND
