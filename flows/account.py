"""A run's summary for Prefect: a line of log, a table, and a page in Markdown."""

from __future__ import annotations

import re
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


WORD_JOINER: Final = "\u2060"


def in_words(tally: Tally) -> str:
    """A tally in one line."""
    return f"{plural(tally.answers, 'answer')}: {tally}" if tally.answers else "no answer"


def account_rows(summary: Summary) -> list[dict[str, str]]:
    """Rows of a table that shows where each task ID ended."""
    return [
        {"count": f"{end.task_ids:,}", "outcome": end.name, "note": end.note}
        for end in ends_of(summary)
    ]


def account_page(
    summary: Summary,
    previous: Mapping[str, Any] | None,
    known: Highlights | None = None,
    chart: str | None = None,
    report: str | None = None,
) -> str:
    """Return the summary as a page in Markdown.

    Args:
        summary: The run's summary.
        previous: The previous run's row in `runs`, if there is one.
        known: What matters most of all generations so far.
        chart: An image in Markdown.
        report: Path of the report.
    """
    rows = [f"| {end.task_ids:,} | {end.name} | {end.note} |" for end in ends_of(summary)]
    sections = (
        f"## {headline(summary)}",
        f"**Stopped early:**\n\n{fenced(summary.message)}" if summary.message else "",
        f"**Note:** {escape(summary.note)}." if summary.note else "",
        f"{requests_in(summary)} to {_code(summary.base_url)} in {summary.elapsed_seconds:,.1f} s.",
        "\n".join(("| count | outcome | |", "|---:|---|---|", *rows)),
        _highlights(known) if known else "",
        chart or "",
        _changes(summary, previous) if previous else "",
        f"The report is in {_code(report)}." if report else "",
        f"The tables are in {_code(summary.warehouse)}:",
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
    """Text that Markdown shows as it is, without markup.

    An address in it is still text: a word joiner, which nobody sees, keeps it from being a link.
    """
    marked = re.sub(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", WORD_JOINER, text)
    return re.sub(r"[\\`*_\[\]<>&#|~!]", r"\\\g<0>", marked)


def fenced(text: str) -> str:
    """Text in a block that Markdown shows as it is."""
    fence = max("```", _beyond(text), key=len)
    return f"{fence}text\n{text}\n{fence}"


def _code(text: str) -> str:
    """The same within a line, such as a path."""
    return f"{_beyond(text)}{text}{_beyond(text)}"


def _beyond(text: str) -> str:
    """More backticks in a row than the text has."""
    return "`" * (1 + max(map(len, re.findall("`+", text)), default=0))


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
