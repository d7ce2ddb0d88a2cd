"""A gateway's limits: requests per second, and requests processed at once."""

from __future__ import annotations

import heapq

# A client that waits exactly as long as told must get a token in spite of rounding.
_ROUNDING = 1e-9


class TokenBucket:
    """A rate limit that allows bursts: one token per request, refilled steadily.

    Args:
        rate: Tokens per second; 0 for no limit.
        burst: Capacity in tokens, at least one; it starts full.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = max(1, burst)
        self._tokens = float(self._burst)
        self._filled_at: float | None = None

    def take(self, now: float) -> float:
        """Take a token and return 0; without one, return the seconds until the next."""
        if not self._rate:
            return 0.0
        if self._filled_at is not None:
            refill = (now - self._filled_at) * self._rate
            self._tokens = min(self._burst, self._tokens + refill)
        self._filled_at = now
        if self._tokens >= 1 - _ROUNDING:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


class Workers:
    """Workers that process requests, with a queue: latency grows with load.

    Args:
        count: Number of workers; 0 for no limit.
    """

    def __init__(self, count: int) -> None:
        self._free_at = [0.0] * count

    def delay(self, now: float, work_seconds: float) -> float:
        """Seconds until a request that arrives now is done, including its time in the queue."""
        if not self._free_at:
            return work_seconds
        done_at = max(now, self._free_at[0]) + work_seconds
        heapq.heapreplace(self._free_at, done_at)
        return done_at - now
