"""Metrics of runs, for Prometheus and OpenTelemetry."""
