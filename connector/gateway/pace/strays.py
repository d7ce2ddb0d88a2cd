"""Requests that hang: when one of them stops holding a place that others could use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request, Sample

# Seconds of patience, at least, and before there is anything to go by.
SHORTEST: Final = 1.0


class Strays:
    """Tells the requests under way that are far beyond what is usual; the others hold a place.

    Usual is what TCP's retransmission timer takes for it (RFC 6298): the smoothed latency and four
    times its deviation. Beyond it, a request is a stray

    - if one that was sent later has come back well: this one hangs, the gateway does not;
    - else one at a time, for as long as nothing comes back: it may be that only these hang. A
      gateway that is slow for all thus gets one more request in each such span, and no more.

    Attributes:
        count: Requests under way that hold no place.
    """

    def __init__(self) -> None:
        self.count = 0
        self._in_place: dict[int, Request] = {}  # by number, so the oldest comes first
        self._latest_good = 0
        self._quiet_since = math.inf
        self._smoothed: float | None = None
        self._deviation = 0.0

    @property
    def patience(self) -> float:
        """Seconds that a request may take before it is a stray."""
        return max(SHORTEST, (self._smoothed or 0.0) + 4.0 * self._deviation)

    def sent(self, request: Request) -> None:
        """Note that a request starts."""
        if not self._in_place:
            self._quiet_since = request.sent_at
        self._in_place[request.number] = request

    def answered(self, request: Request, sample: Sample, now: float) -> None:
        """Note how a request ended."""
        if self._in_place.pop(request.number, None) is None:
            self.count -= 1
        self._quiet_since = now
        if sample.kind == "good":
            self._latest_good = max(self._latest_good, request.number)
            self._learn(sample.latency)

    def look(self, now: float) -> None:
        """Take the place away from what has become a stray by now."""
        while self.next_at() <= now:
            request = self._oldest()
            if request.number > self._latest_good:
                self._quiet_since = now
            del self._in_place[request.number]
            self.count += 1

    def next_at(self) -> float:
        """When the next request becomes a stray, if nothing comes until then."""
        if not self._in_place:
            return math.inf
        request = self._oldest()
        is_overtaken = request.number < self._latest_good
        since = request.sent_at if is_overtaken else max(request.sent_at, self._quiet_since)
        return since + self.patience

    def _oldest(self) -> Request:
        return next(iter(self._in_place.values()))

    def _learn(self, latency: float) -> None:
        if self._smoothed is None:
            self._smoothed, self._deviation = latency, latency / 2.0
        else:
            self._deviation += (abs(latency - self._smoothed) - self._deviation) / 4.0
            self._smoothed += (latency - self._smoothed) / 8.0
