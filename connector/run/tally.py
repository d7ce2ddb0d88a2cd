"""Counting: what came of a run so far, and its final account."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from connector.record.answer import REJECT_REASONS, Answer, Concern, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from connector.run.plan import Plan


@dataclass(slots=True)
class Tally:
    """Task IDs counted as their answers come, each once: with its latest answer.

    Attributes:
        requests: Made, the listing's included.
        retries: Those of them that repeated a failed one.
        polls: Answers beyond the first one for a task ID.
        statuses: Generations by status: completed, failed, queued, running, unknown.
        reasons: Rejects by reason.
        of_tasks: Rejects for what is true of the task.
        refusal: The message of one of the rejects.
    """

    fetched: int = 0
    rejected: int = 0
    requests: int = 0
    retries: int = 0
    polls: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    of_tasks: int = 0
    refusal: str | None = None

    def add(self, answer: Answer) -> None:
        """Count the first answer for a task ID."""
        self.add_requests(answer.attempts)
        self._count_answer(answer)

    def add_poll(self, answer: Answer, before: str) -> None:
        """Count a later answer, in place of the one that came to the end `before`."""
        self.add_requests(answer.attempts)
        self.polls += 1
        self._count(before, -1)
        self._count_answer(answer)

    def add_requests(self, attempts: int) -> None:
        """Count the attempts at one answer; none if it came along with others."""
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
        return Tally(
            self.fetched + other.fetched,
            self.rejected + other.rejected,
            self.requests + other.requests,
            self.retries + other.retries,
            self.polls + other.polls,
            self.statuses + other.statuses,
            self.reasons + other.reasons,
            self.of_tasks + other.of_tasks,
            other.refusal or self.refusal,
        )

    def discount(self, answers: Iterable[Answer]) -> None:
        """Take back answers that could not be kept: their task IDs count as not reached."""
        lost = Tally()
        for answer in answers:
            lost.add(answer)
        self.fetched -= lost.fetched
        self.rejected -= lost.rejected
        self.requests -= lost.requests
        self.retries -= lost.retries
        self.statuses -= lost.statuses
        self.reasons -= lost.reasons
        self.of_tasks -= lost.of_tasks

    @property
    def answers(self) -> int:
        """Task IDs that have been answered, well or not."""
        return self.fetched + self.rejected

    @property
    def has_only_passing_rejects(self) -> bool:
        """Whether every answer was a refusal that may pass; "not ready" is an answer like others.

        Without a generation, and from a gateway that never gave one, every refusal may pass.
        """
        return bool(self.rejected and not self.fetched and not self.reasons[Outcome.NOT_READY])

    @property
    def received(self) -> int:
        """Answers that came, polls included."""
        return self.answers + self.polls

    def __str__(self) -> str:
        # In one order, so that the lines of a log read alike.
        counts = {**dict(sorted(self.statuses.items())), "rejected": self.rejected}
        return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


@dataclass(frozen=True, slots=True)
class Summary:
    """A run's account. given = blank + duplicate + invalid + already_terminal + fetched + rejected
    + not_reached, always.

    Attributes:
        outcome: `done`, or `stopped` with the reason in `message`.
        base_url: Gateway that was asked.
        warehouse: Where the tables are.
        new: Task IDs that the tables did not have before.
        updated: Task IDs whose row is newer now.
        unfinished: Fetched, but not finished: the next run asks again.
        invalid_examples: A few of the invalid values, with the reason.
    """  # noqa: D205  the equation is the contract

    run_id: str
    outcome: str
    message: str | None
    started_at: datetime
    finished_at: datetime
    base_url: str
    warehouse: str
    given: int
    blank: int
    duplicate: int
    invalid: int
    already_terminal: int
    fetched: int
    rejected: int
    not_reached: int
    new: int
    updated: int
    completed: int
    failed: int
    unfinished: int
    requests: int
    retries: int
    polls: int
    reasons: dict[str, int]
    invalid_examples: tuple[str, ...]
    version: str

    def __post_init__(self) -> None:
        parts = (self.blank, self.duplicate, self.invalid, self.already_terminal)
        ends = (self.fetched, self.rejected, self.not_reached)
        if self.given != sum(parts) + sum(ends) or min(*parts, *ends) < 0:
            raise AssertionError(f"the account of run {self.run_id} does not add up: {self}")

    @property
    def elapsed_seconds(self) -> float:
        """How long the run took."""
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def asked(self) -> int:
        """Task IDs that the gateway was asked for, with an answer."""
        return self.fetched + self.rejected

    def rejects_beyond(self, allowed: float | None) -> str | None:
        """Say so if a larger share was rejected than is allowed; None if it was not.

        Args:
            allowed: Percent of the answers that may be rejects; None for any.
        """
        if allowed is None or self.rejected * 100 <= allowed * self.asked:
            return None
        share = self.rejected / self.asked
        return f"{share:.1%} rejected, more than the {allowed:g}% allowed"

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, times included, for JSON and for the table `runs`."""
        return {**asdict(self), "elapsed_seconds": self.elapsed_seconds}


def counts_of(plan: Plan, tally: Tally) -> dict[str, int]:
    """The counts that a summary has of the plan and of what came of it."""
    statuses = tally.statuses
    return {
        "given": plan.given,
        "blank": plan.blank,
        "duplicate": plan.duplicate,
        "invalid": plan.invalid,
        "already_terminal": plan.already_terminal,
        "fetched": tally.fetched,
        "rejected": tally.rejected,
        "not_reached": plan.over_limit + len(plan.task_ids) - tally.answers,
        "completed": statuses["completed"],
        "failed": statuses["failed"],
        "unfinished": tally.fetched - statuses["completed"] - statuses["failed"],
        "requests": tally.requests,
        "retries": tally.retries,
        "polls": tally.polls,
    }
