"""The mart `turnaround_hours`: at which hours of the day a model is slower or faster than usual.

Gehan's rank test decides, generalized to intervals: of two generations, one took longer if its
interval begins after the other's has ended; otherwise the pair says nothing. So an interval that is
wide because nobody looked says little, rather than something wrong. Each hour of
a model is compared with its other hours, and the test counts for all hours of all models
(Bonferroni). A generation that was still unfinished after a week is lost rather than slow, and says
nothing of the hour.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.turnbull import EDGES, NO_END, Intervals, estimate
from connector.record.schema import TURNAROUND_HOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

KEYS: Final = ("model", "hour", "start", "end")
FOLDED: Final = pa.schema(
    [("model", pa.string()), *((n, pa.int64()) for n in ("hour", "start", "end", "generations"))]
)

MOST_MODELS: Final = 12
# The distribution of the ranks of fewer that say something is not normal yet.
LEAST: Final = 20
ALPHA: Final = 0.01
LOST: Final = int(np.searchsorted(EDGES, 7 * 86_400.0))
# Bins that count as one where a median is read, not tested.
COARSE: Final = 3


def by_model_and_hour(rows: pa.Table) -> pa.Table:
    """Compare the hours of each model, surest first.

    Args:
        rows: Intervals as bins, with the columns `FOLDED`.
    """
    found = [row for model in _most_used(rows) for row in _hours(model, rows)]
    tests = sum(row["z"] is not None for row in found)
    least = NormalDist().inv_cdf(1 - ALPHA / 2 / max(tests, 1))
    for row in found:
        z = row.pop("z")
        row["is_sure"] = z is not None and abs(z) >= least
        row["sureness"] = abs(z or 0)
    found.sort(key=lambda row: (not row["is_sure"], -row.pop("sureness")))
    return pa.Table.from_pylist(found, schema=TURNAROUND_HOURS.schema)


def _most_used(rows: pa.Table) -> list[str | None]:
    counted = rows.group_by("model", use_threads=False).aggregate([("generations", "sum")])
    order = [("generations_sum", "descending"), ("model", "ascending")]
    names: list[str | None] = counted.sort_by(order)["model"].to_pylist()
    return names[:MOST_MODELS]


def _hours(model: str | None, rows: pa.Table) -> list[dict[str, Any]]:
    is_of_it = pc.is_null(rows["model"]) if model is None else pc.equal(rows["model"], model)
    is_lost = pc.and_(pc.greater_equal(rows["start"], LOST), pc.equal(rows["end"], NO_END))
    of_it = rows.filter(pc.and_not(is_of_it, is_lost))
    hour, start, end, weight = (
        of_it[name].to_numpy() for name in ("hour", "start", "end", "generations")
    )
    scores = gehan(start, end, weight)
    tells = scores != 0
    total, squares = int(weight.sum()), float((weight * scores**2).sum())
    found = []
    for one in np.unique(hour).tolist():
        here = hour == one
        count = int(weight[here].sum())
        variance = count * (total - count) / max(total * (total - 1), 1) * squares
        telling = int(weight[here & tells].sum())
        is_tested = min(telling, int(weight[tells].sum()) - telling) >= LEAST and variance > 0
        summed = float((weight[here] * scores[here]).sum())
        p50, others = (median(start[of], end[of], weight[of]) for of in (here, ~here))
        found.append(
            {
                "model": model,
                "created_hour": one,
                "generations": count,
                "p50": p50,
                "p50_other_hours": others,
                "times_slower": p50 / others if p50 and others else None,
                "z": summed / np.sqrt(variance) if is_tested else None,
            }
        )
    return found


def gehan(start: Ints, end: Ints, weight: Ints) -> Floats:
    """For each interval: how many it surely outlasts, less how many surely outlast it."""
    bins = int(end.max(initial=0)) + 1
    ended = np.cumsum(np.bincount(end, weight, bins))
    begun = np.cumsum(np.bincount(start, weight, bins)[::-1])[::-1]
    scores: Floats = (ended[start] - begun[end]).astype(float)
    return scores


def median(start: Ints, end: Ints, weight: Ints) -> float | None:
    """The estimated median of intervals, given as bins, to a few percent; None if there is none."""
    if not len(start):
        return None
    given = Intervals.counted(start, end, weight, COARSE)
    return estimate(given).quantile(0.5)
