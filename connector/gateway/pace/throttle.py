"""Throttles requests: concurrency and rate both follow the gateway.

- Concurrency starts at 2 and doubles with each latency, but grows by a third between 4 and 16,
  until latency shows that more only queue. It then drops to what Little's law leaves, and grows
  again by an eighth at a time. A cut that does not make answers faster is undone, and the latency
  becomes the new normal.
- The rate has no limit until the first 429 or 503, or until one is announced. It is then held
  where about one request in 150 is refused: it rises by a little with each request, falls at a
  refusal to what was accepted between the last two, and by less the better it is known.
- A task that is refused again, while others get through, is refused for its own sake: that says
  nothing about the rate, and what its first refusal cost is undone. Once their share is known, as
  many first refusals teach nothing, and what goes beyond it lowers the rate. Likewise a share of
  refusals that does not fall with the rate is endured, as where others use the same limit.
- A first refusal is by chance, and forgotten, if nearly all that was under way is accepted.
- A gateway that accepts nothing is tried by one request at a time, ever less often. If it counts in
  windows, what it accepted from one opening to the next is the rate.
- Where answers announce the requests that are left until a time, none is sent beyond them, once a
  refusal has proved it, and a new time begins with one request. What is accepted or refused counts
  more than what is announced.
- Two refusals at the same concurrency cap it instead; one more is tried at growing intervals.
- A request that hangs, while others return or if none does, makes room for another.
- Retry-After holds back the refused request, in the client. If it is more than two seconds, it
  stops all threads until it ends, and each second of pause adds 25 seconds of work to the climb. A
  shorter one may be a hundredth of a second, rounded up: that of a 503 stops all until it ends, or
  until a request sent later is accepted.

Sources: additive increase and multiplicative decrease (Chiu and Jain, 1989); steps that shrink as
the search goes on (Robbins and Monro, 1951); latency against latency at ease, with a tolerance of
1.5, as in Netflix's concurrency-limits (Gradient2); announcements as in the IETF's "RateLimit
header fields for HTTP".
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from connector.gateway.pace.pace import Pace
from connector.gateway.pace.request import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.gateway.pace.request import Request

__all__ = ["Sample", "State", "Throttle"]

# A place that its thread leaves, to wait or for good, is found free after this time.
_LOOK_UP_SECONDS = 0.02
_LOOK_FOR_STOP_SECONDS = 0.5

# A thread that waits for longer comes before those that have just ended a request.
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class State:
    """A snapshot for people and metrics.

    Attributes:
        in_flight: Requests in flight.
        concurrency: Most requests in flight.
        rate: Requests per second; None without a limit.
        paused_until: Time of the throttle's clock; None if requests may start.
    """

    in_flight: int
    concurrency: int
    rate: float | None
    paused_until: float | None


class _Waiting(NamedTuple):
    """A thread in the line."""

    turn: threading.Condition
    since: float


class _Mine(threading.local):
    """The request that this thread has in flight."""

    request: Request | None = None


class Throttle:
    """One per process and gateway, shared by all threads.

    Args:
        max_concurrency: Most requests in flight.
        requests_per_second: Highest rate; None lets the gateway alone limit it.
        clock: Monotonic clock, in seconds.
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
        self._lock = threading.Lock()
        self._line: deque[_Waiting] = deque()
        self._mine = _Mine()

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until a request may start; False if `stop` was set first.

        A thread that has just ended a request goes on with the next one if it may, past those that
        wait: to wake another for each request costs more than the request. Nobody is passed by for
        long, and the first in the line is woken when there is room for one more.
        """
        with self._lock:
            now = self._clock()
            is_mine = not self._is_due(now) and self._pace.wait(now) <= 0 and not stop.is_set()
            if is_mine:
                self._start(now)
            self._wake(now)
            return is_mine or self._wait(stop, now)

    def begin(self) -> Request | float:
        """Start a request, for a thread that has many in flight; it never waits.

        Returns:
            The request, to be passed to `end`; or the seconds after which to try again.
        """
        with self._lock:
            now = self._clock()
            seconds = self._pace.wait(now)
            request = self._pace.sent(now) if seconds <= 0 and not self._is_due(now) else None
            self._wake(now)
            return request or min(max(seconds, 0.001), _LOOK_UP_SECONDS)

    def end(self, request: Request, sample: Sample) -> None:
        """Report how a request that `begin` started ended; from any thread."""
        with self._lock:
            self._pace.answered(self._clock(), request, sample)

    def release(self, sample: Sample) -> None:
        """Report how this thread's request ended.

        Raises:
            RuntimeError: This thread has no request in flight.
        """
        request, self._mine.request = self._mine.request, None
        if request is None:
            raise RuntimeError("release() without acquire() in this thread")
        self.end(request, sample)

    def pass_on(self) -> None:
        """Let the first in the line start, as this thread makes no further request for now."""
        with self._lock:
            self._wake(self._clock())

    def state(self) -> State:
        """The current state."""
        with self._lock:
            now = self._clock()
            rate, resume_at = self._pace.rate(now), self._pace.resume_at
            return State(
                in_flight=self._pace.in_flight,
                concurrency=self._pace.concurrency(now),
                rate=None if rate == math.inf else rate,
                paused_until=resume_at if resume_at > now else None,
            )

    def _is_due(self, now: float) -> bool:
        """Whether the first in the line has waited for long enough to come before all others."""
        return bool(self._line) and now - self._line[0].since > _PATIENCE_SECONDS

    def _wake(self, now: float) -> None:
        """Wake the first in the line, if its request may start."""
        if self._line and self._pace.wait(now) <= 0:
            self._line[0].turn.notify()

    def _start(self, now: float) -> None:
        self._mine.request = self._pace.sent(now)

    def _wait(self, stop: threading.Event, now: float) -> bool:
        """Wait in the line, whose first alone watches the pace."""
        me = _Waiting(threading.Condition(self._lock), now)
        self._line.append(me)
        try:
            while not stop.is_set():
                if self._line[0] is me:
                    now = self._clock()
                    seconds = self._pace.wait(now)
                    if seconds <= 0:
                        self._start(now)
                        return True
                    me.turn.wait(min(seconds, _LOOK_UP_SECONDS))
                else:
                    me.turn.wait(_LOOK_FOR_STOP_SECONDS)
            return False
        finally:
            self._line.remove(me)
            if self._line:
                self._line[0].turn.notify()
