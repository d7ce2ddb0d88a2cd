"""What a gateway bears: a rate, and a number of requests that it works on at once."""

from __future__ import annotations

import heapq

# Who waits exactly as long as told gets a token, whatever the sum of fractions comes to.
_ROUNDING = 1e-9


class TokenBucket:
    """A rate limit that lets a burst through: one token a request, refilled steadily.

    Args:
        rate: Tokens a second; 0 for no limit.
        burst: Tokens that it holds, at least one; it starts full.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = max(1, burst)
        self._tokens = float(self._burst)
        self._filled_at: float | None = None

    def take(self, now: float) -> float:
        """Take a token and return 0; if there is none, return the seconds until there is."""
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
    """So many requests are worked on at once; the others queue, so latency grows with load.

    Args:
        count: Workers; 0 for as many as there are requests.
    """

    def __init__(self, count: int) -> None:
        self._free_at = [0.0] * count

    def delay(self, now: float, work_seconds: float) -> float:
        """Seconds until a request that arrives now is done, the queue before it included."""
        if not self._free_at:
            return work_seconds
        done_at = max(now, self._free_at[0]) + work_seconds
        heapq.heapreplace(self._free_at, done_at)
        return done_at - now
