"""What a flow run shows in Prefect's UI: its progress, its account, and what to do next.

An artifact is never the reason why a run fails: the tables are what counts.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from connector.report import write_report
from flows.batches import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from connector.pipeline import Run
    from connector.tally import Summary

ACCOUNT_KEY = "ingest-account"
REPORT_KEY = "ingest-report"
PAGE_KEY = "ingest-page"
PAGE_FILE = "report.html"


class Progress:
    """A bar that follows a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._artifact_id: UUID | None = None
        with _optional("progress"):
            created = create_progress_artifact(0.0, description=self._description())
            self._artifact_id = cast("UUID", created)  # no coroutine: nothing here is async

    def update(self) -> None:
        """Show how far the run is."""
        share = self._run.tally.answers / len(self._run.plan.task_ids)
        if self._artifact_id:
            with _optional("progress"):
                update_progress_artifact(self._artifact_id, 100 * share, self._description())

    def _description(self) -> str:
        return f"of {len(self._run.plan.task_ids):,} task IDs: {in_words(self._run.tally)}"


def publish(summary: Summary) -> None:
    """Show a run's account as a table, its report as text, and a link to the page of it all."""
    with _optional("account"):
        create_table_artifact(
            [{"task IDs": f"{count:,}", "that": name} for name, count in _account(summary).items()],
            key=ACCOUNT_KEY,
            description=f"Where each task ID of run `{summary.run_id}` has ended",
        )
    with _optional("report"):
        create_markdown_artifact(_report(summary), key=REPORT_KEY, description=headline(summary))
    if summary.asked:
        with _optional("page"):
            page = write_report(summary.warehouse, Path(summary.warehouse, PAGE_FILE))
            create_link_artifact(
                page.path.resolve().as_uri(),
                link_text=PAGE_FILE,
                key=PAGE_KEY,
                description="Prompts, resolutions and timing of all generations, on one page",
            )


def headline(summary: Summary) -> str:
    """What came of a run, in one sentence."""
    if not summary.asked and not summary.not_reached:
        return f"nothing to fetch: all {summary.already_terminal:,} are known, and settled"
    return (
        f"{summary.fetched:,} generations: {summary.new:,} new, {summary.updated:,} updated;"
        f" {summary.rejected:,} rejected"
    )


def _account(summary: Summary) -> dict[str, int]:
    return {
        "were given": summary.given,
        "are blank": summary.blank,
        "are given twice": summary.duplicate,
        "are invalid": summary.invalid,
        "were known and finished": summary.already_terminal,
        "were fetched": summary.fetched,
        "were rejected": summary.rejected,
        "were not reached": summary.not_reached,
    }


def _report(summary: Summary) -> str:
    states = {
        "completed": summary.completed,
        "failed": summary.failed,
        "unfinished": summary.unfinished,
    }
    stopped = f"**Stopped early:** {summary.message}" if summary.message else ""
    sections = (
        f"## {headline(summary)}",
        stopped,
        _pace(summary),
        _counts("state", states),
        _counts("rejected because", summary.reasons),
        f"The tables are in `{summary.warehouse}`:",
        _reading(summary.warehouse),
    )
    return "\n\n".join(filter(None, sections))


def _pace(summary: Summary) -> str:
    return (
        f"{summary.requests:,} requests to `{summary.base_url}` in"
        f" {summary.elapsed_seconds:,.1f} s, {summary.retries:,} of them retries."
    )


def _counts(title: str, counts: Mapping[str, int]) -> str:
    rows = [f"| {name} | {count:,} |" for name, count in counts.items() if count]
    return "\n".join((f"| {title} | task IDs |", "|---|---:|", *rows)) if rows else ""


def _reading(warehouse: str) -> str:
    return f"""\
```python
import pandas as pd
generations = pd.read_parquet("{warehouse}/generations")
generations.groupby(["resolution", "status"]).size()
```"""


@contextmanager
def _optional(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever it is, the data matter more
        get_run_logger().warning("the artifact %r could not be written: %s", what, error)
