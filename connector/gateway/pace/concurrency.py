"""Concurrency limits: the point where more requests only wait longer, or are refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request, Sample

FIRST: Final = 2

# While nothing speaks against more, the limit doubles with the latency, but rises by a third
# between these two: what is under way at a first refusal is refused too, and must be few at a low
# rate.
FEW, MANY = 4.0, 16.0
LOW_RISE: Final = 1.0 / 3.0

# Logarithm of the rise in latency that is too much: about half again.
RISE: Final = 0.4

# Seconds of latency below which all is alike: a good part of it is this process's own work.
LEAST: Final = 0.005

# After a cut by half, answers must come 2 ** 0.8 times as fast, or the cut is undone.
IN_STEP: Final = 0.8

# Requests and seconds of a cohort, at least: a momentary stall must not fill half of it.
SMALLEST_COHORT: Final = 8
SHORTEST_COHORT: Final = 0.25

# Share of a cohort that may fail before the limit is cut.
MOST_FAILED: Final = 0.2

# Good answers needed before a refusal's reason can be judged.
WITNESSES: Final = 8

# Requests accepted at the cap that raise it.
PASSES: Final = 3

# Seconds between two attempts to exceed the cap by one.
FIRST_HOLD, LONGEST_HOLD = 5.0, 120.0


@dataclass(slots=True)
class _Cohort:
    """Consecutive requests, judged together: the first to return are not typical."""

    first: int
    began: float
    size: int = 0
    answered: int = 0
    failed: int = 0
    in_flight: int = 0
    latencies: list[float] = field(default_factory=list)

    def close(self, last: int) -> None:
        """End it with request number `last`; it is judged when most have returned."""
        self.size = last - self.first + 1

    @property
    def last(self) -> int:
        return self.first + self.size - 1

    def add(self, request: Request, sample: Sample) -> None:
        self.answered += 1
        self.failed += sample.kind == "failed"
        if sample.kind == "good":
            self.in_flight += request.in_place
            self.latencies.append(sample.latency)

    def load(self) -> float:
        """Requests in flight, on average."""
        return self.in_flight / len(self.latencies)

    def quantile(self, share: float) -> float:
        """A quantile of the latency; requests still in flight count as the slowest."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * self.size), len(ordered) - 1)]

    def noise(self) -> float:
        """Random error of the logarithm of the median."""
        quarter, three_quarters = (max(LEAST, self.quantile(share)) for share in (0.25, 0.75))
        spread = math.log(three_quarters / quarter) / 1.35
        return 2.5 * spread * math.sqrt(2.0 / self.size)


@dataclass(frozen=True, slots=True)
class _Trial:
    """The state before the limit was cut."""

    limit: float
    is_doubling: bool
    load: float
    latency: float


class Knee:
    """Raises the limit while latency is steady, cuts it when latency rises, undoes a useless cut.

    Attributes:
        limit: Most requests in flight.
    """

    def __init__(self, most: int) -> None:
        self.limit = float(min(FIRST, most))
        self._most = float(most)
        self._is_doubling = True
        self._at_ease: float | None = None
        self._trial: _Trial | None = None
        self._reached = 0
        self._cohort = _Cohort(1, -math.inf)

    def reached(self, request: Request) -> None:
        """Note that this request took the last free place."""
        self._reached = request.number

    def answered(self, request: Request, sample: Sample, last: int, now: float) -> None:
        """Note an answer; `last` is the number of the latest request."""
        if sample.kind == "good" and self._is_doubling and self._reached >= request.number:
            self._raise(LOW_RISE if FEW <= self.limit < MANY else 1.0)
        cohort = self._cohort
        if request.number < cohort.first or (cohort.size and request.number > cohort.last):
            return
        cohort.add(request, sample)
        if not cohort.size and self._is_enough(cohort, last, now):
            cohort.close(last)
        if cohort.size and cohort.answered >= 0.9 * cohort.size:
            self._judge(cohort)
            self._cohort = _Cohort(last + 1, now)

    def _is_enough(self, cohort: _Cohort, last: int, now: float) -> bool:
        return (
            last - cohort.first + 1 >= max(SMALLEST_COHORT, int(self.limit))
            and now - cohort.began >= SHORTEST_COHORT
        )

    def _raise(self, by: float) -> None:
        self.limit = min(self._most, self.limit + by)

    def _judge(self, cohort: _Cohort) -> None:
        if cohort.failed > MOST_FAILED * cohort.size:
            self._is_doubling, self._trial = False, None
            self.limit = max(1.0, self.limit / 1.5)
        elif len(cohort.latencies) > cohort.size / 2:
            latency = cohort.quantile(0.5)
            if self._trial is None:
                self._compare(cohort, max(LEAST, latency))
            else:
                self._conclude(self._trial, cohort, latency)

    def _compare(self, cohort: _Cohort, latency: float) -> None:
        at_ease = self._at_ease or latency
        rise = math.log(latency / at_ease)
        if rise <= cohort.noise():
            # Follows a lower latency at once, a higher one slowly, and a queue never.
            self._at_ease = at_ease * math.exp(rise if rise < 0 else 0.05 * rise)
        if self._reached < cohort.first:
            return
        if rise > RISE + cohort.noise():
            # Little's law: the number in flight if none of them queued.
            self._try(cohort.load() * at_ease / latency, cohort, latency)
        elif not self._is_doubling:
            self._raise(max(1.0, self.limit / 8.0))

    def _try(self, limit: float, cohort: _Cohort, latency: float) -> None:
        self._trial = _Trial(self.limit, self._is_doubling, cohort.load(), latency)
        self.limit = max(1.0, limit)
        self._is_doubling = False

    def _conclude(self, trial: _Trial, cohort: _Cohort, latency: float) -> None:
        """Cut further while answers get faster in proportion, so that throughput holds."""
        self._trial = None
        if trial.latency >= latency * (trial.load / cohort.load()) ** IN_STEP:
            # A lone request does not queue.
            if cohort.load() >= 1.2 and latency > LEAST:  # noqa: PLR2004
                self._try(cohort.load() / 1.5, cohort, latency)
        else:
            self._at_ease = trial.latency
            self.limit, self._is_doubling = trial.limit, trial.is_doubling


class Cap:
    """A concurrency from which the gateway refuses; unknown until two refusals point to it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._refused_from: int | None = None
        self._step = 1
        self._hold = FIRST_HOLD
        self._try_at = 0.0
        self._passed = 0
        self._suspect: int | None = None
        self._accepted = [0] * (most + 1)

    def limit(self, now: float) -> float:
        """Most requests in flight; infinite without a cap. Now and then one more, as a trial."""
        if self._refused_from is None:
            return math.inf
        return self._refused_from - (now < self._try_at)

    def good(self, request: Request) -> None:
        """Note that a request was accepted."""
        self._accepted[request.in_flight] += 1
        if self._refused_from is not None and request.in_flight >= self._refused_from:
            self._passed += 1
            if self._passed >= PASSES:
                self._widen(self._refused_from + self._step)

    def explains(self, request: Request, now: float, worth: float) -> bool:
        """Whether the number in flight, not the rate, is why a request was refused.

        If so, the next trial is at least `worth` seconds away.
        """
        count = request.in_flight
        if count > 1 and self._refused_from is not None and count >= self._refused_from:
            self._set(self._refused_from, now, min(2.0 * self._hold, LONGEST_HOLD), worth)
            return True
        total = sum(self._accepted)
        if total < WITNESSES:
            return False
        is_high = count > 1 and sum(self._accepted[count:]) <= max(2, 0.05 * total)
        before, self._suspect = self._suspect, count if is_high else None
        self._accepted = [0] * (self._most + 1)
        if not is_high or before is None or abs(count - before) > max(1, count // 8):
            return False
        self._set(min(count, before), now, FIRST_HOLD, worth)
        return True

    def forget(self) -> None:
        """Forget what is known: what pointed to it had another reason."""
        self._refused_from = self._suspect = None

    def _widen(self, refused_from: int) -> None:
        self._refused_from = refused_from if refused_from <= self._most else None
        self._step *= 2
        self._hold = max(1.0, self._hold / 2.0)
        self._passed = 0

    def _set(self, refused_from: int, now: float, hold: float, worth: float) -> None:
        self._refused_from = refused_from
        self._hold = hold
        self._try_at = now + max(hold, worth)
        self._step, self._passed = 1, 0
