"""A run's summary for Prefect: a line of log, a table, and a page in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector.run.account import ends_of, headline, requests_in
from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.run.tally import Tally
    from connector.summary import Summary
    from connector.warehouse.highlights import Highlights

# Counts that the table `runs` also has, to compare a run with the one before.
COMPARED: Final = (
    "fetched",
    "completed",
    "failed",
    "unfinished",
    "given_up",
    "rejected",
    "not_reached",
    "requests",
    "retries",
)


def in_words(tally: Tally) -> str:
    """A tally in one line."""
    return f"{plural(tally.answers, 'answer')}: {tally}" if tally.answers else "no answer"


def account_rows(summary: Summary) -> list[dict[str, str]]:
    """Rows of a table that shows where each task ID ended."""
    return [
        {"count": f"{end.task_ids:,}", "outcome": end.name, "note": end.note}
        for end in ends_of(summary)
    ]


# What Markdown or HTML would take for markup, and what would become a link.
MARKUP: Final = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "\\`*_[]#|~!"},
        **{sign: f"&#{ord(sign)};" for sign in "<>&@"},
    }
)


def account_page(
    summary: Summary, previous: Mapping[str, Any] | None, known: Highlights | None = None
) -> str:
    """Return the summary as a page in Markdown.

    Args:
        summary: The run's summary.
        previous: The previous run's row in `runs`, if there is one.
        known: What matters most of all generations so far.
    """
    rows = [f"| {end.task_ids:,} | {end.name} | {end.note} |" for end in ends_of(summary)]
    sections = (
        f"## {headline(summary)}",
        f"**Stopped early:** {summary.message}" if summary.message else "",
        f"**Note:** {summary.note}." if summary.note else "",
        f"{requests_in(summary)} to `{summary.base_url}` in {summary.elapsed_seconds:,.1f} s.",
        "\n".join(("| count | outcome | |", "|---:|---|---|", *rows)),
        _highlights(known) if known else "",
        _changes(summary, previous) if previous else "",
        f"The tables are in `{summary.warehouse}`:",
        _reading(summary.warehouse),
    )
    return "\n\n".join(filter(None, sections))


def _highlights(known: Highlights) -> str:
    """Sentences as lists; they quote prompts, which are somebody else's text."""
    lists = {"All generations": known.facts, "What stands out": known.stands_out}
    return "\n\n".join(
        "\n".join((f"### {title}", "", *(f"- {escape(sentence)}" for sentence in sentences)))
        for title, sentences in lists.items()
        if sentences
    )


def escape(text: str) -> str:
    """Text that Markdown shows as it is, without markup and links."""
    return text.translate(MARKUP).replace("://", "&#58;//").replace("www.", "www&#46;")


def _changes(summary: Summary, previous: Mapping[str, Any]) -> str:
    """Compare this run with the previous one."""
    now = summary.to_dict()
    # An earlier version has no count of what it gave up.
    previous = {**previous, "given_up": previous.get("given_up") or 0}
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
