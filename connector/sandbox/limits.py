"""A gateway's limits: requests per second or window, and requests processed at once."""

# ruff: noqa: D102 -- `Limit` says what the methods do
from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from connector.sandbox.settings import SandboxSettings

# A client that waits exactly as long as asked must get a token in spite of rounding.
_ROUNDING = 1e-9


class Standing(NamedTuple):
    """Where a client stands with a limit.

    Attributes:
        most: Requests in a window.
        window: Its seconds.
        left: Requests that are left now.
        reset: Seconds until all are left again.
    """

    most: int
    window: float
    left: int
    reset: float


class Limit(Protocol):
    """A limit of requests over time; every time is in seconds of one clock."""

    def take(self, now: float) -> float:
        """Let a request in and return 0; or return the seconds until one may come."""

    def standing(self, now: float) -> Standing:
        """What a gateway may announce."""


class TokenBucket:
    """A rate limit that allows bursts: a token per request, refilled at `rate` per second.

    It starts with all tokens of a burst. A rate of 0 is no limit.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = max(1, burst)
        self._tokens = float(self._burst)
        self._filled_at: float | None = None

    def take(self, now: float) -> float:
        if not self._rate:
            return 0.0
        self._fill(now)
        if self._tokens >= 1 - _ROUNDING:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate

    def standing(self, now: float) -> Standing:
        """Of the rate as requests in a second, or in the seconds of one request."""
        self._fill(now)
        most = max(1, round(self._rate))
        reset = (self._burst - self._tokens) / self._rate
        return Standing(most, most / self._rate, int(self._tokens), reset)

    def _fill(self, now: float) -> None:
        if self._filled_at is not None:
            refill = (now - self._filled_at) * self._rate
            self._tokens = min(self._burst, self._tokens + refill)
        self._filled_at = now


class FixedWindow:
    """At most this many requests between two strokes of the clock, this many seconds apart."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._window = -math.inf
        self._taken = 0

    def take(self, now: float) -> float:
        self._turn(now)
        if self._taken < self._most:
            self._taken += 1
            return 0.0
        return self._left(now)

    def standing(self, now: float) -> Standing:
        self._turn(now)
        return Standing(self._most, self._seconds, self._most - self._taken, self._left(now))

    def _turn(self, now: float) -> None:
        window = now // self._seconds
        if window != self._window:
            self._window, self._taken = window, 0

    def _left(self, now: float) -> float:
        return self._seconds - now % self._seconds


class SlidingWindow:
    """At most this many requests in any window of this many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._times: deque[float] = deque()

    def take(self, now: float) -> float:
        self._forget(now)
        if len(self._times) < self._most:
            self._times.append(now)
            return 0.0
        return self._times[0] + self._seconds - now

    def standing(self, now: float) -> Standing:
        self._forget(now)
        reset = self._times[-1] + self._seconds - now if self._times else 0.0
        return Standing(self._most, self._seconds, self._most - len(self._times), reset)

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] <= now - self._seconds + _ROUNDING:
            self._times.popleft()


class Others:
    """Other users of the same key, who take their requests from its limit.

    Args:
        limit: The key's.
        rate: Their requests a second, on average.
        cycle: Seconds in which their rate goes from its average to twice that, to zero, and back;
            0 for a steady rate.
    """

    def __init__(self, limit: Limit, rate: float, cycle: float) -> None:
        self._limit = limit
        self._rate = rate
        self._cycle = cycle
        self._began: float | None = None
        self._came = self._looked_at = 0.0

    def take(self, now: float) -> float:
        self._catch_up(now)
        return self._limit.take(now)

    def standing(self, now: float) -> Standing:
        self._catch_up(now)
        return self._limit.standing(now)

    def _catch_up(self, now: float) -> None:
        """Let the others in, each at its time: evenly between the last look and this one."""
        if self._began is None:
            self._began = self._looked_at = now
        due = self._requests(now - self._began)
        for number in range(int(self._came) + 1, int(due) + 1):
            share = (number - self._came) / (due - self._came)
            self._limit.take(self._looked_at + share * (now - self._looked_at))
        self._came, self._looked_at = due, now

    def _requests(self, seconds: float) -> float:
        """Requests of the others since the beginning: the integral of their rate."""
        if not self._cycle:
            return self._rate * seconds
        turn = 2 * math.pi / self._cycle
        return self._rate * (seconds + (1 - math.cos(turn * seconds)) / turn)


def make_limit(settings: SandboxSettings) -> Limit:
    """The limit that the settings describe."""
    rate = settings.rate_limit
    if not (rate and settings.window):
        limit: Limit = TokenBucket(rate, settings.burst)
    else:
        kind = SlidingWindow if settings.window_slides else FixedWindow
        limit = kind(max(1, round(rate * settings.window)), settings.window)
    others = rate * settings.others
    return Others(limit, others, settings.others_cycle) if others else limit


class Workers:
    """This many workers process requests, with a queue: latency grows with load. 0: no limit."""

    def __init__(self, count: int) -> None:
        self._free_at = [0.0] * count

    def delay(self, now: float, work_seconds: float) -> float:
        """Seconds until a request that arrives now is done, including its time in the queue."""
        if not self._free_at:
            return work_seconds
        done_at = max(now, self._free_at[0]) + work_seconds
        heapq.heapreplace(self._free_at, done_at)
        return done_at - now
