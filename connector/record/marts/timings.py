"""The mart `timings`: between which bounds a generation took how long. Bounds, never a guess.

The API says when a generation was created, and never when it was finished. What is known:

- `created_at`, by the gateway's clock.
- `last_unfinished_at`, `first_finished_at`, `first_seen_at`: when answers ended, by our clock. What
  an answer tells was true when the gateway wrote it, which is up to `Allowance.answer` earlier.
- `download_url_signed_at`, by the gateway's clock: a video that can be downloaded is finished.
  Some gateways sign anew at each fetch, so it can lie any time after the finish.

A bound across both clocks is widened by `Allowance.clock_skew`. Times that are told in whole
seconds are cut off rather than rounded: the moment itself lies up to a second later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.columns import TIMESTAMP
from connector.record.schema import TERMINAL_STATUSES, TIMINGS

MADE_FROM: Final = (
    "task_id",
    "created_at",
    "first_seen_at",
    "last_unfinished_at",
    "first_finished_at",
    "download_url_signed_at",
    "status",
    "model",
    "storage_model",
    "resolution",
)
SECOND: Final = 1_000_000
"""In microseconds, as all times are here while they are reckoned with."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How far things may be off without making a bound untrue.

    Attributes:
        clock_skew: Between our clock and the gateway's, either way.
        answer: From the gateway's look at a generation to the end of its answer: the longest that
            an attempt may take.
    """

    clock_skew: timedelta = timedelta(seconds=5)
    answer: timedelta = timedelta(seconds=60)


ALLOWANCE: Final = Allowance()


def timings(generations: pa.Table, allowance: Allowance = ALLOWANCE) -> pa.Table:
    """Work out `timings`, a row for each row given, in their order.

    Args:
        generations: With the columns `MADE_FROM`.
        allowance: What the bounds have to bear.
    """
    columns = {
        **{name: generations[name] for name in MADE_FROM},
        **_bounds(generations, allowance),
        "model": pc.coalesce(generations["model"], generations["storage_model"]),
        "created_hour": pc.hour(generations["created_at"]).cast(pa.int32()),
    }
    return pa.table([columns[name] for name in TIMINGS.schema.names], schema=TIMINGS.schema)


def _bounds(rows: pa.Table, allowance: Allowance) -> dict[str, Any]:
    """The columns on the finish, reckoned on the gateway's clock."""
    skew, answer = _micros(allowance.clock_skew), _micros(allowance.answer)
    created, seen, finished = (
        rows[name].cast(pa.int64()) for name in ("created_at", "first_seen_at", "first_finished_at")
    )
    unfinished, signed_by = _unfinished(rows), _signed_by(rows, created)
    is_final = pc.is_in(rows["status"], pa.array(TERMINAL_STATUSES))

    # What was seen had been created, also where nobody says when.
    created_by = pc.min_element_wise(pc.add(created, SECOND), pc.add(seen, skew))
    after = pc.subtract(unfinished, answer + skew)
    before = _where(is_final, pc.min_element_wise(pc.add(finished, skew), signed_by))
    lower = pc.max_element_wise(pc.subtract(after, created_by), 0)
    upper = pc.subtract(before, created)

    is_contradictory = _any(
        pc.less(finished, unfinished),  # finished, and later not
        pc.and_(pc.is_valid(finished), pc.invert(is_final)),  # the same, and so until now
        pc.less(pc.add(seen, skew), created),  # seen before it was created
        pc.greater(lower, upper),
    )
    basis = pc.case_when(
        pc.make_struct(
            is_contradictory,
            pc.invert(is_final),
            pc.is_null(created),
            pc.less(signed_by, pc.subtract(finished, answer + skew)),  # else signed for us
            pc.is_valid(unfinished),
        ),
        *("contradictory", "unfinished", "undated", "signed", "observed", "backfilled"),
    )
    is_claimed = pc.invert(is_contradictory)
    after = pc.max_element_wise(after, created)
    return {
        "finished_after_at": _where(is_claimed, after).cast(TIMESTAMP),
        "finished_before_at": _where(is_claimed, before).cast(TIMESTAMP),
        "seconds_lower": _seconds(pc.if_else(is_claimed, lower, 0)),
        "seconds_upper": _seconds(_where(is_claimed, upper)),
        "basis": basis,
    }


def _unfinished(rows: pa.Table) -> pa.ChunkedArray:
    """When it was last seen unfinished; not if its state is unknown, which may be a final one."""
    is_known = pc.not_equal(rows["status"], "unknown")
    return _where(is_known, rows["last_unfinished_at"].cast(pa.int64()))


def _signed_by(rows: pa.Table, created: pa.ChunkedArray) -> pa.ChunkedArray:
    """The end of the second in which a completed video was signed for download.

    Null if that was before its creation: then it says nothing of this generation.
    """
    signed_by = pc.add(rows["download_url_signed_at"].cast(pa.int64()), SECOND)
    is_later = pc.fill_null(pc.greater_equal(signed_by, created), True)
    return _where(pc.and_(is_later, pc.equal(rows["status"], "completed")), signed_by)


def _where(mask: Any, values: Any) -> Any:
    return pc.if_else(mask, values, pa.scalar(None, pa.int64()))


def _any(*masks: Any) -> Any:
    """Whether any holds for sure; what cannot be told does not."""
    return reduce(pc.or_, (pc.fill_null(mask, False) for mask in masks))


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _seconds(micros: Any) -> Any:
    return pc.divide(micros.cast(pa.float64()), float(SECOND))
