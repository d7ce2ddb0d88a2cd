"""Requests that hang: when one stops taking up a place that others could use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request, Sample

# Shortest patience in seconds, also before there is a latency to go by.
SHORTEST: Final = 1.0


class Strays:
    """Finds strays: requests in flight for far longer than usual, which hold no place.

    The patience is that of TCP's retransmission timer (RFC 6298): the smoothed latency plus four
    times its deviation. Beyond it, a request is a stray

    - if a later one got a good answer: this request hangs, the gateway does not;
    - else one at a time while nothing returns, as only these may hang. A gateway that is slow for
      all thus gets one more request per patience, and no more.

    Attributes:
        count: Strays in flight.
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
        """Seconds after which a request may be a stray."""
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
        """Take the place of each request that is a stray by now."""
        while self.next_at() <= now:
            request = self._oldest()
            if request.number > self._latest_good:
                self._quiet_since = now
            del self._in_place[request.number]
            self.count += 1

    def next_at(self) -> float:
        """When the next request becomes a stray, unless an answer comes first."""
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
