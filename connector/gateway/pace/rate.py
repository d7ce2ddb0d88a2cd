"""Requests per second: a cubic curve around the rate at which the gateway last refused."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request

# Requests per second after a first refusal that came too early to measure a rate.
FIRST: Final = 4.0

# Seconds to the plateau, if refusals cost nothing.
CLIMB: Final = 10.0

# Fewest requests to the plateau, so that refusals stay rare at low rates too.
REQUESTS_PER_REFUSAL: Final = 80

# Seconds from the plateau to twice its rate.
DOUBLING: Final = 20.0

# Multiple of the plateau that, without a refusal, means the limit is gone: search again.
OUTGROWN: Final = 1.5

# Shares of the measured rate: to continue with, and to return to.
START: Final = 0.96
PLATEAU: Final = 0.98

# Taken off `START` after an immediate refusal: a saved-up burst hid how low the limit is.
EARLY: Final = 0.1

# Fewer requests, or fewer seconds, than this measure nothing.
ENOUGH: Final = 8
SOON: Final = 0.5

# Above `FORGIVING` requests per second, one refusal in `PER_FORGIVEN` requests is ignored, at most
# `MOST_FORGIVEN` in a row: now and then a thread wakes up late, and its request comes too close to
# the next. At lower rates, or if a refusal costs a pause, every refusal counts.
FORGIVING: Final = 10.0
PER_FORGIVEN: Final = 50
MOST_FORGIVEN: Final = 2.0

# Requests kept to measure the rate by.
REMEMBERED: Final = 2048


@dataclass(frozen=True, slots=True)
class Curve:
    """From `start` to `plateau` in `climb` seconds, flat there, and twice that `doubling` later."""

    start: float
    plateau: float
    climb: float
    doubling: float = DOUBLING

    def at(self, seconds: float) -> float:
        """Requests per second, this many seconds after the curve began."""
        beyond = seconds - self.climb
        if beyond < 0:
            return self.plateau - (self.plateau - self.start) * (-beyond / self.climb) ** 3
        return self.plateau * (1.0 + (beyond / self.doubling) ** 3)


class Rate:
    """No limit until a request is refused; `ceiling` always holds.

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
        """Requests per second; infinite without a limit."""
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
        # Time in which something else held requests back does not count for the curve, and is not
        # made up for: a gateway without a burst allowance would refuse.
        self._curve_from = min(now, self._curve_from + max(0.0, now - self.next_at))
        self.next_at = now + 1.0 / rate

    def forget(self, request: Request) -> None:
        """Stop counting a request as accepted: it was refused."""
        if request in self._accepted:
            self._accepted.remove(request)

    def hold(self, until: float) -> None:
        """Pause until this time."""
        self._curve_from = max(self._curve_from, until)
        self._cut_at = max(self._cut_at, until)
        self.next_at = max(self.next_at, until)

    def release(self, at: float) -> None:
        """Let the rate rise fast: requests are refused for another reason."""
        if self._curve is not None:
            rate = self.at(at)
            self._begin(Curve(rate, rate, 0.0, doubling=2.0), at)

    def refused(self, request: Request, delay: float, resume_at: float, worth: float) -> None:
        """Learn from a refusal.

        Args:
            request: The refused request.
            delay: Seconds until the refusal arrived.
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
            # A gateway that counts per second has counted these already.
            resume_at = max(resume_at, second[0] + len(second) / curve.start)
        self._begin(curve, resume_at)
        self.next_at += 1.0 / curve.start

    def _is_forgiven(self, request: Request) -> bool:
        """Whether a refusal may be due to a thread that woke up late."""
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
        """The curve after a refusal, from the requests accepted since the last curve began."""
        rate = self.at(request.sent_at)
        lasted = request.sent_at - self._cut_at
        if len(since) < ENOUGH or lasted < SOON:
            doubling = min(DOUBLING, 2.0 * curve.doubling)
            return Curve(0.75 * rate, 0.9 * rate, max(1.0, delay, 10.0 / rate), doubling)
        worth = max(CLIMB, worth, REQUESTS_PER_REFUSAL / rate)
        found = self._found(since, request.sent_at)
        if found < 0.7 * rate:
            # Pauses for other reasons split the requests into bursts.
            found = math.sqrt(found * rate)
        found = min(found, rate)
        start = START - EARLY * (1.0 - min(1.0, 2.0 * lasted / worth))
        return Curve(start * found, PLATEAU * found, worth)

    def _found(self, since: list[float], until: float) -> float:
        """Requests per second that the gateway accepts, measured before its refusal at `until`."""
        last = [t for t in since if t > until - 1.0]
        if len(last) < 10:  # noqa: PLR2004  # too few to count in one second
            last = since[-10:]
        lately = len(last) / max(1e-3, until - last[0])
        # A token bucket of size `burst` that accepted n since t refills at least this fast.
        refill = (
            (n + 1 - self._burst) / max(1e-6, until - t) for n, t in enumerate(reversed(since), 1)
        )
        return max(lately, *refill)


def _first_curve(accepted: int, delay: float) -> Curve:
    """The curve after the first refusal: the limit is often what one second accepted."""
    if accepted >= FIRST:
        return Curve(START * accepted, accepted, 0.7, max(2.0, 2.0 * delay))
    return Curve(FIRST, FIRST, 0.0, max(0.75, 2.0 * delay))
