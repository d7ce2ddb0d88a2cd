"""When to send requests: a rate and a concurrency that follow the gateway."""
