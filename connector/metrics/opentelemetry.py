"""OpenTelemetry metrics over OTLP/HTTP, as the `OTEL_…` variables say."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from connector.metrics.meters import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from connector.summary import Summary

SERVICE: Final = "luma-to-parquet"
# A collector that is down holds up the end of a run for no longer than this.
LAST_WORDS_MILLISECONDS: Final = 5_000

logger = logging.getLogger(__name__)


class OpenTelemetry:
    """Counts into the instruments of a provider of its own."""

    def __init__(self, provider: MeterProvider) -> None:
        self._meter = meter = provider.get_meter(SERVICE)
        self._requests = meter.create_counter(
            "luma.requests", "{request}", "Requests by what came of them, retries included."
        )
        self._seconds = meter.create_histogram(
            "luma.request.duration",
            "s",
            "How long requests took.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._rows = meter.create_counter(
            "luma.rows.committed", "{row}", "Rows of generations, new and updated."
        )
        self._runs = meter.create_counter("luma.runs", "{run}", "Runs by how they ended.")

    def attempt(self, outcome: str, seconds: float) -> None:
        """Count a request."""
        self._requests.add(1, {"outcome": outcome})
        self._seconds.record(seconds, {"outcome": outcome})

    def watch(self, in_flight: Callable[[], int]) -> None:
        """Tell the number of requests under way whenever figures are sent."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(in_flight())]

        self._meter.create_observable_gauge(
            "luma.requests.in_flight", [observe], "{request}", "Requests under way."
        )

    def committed(self, new: int, updated: int) -> None:
        """Count rows."""
        self._rows.add(new, {"change": "new"})
        self._rows.add(updated, {"change": "updated"})

    def finish(self, summary: Summary) -> None:
        """Count the run."""
        self._runs.add(1, {"outcome": summary.outcome})


class _Exporter(OTLPMetricExporter):
    """Remembers whether the latest figures arrived, which the SDK tells nobody but its log."""

    has_arrived = True

    def export(self, *arguments: Any, **more: Any) -> MetricExportResult:
        """Send figures."""
        self.has_arrived = False  # until it has: the end of the program may come first
        result = super().export(*arguments, **more)
        self.has_arrived = result is MetricExportResult.SUCCESS
        return result


@contextmanager
def opened() -> Iterator[tuple[OpenTelemetry]]:
    """Send figures until the block ends, and then once more."""
    # What it says of a collector that is down is a traceback each time.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = _Exporter()
    reader = PeriodicExportingMetricReader(exporter)
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come on top of this.
    provider = MeterProvider([reader], Resource.create({"service.name": SERVICE}))
    try:
        yield (OpenTelemetry(provider),)
    finally:
        provider.shutdown(LAST_WORDS_MILLISECONDS)
        if not exporter.has_arrived:
            logger.warning("metrics could not be sent: check OTEL_EXPORTER_OTLP_ENDPOINT")
