"""When the next request may start: a controller that is told what happens, and never waits.

It composes `Rate` (how many a second), `Knee` and `Cap` (how many in flight), and `Strays` (which
of those do not count).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from connector.gateway.pace.concurrency import Cap, Knee
from connector.gateway.pace.rate import Rate
from connector.gateway.pace.request import Request
from connector.gateway.pace.strays import Strays

if TYPE_CHECKING:
    from connector.gateway.pace.request import Sample

# Seconds of work for each second that a refusal costs, before the next one is risked.
WORK_PER_PAUSE = 25.0


class Pace:
    """Decides for one gateway; every time is in seconds of one clock, and handed in.

    Args:
        max_concurrency: Requests in flight, at most.
        requests_per_second: At most; None for no bound but what the gateway shows.
    """

    def __init__(self, max_concurrency: int, requests_per_second: float | None = None) -> None:
        self.in_flight = 0
        self.resume_at = -math.inf
        self._most = max_concurrency
        self._sent = 0
        self._learned_at = 0
        self._rate = Rate(requests_per_second)
        self._knee = Knee(max_concurrency)
        self._cap = Cap(max_concurrency)
        self._strays = Strays()

    def wait(self, now: float) -> float:
        """Seconds until a request may start: not above 0 for now, infinite for an answer first."""
        if now < self.resume_at:
            return self.resume_at - now
        self._strays.look(now)
        if self.in_flight >= self.concurrency(now):
            return self._strays.next_at() - now
        return self._rate.next_at - now

    def sent(self, now: float) -> Request:
        """Note that a request starts; hand the value back with its answer."""
        self._sent += 1
        self.in_flight += 1
        in_place = self.in_flight - self._strays.count
        request = Request(self._sent, now, self.in_flight, in_place)
        self._rate.sent(request)
        self._strays.sent(request)
        if self.in_flight >= self.concurrency(now):
            self._knee.reached(request)
        return request

    def answered(self, now: float, request: Request, sample: Sample) -> None:
        """Note how a request ended."""
        self.in_flight -= 1
        self._strays.answered(request, sample, now)
        self._knee.answered(request, sample, self._sent, now)
        if sample.kind == "good":
            self._cap.good(request)
        elif sample.kind == "refused":
            self._refused(now, request, sample)

    def concurrency(self, now: float) -> int:
        """Requests that may be in flight; 1 or more."""
        limit = min(self._knee.limit + self._strays.count, self._cap.limit(now), self._most)
        return max(1, int(limit))

    def rate(self, now: float) -> float:
        """Requests that may start a second; infinite if no limit is known."""
        return self._rate.at(now)

    def _refused(self, now: float, request: Request, sample: Sample) -> None:
        pause = sample.retry_after or 0.0
        self.resume_at = max(self.resume_at, now + pause)
        resume_at = max(self.resume_at, now)
        self._rate.forget(request)
        # What was sent before the last lesson took effect teaches nothing new.
        if request.number <= self._learned_at:
            self._rate.hold(resume_at)
            return
        self._learned_at = self._sent
        worth = WORK_PER_PAUSE * pause
        if self._cap.explains(request, now, worth):
            self._rate.release(resume_at)
        else:
            self._rate.refused(request, sample.latency, resume_at, worth)
