"""The last run as a Prometheus text file.

Gauges, not counters: each run begins at 0, and a counter that does so says nothing of the run.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, Histogram, write_to_textfile

from connector.metrics.meters import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connector.summary import Summary

ENDS = ("completed", "failed", "unfinished", "rejected", "not_reached", "already_terminal")

logger = logging.getLogger(__name__)


class MetricsFile:
    """Collects a run's figures, and writes them to a file when it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._registry = registry = CollectorRegistry()
        self._requests = Gauge(
            "luma_run_requests",
            "Requests of the last run, retries included.",
            ["outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "luma_run_request_duration_seconds",
            "How long requests of the last run took.",
            registry=registry,
            buckets=SECONDS,
        )
        self._rows = Gauge(
            "luma_run_rows",
            "Rows of generations that the last run brought.",
            ["change"],
            registry=registry,
        )
        self._ends = Gauge(
            "luma_run_task_ids", "Task IDs given to the last run.", ["end"], registry=registry
        )
        self._duration = self._gauge("luma_run_duration_seconds", "How long the last run took.")
        self._finished = self._gauge("luma_run_finished_timestamp_seconds", "When it ended.")
        self._stopped = self._gauge("luma_run_stopped", "1 if it ended early, else 0.")

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, registry=self._registry)

    def attempt(self, outcome: str, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(outcome).inc()
        self._seconds.observe(seconds)

    def watch(self, in_flight: Callable[[], int]) -> None:
        """Do nothing: when the file is written, none is under way."""

    def committed(self, new: int, updated: int) -> None:
        """Count rows."""
        self._rows.labels("new").inc(new)
        self._rows.labels("updated").inc(updated)

    def finish(self, summary: Summary) -> None:
        """Replace the file. A run does not fail for want of it."""
        for end in ENDS:
            self._ends.labels(end).set(getattr(summary, end))
        self._duration.set(summary.elapsed_seconds)
        self._finished.set(summary.finished_at.timestamp())
        self._stopped.set(summary.outcome != "done")
        try:
            write_to_textfile(str(self._path), self._registry)
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._path, error.strerror)
