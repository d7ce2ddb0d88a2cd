"""One chart for Prefect's UI: an image within Markdown, since the UI opens no file of a disk."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

import pandas as pd

import connector
from connector.words import day, number

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS: Final = 30

# As in the report, from the bottom of a bar to its top.
COLORS: Final = {"completed": "#2563c4", "failed": "#d9661f", "unfinished": "#8a8f98"}

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 180, 48, 28, 150


def outcomes_chart(warehouse: str) -> str | None:
    """Draw the generations of the last thirty days that have any, by day and outcome.

    Returns:
        An image in Markdown, with a text for those who do not see it; None without a generation
        whose time of creation is known.
    """
    rows = connector.read("generations", warehouse, columns=["created_at", "status"])
    rows = rows[rows["created_at"] <= pd.Timestamp.now("UTC")]
    if rows.empty:
        return None
    days = rows["created_at"].dt.floor("D")
    outcomes = rows["status"].where(rows["status"].isin(["completed", "failed"]), "unfinished")
    last = days.max()
    span = pd.date_range(end=last, periods=DAYS, freq="D")
    counts = pd.crosstab(days, outcomes).reindex(index=span, columns=list(COLORS), fill_value=0)
    said = ", ".join(f"{number(counts[name].sum())} {name}" for name in COLORS)
    text = f"Generations by day of creation, {day(span[0])} to {day(last)}: {said}"
    image = b64encode(_svg(counts, text).encode()).decode()
    return f"![{text}](data:image/svg+xml;base64,{image})"


def _svg(counts: pd.DataFrame, title: str) -> str:
    """Stacked bars; on white, because the UI may be light or dark."""
    most = int(counts.sum(axis=1).max())
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">',
            "<style>text {font: 11px sans-serif}</style>",
            f"<title>{title}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            *_legend(),
            _label(LEFT - 6, TOP + 8, number(most), "end"),
            _label(LEFT - 6, BOTTOM, "0", "end"),
            f'<path d="M{LEFT} {BOTTOM}H{WIDTH - 10}" stroke="#e4e7ec"/>',
            *_bars(counts, (BOTTOM - TOP) / most),
            _label(LEFT, HEIGHT - 12, day(counts.index[0]), "start"),
            _label(WIDTH - 10, HEIGHT - 12, day(counts.index[-1]), "end"),
            "</svg>",
        )
    )


def _bars(counts: pd.DataFrame, scale: float) -> Iterator[str]:
    step = (WIDTH - 10 - LEFT) / len(counts)
    for place, row in enumerate(counts.itertuples(index=False)):
        top = float(BOTTOM)
        for count, color in zip(row, COLORS.values(), strict=True):
            top -= count * scale
            if count:
                yield (
                    f'<rect x="{LEFT + place * step:.1f}" y="{top:.1f}" width="{step - 2:.1f}"'
                    f' height="{count * scale:.1f}" fill="{color}"/>'
                )


def _legend() -> Iterator[str]:
    for place, (name, color) in enumerate(COLORS.items()):
        left = LEFT + 100 * place
        yield f'<rect x="{left}" y="8" width="10" height="10" fill="{color}"/>'
        yield _label(left + 15, 17, name, "start")


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#1a1f29">{text}</text>'
