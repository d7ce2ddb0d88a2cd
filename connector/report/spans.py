"""How long generations took, estimated for each period, model and status that the page offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.curves import estimated
from connector.marts.hours import median
from connector.record.schema import STATUSES
from connector.report.facts import AGES, UNDATED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.report.facts import Facts

ALL: Final = -1
# Further models would make the page large.
MODELS: Final = 5
CUT: Final = ("age", "model_code", "status", "hour", "start", "end", "signed")
# Enough for a smooth curve, closer around the quantiles that are shown.
SHARES: Final = np.array(
    [0.02, 0.07, 0.1, 0.13, 0.25, 0.4, 0.47, 0.5, 0.53, 0.6, 0.75, 0.87, 0.9, 0.93, 0.98]
)


def estimate_spans(facts: Facts) -> dict[str, Any]:
    """Curves and quantiles by `period|model|status`, and medians of hours by `period|model`.

    A period is an index into `AGES`, or `ALL`; one that holds the same as a longer one is left
    out, and so is what nothing is known of.
    """
    sums = [("generations", "sum"), ("exact", "sum")]
    rows = facts.intervals.group_by(CUT, use_threads=False).aggregate(sums)
    rows = rows.rename_columns([*CUT, "generations", "exact"])
    curves: dict[str, Any] = {}
    hours: dict[str, Any] = {}
    models = range(min(MODELS, len(facts.dimensions["model"].values)))
    for period, of_period in _periods(rows):
        for model in (ALL, *models):
            of_model = of_period if model == ALL else _only(of_period, "model_code", model)
            # One model and one status together would triple the time for little.
            ended = (STATUSES.index("completed"), STATUSES.index("failed"))
            for status in (ALL, *(ended if model == ALL else ())):
                of_status = of_model if status == ALL else _only(of_model, "status", status)
                if len(of_status):
                    curves[f"{period}|{model}|{status}"] = _curve(of_status)
            if len(of_model):
                hours[f"{period}|{model}"] = _hours(of_model)
    return {"curves": curves, "hours": hours, "models": len(models)}


def _periods(rows: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    yield ALL, rows
    for period in reversed(range(len(AGES))):
        chosen = rows.filter(pc.less_equal(rows["age"], period))
        dated = rows.filter(pc.less(rows["age"], UNDATED))
        if len(chosen) < len(dated):
            yield period, chosen


def _only(rows: pa.Table, name: str, value: int) -> pa.Table:
    return rows.filter(pc.equal(rows[name], value))


def _curve(rows: pa.Table) -> dict[str, Any]:
    points, quantiles = estimated(_bins(rows), SHARES)
    names = ("seconds", "share_finished", "share_lower", "share_upper")
    rounded = [[_rounded(point[name]) for name in names] for point in points]
    return {"points": rounded, **{name: _rounded(value) for name, value in quantiles.items()}}


def _bins(rows: pa.Table) -> pa.Table:
    keys = ("start", "end", "signed")
    sums = [("generations", "sum"), ("exact", "sum")]
    found = rows.group_by(keys, use_threads=False).aggregate(sums)
    return found.rename_columns([*keys, "generations", "exact"])


def _hours(rows: pa.Table) -> list[list[float | None]]:
    """For each hour the median, and how many generations it is of."""
    hour, *bins = (rows[name].to_numpy() for name in ("hour", "start", "end", "generations"))
    found: list[list[float | None]] = []
    for one in range(24):
        start, end, weight = (column[hour == one] for column in bins)
        found.append([_rounded(median(start, end, weight)), int(weight.sum())])
    return found


def _rounded(value: float | None) -> float | None:
    return float(f"{value:.4g}") if isinstance(value, float) else value
