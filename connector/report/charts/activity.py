"""Generations over time."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from connector import words
from connector.report.charts.marks import Spec, chart, count_axis, stacked, time_axis, tooltip_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.report.counts import Counts

    Statuses = Mapping[str, int]

RECENT: Final = timedelta(days=365)
# Least length of the axis: a single day would fill it otherwise.
LEAST: Final = {"day": timedelta(days=13), "month": timedelta(days=365)}

ORDER: Final = ("completed", "failed", "running", "queued", "unknown")
HEIGHT: Final = 260

MANY: Final = 45
# For many bars: wide gaps would make them pale.
CLOSE: Final = {"binSpacing": 0, "strokeWidth": 0}


def views(counts: Counts) -> dict[str, Spec]:
    """Generations per day in the last year; if there are older ones, also per month."""
    if not counts.days:
        return {}
    newest = max(counts.days)
    recent = {day: found for day, found in counts.days.items() if newest - day <= RECENT}
    found = {"By day": _bars(recent, "day")}
    if len(recent) < len(counts.days):
        found = {"By day, last year": found["By day"], "By month": _bars(_months(counts), "month")}
    return found


def _months(counts: Counts) -> dict[date, Statuses]:
    months: dict[date, Counter[str]] = {}
    for day, found in counts.days.items():
        months.setdefault(day.replace(day=1), Counter()).update(found)
    return dict(months)


def _bars(periods: Mapping[date, Statuses], unit: str) -> Spec:
    statuses = [name for name in ORDER if any(found.get(name) for found in periods.values())]
    rows: list[Spec] = [
        {
            "period": period.isoformat(),
            "name": words.day(period) if unit == "day" else f"{period:%B %Y}",
            **{name: found.get(name, 0) for name in statuses},
            "total": sum(found.values()),
        }
        for period, found in periods.items()
    ]
    parts = stacked(statuses)
    parts["encoding"] |= {
        "tooltip": tooltip_of(["name"], [*statuses, "total"]),
        "x": {
            "field": "period",
            "type": "temporal",
            "timeUnit": "utcyearmonthdate" if unit == "day" else "utcyearmonth",
            "title": None,
            "scale": {"domain": _domain(min(periods), max(periods), unit)},
            "axis": time_axis(),
        },
        "y": {
            "field": "count",
            "type": "quantitative",
            "title": f"Generations per {unit}",
            "axis": count_axis(max(row["total"] for row in rows)),
        },
    }
    mark = {"type": "bar", **({} if len(rows) < MANY else CLOSE)}
    return chart(f"Generations per {unit}, by status", rows, HEIGHT, mark=mark, **parts)


def _domain(first: date, last: date, unit: str) -> list[Spec]:
    first = min(first, last - LEAST[unit])
    end = last + timedelta(days=1) if unit == "day" else _next_month(last)
    return [
        {"year": day.year, "month": day.month, "date": day.day, "utc": True} for day in (first, end)
    ]


def _next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)
