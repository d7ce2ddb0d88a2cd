"""Requests per second, held where a small share of requests is refused.

Without a refusal the rate rises, by a little with each request; at a refusal it falls. The fall is
the doubt about the limit: half at first, less with each refusal that comes about when expected,
more with an early one, and more with each long time without one. The rise is such that one request
in `PER_REFUSAL` is refused, whatever way the gateway counts.

A token bucket is empty at a refusal. What it accepts between two of them is thus what it refills,
and the rate falls no lower than that, but at least half the way to it; the same holds for a window,
over a few of its lengths.

If nothing at all is accepted after a refusal, the gateway is closed: one request at a time probes
it. A gateway that stays closed for a good part of the time counts in windows, and what it accepted
from one opening to the next is the limit.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from connector.gateway.pace.quota import SHORT
from connector.gateway.pace.unavoidable import Unavoidable

if TYPE_CHECKING:
    from connector.gateway.pace.announced import Announced
    from connector.gateway.pace.request import Request

# Requests per second, at least, after a first refusal that came too early to measure a rate.
FIRST: Final = 8.0

# Requests for each one that is refused, in the long run.
PER_REFUSAL: Final = 150

# Share by which a refusal lowers the rate: at first, and when the limit is known.
MOST_DOUBT: Final = 0.5
LEAST_DOUBT: Final = 0.02

# Most rise after the first refusal, as a logarithm: with a request, and until the news of it.
STEEPEST: Final = 0.12
STEEPEST_UNSEEN: Final = 0.2

# Share of the way to what was accepted that the rate falls at a refusal, at least.
TOWARDS_LEAST: Final = 0.5

# Seconds between two refusals, at least, once the search is over.
SHORTEST: Final = 1.5

# Requests that may follow at once to make up for a late one, at most.
MOST_SLACK: Final = 8.0

# Seconds of work for each second that a refusal stops all requests.
WORK_PER_PAUSE: Final = 25.0

# Refusals in a row, each after the news of the one before, that show a closed gateway.
CLOSED: Final = 2

# Seconds between two probes of a closed gateway: at first, twice as long each time, at most.
FIRST_PROBE, LAST_PROBE = 0.1, 8.0

# Most seconds between two probes where tasks are refused for their own sake, more than rarely: what
# is left at the end of a list may be only those.
SOON: Final = 0.25
RARE: Final = 0.002

# Seconds by which two clocks may differ about when an answer arrived.
SAME: Final = 0.02

# Fewer accepted requests than this measure nothing.
ENOUGH: Final = 4

# Seconds before a refusal whose accepted requests are the rate, if all was accepted for longer.
LATELY: Final = 1.0

# Requests per second, whatever is refused or announced.
SLOWEST: Final = 1.0 / 60.0

# A limit of more requests per second than this limits nothing.
HIGHEST: Final = 1e4

# Of the requests under way at the first refusal: how many show whether it was by chance, at least,
# and which share of them is refused then, at most.
CROWD: Final = 4
CHANCE: Final = 0.1

# Requests kept to measure the rate by.
REMEMBERED: Final = 2048


class _Mark(NamedTuple):
    """A moment, and how many requests were accepted until then."""

    at: float
    accepted: int


class _Sent(NamedTuple):
    """When a request was sent, and at which rate."""

    at: float
    rate: float


class _Fall(NamedTuple):
    """When a refusal arrived, and the limit before it and after."""

    at: float
    before: float
    after: float


class Rate:
    """No limit until a request is refused; `ceiling` always holds.

    Attributes:
        next_at: When the next request may start.
    """

    def __init__(self, ceiling: float | None = None) -> None:
        self.next_at = -math.inf
        self._ceiling = ceiling or math.inf
        self._limit = math.inf
        self._doubt = MOST_DOUBT
        self._quiet = 0
        self._refused = 0
        self._burst = math.inf
        self._slack = 0.0
        self._first_at: float | None = None
        self._accepted: OrderedDict[int, _Sent] = OrderedDict()
        self._last_refused = 0
        self._empty: deque[_Mark] = deque(maxlen=4)
        self._opened: deque[_Mark] = deque(maxlen=3)
        self._period = 0.0
        self._closed = _Mark(0.0, 0)
        self._in_row = 0
        self._episode = 0
        self._cost = 1.0
        self._unavoidable = Unavoidable()
        self._falls: deque[_Fall] = deque(maxlen=64)
        self._pause = 0.0
        self._told_at = -math.inf
        # Under way at the first refusal, refused among them, and the number of the last.
        self._crowd = self._held = self._crowd_last = 0
        self._own_share = 0.0
        self._news_seconds = 0.0

    def at(self, _now: float = 0.0) -> float:
        """Requests per second; infinite without a limit."""
        return min(self._ceiling, self._limit)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is accepted at present."""
        return self._in_row >= CLOSED

    def sent(self, request: Request) -> None:
        """Note that a request starts."""
        now, rate = request.sent_at, self.at()
        if self._first_at is None:
            self._first_at = now
            self._opened.append(_Mark(now, 0))
        self._accepted[request.number] = _Sent(now, rate)
        if len(self._accepted) > REMEMBERED:
            self._accepted.popitem(last=False)
        if rate == math.inf:
            return
        if self.is_closed:
            # One at a time, unless this one hangs.
            self.next_at = now + 2.0 * self._probe_seconds()
            return
        # What something else held back says nothing about the rate.
        slack = self._slack / rate if self._limit <= self._ceiling else 0.0
        if self._limit <= self._ceiling:
            self._rise(1.0 / (1.0 + max(0.0, now - slack - self.next_at) * rate))
        # A thread that woke up late is made up for within the slack, as far as there is a burst
        # allowance: a gateway without one would refuse.
        self.next_at = max(self.next_at, now - slack) + 1.0 / rate

    def good(self, request: Request) -> None:
        """Note that a request was accepted."""
        self._unavoidable.accepted(request)
        if request.number > self._crowd_last > 0:
            self._judge_crowd()
        if not self._in_row or request.number <= self._last_refused:
            return
        if self.is_closed:
            self._reopen(request)
        self._opened.append(_Mark(request.sent_at, request.number - 1 - self._refused))
        self._in_row = 0

    def heed(self, said: Announced) -> None:
        """Begin at an announced rate; refusals, or their absence, are believed more than it."""
        is_of_window = said.reset is not None and said.reset > SHORT
        if self._limit < math.inf or said.rate is None or is_of_window:
            return
        if SLOWEST <= said.rate <= HIGHEST:
            self._limit = said.rate
            self._doubt = 2.0 * LEAST_DOUBT

    def hold(self, request: Request, until: float) -> None:
        """Note a refusal that says little new; pause until then.

        After the first one it shows what an empty bucket took of all that was under way.
        """
        mark = self._mark(request)
        self._forget(request)
        self._held += 1
        is_of_crowd = len(self._empty) == 1 and request.sent_at <= self._told_at
        if is_of_crowd and (rate := self._since(self._empty[0], mark)):
            count = mark.accepted - self._empty[0].accepted
            self._limit, self._doubt = rate, min(MOST_DOUBT, 2.0 / count)
        self.next_at = max(self.next_at, until)

    def release(self, request: Request, at: float) -> None:
        """Let the rate rise fast: a request was refused for another reason."""
        self._forget(request)
        self._doubt = min(MOST_DOUBT, 2.0 * self._doubt)
        self.next_at = max(self.next_at, at)

    def endure(self, request: Request, share: float) -> None:
        """Note a refusal for the task's own sake, as of this share of tasks: not for the rate's."""
        self._forget(request)
        self._own_share = share

    def undo(self, now: float, at: float) -> None:
        """Undo what a refusal has cost that arrived then: it was for the task's own sake."""
        fall = min(self._falls, key=lambda fall: abs(fall.at - at), default=None)
        if fall is None or abs(fall.at - at) > SAME:
            return
        self._falls.remove(fall)
        self._in_row = 0
        if fall.before < math.inf:
            restored = min(fall.before, self._limit * fall.before / fall.after)
            self._limit = max(self._limit, restored)
        elif self._is_alone(now, at):
            self._free()

    def _judge_crowd(self) -> None:
        """Forget the first refusal, if it was by chance: most that was under way was accepted."""
        self._crowd_last = 0
        if not self.is_closed and self._crowd >= CROWD and self._held <= CHANCE * self._crowd:
            self._free()

    def _free(self) -> None:
        """Go on without a limit."""
        self._limit, self._doubt, self.next_at = math.inf, MOST_DOUBT, -math.inf
        self._empty.clear()
        self._falls.clear()
        self._in_row = self._crowd_last = 0

    def _is_alone(self, now: float, at: float) -> bool:
        """Whether nothing else shows a limit: all other refusals may yet turn out to be alike.

        A limit refuses most that was under way at its first refusal.
        """
        is_of_crowd = self._held > self._crowd / 2
        return not is_of_crowd and all(other.at > 2.0 * at - now for other in self._falls)

    def refused(self, request: Request, now: float, resume_at: float) -> None:
        """Learn from a refusal.

        Args:
            request: The refused request.
            now: When the refusal arrived.
            resume_at: When requests may start again.
        """
        mark, before = self._mark(request), self._limit
        sent = self._forget(request)
        in_vain = self._unavoidable.refused(request)
        if not in_vain and self._unavoidable.credit.pay():
            return
        self._in_row += 1
        self._told_at, self._news_seconds = now, now - request.sent_at
        if self._in_row == 1:
            self._closed = mark
        if in_vain:
            self._limit, self._in_row = max(self._limit, in_vain), 0
        elif math.inf in (sent.rate, self._limit):
            self._crowd_last = max(self._accepted, default=0)
            self._crowd, self._held = self._crowd_last - request.number, 0
            self._limit = self._first_guess(mark, now, resume_at)
        elif not self.is_closed:
            self._learn(sent, mark)
        self._falls.append(_Fall(now, before, self._limit))
        self._empty.append(mark)
        count = mark.accepted - self._empty[-2].accepted if len(self._empty) > 1 else PER_REFUSAL
        cost = self._episode * PER_REFUSAL / max(1, count)
        self._cost += (min(cost, 10.0) - self._cost) / 4.0
        self._episode = 1
        self._quiet = 0
        self._pause = max(0.0, resume_at - now)
        gap = self._probe_seconds() if self.is_closed else 1.0 / self.at()
        self.next_at = max(resume_at, now + gap)

    def _mark(self, request: Request) -> _Mark:
        return _Mark(request.sent_at, request.number - 1 - self._refused)

    def _forget(self, request: Request) -> _Sent:
        self._refused += 1
        self._episode += 1
        self._last_refused = max(self._last_refused, request.number)
        return self._accepted.pop(request.number, _Sent(request.sent_at, self.at()))

    def _first_guess(self, mark: _Mark, now: float, resume_at: float) -> float:
        """As if a second's requests had been saved up, or those until it lets in more."""
        seconds = now - (self._first_at or 0.0)
        self._burst = max(1, mark.accepted)
        self._slack = min(MOST_SLACK, max(0.0, self._burst / 4.0 - 1.0))
        if resume_at > now:
            return max(SLOWEST, mark.accepted / (resume_at - now + seconds))
        return max(FIRST, mark.accepted / (1.0 + seconds))

    def _probe_seconds(self) -> float:
        last = SOON if self._unavoidable.share + self._own_share > RARE else LAST_PROBE
        return min(last, FIRST_PROBE * 2.0 ** min(16, max(0, self._in_row - CLOSED)))

    def _expected(self) -> float:
        """Requests until the next refusal."""
        share = LEAST_DOUBT / self._doubt
        cost = 1.0 + (max(1.0, self._cost) - 1.0) * share
        return max(
            PER_REFUSAL * cost * share,
            WORK_PER_PAUSE * self._pause * self._limit * share,
            max(SHORTEST, self._period) * self._limit,
        )

    def _rise(self, share: float) -> None:
        self._quiet += 1
        if self._quiet > 1.1 * self._expected():
            self._doubt = min(MOST_DOUBT, 3.0 * self._doubt)
            self._quiet = 0
        rise = self._doubt / self._expected()
        if len(self._empty) == 1 and self._doubt == MOST_DOUBT and not self._pause:
            unseen = max(1.0, self._limit * self._news_seconds)
            rise = min(STEEPEST, STEEPEST_UNSEEN / unseen)
        self._limit *= math.exp(share * rise)

    def _learn(self, sent: _Sent, mark: _Mark) -> None:
        """Lower the rate, no further than to what was accepted; doubt what is left."""
        count = mark.accepted - self._empty[-1].accepted if self._empty else mark.accepted
        least = (1.0 - LEAST_DOUBT / 2.0) * max(self._least(mark), self._without_burst(mark))
        fall = self._doubt
        if least:
            fall = max(fall, TOWARDS_LEAST * (1.0 - least / sent.rate))
        self._limit = max(SLOWEST, min(sent.rate, max(least, sent.rate * (1.0 - fall))))
        if least >= sent.rate:
            return  # What was sent before, faster, left the bucket empty.
        if least > sent.rate * (1.0 - self._doubt):
            # A rate above the limit empties what was saved up: the limit is nearer to the least.
            between = 0.5 * (1.0 - least / sent.rate - LEAST_DOUBT) + 1.0 / max(1, count)
            self._doubt = max(LEAST_DOUBT, min(0.7 * self._doubt, between))
        elif count < 0.25 * self._expected():
            self._doubt = min(MOST_DOUBT, 2.0 * self._doubt)
            self._slack /= 2.0
        else:
            self._doubt = max(LEAST_DOUBT, self._doubt / 2.0)

    def _least(self, mark: _Mark) -> float:
        """Requests per second accepted since a refusal: the bucket was empty then."""
        rates = [rate for empty in self._empty if (rate := self._since(empty, mark))]
        return min(rates[-1:] + rates[:1], default=0.0)

    @staticmethod
    def _since(empty: _Mark, mark: _Mark) -> float | None:
        """Requests per second accepted since then; None if they measure nothing."""
        count = mark.accepted - empty.accepted
        return count / max(1e-3, mark.at - empty.at) if count >= ENOUGH else None

    def _without_burst(self, mark: _Mark) -> float:
        """Requests per second accepted lately, less what may have been saved up."""
        since = self._empty[-1].at if self._empty else -math.inf
        times = [s.at for s in reversed(self._accepted.values()) if since < s.at < mark.at]
        rates = [
            (count - self._burst) / max(1e-3, times[0] - time)
            for count, time in enumerate(times, 1)
            if count >= ENOUGH
        ]
        if mark.at - since > 2.0 * LATELY:
            rates.append(sum(time > mark.at - LATELY for time in times) / LATELY)
        return max(rates, default=0.0)

    def _reopen(self, request: Request) -> None:
        now, opened = request.sent_at, self._opened[-1]
        is_long = now - self._closed.at >= 0.25 * (self._closed.at - opened.at)
        if is_long and self._unavoidable.share < RARE:
            # It counts in windows: an empty bucket does not close for long.
            self._period = max(1e-3, now - opened.at)
            # A few in a single window measure nothing: it was out, perhaps before any.
            rates = [
                (count + 1) / max(1e-3, now - mark.at)
                for mark in self._opened
                if (count := self._closed.accepted - mark.accepted)
                >= (ENOUGH if mark is opened else 1)
            ]
            self._limit = max(SLOWEST, max(rates, default=self._limit))
            # It opened at some time since the last probe.
            unknown = (now - self._empty[-1].at) / self._period
            accepted = self._closed.accepted - opened.accepted
            self._doubt = min(MOST_DOUBT, LEAST_DOUBT + unknown + 1.0 / max(1, accepted))
        self.next_at = request.sent_at + 1.0 / self.at()
