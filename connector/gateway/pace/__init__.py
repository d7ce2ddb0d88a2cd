"""When to send requests: a rate and a number in flight that follow the gateway."""
