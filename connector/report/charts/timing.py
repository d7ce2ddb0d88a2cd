"""How long generations took.

Every mark of a turnaround is an interval that holds the true value. Times of waiting and working
are shown as the gateway reports them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector import words
from connector.report.charts.marks import TIME_LABELS, Spec, chart, label, labelled_rows, tooltip_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.marts.turnaround import Bounds, Spread, Stage, Turnaround

MINUTE, HOUR, DAY = 60, 3600, 86400
TICKS: Final = (
    *(0, 5, 10, 30),
    *(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE),
    *(HOUR, 3 * HOUR, 12 * HOUR),
    *(DAY, 7 * DAY, 30 * DAY, 365 * DAY),
)
STEPS: Final = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30),
    *(MINUTE * count for count in (1, 2, 5, 10, 20, 30)),
    *(HOUR * count for count in (1, 2, 4, 6, 12)),
    *(DAY * count for count in (1, 2, 5, 10, 30, 100, 365)),
)
MOST_TICKS: Final = 6
# A median of fewer generations says little, so it is shown pale.
FEW: Final = 10

# Titles, attribute and description of the two views of a turnaround.
CASES: Final = (
    ("Typical (median)", "typical", "Median turnaround"),
    ("Slow (90th percentile)", "slow", "90th percentile"),
)

PALE: Final = {"condition": {"test": f"datum.generations < {FEW}", "value": 0.45}, "value": 1}
# The stroke keeps an interval visible when its bounds are close or equal.
RANGE: Final = {"color": "@range", "cornerRadius": 3, "stroke": "@range", "strokeWidth": 3}


def spread(found: Turnaround) -> dict[str, Spec]:
    """Share finished within a time: a band between the lower and the upper bound."""
    if found.all is None:
        return {}
    rows = [
        {
            "share": share,
            "lower": bounds.lower,
            "upper": bounds.upper,
            "name": f"{share:.0%} finished",
            "within": words.between(*bounds),
        }
        for share, bounds in found.shares.items()
    ]
    time = {
        "type": "quantitative",
        "title": "Time since creation",
        "scale": {"type": "symlog", "constant": 5, "domainMin": 0},
        "axis": {
            "values": list(TICKS),
            "labelExpr": TIME_LABELS,
            "labelOverlap": "greedy",
            "labelSeparation": 10,
        },
    }
    y = {
        "field": "share",
        "type": "quantitative",
        "title": "Share finished",
        "scale": {"domain": [0, 1]},
        "axis": {"format": "%", "tickCount": 5},
    }
    edges = [_edge(bound, time) for bound in ("lower", "upper")]
    sides = {"x": {"field": "lower", **time}, "x2": {"field": "upper"}}
    touched = {
        "name": "touched",
        "select": {"type": "point", "on": "pointerover", "clear": "pointerout"},
    }
    return {
        "": chart(
            "Share of generations finished within a time, with bounds",
            rows,
            300,
            encoding={"y": y},
            layer=[
                {
                    "mark": {
                        "type": "area",
                        "orient": "horizontal",
                        "color": "@range",
                        "opacity": 0.3,
                    },
                    "encoding": sides,
                },
                *edges,
                {
                    "params": [touched],
                    "mark": {"type": "rule", "strokeWidth": 5, "color": "@range"},
                    "encoding": {
                        **sides,
                        "opacity": {
                            "condition": {"param": "touched", "value": 1, "empty": False},
                            "value": 0,
                        },
                        "tooltip": tooltip_of(["name", "within"]),
                    },
                },
            ],
        )
    }


def _edge(bound: str, time: Spec) -> Spec:
    return {
        "mark": {"type": "line", "color": "@range", "strokeWidth": 1.5},
        "encoding": {"x": {"field": bound, **time}, "order": {"field": "share"}},
    }


def stages(found: Turnaround) -> dict[str, Spec]:
    """Waiting and working: a bar to the median, and a pale one to the 90th percentile."""
    kinds = {"Waiting": found.queue, "Working": found.work}
    rows = [_stage_row(name, stage) for name, stage in kinds.items() if stage]
    if not rows:
        return {}
    x = {"type": "quantitative", "axis": None, "scale": {"nice": False, "domainMin": 0}}
    tooltip = tooltip_of(["name", "median", "nine_in_ten_within"], ["generations"])
    parts = [
        {
            "mark": {"opacity": opacity},
            "encoding": {
                "x": {"field": start, **x},
                "x2": {"field": end},
                "color": {"value": "@range"},
                "tooltip": tooltip,
            },
        }
        for start, end, opacity in (("zero", "typical", 1), ("typical", "slow", 0.35))
    ]
    return {"": labelled_rows("Waiting and working times reported by the gateway", rows, *parts)}


def _stage_row(name: str, stage: Stage) -> dict[str, Any]:
    median, slow = words.at_most(stage.typical), words.at_most(stage.slow)
    return {
        "name": name,
        "label": name,
        "text": f"{median} · 9 in 10 within {slow}",
        "zero": 0,
        "typical": stage.typical,
        "slow": stage.slow,
        "median": median,
        "nine_in_ten_within": slow,
        "generations": stage.count,
    }


def by_hour(found: Turnaround) -> dict[str, Spec]:
    """Median and 90th percentile by hour of creation."""
    return {
        title: _hours([_row(one, getattr(one, which)) for one in found.hours], what)
        for title, which, what in CASES
        if found.hours
    }


def _hours(rows: Sequence[Spec], what: str) -> Spec:
    y = {
        "field": "lower",
        "type": "quantitative",
        "title": what,
        "axis": {"labelExpr": TIME_LABELS, "values": _ticks(max(row["upper"] for row in rows))},
    }
    x = {
        "field": "hour",
        "type": "ordinal",
        "scale": {"domain": list(range(24))},
        "title": "Hour of creation (UTC)",
        "axis": {"labelAngle": 0, "values": list(range(0, 24, 3))},
    }
    hours = [
        {**row, "hour": row["key"], "name": f"{row['key']:02}:00–{row['key']:02}:59 UTC"}
        for row in rows
    ]
    return chart(
        f"{what}, by hour of creation, with bounds",
        hours,
        260,
        mark={"type": "bar", "width": {"band": 0.6}, **RANGE},
        encoding={
            "x": x,
            "y": y,
            "y2": {"field": "upper"},
            "opacity": PALE,
            "tooltip": tooltip_of(["name", "between"], ["generations"]),
        },
    )


def _ticks(longest: float) -> list[float]:
    """Round times up to the longest, few enough to read."""
    step = next((step for step in STEPS if longest <= step * MOST_TICKS), longest)
    return [step * count for count in range(int(longest / step) + 2)]


def by_model(found: Turnaround) -> dict[str, Spec]:
    """Median and 90th percentile by model."""
    return {
        title: _models([_row(one, getattr(one, which)) for one in found.models], what)
        for title, which, what in CASES
        if found.models
    }


def _models(rows: Sequence[Spec], what: str) -> Spec:
    names = (label(row["key"], "unknown model") for row in rows)
    named = [
        {**row, "name": name, "label": name, "text": row["between"]}
        for name, row in zip(names, rows, strict=True)
    ]
    encoding = {
        "x": {
            "field": "lower",
            "type": "quantitative",
            "axis": None,
            "scale": {"nice": False, "domainMin": 0},
        },
        "x2": {"field": "upper"},
        "opacity": PALE,
        "tooltip": tooltip_of(["name", "between"], ["generations"]),
    }
    description = f"{what}, by model, with bounds"
    return labelled_rows(description, named, {"mark": RANGE, "encoding": encoding})


def _row(one: Spread, bounds: Bounds) -> dict[str, Any]:
    return {
        "key": one.name,
        "lower": bounds.lower,
        "upper": bounds.upper,
        "between": words.between(*bounds),
        "generations": one.count,
    }
