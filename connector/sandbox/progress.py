"""The progress of each task, from the number and times of its requests."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from connector.sandbox.dialects import dialect_of
from connector.sandbox.tasks import describe

if TYPE_CHECKING:
    from connector.sandbox.settings import SandboxSettings
    from connector.sandbox.tasks import Phase, Task


class Now(NamedTuple):
    """The time in seconds by two clocks: a steady one, and one since the epoch."""

    steady: float
    wall: float


class Progress:
    """Everything the sandbox remembers of a task; the rest follows from its ID and the settings."""

    def __init__(self) -> None:
        self._attempts: defaultdict[str, int] = defaultdict(int)
        self._polls: defaultdict[str, int] = defaultdict(int)
        self._first_asked: dict[str, Now] = {}

    def begin_attempt(self, task_id: str) -> int:
        """Count a request; return its number, from 1."""
        self._attempts[task_id] += 1
        return self._attempts[task_id]

    def task(self, task_id: str, settings: SandboxSettings, now: Now) -> Task:
        """The facts about a task; a live task is submitted by its first request."""
        task = describe(task_id, settings)
        if not (settings.live and task.is_unfinished):
            return task
        first = self._first_asked.get(task_id, now)
        return task.submitted(datetime.fromtimestamp(first.wall, UTC))

    def phase(self, task: Task, settings: SandboxSettings, now: Now) -> Phase:
        """The phase of a task; this does not count as a poll, but starts its clock."""
        if settings.finish_after:
            first = self._first_asked.setdefault(task.task_id, now)
            return task.phase_after_seconds(now.steady - first.steady)
        return task.phase_after_polls(self._polls.get(task.task_id, 0))

    def count_poll(self, task: Task) -> None:
        """Count an answer about a task."""
        if task.is_unfinished:
            self._polls[task.task_id] += 1

    def truth(self, task_id: str, settings: SandboxSettings, now: Now) -> dict[str, Any]:
        """The facts about a task for JSON, including its future times.

        A live task without a request is not submitted yet: its times are null.
        """
        task = self.task(task_id, settings, now)
        is_to_come = settings.live and task.is_unfinished and task_id not in self._first_asked
        moments = (None, None, None) if is_to_come else task.times(task.ends_as)
        submitted_at, started_at, finished_at = (at and at.isoformat() for at in moments)
        return {
            "task_id": task_id,
            "is_missing": task.is_missing,
            "is_unfinished": task.is_unfinished,
            "dialect": dialect_of(task, settings),
            "submitted_at": submitted_at,
            "started_at": started_at,
            "finished_at": finished_at,
            "ends_as": task.ends_as,
            "failure_reason": task.failure_reason,
            "prompt": task.prompt,
            "width": task.size.width,
            "height": task.size.height,
        }
