"""Figures for those who watch many runs. Nobody watches: nothing is imported, nothing measured.

- `--metrics-file`: the last run as a Prometheus text file, for the node exporter's textfile
  collector; replaced atomically when the run ends.
- `OTEL_EXPORTER_OTLP_ENDPOINT`: OpenTelemetry counters and histograms over OTLP/HTTP, while the run
  goes on and at its end; needs the extra `[otel]`. All other `OTEL_…` variables work as ever.
"""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from connector.summary import Summary

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
# Upper bounds of the histogram of latencies.
SECONDS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

logger = logging.getLogger(__name__)


class Meter(Protocol):
    """One way to tell the figures."""

    def attempt(self, outcome: str, seconds: float) -> None:
        """Count a request, retries included, by what came of it and how long that took."""

    def watch(self, in_flight: Callable[[], int]) -> None:
        """Take note of how to learn how many requests are under way."""

    def committed(self, new: int, updated: int) -> None:
        """Count rows of `generations` that a commit brought."""

    def finish(self, summary: Summary) -> None:
        """Tell of a run at its end."""


class Meters:
    """All ways that were asked for; false if there is none."""

    def __init__(self, meters: Sequence[Meter] = ()) -> None:
        self._meters = meters

    def __bool__(self) -> bool:
        return bool(self._meters)

    def attempt(self, outcome: str, seconds: float) -> None:
        """See `Meter`."""
        for meter in self._meters:
            meter.attempt(outcome, seconds)

    def watch(self, in_flight: Callable[[], int]) -> None:
        """See `Meter`."""
        for meter in self._meters:
            meter.watch(in_flight)

    def committed(self, new: int, updated: int) -> None:
        """See `Meter`."""
        for meter in self._meters:
            meter.committed(new, updated)

    def finish(self, summary: Summary) -> None:
        """See `Meter`."""
        for meter in self._meters:
            meter.finish(summary)


@contextmanager
def opened(metrics_file: Path | None) -> Iterator[Meters]:
    """The meters that a setting and the environment ask for; at the end, what they hold is sent."""
    meters: list[Meter] = []
    if metrics_file:
        # Here, as below, so that nobody pays for what nobody asked for.
        from connector.metrics.prometheus import MetricsFile  # noqa: PLC0415

        meters.append(MetricsFile(metrics_file))
    with _open_telemetry() as sent:
        yield Meters([*meters, *sent])


def _open_telemetry() -> AbstractContextManager[Sequence[Meter]]:
    if not any(map(os.environ.get, ENDPOINTS)):
        return nullcontext(())
    try:
        from connector.metrics.opentelemetry import opened as otel  # noqa: PLC0415  see above
    except ImportError:
        logger.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set: pip install 'luma-to-parquet[otel]'")
        return nullcontext(())
    return otel()
