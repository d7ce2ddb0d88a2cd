"""The marts `turnaround` and `turnaround_quantiles`: how long generations take.

Every generation whose creation is known counts as the interval that is known of it:

- `reported`: exact; drawn within its second where the gateway counts whole ones.
- `observed`: between two fetches. When we fetch does not depend on when a generation finishes.
  Fetches count by our clock as it is: one that is off by some seconds shifts the curve as much.
- `backfilled`: before the first fetch; `unfinished`: after the last one, if ever.
- `signed`: between fetches as well. A signature follows the finish at a distance of its own, so an
  estimator that takes it for the end of an interval is wrong. It is a bound all the same: the share
  finished is no less than that of the signatures, give or take chance (Wilson's interval).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts import hours
from connector.marts.fold import Fold
from connector.marts.shares import wilson
from connector.marts.timings import ALLOWANCE
from connector.marts.turnbull import EDGES, NO_END, SHORTEST, STEP, Curve, Intervals, band, estimate
from connector.record.mart_schema import GROUPED_BY
from connector.record.schema import TURNAROUND, TURNAROUND_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

READ: Final = (
    "created_at",
    "finished_after_at",
    "first_finished_at",
    "seconds_lower",
    "seconds_upper",
    "basis",
    "model",
    "resolution",
    "created_hour",
)
GROUPS: Final = GROUPED_BY[1:]
KEYS: Final = (*GROUPS, "start", "end", "signed")
FOLDED: Final = pa.schema(
    [
        *((name, pa.string()) for name in GROUPS),
        *((name, pa.int64()) for name in ("start", "end", "signed", "generations", "exact")),
    ]
)

INTERVALS: Final = FOLDED.append(pa.field("hour", pa.int64()))

MOST_GROUPS: Final = 50
"""Of models, and of resolutions, those with the most generations."""

LEVELS: Final = (0.1, 0.5, 0.9)
# Closer around the quantiles that are given.
SHARES: Final = np.concatenate(
    [
        [0.005, 0.02, 0.05, 0.08, 0.1, 0.12],
        np.arange(0.15, 0.41, 0.05),
        [0.44, 0.47, 0.5, 0.53, 0.56],
        np.arange(0.6, 0.86, 0.05),
        [0.88, 0.9, 0.92, 0.95, 0.98, 0.995],
    ]
)
FEW_SHARES: Final = np.array([0.05, 0.5, 0.95])

# An estimate that is open by more than this is none.
MOST_UNSURE: Final = 0.5
Z: Final = 1.96
SECOND: Final = 1_000_000
GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
SKEW: Final = ALLOWANCE.clock_skew.total_seconds()


class Turnarounds(NamedTuple):
    """The three tables."""

    turnaround: pa.Table
    quantiles: pa.Table
    hours: pa.Table


def turnarounds(timings: Iterable[pa.Table]) -> Turnarounds:
    """Work out the tables; memory grows with the number of different intervals.

    Args:
        timings: Pieces of the table, with the columns `READ`.
    """
    fold = Fold(FOLDED, KEYS, {"generations": "sum", "exact": "sum"})
    by_hour = Fold(hours.FOLDED, hours.KEYS, {"generations": "sum"})
    for piece in timings:
        found = intervals(piece)
        fold.add(found.select(FOLDED.names))
        by_hour.add(found.select(hours.FOLDED.names).filter(pc.is_valid(found["hour"])))
    rows = fold.groups()
    curves: list[dict[str, Any]] = []
    quantiles: list[dict[str, Any]] = []
    for group_by in GROUPED_BY:
        for group, chosen in _groups(rows, group_by):
            named = {"group_by": group_by, "group": group}
            points, found = estimated(chosen)
            curves += [named | point for point in points]
            quantiles.append(named | found)
    return Turnarounds(
        pa.Table.from_pylist(curves, schema=TURNAROUND.schema),
        pa.Table.from_pylist(quantiles, schema=TURNAROUND_QUANTILES.schema),
        hours.by_model_and_hour(by_hour.groups()),
    )


def intervals(piece: pa.Table) -> pa.Table:
    """Each generation as bins; `signed` is the bin by which it was finished for sure."""
    basis = piece["basis"]
    is_known = pc.invert(pc.is_in(basis, pa.array(["undated", "contradictory"])))
    rows = piece.filter(pc.and_(is_known, pc.is_valid(piece["created_at"])))
    basis = rows["basis"]
    is_reported = pc.equal(basis, "reported").to_numpy()
    is_signed = pc.equal(basis, "signed").to_numpy()
    created = rows["created_at"].cast(pa.int64()).to_numpy()
    upper = rows["seconds_upper"].fill_null(np.inf).to_numpy()
    lower = rows["seconds_lower"].fill_null(0).to_numpy()
    # Whole seconds would heap up: each lies anywhere in the middle half of its bounds.
    drawn = (created.astype(np.uint64) * GOLDEN >> np.uint64(32)).astype(float) / 2**32 - 0.5
    middle = lower + (upper - lower) * (0.5 + drawn / 2)
    unfinished = rows["finished_after_at"].cast(pa.int64()).fill_null(0).to_numpy()
    finished = (
        rows["first_finished_at"].cast(pa.int64()).cast(pa.float64()).fill_null(np.inf).to_numpy()
    )
    after = np.where(unfinished > created, (unfinished - created) / SECOND + SKEW, 0)
    before = np.where(np.isfinite(upper), (finished - created) / SECOND, np.inf)
    start = np.where(is_reported, np.searchsorted(EDGES, middle) - 1, _nearest(after))
    start = np.clip(start, 0, NO_END - 1)
    end = np.maximum(np.where(is_reported, 0, _nearest(before)), start + 1)
    columns = {
        "model": rows["model"],
        "resolution": rows["resolution"],
        "hour": rows["created_hour"].cast(pa.int64()),
        "month": _month(rows["created_at"]),
        "start": start,
        "end": end,
        "signed": np.where(is_signed, np.searchsorted(EDGES, upper), NO_END),
        "generations": np.ones(len(rows), np.int64),
        "exact": is_reported.astype(np.int64),
    }
    return pa.table([columns[name] for name in INTERVALS.names], INTERVALS)


def _month(times: pa.ChunkedArray) -> pa.Array:
    days = times.cast(pa.date32()).combine_chunks().dictionary_encode()
    return pc.strftime(days.dictionary, format="%Y-%m").take(days.indices)


def _nearest(seconds: Floats) -> Ints:
    """The edge that is nearest, as a factor."""
    with np.errstate(divide="ignore"):
        steps = np.log(np.maximum(seconds, 0) / SHORTEST) / np.log(STEP)
    edge = np.clip(np.rint(np.clip(steps, -1, NO_END)) + 1, 0, NO_END - 1).astype(np.int64)
    return np.where(np.isinf(seconds), NO_END, edge)


def _groups(rows: pa.Table, group_by: str) -> list[tuple[str | None, pa.Table]]:
    """Names and rows of the groups: months in order, others with the most generations first."""
    if group_by == "all":
        return [(None, rows)] if len(rows) else []
    counted = rows.group_by(group_by, use_threads=False).aggregate([("generations", "sum")])
    found = {row[group_by]: row["generations_sum"] for row in counted.to_pylist()}
    names = sorted(found, key=lambda name: (-found[name], name or ""))
    names = sorted(names, key=lambda name: name or "") if group_by == "month" else names
    names = names if group_by == "month" else names[:MOST_GROUPS]
    return [
        (
            name,
            rows.filter(
                pc.is_null(rows[group_by]) if name is None else pc.equal(rows[group_by], name)
            ),
        )
        for name in names
    ]


def estimated(
    rows: pa.Table, shares: Floats = SHARES
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The points of the curve, and the quantiles.

    Args:
        rows: Intervals: `start`, `end`, `signed`, `generations` and `exact`.
        shares: Around which the curve has points.
    """
    start, end, signed, weight = (
        rows[name].to_numpy() for name in ("start", "end", "signed", "generations")
    )
    total = int(weight.sum())
    given = Intervals.counted(start, end, weight)
    curve = estimate(given)
    at = _points(curve, given, signed, shares)
    lower, upper = band(given, curve, at)
    if (signed < NO_END).any():
        by_then = np.bincount(signed, weight, len(EDGES)).cumsum()[at] / total
        lower = np.maximum(lower, wilson(by_then, np.full(len(at), float(total)), Z)[0])
        lower = np.minimum(np.where(by_then > 0, lower, 0), upper)
    share = np.clip(np.interp(at, curve.cuts, curve.share), lower, upper)
    share[upper - lower > MOST_UNSURE] = np.nan
    points = [
        dict(zip(("seconds", "share_finished", "share_lower", "share_upper"), row, strict=True))
        for row in zip(
            EDGES[at].tolist(),
            (None if np.isnan(one) else one for one in share.tolist()),
            lower.tolist(),
            upper.tolist(),
            strict=True,
        )
    ]
    found: dict[str, Any] = {"generations": total, "exact": pc.sum(rows["exact"]).as_py()}
    for level in LEVELS:
        found |= _quantile(level, curve, EDGES[at], lower, upper)
    return points, found


def _points(curve: Curve, given: Intervals, signed: Ints, shares: Floats) -> Ints:
    """Edges at which the curve has points: evenly over the estimate, and over all bounds."""
    over = np.searchsorted(curve.share, shares)
    edges = [curve.cuts[np.minimum(over, len(curve.cuts) - 1)]]
    for bounds in (given.start, given.end, signed):
        finite = bounds[(bounds > 0) & (bounds < NO_END)]
        if len(finite):
            edges.append(np.quantile(finite, FEW_SHARES, method="nearest").astype(np.int64))
    found = np.unique(np.concatenate(edges))
    return found[(found > 0) & (found < NO_END)]


def _quantile(
    level: float, curve: Curve, seconds: Floats, lower: Floats, upper: Floats
) -> dict[str, float | None]:
    name = f"p{level:.0%}"[:-1]
    value = curve.quantile(level)
    earliest, latest = _crossing(level, seconds, upper, 0.0), _crossing(level, seconds, lower, None)
    if value is not None:
        earliest = min(earliest or 0.0, value)
        latest = None if latest is None else max(latest, value)
    return {name: value, f"{name}_lower": earliest, f"{name}_upper": latest}


def _crossing(level: float, seconds: Floats, share: Floats, first: float | None) -> float | None:
    """When a side of the band reaches a share; `first` if it is there from the beginning."""
    reached = np.flatnonzero(share >= level)
    if not len(reached):
        return None if first is None else float(seconds[-1]) if len(seconds) else first
    one = int(reached[0])
    if one == 0:
        return float(seconds[0]) if first is None else first
    return float(np.interp(level, share[one - 1 : one + 1], seconds[one - 1 : one + 1]))
