"""One chart for Prefect's UI: an image within Markdown, since the UI opens no file of a disk."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.schema import GENERATIONS
from connector.warehouse.reading import pieces, retried, schema_of
from connector.warehouse.warehouse import Warehouse
from connector.words import day, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    # Counted by Arrow: pandas takes a tenth of a second to import.
    counted = retried(lambda: _count(warehouse))
    if not counted:
        return None
    last = max(when for when, _ in counted)
    days = [last - timedelta(days=back) for back in reversed(range(DAYS))]
    counts = {when: [counted[when, name] for name in COLORS] for when in days}
    sums = zip(COLORS, map(sum, zip(*counts.values(), strict=True)), strict=True)
    said = ", ".join(f"{number(count)} {name}" for name, count in sums)
    text = f"Generations by day of creation, {day(days[0])} to {day(last)}: {said}"
    image = b64encode(_svg(counts, text).encode()).decode()
    return f"![{text}](data:image/svg+xml;base64,{image})"


def _count(warehouse: str) -> Counter[tuple[date, str]]:
    """Generations by day of creation and outcome, without times that are yet to come."""
    storage = Warehouse.existing(warehouse).storage
    schema = schema_of(GENERATIONS, ["created_at", "status"])
    now = pa.scalar(datetime.now(UTC), schema.field("created_at").type)
    counted: Counter[tuple[date, str]] = Counter()
    for piece in pieces(storage, GENERATIONS, schema):
        rows = piece.filter(pc.less_equal(piece["created_at"], now))
        days = pa.table({"day": rows["created_at"].cast(pa.date32()), "status": rows["status"]})
        for row in days.group_by(["day", "status"]).aggregate([([], "count_all")]).to_pylist():
            outcome = row["status"] if row["status"] in COLORS else "unfinished"
            counted[row["day"], outcome] += row["count_all"]
    return counted


def _svg(counts: Mapping[date, list[int]], title: str) -> str:
    """Stacked bars; on white, because the UI may be light or dark."""
    most = max(map(sum, counts.values()))
    first, *_, last = counts
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
            _label(LEFT, HEIGHT - 12, day(first), "start"),
            _label(WIDTH - 10, HEIGHT - 12, day(last), "end"),
            "</svg>",
        )
    )


def _bars(counts: Mapping[date, list[int]], scale: float) -> Iterator[str]:
    step = (WIDTH - 10 - LEFT) / len(counts)
    for place, row in enumerate(counts.values()):
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
