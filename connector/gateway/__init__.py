"""The client of a gateway: one request, its retries, many at once, and the list of generations."""
