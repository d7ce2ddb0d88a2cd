"""When to poll which unfinished generation."""

from __future__ import annotations

import heapq
import threading
import time
from typing import TYPE_CHECKING, Final

from connector.record.answer import Concern, Outcome
from connector.record.schema import TERMINAL_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.record.answer import Answer
    from connector.run.watcher import Watcher

# Factor from one interval to the next: each interval is the first one plus a quarter of the time
# waited before it, and a finish is known to within that.
GROWTH: Final = 1.25

# Fraction of the first interval: polls due this soon after another go along with it.
TOGETHER: Final = 0.1

# Seconds after the end of the wait, in which the last polls may still start or be tried again.
LAST: Final = 5.0


def is_unfinished(answer: Answer) -> bool:
    """Whether a later request may find the generation finished."""
    if answer.outcome is Outcome.GENERATION:
        return answer.status not in TERMINAL_STATUSES
    return answer.outcome is Outcome.NOT_READY


class Polls:
    """Schedules polls. Each task ID has its own interval, which grows.

    A generation that is unfinished when first seen is polled until it is finished or finally
    rejected. A failure that may pass, such as a timeout, does not end the polling.

    Args:
        first: Seconds from the first answer to the first poll.
        longest: Most seconds between two polls.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = min(first, longest)
        self._longest = longest
        self._intervals: dict[str, float] = {}
        self._ends: dict[str, str] = {}
        self._due: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """Number of unfinished task IDs."""
        return len(self._ends)

    @property
    def next_at(self) -> float | None:
        """When the next poll is due; None if none is left."""
        return self._due[0][0] if self._due else None

    def end_of(self, task_id: str) -> str:
        """The `Answer.end` of the last answer for an unfinished task ID."""
        return self._ends[task_id]

    def note(self, answer: Answer, now: float) -> None:
        """Take in an answer, the first one for its task ID or one to a poll."""
        may_pass = answer.concerns not in (None, Concern.TASK)
        if is_unfinished(answer) or (answer.task_id in self._ends and may_pass):
            self.schedule(answer.task_id, answer.end, now)
        else:
            self._ends.pop(answer.task_id, None)
            self._intervals.pop(answer.task_id, None)

    def schedule(self, task_id: str, end: str, now: float) -> None:
        """Schedule the next poll of a task ID whose last answer has this `Answer.end`."""
        interval = self._intervals.get(task_id)
        interval = self._first if interval is None else min(interval * GROWTH, self._longest)
        self._intervals[task_id], self._ends[task_id] = interval, end
        heapq.heappush(self._due, (now + interval, task_id))

    def take(self, now: float) -> list[str]:
        """Remove and return the task IDs that are due now or in a moment."""
        due = []
        while self._due and self._due[0][0] <= now + TOGETHER * self._first:
            due.append(heapq.heappop(self._due)[1])
        return due


class Until(threading.Event):
    """An event that is set once another one is, or at a moment: what ends the last polls.

    Retries, and pauses that the gateway asks for, would else go on long after the wait.

    Args:
        stop: The other event.
        at: The moment.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self, stop: threading.Event, at: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._stop, self._at, self._clock = stop, at, clock

    def is_set(self) -> bool:
        """Whether the other event is set, or the moment has come."""
        return self._stop.is_set() or self._clock() >= self._at

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, for at most this many seconds."""
        left = max(0.0, self._at - self._clock())
        self._stop.wait(left if timeout is None else min(timeout, left))
        return self.is_set()


def due(
    polls: Polls, seconds: float, watcher: Watcher, clock: Callable[[], float] = time.monotonic
) -> Iterator[list[str]]:
    """Yield task IDs whenever some are due, until nothing is unfinished or the time is over.

    Args:
        polls: The schedule; the consumer notes the answers in it.
        seconds: Time from now to the deadline.
        watcher: Hears of each wait; its `stop` ends the wait at once.
        clock: Monotonic clock, in seconds.
    """
    deadline = clock() + seconds
    while (next_at := polls.next_at) is not None and next_at <= deadline:
        wait = max(0.0, next_at - clock())
        watcher.waiting(len(polls), wait)
        if watcher.stop.wait(wait):
            return
        yield polls.take(clock())
