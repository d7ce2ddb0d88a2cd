"""How many requests are in flight, and how many a second: both follow the gateway.

- In flight: from 4 up by one with each good answer, until latency says that more only queue. Then
  down to what Little's law leaves, and up again by an eighth at a time. A cut that does not make
  answers faster is undone, and the latency becomes the new normal.
- A second: no limit until the first 429 or 503. The rate that was let in then is the estimate: on
  with 96% of it (less after an early refusal), in a cubic curve to its plateau, and slowly beyond.
  One refusal in fifty is taken for a thread that woke up late, if it costs no pause.
- Refusals that go with the number in flight, twice, cap that number instead; one more is tried
  at growing intervals.
- A request that hangs, while others come back or for want of any that do, makes room for another.
- Retry-After stops all threads until it ends, always. The longer the pause, the longer the
  climb: 25 seconds of work for each second of pause.

Sources: additive increase and multiplicative decrease (Chiu and Jain, 1989); the curve of CUBIC
(RFC 9438, W(t) = C(t - K)^3 + Wmax), which botocore's adaptive retries use for rates; latency
against latency at ease, with a tolerance of 1.5, as in Netflix's concurrency-limits (Gradient2).
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.gateway.pace.pace import Pace
from connector.gateway.pace.request import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.gateway.pace.request import Request

__all__ = ["Sample", "State", "Throttle"]

_LOOK_UP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class State:
    """For people who watch.

    Attributes:
        in_flight: Requests under way.
        concurrency: How many may be.
        rate: How many may start a second; None for any.
        paused_until: Time of the throttle's clock; None if requests may start.
    """

    in_flight: int
    concurrency: int
    rate: float | None
    paused_until: float | None


class _Mine(threading.local):
    """The request that this thread has under way."""

    request: Request | None = None


class Throttle:
    """One per process and gateway, shared by all threads.

    Args:
        max_concurrency: Requests in flight, at most.
        requests_per_second: At most; None for no bound but what the gateway shows.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        max_concurrency: int,
        requests_per_second: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pace = Pace(max_concurrency, requests_per_second)
        self._clock = clock
        # Whoever has the turn waits for the pace; the others wait for the turn, and sleep.
        self._turn = threading.Lock()
        self._changed = threading.Condition(threading.Lock())
        self._mine = _Mine()

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until a request may start; False if `stop` was set before that."""
        while not self._turn.acquire(timeout=_LOOK_UP_SECONDS):
            if stop.is_set():
                return False
        try:
            return self._wait(stop)
        finally:
            self._turn.release()

    def release(self, sample: Sample) -> None:
        """Tell how the request ended that this thread acquired.

        Raises:
            RuntimeError: This thread has none under way.
        """
        request, self._mine.request = self._mine.request, None
        if request is None:
            raise RuntimeError("release() without acquire() in this thread")
        with self._changed:
            self._pace.answered(self._clock(), request, sample)
            self._changed.notify()

    def state(self) -> State:
        """What holds now."""
        with self._changed:
            now = self._clock()
            rate, resume_at = self._pace.rate(now), self._pace.resume_at
            return State(
                in_flight=self._pace.in_flight,
                concurrency=self._pace.concurrency(now),
                rate=None if rate == math.inf else rate,
                paused_until=resume_at if resume_at > now else None,
            )

    def _wait(self, stop: threading.Event) -> bool:
        with self._changed:
            while not stop.is_set():
                now = self._clock()
                seconds = self._pace.wait(now)
                if seconds <= 0:
                    self._mine.request = self._pace.sent(now)
                    return True
                self._changed.wait(min(seconds, _LOOK_UP_SECONDS))
        return False
