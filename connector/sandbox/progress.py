"""How far each ID is: what was asked for it, and since when."""

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
    """A moment by two clocks, in seconds: a steady one, and one since the epoch."""

    steady: float
    wall: float


class Progress:
    """What the sandbox remembers of each ID; all else follows from the ID and the settings."""

    def __init__(self) -> None:
        self._attempts: defaultdict[str, int] = defaultdict(int)
        self._polls: defaultdict[str, int] = defaultdict(int)
        self._first_asked: dict[str, Now] = {}

    def begin_attempt(self, task_id: str) -> int:
        """Count a request; return its number, the first being 1."""
        self._attempts[task_id] += 1
        return self._attempts[task_id]

    def task(self, task_id: str, settings: SandboxSettings, now: Now) -> Task:
        """The facts about a task; a live one that was never asked for is submitted now."""
        task = describe(task_id, settings)
        if not (settings.live and task.is_unfinished):
            return task
        first = self._first_asked.get(task_id, now)
        return task.submitted(datetime.fromtimestamp(first.wall, UTC))

    def phase(self, task: Task, settings: SandboxSettings, now: Now) -> Phase:
        """How far a task is; looking is no poll, but it starts the clock."""
        if settings.finish_after:
            first = self._first_asked.setdefault(task.task_id, now)
            return task.phase_after_seconds(now.steady - first.steady)
        return task.phase_after_polls(self._polls.get(task.task_id, 0))

    def count_poll(self, task: Task) -> None:
        """Note that an answer tells of a task."""
        if task.is_unfinished:
            self._polls[task.task_id] += 1

    def truth(self, task_id: str, settings: SandboxSettings, now: Now) -> dict[str, Any]:
        """All that is true of a task, in JSON; times that are still to come included.

        A live task that was never asked for is not submitted yet: its times are null.
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
