"""The mart `timings`: between which bounds a generation took how long. Bounds, never a guess.

Some gateways say when a generation was finished: `finished_at`, by their own clock. Most do not.
What is known then:

- `created_at`, by the gateway's clock.
- `last_unfinished_at`, by our clock: when a fetch began that found it unfinished.
- `first_finished_at`, `first_seen_at`, by our clock: when answers ended.
- `download_url_signed_at`, by the gateway's clock: a video that can be downloaded is finished.
  Some gateways sign again at each fetch, so it can lie any time after the finish.

A bound across both clocks is widened by `Allowance.clock_skew`. Times in whole seconds are cut off
rather than rounded: the moment itself lies up to a second later. Times with fractions are taken as
exact.

A reported finish must agree with what was seen: a gateway that says "unfinished" after the finish
that it reports, or "finished" before it, contradicts itself, and nothing is claimed. A signature is
no such witness: a video may well be uploaded and signed before the gateway counts it as finished.

A time of the gateway's before the year 2000 is of a clock that was not set, and counts as none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.column import TIMESTAMP
from connector.record.order import of_set_clock
from connector.record.schema import TERMINAL_STATUSES, TIMINGS

REPORTED: Final = ("submitted_at", "started_at", "finished_at")
TIMES: Final = (
    "created_at",
    "first_seen_at",
    "last_unfinished_at",
    "first_finished_at",
    "download_url_signed_at",
)
MADE_FROM: Final = (
    "task_id",
    *TIMES,
    *REPORTED,
    "status",
    "model",
    "model_source",
    "resolution",
)

# Bases whose bounds say something; the others would only blur the picture.
MEASURED: Final = ("reported", "observed", "signed")

# In microseconds, as all times are here while they are reckoned with.
SECOND: Final = 1_000_000
MILLISECOND: Final = 1_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """How far things may be off without making a bound untrue.

    Attributes:
        clock_skew: Between our clock and the gateway's, either way.
        answer: Longest that a fetch usually takes. Only tells a URL that was signed for the fetch
            itself from one that was signed before; no bound rests on it.
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
    known = _known(generations)
    bounds = _bounds(known, allowance)
    columns = {
        **{name: generations[name] for name in MADE_FROM},
        **bounds,
        **_stages(generations, known, bounds["basis"], allowance),
        "is_measured": pc.is_in(bounds["basis"], pa.array(MEASURED)),
        "created_hour": pc.hour(generations["created_at"]).cast(pa.int32()),
    }
    return pa.table([columns[name] for name in TIMINGS.schema.names], schema=TIMINGS.schema)


class _Known(NamedTuple):
    """What is known of each generation; times in microseconds.

    Attributes:
        signed_by: End of the second in which the finished video was signed for download.
        reported: The finish, as the gateway says it.
    """

    created: pa.ChunkedArray
    seen: pa.ChunkedArray
    unfinished: pa.ChunkedArray
    finished: pa.ChunkedArray
    signed_by: pa.ChunkedArray
    reported: pa.ChunkedArray
    is_final: pa.ChunkedArray


def _known(rows: pa.Table) -> _Known:
    created, seen, unfinished, finished, signed = (_micros_of(rows, name) for name in TIMES)
    signed_by = pc.add(signed, SECOND)
    # A signature from before the creation is of another video, or by another clock.
    is_later = pc.fill_null(pc.greater_equal(signed_by, created), True)
    is_its_own = pc.and_(is_later, pc.equal(rows["status"], "completed"))
    return _Known(
        created,
        seen,
        unfinished,
        finished,
        _where(is_its_own, signed_by),
        _micros_of(rows, "finished_at"),
        pc.is_in(rows["status"], pa.array(TERMINAL_STATUSES)),
    )


def _bounds(known: _Known, allowance: Allowance) -> dict[str, Any]:
    """The columns on the finish, reckoned on the gateway's clock."""
    skew, answer = _micros(allowance.clock_skew), _micros(allowance.answer)
    is_reported = pc.and_(pc.is_valid(known.reported), known.is_final)
    seen, reported = _seen(known, skew), _reported(known, skew)
    contradicts = _any(
        pc.less(known.finished, known.unfinished),  # finished, and later not
        pc.less(pc.add(known.seen, skew), known.created),  # seen before it was created
        pc.and_(is_reported, _is_untrue(known, skew)),
        pc.and_not(pc.greater(seen.lower, seen.upper), is_reported),
    )
    after, before, lower, upper = (
        pc.if_else(is_reported, one, other) for one, other in zip(reported, seen, strict=True)
    )
    after = pc.max_element_wise(after, known.created)
    is_claimed = pc.invert(contradicts)
    return {
        "finished_after_at": _where(is_claimed, after).cast(TIMESTAMP),
        "finished_before_at": _where(is_claimed, before).cast(TIMESTAMP),
        "seconds_lower": _seconds(pc.if_else(is_claimed, lower, 0)),
        "seconds_upper": _seconds(_where(is_claimed, upper)),
        "basis": _basis(known, contradicts, is_reported, answer + skew),
    }


class _Bounds(NamedTuple):
    """Of the moment of the finish, and of how long it took; in microseconds."""

    after: pa.ChunkedArray
    before: pa.ChunkedArray
    lower: pa.ChunkedArray
    upper: pa.ChunkedArray


def _seen(known: _Known, skew: int) -> _Bounds:
    """What follows from what was seen."""
    # What was seen had been created, also where nobody says when.
    created_by = pc.min_element_wise(pc.add(known.created, SECOND), pc.add(known.seen, skew))
    after = pc.subtract(known.unfinished, skew)
    before = pc.min_element_wise(pc.add(known.finished, skew), known.signed_by)
    before = _where(known.is_final, before)
    lower = pc.max_element_wise(pc.subtract(after, created_by), 0)
    return _Bounds(after, before, lower, pc.subtract(before, known.created))


def _reported(known: _Known, skew: int) -> _Bounds:
    """What follows from the finish that the gateway reports."""
    created_by = pc.min_element_wise(_end_of(known.created), pc.add(known.seen, skew))
    after = known.reported
    before = pc.max_element_wise(_end_of(known.reported), known.created)
    lower = pc.max_element_wise(pc.subtract(after, created_by), 0)
    return _Bounds(after, before, lower, pc.subtract(before, known.created))


def _is_untrue(known: _Known, skew: int) -> pa.ChunkedArray:
    """Whether a reported finish cannot be true, whatever whole seconds and clocks may explain."""
    is_before = pc.less(known.reported, known.created)
    end = _end_of(known.reported)
    # A second, or a millisecond, ends just before the next one begins.
    last = pc.max_element_wise(end, _end_of(known.reported, MILLISECOND))
    return _any(
        pc.and_(is_before, pc.less_equal(last, known.created)),
        pc.less(end, pc.subtract(known.unfinished, skew)),  # it still said "unfinished" later
        pc.greater(known.reported, pc.add(known.finished, skew)),  # it said "finished" before
    )


def _end_of(moments: pa.ChunkedArray, unit: int = SECOND) -> pa.ChunkedArray:
    """The latest that a moment can be: the end of its second, where whole seconds are counted."""
    cut = pc.multiply(pc.divide(moments, unit), unit)
    return pc.if_else(pc.equal(moments, cut), pc.add(moments, unit), moments)


def _stages(
    rows: pa.Table, known: _Known, basis: pa.ChunkedArray, allowance: Allowance
) -> dict[str, Any]:
    """How long each generation waited and was worked on, as the gateway tells it.

    The wait is over when the work begins, also for one that is unfinished still; the work is over
    only at the finish. Where the times contradict each other, they tell neither; nor does a start
    that lies ahead of all that was seen.
    """
    submitted = pc.coalesce(_micros_of(rows, "submitted_at"), known.created)
    started = _micros_of(rows, "started_at")
    latest = pc.max_element_wise(known.seen, known.unfinished, known.finished)
    latest = pc.add(latest, _micros(allowance.clock_skew + allowance.answer))
    started = _where(pc.less_equal(started, latest), started)
    is_claimed = pc.not_equal(basis, "contradictory")
    is_over = pc.and_(is_claimed, known.is_final)
    return {
        "queue_seconds": _not_negative(_where(is_claimed, pc.subtract(started, submitted))),
        "work_seconds": _not_negative(_where(is_over, pc.subtract(known.reported, started))),
    }


def _not_negative(micros: pa.ChunkedArray) -> pa.ChunkedArray:
    return _seconds(_where(pc.greater_equal(micros, 0), micros))


def _basis(
    known: _Known, contradicts: pa.ChunkedArray, is_reported: pa.ChunkedArray, allowed: int
) -> pa.ChunkedArray:
    # A URL that may have been signed for the very fetch that brought it tells no more than that.
    is_signed = pc.less(known.signed_by, pc.subtract(known.finished, allowed))
    cases = {
        "contradictory": contradicts,
        "unfinished": pc.invert(known.is_final),
        "undated": pc.is_null(known.created),
        "reported": is_reported,
        "signed": is_signed,
        "observed": pc.is_valid(known.unfinished),
    }
    return pc.case_when(pc.make_struct(*cases.values()), *cases, "backfilled")


def _where(mask: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(mask, values, pa.scalar(None, pa.int64()))


def _any(*masks: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether any holds for sure; null does not."""
    return reduce(pc.or_, (pc.fill_null(mask, False) for mask in masks))


def _micros_of(rows: pa.Table, name: str) -> pa.ChunkedArray:
    return of_set_clock(rows[name]).cast(pa.int64())


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _seconds(micros: pa.ChunkedArray) -> pa.ChunkedArray:
    # Unsafe: 285 years are more microseconds than all floats can tell apart.
    return pc.divide(micros.cast(pa.float64(), safe=False), float(SECOND))
