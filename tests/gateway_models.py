"""Gateways that limit what they let in, and a simulation of a client that always has more to ask.

Nothing sleeps: time is a number, and events are taken from a heap in order.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol

from connector.gateway.pace.request import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from connector.gateway.pace.announced import Announced
    from connector.gateway.pace.pace import Pace
    from connector.gateway.pace.request import Request

# One way between client and gateway.
TRAVEL_SECONDS = 0.001


class Rule(Protocol):
    """Whether a request that arrives now, with so many inside, is let in."""

    def __call__(self, now: float, inside: int, /) -> bool: ...


class Anything:
    """No limit."""

    def __call__(self, _now: float, _inside: int, /) -> bool:
        return True


@dataclass
class TokenBucket:
    """So many a second, and up to `burst` saved up."""

    rate: float
    burst: float
    level: float = math.inf
    filled_at: float = 0.0

    def __call__(self, now: float, _inside: int, /) -> bool:
        self.level = min(self.burst, self.level + (now - self.filled_at) * self.rate)
        self.filled_at = now
        # A request exactly on time is let in, whatever the last bit of a float says.
        if self.level < 1 - 1e-9:
            return False
        self.level -= 1
        return True

    def wait(self, now: float) -> float:
        """Seconds until the next token."""
        return (1 - self.level) / self.rate - (now - self.filled_at)


@dataclass
class FixedWindow:
    """So many in each second, or longer, of the gateway's clock, which is `phase` ahead."""

    most: int
    seconds: float = 1.0
    phase: float = 0.4
    window: int = -1
    taken: int = 0

    def __call__(self, now: float, _inside: int, /) -> bool:
        window = math.floor((now + self.phase) / self.seconds)
        if window != self.window:
            self.window, self.taken = window, 0
        self.taken += 1
        return self.taken <= self.most

    def wait(self, now: float) -> float:
        """Seconds until the window ends."""
        return self.seconds - (now + self.phase) % self.seconds


@dataclass
class SlidingWindow:
    """So many in any second, or longer."""

    most: int
    seconds: float = 1.0
    times: deque[float] = field(default_factory=deque)

    def __call__(self, now: float, _inside: int, /) -> bool:
        while self.times and self.times[0] <= now - self.seconds + 1e-9:
            self.times.popleft()
        if len(self.times) >= self.most:
            return False
        self.times.append(now)
        return True

    def wait(self, now: float) -> float:
        """Seconds until the oldest leaves the window."""
        return self.times[0] + self.seconds - now


@dataclass
class Shared:
    """A limit that others use too, evenly on average, at a rate that follows the time."""

    rule: TokenBucket | FixedWindow | SlidingWindow
    others: Callable[[float], float]
    seed: int = 1
    next_at: float = 0.0
    given: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, now: float, _inside: int, /) -> bool:
        while self.next_at <= now:
            self.given += self.rule(self.next_at, 0)
            self.next_at += self._random.expovariate(self.others(self.next_at))
        return self.rule(now, 0)

    def wait(self, now: float) -> float:
        """As the rule says."""
        return self.rule.wait(now)


@dataclass(frozen=True)
class AtMost:
    """So many at once."""

    most: int

    def __call__(self, _now: float, inside: int, /) -> bool:
        return inside < self.most


@dataclass(frozen=True)
class Changing:
    """One rule until `at`, then another."""

    first: Rule
    then: Rule
    at: float

    def __call__(self, now: float, inside: int, /) -> bool:
        return (self.first if now < self.at else self.then)(now, inside)


def in_whole_seconds(_now: float, wait: float) -> float:
    """Retry-After in seconds, at least one."""
    return float(max(1, math.ceil(wait)))


def as_a_date(now: float, wait: float) -> float:
    """Retry-After as a date, which has no fractions of a second, read at once."""
    return math.ceil(now + wait) - now


@dataclass(frozen=True)
class Gateway:
    """A rule, and how long things take there.

    Attributes:
        latency: Seconds of service, on average.
        spread: Of the logarithm of the seconds of service.
        servers: How many are served at once; others queue. None for all.
        refusal_latency: Seconds until a refusal is out.
        travel_jitter: Seconds, on average, by which a request is later than the quickest.
        retry_after: Sent with each refusal; a function makes it of the time and the true wait.
        is_out: Whether refusals are 503.
        announces: Makes what each answer says of the limit, of the time.
        hangs: Numbers of the requests that are never answered.
        timeout: Seconds after which those are given up.
        stubborn: Share of tasks that are always refused, whatever the rule says.
        flaky: Share of requests that are refused by chance, whatever the rule says.
    """

    rule: Rule = field(default_factory=Anything)
    latency: float = 0.05
    spread: float = 0.3
    servers: int | None = None
    refusal_latency: float = 0.005
    travel_jitter: float = 0.0
    retry_after: float | Callable[[float, float], float] | None = None
    is_out: bool = False
    announces: Callable[[float], Announced] | None = None
    hangs: Container[int] = ()
    timeout: float = 30.0
    stubborn: float = 0.0
    flaky: float = 0.0


@dataclass
class _Task:
    """What is asked for, and what happened to it."""

    is_stubborn: bool
    refusals: int = 0
    refused_at: float = 0.0


@dataclass
class Run:
    """What happened, and when."""

    sent: list[float] = field(default_factory=list)
    good: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    reached: dict[int, float] = field(default_factory=dict)
    """When so many were in flight for the first time."""

    def per_second(self, start: float, end: float) -> float:
        """Good answers a second in that time."""
        return sum(start <= t < end for t in self.good) / (end - start)

    def refused_share(self) -> float:
        """Of all that was sent."""
        return len(self.refused) / len(self.sent)


class Simulation:
    """A client that always has more to ask, a gateway, and the way between them.

    Args:
        pace: Of the client.
        gateway: What answers.
        seed: Of all that is left to chance.
        jitter: Seconds, on average, by which a wake-up is late, or a request on its way, if it is:
            as measured of threads on a busy machine.
        stalled: Share of those that are.
    """

    def __init__(
        self,
        pace: Pace,
        gateway: Gateway,
        seed: int = 1,
        *,
        jitter: float = 0.0,
        stalled: float = 1 / 30,
    ) -> None:
        self.run = Run()
        self._jitter = jitter
        self._stalled = stalled
        self._pace = pace
        self._gateway = gateway
        self._random = random.Random(seed)
        self._now = 0.0
        self._inside = 0
        self._free_at = [0.0] * (gateway.servers or 0)
        self._events: list[tuple[float, int, Request, str]] = []
        self._order = count()
        self._announced: dict[Request, Announced] = {}
        self._tasks: dict[Request, _Task] = {}
        self._pauses: list[tuple[float, int, _Task]] = []
        self._line: deque[tuple[int, _Task]] = deque()

    def until(self, end: float) -> Run:
        """Run on until that time."""
        while self._now < end:
            wait = self._pace.wait(self._now)
            if wait <= 0:
                self._send()
            elif self._events and self._events[0][0] <= self._now + wait:
                self._now, _, request, what = heapq.heappop(self._events)
                getattr(self, f"_{what}")(request)
            else:
                late = self._by_chance()
                self._now = max(self._now + wait + late, math.nextafter(self._now, math.inf))
        return self.run

    def _later(self, seconds: float, request: Request, what: str) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._order), request, what))

    def _send(self) -> None:
        request = self._pace.sent(self._now)
        self._tasks[request] = self._next_task()
        self.run.sent.append(self._now)
        self.run.reached.setdefault(request.in_flight, self._now)
        if request.number in self._gateway.hangs:
            self._later(self._gateway.timeout, request, "give_up")
        else:
            self._later(TRAVEL_SECONDS + self._travel() + self._by_chance(), request, "arrive")

    def _next_task(self) -> _Task:
        while self._pauses and self._pauses[0][0] <= self._now:
            # As the client does: behind all whose turn it could have been by now.
            under_way = len(self._tasks) + len(self._pauses) + len(self._line)
            place = len(self.run.sent) + max(0, min(8, 224 - under_way))
            self._line.append((place, heapq.heappop(self._pauses)[2]))
        if self._line and self._line[0][0] <= len(self.run.sent):
            return self._line.popleft()[1]
        stubborn = self._gateway.stubborn
        return _Task(bool(stubborn) and self._random.random() < stubborn)

    def _ask_again(self, task: _Task, wait: float) -> None:
        task.refusals, task.refused_at = task.refusals + 1, self._now
        if task.refusals < 5:
            until = self._now + wait + self._random.random() * 0.5 * 2**task.refusals
            heapq.heappush(self._pauses, (until, next(self._order), task))

    def _travel(self) -> float:
        jitter = self._gateway.travel_jitter
        return self._random.expovariate(1.0 / jitter) if jitter else 0.0

    def _by_chance(self) -> float:
        if not self._jitter or self._random.random() > self._stalled:
            return 0.0
        return self._random.expovariate(1.0 / self._jitter)

    def _arrive(self, request: Request) -> None:
        is_let_in = self._gateway.rule(self._now, self._inside)
        is_let_in = is_let_in and not self._tasks[request].is_stubborn
        flaky = self._gateway.flaky
        is_let_in = is_let_in and not (flaky and self._random.random() < flaky)
        if self._gateway.announces:
            self._announced[request] = self._gateway.announces(self._now)
        if is_let_in:
            self._inside += 1
            self._later(self._service(), request, "leave")
        else:
            self._later(self._gateway.refusal_latency, request, "refuse")

    def _service(self) -> float:
        spread = self._gateway.spread
        seconds = self._gateway.latency * math.exp(self._random.gauss(-(spread**2) / 2, spread))
        if self._free_at:
            end = max(heapq.heappop(self._free_at), self._now) + seconds
            heapq.heappush(self._free_at, end)
            seconds = end - self._now
        return seconds

    def _leave(self, request: Request) -> None:
        self._inside -= 1
        self._later(TRAVEL_SECONDS, request, "end")

    def _end(self, request: Request) -> None:
        latency = self._now - request.sent_at
        announced, task = self._announced.pop(request, None), self._tasks.pop(request)
        sample = Sample(
            "good",
            latency,
            announced=announced,
            refusals=task.refusals,
            refused_for=self._now - task.refused_at,
        )
        self._pace.answered(self._now, request, sample)
        self.run.good.append(self._now)
        self.run.latencies.append(latency)

    def _refuse(self, request: Request) -> None:
        announced = self._announced.pop(request, None)
        latency = self._now - request.sent_at
        is_out, wait = self._gateway.is_out, self._retry_after()
        task = self._tasks.pop(request)
        refused_for = self._now - task.refused_at
        sample = Sample("refused", latency, wait, is_out, announced, task.refusals, refused_for)
        self._ask_again(task, wait or 0.0)
        self._pace.answered(self._now, request, sample)
        self.run.refused.append(self._now)

    def _retry_after(self) -> float | None:
        says = self._gateway.retry_after
        return says(self._now, self._gateway.rule.wait(self._now)) if callable(says) else says

    def _give_up(self, request: Request) -> None:
        self._pace.answered(
            self._now, request, Sample("failed", self._gateway.timeout, has_status=False)
        )
