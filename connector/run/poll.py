"""Unfinished generations, asked for again until they are finished: which, and when."""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Final

from connector.record.answer import Concern, Outcome
from connector.record.schema import TERMINAL_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.record.answer import Answer
    from connector.run.watcher import Watcher

# From one interval to the next. So an interval is the first one and a quarter of the time waited
# before it, and a finish is known to within that.
GROWTH: Final = 1.25

# Parts of the first interval: what is due this soon after another is asked for along with it.
TOGETHER: Final = 0.1


def is_unfinished(answer: Answer) -> bool:
    """Whether an answer is of a generation that asking again may find finished."""
    if answer.outcome is Outcome.GENERATION:
        return answer.status not in TERMINAL_STATUSES
    return answer.outcome is Outcome.NOT_READY


class Polls:
    """When to ask again for which task ID. Each has its own interval, which grows.

    A generation that is unfinished when first seen is asked for until it is finished, or finally
    rejected. A failure that may pass, such as a timeout, is no reason to end that.

    Args:
        first: Seconds from the first answer to the first poll.
        longest: Seconds between two polls, at most.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = min(first, longest)
        self._longest = longest
        self._intervals: dict[str, float] = {}
        self._ends: dict[str, str] = {}
        self._due: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """How many are unfinished."""
        return len(self._ends)

    @property
    def next_at(self) -> float | None:
        """When the next poll is due; None if there is nothing left to ask for."""
        return self._due[0][0] if self._due else None

    def end_of(self, task_id: str) -> str:
        """What the last answer for an unfinished task ID came to: see `Answer.end`."""
        return self._ends[task_id]

    def note(self, answer: Answer, now: float) -> None:
        """Take in an answer, the first for its task ID or that to a poll."""
        may_pass = answer.concerns not in (None, Concern.TASK)
        if is_unfinished(answer) or (answer.task_id in self._ends and may_pass):
            self.open(answer.task_id, answer.end, now)
        else:
            self._ends.pop(answer.task_id, None)
            self._intervals.pop(answer.task_id, None)

    def open(self, task_id: str, end: str, now: float) -> None:
        """Ask for a task ID again, whose answer came to this end."""
        interval = self._intervals.get(task_id)
        interval = self._first if interval is None else min(interval * GROWTH, self._longest)
        self._intervals[task_id], self._ends[task_id] = interval, end
        heapq.heappush(self._due, (now + interval, task_id))

    def take(self, now: float) -> list[str]:
        """Task IDs that are due by now, or will be in a moment."""
        due = []
        while self._due and self._due[0][0] <= now + TOGETHER * self._first:
            due.append(heapq.heappop(self._due)[1])
        return due


def due(
    polls: Polls,
    seconds: float,
    watcher: Watcher,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[list[str]]:
    """Yield task IDs whenever some are due, until nothing is unfinished or the time is over.

    Args:
        polls: What there is to poll; whoever iterates notes the answers in it.
        seconds: From now to the deadline.
        watcher: Hears of each wait; its `stop` ends it at once.
        clock: Seconds that never go back.
    """
    deadline = clock() + seconds
    while (next_at := polls.next_at) is not None and next_at <= deadline:
        wait = max(0.0, next_at - clock())
        watcher.waiting(len(polls), wait)
        if watcher.stop.wait(wait):
            return
        yield polls.take(clock())
