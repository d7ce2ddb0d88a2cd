"""The figures of runs, for Prometheus and OpenTelemetry."""
