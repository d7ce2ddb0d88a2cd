"""Counts the answers of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from connector.record.answer import REJECT_REASONS, Answer, Concern, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.run.plan import Plan


@dataclass(slots=True)
class Tally:
    """Task IDs, each counted once, by its latest answer.

    Attributes:
        fetched: Task IDs answered with a generation.
        rejected: Task IDs answered without one.
        requests: HTTP requests, the listing's included.
        retries: Requests that repeated a failed one.
        mixed_up: Answers about another task than the one asked for.
        polls: Answers beyond the first one for a task ID.
        statuses: Generations by status: completed, failed, queued, running, unknown.
        reasons: Rejects by reason.
        of_tasks: Rejects for what is true of the task.
        refusal: The message of the latest reject.
    """

    fetched: int = 0
    rejected: int = 0
    requests: int = 0
    retries: int = 0
    mixed_up: int = 0
    polls: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    of_tasks: int = 0
    refusal: str | None = None

    def add(self, answer: Answer) -> None:
        """Count the first answer for a task ID."""
        self.add_requests(answer.attempts)
        self.mixed_up += answer.mixed_up
        self._count_answer(answer)

    def add_poll(self, answer: Answer, before: str) -> None:
        """Count a later answer in place of the one whose `Answer.end` was `before`."""
        self.add_requests(answer.attempts)
        self.mixed_up += answer.mixed_up
        self.polls += 1
        self._count(before, -1)
        self._count_answer(answer)

    def add_requests(self, attempts: int) -> None:
        """Count the attempts at one answer; 0 if it came with a listing."""
        self.requests += attempts
        self.retries += max(0, attempts - 1)

    def _count_answer(self, answer: Answer) -> None:
        self._count(answer.end, 1)
        self.of_tasks += answer.concerns is Concern.TASK
        self.refusal = answer.message or self.refusal

    def _count(self, end: str, by: int) -> None:
        if end in REJECT_REASONS:
            self.rejected += by
            self.reasons[end] += by
        else:
            self.fetched += by
            self.statuses[end] += by

    def __add__(self, other: Tally) -> Tally:
        sums = {name: getattr(self, name) + getattr(other, name) for name in SUMMED}
        return Tally(**sums, refusal=other.refusal or self.refusal)

    def discount(self, answers: Iterable[Answer]) -> None:
        """Uncount answers that could not be saved: their task IDs count as not reached."""
        lost = Tally()
        for answer in answers:
            lost.add(answer)
        for name in SUMMED:
            setattr(self, name, getattr(self, name) - getattr(lost, name))

    @property
    def answers(self) -> int:
        """Task IDs that have an answer, a generation or not."""
        return self.fetched + self.rejected

    @property
    def is_early(self) -> bool:
        """Whether some task was not ready yet: then the gateway works, and knows the task."""
        return bool(self.reasons[Outcome.NOT_READY])

    @property
    def received(self) -> int:
        """Answers received, polls included."""
        return self.answers + self.polls

    def __str__(self) -> str:
        # Sorted, so that the lines of a log read alike.
        counts = {**dict(sorted(self.statuses.items())), "rejected": self.rejected}
        return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


SUMMED: Final = [field.name for field in fields(Tally) if field.name != "refusal"]


def counts_of(plan: Plan, tally: Tally) -> dict[str, int]:
    """The counts of a summary, from the plan and the answers."""
    statuses = tally.statuses
    return {
        "given": plan.given,
        "blank": plan.blank,
        "duplicate": plan.duplicate,
        "invalid": plan.invalid,
        "forgotten": plan.forgotten,
        "already_terminal": plan.already_terminal,
        "given_up_before": plan.given_up_before,
        "fetched": tally.fetched,
        "rejected": tally.rejected,
        "not_reached": plan.over_limit + len(plan.task_ids) - tally.answers,
        "completed": statuses["completed"],
        "failed": statuses["failed"],
        "unfinished": tally.fetched - statuses["completed"] - statuses["failed"],
        "requests": tally.requests,
        "retries": tally.retries,
        "mixed_up": tally.mixed_up,
        "polls": tally.polls,
    }
