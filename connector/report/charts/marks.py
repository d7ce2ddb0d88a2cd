"""Pieces of Vega-Lite that several charts share.

A colour `@name` stands for the page's variable `--name`, light or dark. Texts from outside are only
data, never part of a specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector import words

if TYPE_CHECKING:
    from collections.abc import Sequence

Spec = dict[str, Any]

# Pixels of a row in a bar chart: a label above a bar.
ROW: Final = 44

LABEL_CHARACTERS: Final = 80
# Room for a label below the axis.
TICK_PIXELS: Final = 84

TICKS: Final = 5

TIME_LABELS: Final = (
    "datum.value == 0 ? '0' : datum.value < 60 ? format(datum.value, '~g') + ' s' : datum.value < "
    "3600 ? format(datum.value / 60, '~g') + ' min' : datum.value < 86400 ? format(datum.value / "
    "3600, '~g') + ' h' : format(datum.value / 86400, '~g') + ' d'"
)


def count_axis(most: int) -> Spec:
    """Whole numbers, even if the largest is small."""
    return {
        "labelExpr": "format(datum.value, datum.value < 10000 ? ',' : '~s')",
        **({"tickCount": TICKS} if most > TICKS else {"values": list(range(most + 1))}),
    }


def chart(description: str, rows: Sequence[Spec], height: int, **parts: Any) -> Spec:
    """A whole chart, as wide as its place; screen readers read its `description`."""
    return {
        "description": description,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": list(rows)},
        **parts,
    }


def stacked(statuses: Sequence[str]) -> Spec:
    """Transform and encoding of stacked bars; a click in the legend highlights a status."""
    return {
        "transform": [
            {"fold": list(statuses), "as": ["status", "count"]},
            {"calculate": f"indexof({list(statuses)}, datum.status)", "as": "rank"},
        ],
        "params": [
            {
                "name": "picked",
                "select": {"type": "point", "fields": ["status"]},
                "bind": "legend",
            }
        ],
        "encoding": {
            "color": {
                "field": "status",
                "type": "nominal",
                "scale": {
                    "domain": list(statuses),
                    "range": [f"@{status}" for status in statuses],
                },
                "legend": {"orient": "top", "title": None},
            },
            "order": {"field": "rank"},
            "opacity": {"condition": {"param": "picked", "value": 1}, "value": 0.12},
        },
    }


def labelled_rows(description: str, rows: Sequence[Spec], *bars: Spec) -> Spec:
    """A bar chart in the order of its rows: `label` left, `text` right, bars below.

    Labels are above the bars so that long ones fit on a phone.
    """
    texts: tuple[tuple[str, Spec], ...] = (
        ("label", {"align": "left", "x": 0, "limit": {"expr": "max(width - 110, 60)"}}),
        ("text", {"align": "right", "x": {"expr": "width"}, "color": "@muted"}),
    )
    layers = [
        {
            "mark": {"type": "text", "baseline": "middle", "dy": -9, **mark},
            "encoding": {"text": {"field": field, "type": "nominal"}},
        }
        for field, mark in texts
    ]
    layers = [
        *(
            {**part, "mark": {"type": "bar", "height": 12, "yOffset": 8, **part.get("mark", {})}}
            for part in bars
        ),
        *layers,
    ]
    y = {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    numbered = [{"row": index, **row} for index, row in enumerate(rows)]
    return chart(
        description,
        numbered,
        ROW * len(numbered),
        encoding={"y": y},
        layer=layers,
    )


def tooltip_of(texts: Sequence[str], counts: Sequence[str] = ()) -> list[Spec]:
    """Fields of a mark's tooltip; `name` is its heading."""
    return [
        *({"field": text, "title": text.replace("_", " "), "type": "nominal"} for text in texts),
        *(
            {"field": count, "title": count, "type": "quantitative", "format": ","}
            for count in counts
        ),
    ]


def time_axis() -> Spec:
    """Days and months, as many as fit; the year at its start."""
    return {
        "grid": False,
        "tickCount": {"expr": f"max(2, width / {TICK_PIXELS})"},
        "format": {
            "year": "%b %Y",
            "quarter": "%b %Y",
            "month": "%b %Y",
            "date": "%-d %b",
            "week": "%-d %b",
            "day": "%-d %b",
        },
        "labelOverlap": "greedy",
    }


def label(name: Any, nothing: str) -> str:
    """A name from outside, safe to show."""
    return words.plain(str(name), LABEL_CHARACTERS) if name else nothing
