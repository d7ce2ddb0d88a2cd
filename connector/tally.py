"""Counting: what came of a run so far, and its final account."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from connector.record.answer import Answer, Outcome
from connector.record.dialects import status_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from connector.plan import Plan


@dataclass(slots=True)
class Tally:
    """Answers counted as they come.

    Attributes:
        statuses: Generations by status: completed, failed, queued, running, unknown.
        reasons: Rejects by reason.
    """

    fetched: int = 0
    rejected: int = 0
    requests: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.requests += answer.attempts
        if answer.outcome is Outcome.GENERATION:
            self.fetched += 1
            self.statuses[status_of(answer.body or b"")] += 1
        else:
            self.rejected += 1
            self.reasons[answer.outcome.value] += 1

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.fetched + other.fetched,
            self.rejected + other.rejected,
            self.requests + other.requests,
            self.statuses + other.statuses,
            self.reasons + other.reasons,
        )

    def discount(self, answers: Iterable[Answer]) -> None:
        """Take back answers that could not be kept: their task IDs count as not reached."""
        lost = Tally()
        for answer in answers:
            lost.add(answer)
        self.fetched -= lost.fetched
        self.rejected -= lost.rejected
        self.requests -= lost.requests
        self.statuses -= lost.statuses
        self.reasons -= lost.reasons

    @property
    def answers(self) -> int:
        """Task IDs that have been answered, well or not."""
        return self.fetched + self.rejected

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
        "retries": tally.requests - tally.answers,
    }
