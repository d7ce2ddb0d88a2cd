"""Metrics of runs. When they are not configured, nothing is imported and nothing is measured.

- `--metrics-file` writes the last run as a Prometheus text file, for the node exporter's textfile
  collector; the file is replaced atomically when the run ends.
- `OTEL_EXPORTER_OTLP_ENDPOINT` sends OpenTelemetry counters and histograms over OTLP/HTTP, during
  the run and at its end; needs the extra `[otel]`. All other `OTEL_…` variables work as usual.
"""

# ruff: noqa: D102 -- `Meter` says what the methods do
from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from connector.metrics.meter import Meter
    from connector.summary import Summary

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")

logger = logging.getLogger(__name__)


class Meters:
    """All configured meters, used as one `Meter`; false if there are none."""

    def __init__(self, meters: Sequence[Meter] = ()) -> None:
        self._meters = meters

    def __bool__(self) -> bool:
        return bool(self._meters)

    def count_attempt(self, outcome: str, seconds: float) -> None:
        for meter in self._meters:
            meter.count_attempt(outcome, seconds)

    def watch_in_flight(self, in_flight: Callable[[], int]) -> None:
        for meter in self._meters:
            meter.watch_in_flight(in_flight)

    def count_rows(self, new: int, updated: int) -> None:
        for meter in self._meters:
            meter.count_rows(new, updated)

    def count_run(self, summary: Summary) -> None:
        for meter in self._meters:
            meter.count_run(summary)


@contextmanager
def open_metrics(metrics_file: Path | None) -> Iterator[Meters]:
    """Open the meters that the setting and the environment ask for; send the rest at the end."""
    meters: list[Meter] = []
    if metrics_file:
        # Imported here, as below, so that only those who want metrics pay for them.
        from connector.metrics.prometheus import MetricsFile  # noqa: PLC0415

        meters.append(MetricsFile(metrics_file))
    with _open_telemetry() as sent:
        yield Meters([*meters, *sent])


def _open_telemetry() -> AbstractContextManager[Sequence[Meter]]:
    if not any(map(os.environ.get, ENDPOINTS)):
        return nullcontext(())
    try:
        from connector.metrics.opentelemetry import open_exporter  # noqa: PLC0415  see above
    except ImportError:
        logger.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set: pip install 'luma-to-parquet[otel]'")
        return nullcontext(())
    return open_exporter()
