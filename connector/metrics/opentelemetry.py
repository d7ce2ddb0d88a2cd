"""OpenTelemetry metrics over OTLP/HTTP, configured by the `OTEL_…` variables."""

# ruff: noqa: D102 -- `Meter` says what the methods do
from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from connector.metrics.meter import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from connector.summary import Summary

SERVICE: Final = "luma-to-parquet"
# A collector that is down delays the end of a run for at most this long.
SHUTDOWN_MILLISECONDS: Final = 5_000

logger = logging.getLogger(__name__)


class OpenTelemetry:
    """A `Meter` with instruments of its own provider."""

    def __init__(self, provider: MeterProvider) -> None:
        self._meter = meter = provider.get_meter(SERVICE)
        self._requests = meter.create_counter(
            "luma.requests", "{request}", "Requests by outcome, retries included."
        )
        self._seconds = meter.create_histogram(
            "luma.request.duration",
            "s",
            "Latency of requests.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._rows = meter.create_counter(
            "luma.rows.committed", "{row}", "Rows of generations, new and updated."
        )
        self._runs = meter.create_counter("luma.runs", "{run}", "Runs by outcome.")

    def count_attempt(self, outcome: str, seconds: float) -> None:
        self._requests.add(1, {"outcome": outcome})
        self._seconds.record(seconds, {"outcome": outcome})

    def watch_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Report the number of requests in flight whenever metrics are sent."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(in_flight())]

        self._meter.create_observable_gauge(
            "luma.requests.in_flight", [observe], "{request}", "Requests in flight."
        )

    def count_rows(self, new: int, updated: int) -> None:
        self._rows.add(new, {"change": "new"})
        self._rows.add(updated, {"change": "updated"})

    def count_run(self, summary: Summary) -> None:
        self._runs.add(1, {"outcome": summary.outcome})


class _Exporter(OTLPMetricExporter):
    """Remembers whether the latest metrics arrived; the SDK only logs it."""

    has_arrived = True

    def export(self, *arguments: Any, **more: Any) -> MetricExportResult:
        self.has_arrived = False  # until proven: the program may end first
        result = super().export(*arguments, **more)
        self.has_arrived = result is MetricExportResult.SUCCESS
        return result


@contextmanager
def open_exporter() -> Iterator[tuple[OpenTelemetry]]:
    """Send metrics until the block ends, and once more at its end."""
    # It logs a traceback each time it cannot reach the collector.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = _Exporter()
    reader = PeriodicExportingMetricReader(exporter)
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override or add to this.
    provider = MeterProvider([reader], Resource.create({"service.name": SERVICE}))
    try:
        yield (OpenTelemetry(provider),)
    finally:
        provider.shutdown(SHUTDOWN_MILLISECONDS)
        if not exporter.has_arrived:
            logger.warning("metrics could not be sent: check OTEL_EXPORTER_OTLP_ENDPOINT")
