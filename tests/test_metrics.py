"""Metrics: a run's figures as a Prometheus file, and sent to an OpenTelemetry collector."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client.parser import text_string_to_metric_families

from connector.sandbox import task_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import CommandLine

    from connector.sandbox import Sandbox

GIVEN = [*task_ids(30), "bad-not-found-1", "first2-server-error-1"]
QUICK = {"LUMA_MAX_ATTEMPTS": "2"}


def read(path: Path) -> dict[str, float]:
    """The samples of a metrics file: by name, and by the value of their label."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_the_file_has_the_figures_of_the_account(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\n".join(GIVEN))
    done = cli("ingest", "ids.txt", "--json", "--metrics-file", "luma.prom", **QUICK)
    account, found = json.loads(done.stdout), read(tmp_path / "luma.prom")
    requests = {
        name.split()[1]: n for name, n in found.items() if name.startswith("luma_run_requests ")
    }
    assert requests == {"generation": 30, "not_found": 1, "server_error": 2}
    assert sum(requests.values()) == account["requests"]
    assert found["luma_run_request_duration_seconds_count"] == account["requests"]
    assert found["luma_run_rows new"] == account["new"] == 30
    assert found["luma_run_rows updated"] == 0
    for end in ("completed", "failed", "unfinished", "rejected", "not_reached"):
        assert found[f"luma_run_task_ids {end}"] == account[end]
    assert found["luma_run_duration_seconds"] == pytest.approx(account["elapsed_seconds"])
    assert found["luma_run_stopped"] == 0


def test_the_file_is_of_the_last_run_even_if_that_stopped_early(
    cli: CommandLine, tmp_path: Path
) -> None:
    cli("ingest", "-", "--metrics-file", "luma.prom", stdin="\n".join(GIVEN), **QUICK)
    done = cli("ingest", "-", "--metrics-file", "luma.prom", stdin="bad-unauthorized-1")
    found = read(tmp_path / "luma.prom")
    assert done.returncode == 3
    assert (found["luma_run_stopped"], found["luma_run_task_ids not_reached"]) == (1, 1)
    assert "luma_run_requests generation" not in found


def test_a_file_that_cannot_be_written_gives_a_warning_and_stops_nothing(cli: CommandLine) -> None:
    done = cli("ingest", "-", "--metrics-file", "no/such/luma.prom", stdin="a")
    assert done.returncode == 0
    assert "metrics: cannot write no/such/luma.prom: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportMetricsServiceRequest]]]:
    """An OTLP/HTTP endpoint on loopback, and what it is sent."""
    received: list[ExportMetricsServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def metrics_in(message: ExportMetricsServiceRequest) -> dict[str, Any]:
    return {
        metric.name: metric
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def counts(metric: Any) -> Counter[str]:
    return Counter(
        {
            point.attributes[0].value.string_value: point.as_int
            for point in metric.sum.data_points
            if point.as_int
        }
    )


def test_a_collector_receives_requests_latencies_rows_and_runs(cli: CommandLine) -> None:
    with collector() as (endpoint, received):
        done = cli(
            "ingest", "-", stdin="\n".join(GIVEN), OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **QUICK
        )
    assert done.returncode == 0, done.stderr
    last = received[-1]
    attributes = last.resource_metrics[0].resource.attributes
    assert "luma-to-parquet" in {attribute.value.string_value for attribute in attributes}
    found = metrics_in(last)
    assert counts(found["luma.requests"]) == {"generation": 30, "not_found": 1, "server_error": 2}
    points = found["luma.request.duration"].histogram.data_points
    assert sum(point.count for point in points) == 33
    assert found["luma.request.duration"].unit == "s"
    assert counts(found["luma.rows.committed"]) == {"new": 30}
    assert counts(found["luma.runs"]) == {"done": 1}
    assert found["luma.requests.in_flight"].gauge.data_points[0].as_int == 0


def test_a_collector_that_is_down_gives_one_warning_and_stops_nothing(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    done = cli("ingest", "-", stdin="a", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0
    assert sandbox.stats()["requests"] == 1
    assert done.stderr.count("metrics could not be sent") == 1
    assert "Traceback" not in done.stderr


def test_an_endpoint_without_the_extra_gives_a_warning(cli: CommandLine, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "sitecustomize.py").write_text(
        "import sys; sys.modules['opentelemetry.sdk.metrics'] = None"
    )
    path = f"{missing}:{Path(__file__).parent.parent}"
    done = cli(
        "ingest", "-", stdin="a", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", PYTHONPATH=path
    )
    assert done.returncode == 0
    assert "luma-to-parquet[otel]" in done.stderr


def test_without_metrics_nothing_of_it_is_imported() -> None:
    program = """
import sys
from connector.metrics.meters import open_metrics
import connector.run.pipeline
with open_metrics(None) as meters:
    assert not meters
assert not {"opentelemetry", "prometheus_client"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
