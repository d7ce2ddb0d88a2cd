"""What a person sees in a terminal: a run's summary, a warehouse's contents."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from connector import words
from connector.cli.shell import as_options
from connector.run.account import ends_of, headline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from connector.marts.turnaround import Stage
    from connector.summary import Summary
    from connector.warehouse.overview import Overview

logger = logging.getLogger(__name__)

BAR_WIDTH: Final = 24
NAME_WIDTH: Final = 14
PROMPT_WIDTH: Final = 44


def log_summary(summary: Summary, exit_code: int) -> None:
    """Log the account of a run: as an error if it stopped early."""
    level, text = logging.INFO, headline(summary)
    if summary.message:
        level, text = logging.ERROR, f"stopped early: {words.plain(summary.message)}"
    fields = {**summary.to_dict(), "exit_code": exit_code}
    logger.log(level, "%s", text, extra={"fields": fields})


def print_summary(console: Console, summary: Summary) -> None:
    """Print the account of a run."""
    if summary.message:
        message = as_options(words.plain(summary.message))
        console.print(Text(f"Stopped early: {message}", "bold red"))
    rate = summary.asked / max(summary.elapsed_seconds, 1e-3)
    took = f" ({summary.elapsed_seconds:.1f} s, {rate:,.0f}/s)" if summary.asked else ""
    console.print(Text.assemble((headline(summary), "bold green"), took))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("count", justify="right")
    table.add_column("outcome")
    table.add_column()
    for end in ends_of(summary):
        style = "yellow" if end.name == "rejected" else ""
        table.add_row(f"{end.task_ids:,}", Text(end.name, style), Text(as_options(end.note), "dim"))
    console.print(table)
    for example in summary.invalid_examples:
        console.print(Text(f"  invalid: {words.plain(example)}", "yellow"))
    if summary.note:
        console.print(Text(f"Note: {summary.note}.", "yellow"))


def print_reading(console: Console, warehouse: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print how to read the tables, and their first rows."""
    console.print()
    console.print(Text("import pandas as pd", "cyan"))
    console.print(Text(f'generations = pd.read_parquet("{warehouse}/generations")', "cyan"))
    columns = ("status", "created_at", "resolution", "prompt")
    console.print(Text(f"generations[{list(columns)}].head()", "cyan"))
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for column, width in zip(columns, widths, strict=True):
        # In a narrow terminal only the prompt shrinks.
        least = width if column != "prompt" else None
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=least)
    for row_of_cells in cells:
        table.add_row(*map(Text, row_of_cells))
    console.print(table)


def _cell(value: object) -> str:
    return _when(value) if hasattr(value, "isoformat") else words.plain(value, PROMPT_WIDTH)


def _when(moment: Any) -> str:
    return str(moment.replace(microsecond=0, tzinfo=None))


def print_overview(console: Console, overview: Overview) -> None:
    """Print what a warehouse holds."""
    console.print(
        Text.assemble(
            (words.plural(overview.generations, "generation"), "bold"),
            f" and {words.plural(overview.rejects, 'reject')} in {words.plain(overview.root)}"
            f" ({words.byte_size(overview.bytes)})",
        )
    )
    if overview.waiting:
        console.print(
            f"the inbox holds {overview.waiting} uncommitted batches: the next run commits them"
        )
    _sentences(console, "", overview.facts)
    _sentences(console, "what stands out", overview.stands_out)
    _bars(console, "status", overview.statuses)
    _bars(console, "failures", overview.failures)
    _bars(console, "resolution", overview.resolutions)
    _bars(console, "aspect ratio", overview.aspect_ratios)
    _bars(console, "rejected", overview.reasons)
    _print_stages(console, {"waiting": overview.queue, "working": overview.work})
    console.print()
    if overview.given_up:
        console.print(f"{overview.given_up:,} given up: unfinished for longer than --give-up-after")
    if overview.created:
        first, last = map(_when, overview.created)
        console.print(f"created from {first} to {last} UTC")
    if overview.last_run:
        run = overview.last_run
        console.print(
            f"last run {_when(run['started_at'])} UTC: {run['outcome']}, {run['fetched']:,}"
            f" fetched, {run['rejected']:,} rejected in {run['elapsed_seconds']:.1f} s"
        )


def _print_stages(console: Console, stages: Mapping[str, Stage | None]) -> None:
    """Show how long generations waited and ran, as reported by the gateway."""
    reported = {name: stage for name, stage in stages.items() if stage}
    if not reported:
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(width=NAME_WIDTH)
    for name, stage in reported.items():
        median, slow = words.about(stage.typical), words.about(stage.slow)
        count = words.plural(stage.count, "generation")
        table.add_row(name, f"{median} (median), nine in ten within {slow}", Text(count, "dim"))
    console.print(Text("\nreported by the gateway", "bold"))
    console.print(table)


def _sentences(console: Console, title: str, sentences: Sequence[str]) -> None:
    if sentences:
        console.print(Text(f"\n{title}" if title else "", "bold"))
        for sentence in sentences:
            console.print(Text(sentence))


def _bars(console: Console, title: str, counts: Mapping[str, int]) -> None:
    if not counts:
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(width=NAME_WIDTH)
    table.add_column(justify="right")
    table.add_column()
    most = max(counts.values())
    console.print(Text(f"\n{title}", "bold"))
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        bar = "█" * max(1, round(BAR_WIDTH * count / most))
        table.add_row(Text(words.plain(name, 20)), f"{count:,}", Text(bar, "cyan"))
    console.print(table)
