"""What charts are made of: pieces of Vega-Lite that several share.

A colour is written as `@name`: the page puts the value of its own `--name` there, light or dark.
Texts from outside are data only, never part of a specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector import words

if TYPE_CHECKING:
    from collections.abc import Sequence

Spec = dict[str, Any]

# Pixels that a row of a bar chart takes: its label above its bar.
ROW: Final = 44

LABEL_CHARACTERS: Final = 80
# Room for a label below an axis.
TICK_PIXELS: Final = 84

TICKS: Final = 5

TIME_LABELS: Final = (
    "datum.value == 0 ? '0' : datum.value < 60 ? format(datum.value, '~g') + ' s' : datum.value < "
    "3600 ? format(datum.value / 60, '~g') + ' min' : datum.value < 86400 ? format(datum.value / "
    "3600, '~g') + ' h' : format(datum.value / 86400, '~g') + ' d'"
)


def count_axis(most: int) -> Spec:
    """Whole numbers, however small the most is."""
    return {
        "labelExpr": "format(datum.value, datum.value < 10000 ? ',' : '~s')",
        **({"tickCount": TICKS} if most > TICKS else {"values": list(range(most + 1))}),
    }


def chart(description: str, rows: Sequence[Spec], height: int, **parts: Any) -> Spec:
    """A whole chart, as wide as its place; `description` is what a screen reader says."""
    return {
        "description": description,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": list(rows)},
        **parts,
    }


def stacked(statuses: Sequence[str]) -> Spec:
    """Transform and encoding of bars made of statuses, whose legend picks one out on a click."""
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
    """Rows of a bar chart, in their order: `label` on the left, `text` on the right, bars below.

    Labels stand above the bars so that long ones fit on a phone.
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


def told(texts: Sequence[str], counts: Sequence[str] = ()) -> list[Spec]:
    """What the page tells of a mark on a touch: fields by their names; `name` is its heading."""
    return [
        *({"field": text, "title": text.replace("_", " "), "type": "nominal"} for text in texts),
        *(
            {"field": count, "title": count, "type": "quantitative", "format": ","}
            for count in counts
        ),
    ]


def time_axis() -> Spec:
    """Days and months, as many as there is room for; the year where it begins."""
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
    """A name from outside, ready to be shown."""
    return words.plain(str(name), LABEL_CHARACTERS) if name else nothing
