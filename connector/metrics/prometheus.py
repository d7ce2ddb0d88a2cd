"""The last run as a Prometheus text file.

Gauges rather than counters: each run starts at 0, which a counter would hide.
"""

# ruff: noqa: D102 -- `Meter` says what the methods do
from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from connector.errors import UsageError
from connector.metrics.meter import SECONDS
from connector.storage.replace import replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connector.summary import Summary

ENDS = ("completed", "failed", "unfinished", "rejected", "not_reached")

logger = logging.getLogger(__name__)


class MetricsFile:
    """A `Meter` that writes a run's figures to a file when the run ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._registry = CollectorRegistry()
        self._requests = self._gauge(
            "requests", "Requests of the last run, retries included.", "outcome"
        )
        self._seconds = Histogram(
            "luma_run_request_duration_seconds",
            "Latency of the last run's requests.",
            registry=self._registry,
            buckets=SECONDS,
        )
        self._rows = self._gauge(
            "rows", "Rows of generations that the last run added or updated.", "change"
        )
        self._ends = self._gauge("task_ids", "Task IDs given to the last run.", "end")
        self._duration = self._gauge("duration_seconds", "Duration of the last run.")
        self._finished = self._gauge("finished_timestamp_seconds", "When the last run ended.")
        self._stopped = self._gauge("stopped", "1 if the last run stopped early, else 0.")

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"luma_run_{name}", about, labels, registry=self._registry)

    def count_attempt(self, outcome: str, seconds: float) -> None:
        self._requests.labels(outcome).inc()
        self._seconds.observe(seconds)

    def watch_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Do nothing: no request is in flight when the file is written."""

    def count_rows(self, new: int, updated: int) -> None:
        self._rows.labels("new").inc(new)
        self._rows.labels("updated").inc(updated)

    def count_run(self, summary: Summary) -> None:
        """Replace the file; a run does not fail if that fails."""
        for end in ENDS:
            self._ends.labels(end).set(getattr(summary, end))
        before = summary.given_up_before
        self._ends.labels("given_up").set(summary.given_up + before)
        self._ends.labels("already_terminal").set(summary.already_terminal - before)
        self._duration.set(summary.elapsed_seconds)
        self._finished.set(summary.finished_at.timestamp())
        self._stopped.set(summary.outcome != "done")
        try:
            with replacing(self._path) as draft:
                draft.write_bytes(generate_latest(self._registry))
        except UsageError as error:
            logger.warning("metrics: %s", error)
