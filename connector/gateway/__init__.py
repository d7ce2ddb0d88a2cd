"""Asking the gateway: one request, its retries, many at once, and its list."""
