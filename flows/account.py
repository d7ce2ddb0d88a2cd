"""A run's account as text: on one line, as a table, and as a page in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.run.tally import Tally
    from connector.summary import Summary

# Counts that the table `runs` has too, so that a run can be held against the one before.
COMPARED: Final = (
    "fetched",
    "completed",
    "failed",
    "unfinished",
    "rejected",
    "not_reached",
    "requests",
    "retries",
)


def in_words(tally: Tally) -> str:
    """A tally on one line."""
    return f"{plural(tally.answers, 'answer')}: {tally}" if tally.answers else "no answer"


def headline(summary: Summary) -> str:
    """What came of a run, in one sentence."""
    if not summary.asked and not summary.not_reached:
        return f"nothing to fetch: all {summary.already_terminal:,} are known, and settled"
    return (
        f"{plural(summary.fetched, 'generation')}: {summary.new:,} new,"
        f" {summary.updated:,} updated; {summary.rejected:,} rejected"
    )


def where_each_ended(summary: Summary) -> list[dict[str, str]]:
    """The rows of a table that says what became of each task ID given."""
    ends = {
        "were given": summary.given,
        "are blank": summary.blank,
        "are given twice": summary.duplicate,
        "are invalid": summary.invalid,
        "were known and finished": summary.already_terminal,
        "were fetched": summary.fetched,
        "were rejected": summary.rejected,
        "were not reached": summary.not_reached,
    }
    return [{"task IDs": f"{count:,}", "that": end} for end, count in ends.items()]


def page(summary: Summary, previous: Mapping[str, Any] | None) -> str:
    """All that there is to say of a run, in Markdown.

    Args:
        summary: The run's account.
        previous: The row of `runs` of the run before, if there was one.
    """
    states = {
        "completed": summary.completed,
        "failed": summary.failed,
        "unfinished": summary.unfinished,
    }
    sections = (
        f"## {headline(summary)}",
        f"**Stopped early:** {summary.message}" if summary.message else "",
        _pace(summary),
        _counts("state", states),
        _counts("rejected because", summary.reasons),
        _changes(summary, previous) if previous else "",
        f"The tables are in `{summary.warehouse}`:",
        _reading(summary.warehouse),
    )
    return "\n\n".join(filter(None, sections))


def _pace(summary: Summary) -> str:
    return (
        f"{plural(summary.requests, 'request')} to `{summary.base_url}` in"
        f" {summary.elapsed_seconds:,.1f} s, {summary.retries:,} of them retries."
    )


def _counts(title: str, counts: Mapping[str, int]) -> str:
    rows = [f"| {name} | {count:,} |" for name, count in counts.items() if count]
    return "\n".join((f"| {title} | task IDs |", "|---|---:|", *rows)) if rows else ""


def _changes(summary: Summary, previous: Mapping[str, Any]) -> str:
    """This run beside the one before."""
    now = summary.to_dict()
    rows = [
        f"| {name.replace('_', ' ')} | {now[name]:,} | {previous[name]:,} | {_change(change)} |"
        for name in COMPARED
        if (change := now[name] - previous[name]) or now[name]
    ]
    before = f"{previous['started_at']:%Y-%m-%d %H:%M} UTC"
    if previous["outcome"] != "done":
        before += ", stopped early"
    header = f"| | this run | {before} | change |"
    return "\n".join(("### Since the last run", "", header, "|---|---:|---:|---:|", *rows))


def _change(difference: int) -> str:
    return f"{difference:+,}" if difference else "±0"


def _reading(warehouse: str) -> str:
    return f"""\
```python
import pandas as pd
generations = pd.read_parquet("{warehouse}/generations")
generations.groupby(["resolution", "status"]).size()
```"""
