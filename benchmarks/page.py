"""The figures as Markdown and a chart, for docs/performance.md."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figure import Figure

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = DOCS / "performance.md"
CHART: Final = DOCS / "images/performance.png"
BEGIN: Final = "<!-- figures: written by `make bench` -->"
END: Final = "<!-- end of the figures -->"
MARKS: Final = {True: "met", False: "**not met**", None: ""}


def write_page(figures: Sequence[Figure]) -> None:
    """Replace the figures in the page."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{markdown(figures)}\n{END}{tail}", encoding="utf-8")
    _draw(figures)


def markdown(figures: Sequence[Figure]) -> str:
    """One table per group."""
    cores = os.cpu_count()
    when = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {cores} cores."
    lines = [f"Measured with version {version('luma-to-parquet')}, in one run on {when}", ""]
    for group, members in groupby(figures, key=lambda figure: figure.group):
        lines += [f"### {group}", "", "| | measured | target | |", "|---|---:|---:|---|"]
        lines += [
            f"| {one.name} | {one.shown} | {one.target} | {MARKS[one.is_met]} |" for one in members
        ]
        lines.append("")
    return "\n".join(lines)


def _draw(figures: Sequence[Figure]) -> None:
    """Bars: speed relative to each peer."""
    from matplotlib.figure import Figure as Picture  # noqa: PLC0415  of the extra [bench]

    ratios = [
        (one.name.removeprefix("against ").replace("`", ""), float(one.shown.split()[0]))
        for one in figures
        if one.name.startswith("against ")
    ]
    if not ratios:
        return
    picture = Picture(figsize=(9, 0.6 * len(ratios) + 1.2), layout="constrained")
    axes = picture.subplots()
    names, values = zip(*reversed(ratios), strict=True)
    axes.bar_label(axes.barh(names, values, color="#2b8a83"), fmt=" %.1f ×")
    axes.axvline(1, color="#555", linewidth=1)
    axes.set_xlabel("task IDs per second, relative to …")
    axes.set_title("luma-to-parquet ingest, commit and marts included", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    picture.savefig(CHART, dpi=110)
