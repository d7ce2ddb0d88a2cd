"""How many requests a second: a cubic curve around the rate at which the gateway last refused."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request

# Requests a second to begin with if the first refusal came before there was anything to count.
FIRST: Final = 4.0

# Seconds to the plateau, if refusals cost nothing.
CLIMB: Final = 10.0

# Requests to the plateau at least, so that refusals stay few at low rates too.
REQUESTS_PER_REFUSAL: Final = 80

# Seconds from the plateau to twice as much.
DOUBLING: Final = 20.0

# So many times the plateau without a refusal: that limit is gone, and the search begins anew.
OUTGROWN: Final = 1.5

START: Final = 0.96

# Shares of the rate found: to go on with, and to come back to.
PLATEAU: Final = 0.98

# What a refusal at once takes off `START`: what had been saved up hid how low the limit is.
EARLY: Final = 0.1

ENOUGH: Final = 8

# Fewer requests, or fewer seconds, than this measure nothing.
SOON: Final = 0.5
FORGIVING: Final = 10.0
PER_FORGIVEN: Final = 50

# Above so many requests a second, one refusal in so many requests teaches nothing, nor do so many
# in a row: now and then a thread wakes up late, and the next request comes too soon after. Where
# requests are further apart than any thread is late, or a refusal costs a pause, each one counts.
MOST_FORGIVEN: Final = 2.0
REMEMBERED: Final = 2048


@dataclass(frozen=True, slots=True)
class Curve:
    """From `start` to `plateau` in `climb` seconds, flat there, and twice that `doubling` later."""

    start: float
    plateau: float
    climb: float
    doubling: float = DOUBLING

    def at(self, seconds: float) -> float:
        """Requests a second, so long after the curve began."""
        beyond = seconds - self.climb
        if beyond < 0:
            return self.plateau - (self.plateau - self.start) * (-beyond / self.climb) ** 3
        return self.plateau * (1.0 + (beyond / self.doubling) ** 3)


class Rate:
    """No limit until a request is refused; `ceiling` holds always.

    Attributes:
        next_at: When the next request may start.
    """

    def __init__(self, ceiling: float | None = None) -> None:
        self.next_at = -math.inf
        self._ceiling = ceiling or math.inf
        self._curve: Curve | None = None
        self._curve_from = 0.0
        self._cut_at = 0.0
        self._burst = math.inf
        self._credit = 0.0
        self._accepted: deque[Request] = deque(maxlen=REMEMBERED)

    def at(self, now: float) -> float:
        """Requests a second; infinite if there is no limit."""
        if self._curve is None:
            return self._ceiling
        return min(self._ceiling, self._curve.at(max(0.0, now - self._curve_from)))

    def sent(self, request: Request) -> None:
        """Note that a request starts."""
        self._accepted.append(request)
        self._credit = min(MOST_FORGIVEN, self._credit + 1.0 / PER_FORGIVEN)
        now = request.sent_at
        rate = self.at(now)
        if self._is_outgrown(rate):
            self._curve, self._curve_from = Curve(rate, rate, 0.0, doubling=4.0), now
        if rate == math.inf:
            return
        # Something else held requests back: the curve goes on when the rate does again. What was
        # late is not made up for: a gateway that saves nothing up would refuse it.
        self._curve_from = min(now, self._curve_from + max(0.0, now - self.next_at))
        self.next_at = now + 1.0 / rate

    def forget(self, request: Request) -> None:
        """Count a request no longer as let in: it was refused."""
        if request in self._accepted:
            self._accepted.remove(request)

    def hold(self, until: float) -> None:
        """Stand still for a pause that got longer."""
        self._curve_from = max(self._curve_from, until)
        self._cut_at = max(self._cut_at, until)
        self.next_at = max(self.next_at, until)

    def release(self, at: float) -> None:
        """Get out of the way: requests are refused for another reason than their rate."""
        if self._curve is not None:
            rate = self.at(at)
            self._begin(Curve(rate, rate, 0.0, doubling=2.0), at)

    def refused(self, request: Request, delay: float, resume_at: float, worth: float) -> None:
        """Learn from a refusal.

        Args:
            request: What was refused.
            delay: Seconds it took to hear of that.
            resume_at: When requests may start again.
            worth: Seconds of work that make up for the pause.
        """
        if not worth and self._is_forgiven(request):
            self._credit -= 1.0
            self.next_at = max(self.next_at, resume_at)
            return
        before = [r.sent_at for r in self._accepted if r.number < request.number]
        second = [t for t in before if t > request.sent_at - 1.0]
        if self._curve is None:
            self._burst = max(1, len(second))
            curve = _first_curve(len(second), delay)
        else:
            since = [t for t in before if t >= self._cut_at]
            curve = self._next_curve(self._curve, request, since, delay, worth)
        if second:
            # A gateway that counts by the second has counted these already.
            resume_at = max(resume_at, second[0] + len(second) / curve.start)
        self._begin(curve, resume_at)
        self.next_at += 1.0 / curve.start

    def _is_forgiven(self, request: Request) -> bool:
        """Whether a refusal is one of those few that threads bring about themselves."""
        is_search_over = self._curve is not None and self._curve.doubling == DOUBLING
        return self._credit >= 1.0 and is_search_over and self.at(request.sent_at) > FORGIVING

    def _is_outgrown(self, rate: float) -> bool:
        curve = self._curve
        return curve is not None and curve.doubling == DOUBLING and rate >= OUTGROWN * curve.plateau

    def _begin(self, curve: Curve, at: float) -> None:
        self._curve = curve
        self._curve_from = self._cut_at = self.next_at = at

    def _next_curve(
        self, curve: Curve, request: Request, since: list[float], delay: float, worth: float
    ) -> Curve:
        """The curve after one that led to a refusal, from the requests let in since it began."""
        rate = self.at(request.sent_at)
        lasted = request.sent_at - self._cut_at
        if len(since) < ENOUGH or lasted < SOON:
            doubling = min(DOUBLING, 2.0 * curve.doubling)
            return Curve(0.75 * rate, 0.9 * rate, max(1.0, delay, 10.0 / rate), doubling)
        worth = max(CLIMB, worth, REQUESTS_PER_REFUSAL / rate)
        found = self._found(since, request.sent_at)
        if found < 0.7 * rate:
            # They came in bursts, with pauses that had other reasons.
            found = math.sqrt(found * rate)
        found = min(found, rate)
        start = START - EARLY * (1.0 - min(1.0, 2.0 * lasted / worth))
        return Curve(start * found, PLATEAU * found, worth)

    def _found(self, since: list[float], until: float) -> float:
        """What the gateway lets in a second, by what it let in before it refused at `until`."""
        last = [t for t in since if t > until - 1.0]
        if len(last) < 10:  # noqa: PLR2004  # too few to count in one second
            last = since[-10:]
        lately = len(last) / max(1e-3, until - last[0])
        # A bucket of `burst` that let n in since t refills at this rate at least.
        refill = (
            (n + 1 - self._burst) / max(1e-6, until - t) for n, t in enumerate(reversed(since), 1)
        )
        return max(lately, *refill)


def _first_curve(accepted: int, delay: float) -> Curve:
    """The search after the first refusal: limits are often so many a second, and that was it."""
    if accepted >= FIRST:
        return Curve(START * accepted, accepted, 0.7, max(2.0, 2.0 * delay))
    return Curve(FIRST, FIRST, 0.0, max(0.75, 2.0 * delay))
