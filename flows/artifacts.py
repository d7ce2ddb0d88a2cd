"""What a flow run shows in Prefect's UI: its progress, its summary and its report.

A failed artifact never fails a run: the tables count.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from connector.report import write_report
from connector.run.account import headline
from connector.storage.address import is_url
from connector.warehouse.highlights import highlights
from connector.warehouse.refresh import Marts
from connector.warehouse.warehouse import Warehouse
from connector.words import REPORT
from flows.account import account_page, account_rows, in_words
from flows.assets import announce
from flows.chart import outcomes_chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from connector.run.run import Run
    from connector.summary import Summary
    from connector.warehouse.highlights import Highlights

ACCOUNT_KEY = "ingest-account"
REPORT_KEY = "ingest-report"
PAGE_KEY = "ingest-page"


class Progress:
    """A progress bar of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._next_at = time.monotonic() + 1
        self._artifact_id: UUID | None = None
        with _optional("progress"):
            created = create_progress_artifact(0.0, description=self._description())
            self._artifact_id = cast("UUID", created)  # not a coroutine: nothing here is async

    def update_if_due(self) -> None:
        """Move the bar, but not twice in a second: each time takes requests to the server."""
        if time.monotonic() >= self._next_at:
            self.update()
            self._next_at = time.monotonic() + 1

    def update(self) -> None:
        """Move the bar to where the run is."""
        share = self._run.tally.answers / len(self._run.plan.task_ids)
        if self._artifact_id:
            with _optional("progress"):
                update_progress_artifact(self._artifact_id, 100 * share, self._description())

    def _description(self) -> str:
        return f"of {len(self._run.plan.task_ids):,} task IDs: {in_words(self._run.tally)}"


def publish(
    summary: Summary,
    previous: Mapping[str, Any] | None,
    report_url: str | None = None,
    *,
    has_changed: bool,
) -> None:
    """Publish a run's summary as a table and as text with a chart, and write the report.

    Args:
        summary: The run's summary.
        previous: The previous run's row in `runs`, if there is one.
        report_url: Where people open the report. Not a path: browsers refuse to go from a
            server's page to a file.
        has_changed: Whether the tables have changed, be it by what a dead run had left.
    """
    with _optional("account"):
        create_table_artifact(
            account_rows(summary),
            key=ACCOUNT_KEY,
            description=f"Where each task ID of run `{summary.run_id}` ended",
        )
    with _optional("asset"):
        announce(summary)
    path = _write_report(summary) if has_changed else None
    with _optional("report"):
        known = _highlights(summary.warehouse)
        chart = _chart(summary) if has_changed else None
        create_markdown_artifact(
            account_page(summary, previous, known, chart, None if report_url else path),
            key=REPORT_KEY,
            description=headline(summary),
        )
    if path and report_url:
        with _optional("page"):
            create_link_artifact(
                report_url,
                link_text=REPORT,
                key=PAGE_KEY,
                description="Prompts, resolutions and timing of all generations, on one page",
            )


def _write_report(summary: Summary) -> str | None:
    """Write the report; return its path."""
    with _optional("page"):
        path = f"{summary.warehouse.rstrip('/')}/{REPORT}"
        write_report(summary.warehouse, path)
        return path if is_url(path) else str(Path(path).resolve())
    return None


def _chart(summary: Summary) -> str | None:
    with _optional("chart"):
        return outcomes_chart(summary.warehouse)
    return None


def _highlights(address: str) -> Highlights | None:
    """What matters most of all generations; None if the tables behind it were left out."""
    with _optional("highlights"):
        warehouse = Warehouse.existing(address)
        marts = Marts(warehouse.storage, list(warehouse.generations.files().values()))
        if marts.are_current:
            return highlights(marts)
    return None


@contextmanager
def _optional(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  any error: the data matter more
        get_run_logger().warning("the artifact %r could not be written: %s", what, error)
