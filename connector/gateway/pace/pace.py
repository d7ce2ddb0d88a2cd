"""Decides when the next request may start, from events; it never waits itself.

It composes `Rate` (requests per second), `Quota` (requests left, as announced), `Knee` and `Cap`
(requests in flight), and `Strays` (requests that no longer count as in flight).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from connector.gateway.pace.concurrency import Cap, Knee
from connector.gateway.pace.own import Own
from connector.gateway.pace.quota import SHORT, Quota
from connector.gateway.pace.rate import Rate
from connector.gateway.pace.request import Request
from connector.gateway.pace.strays import Strays

if TYPE_CHECKING:
    from connector.gateway.pace.request import Sample

# Seconds of work for each second that a refusal cost, before risking the next one.
WORK_PER_PAUSE = 25.0


class Pace:
    """The pace for one gateway; every time is in seconds of one clock, passed in.

    Args:
        max_concurrency: Most requests in flight.
        requests_per_second: Highest rate; None lets the gateway alone limit it.
    """

    def __init__(self, max_concurrency: int, requests_per_second: float | None = None) -> None:
        self.in_flight = 0
        self._resume_at = -math.inf
        self._most = max_concurrency
        self._sent = 0
        self._learned_at = 0
        self._out_until = -math.inf
        self._out_at = 0
        self._rate = Rate(requests_per_second)
        self._knee = Knee(max_concurrency)
        self._cap = Cap(max_concurrency)
        self._strays = Strays()
        self._quota = Quota()
        self._own = Own()

    def wait(self, now: float) -> float:
        """Seconds until a request may start: 0 or less is now, infinite is after an answer."""
        if now < (resume_at := self.resume_at):
            return resume_at - now
        if (trial := self._quota.wait(now)) > 0:
            return trial
        self._strays.look(now)
        if self.in_flight >= self.concurrency(now):
            return self._strays.next_at() - now
        return self._rate.next_at - now

    @property
    def resume_at(self) -> float:
        """When requests may start, as far as the gateway asked to wait."""
        return max(self._resume_at, self._out_until)

    def sent(self, now: float) -> Request:
        """Note that a request starts; pass the returned value to `answered`."""
        self._sent += 1
        self.in_flight += 1
        in_place = self.in_flight - self._strays.count
        request = Request(self._sent, now, self.in_flight, in_place)
        self._rate.sent(request)
        self._quota.sent(now)
        self._strays.sent(request)
        if self.in_flight >= self.concurrency(now):
            self._knee.reached(request)
        return request

    def answered(self, now: float, request: Request, sample: Sample) -> None:
        """Note how a request ended."""
        self.in_flight -= 1
        self._strays.answered(request, sample, now)
        self._knee.answered(request, sample, self._sent, now)
        is_let_in = sample.kind != "refused" and sample.has_status
        self._own.answered(request, sample, is_let_in=is_let_in)
        if is_let_in:
            self._rate.good(request)
        if sample.kind == "good":
            self._cap.good(request)
            if request.number > self._out_at:
                self._out_until = -math.inf
        empty_until = self._quota.answered(now, request, sample, self._sent)
        if empty_until is not None:
            self._resume_at = max(self._resume_at, empty_until)
        if sample.kind == "refused":
            is_explained = empty_until is not None
            own = None if is_explained else self._own.look(now, sample)
            if own is None:
                self._refused(now, request, sample, is_explained=is_explained)
            else:
                self._endured(now, request, own)
        elif sample.announced is not None:
            self._rate.heed(sample.announced)

    def concurrency(self, now: float) -> int:
        """Most requests in flight; at least 1."""
        limit = min(self._knee.limit + self._strays.count, self._cap.limit(now), self._most)
        return max(1, int(limit))

    def rate(self, now: float) -> float:
        """Requests per second; infinite if no limit is known."""
        return self._rate.at(now)

    def _endured(self, now: float, request: Request, refused_at: list[float]) -> None:
        """Learn nothing from a refusal, and forget what others for such a reason have taught."""
        self._rate.endure(request, self._own.share)
        for at in refused_at:
            self._rate.undo(now, at)
            self._cap.forget()

    def _refused(self, now: float, request: Request, sample: Sample, *, is_explained: bool) -> None:
        pause = sample.retry_after or 0.0
        if pause > SHORT:
            self._resume_at = max(self._resume_at, now + pause)
        else:
            # It may be a shorter wait, rounded up, and holds for the refused request; for all if
            # the gateway is out, which a later request that is accepted disproves.
            if sample.is_out:
                self._out_until = max(self._out_until, now + pause)
                self._out_at = request.number
            pause = pause if sample.is_out and self.in_flight == 0 else 0.0
        resume_at = max(self._resume_at, now + pause)
        # A request sent before the last cut took effect says nothing new.
        if is_explained or request.number <= self._learned_at:
            self._rate.hold(request, resume_at)
            return
        self._learned_at = self._sent
        if self._cap.explains(request, now, WORK_PER_PAUSE * pause):
            self._rate.release(request, resume_at)
        else:
            self._rate.refused(request, now, resume_at)
