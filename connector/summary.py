"""The account of a run, as it is printed, stored in `runs`, and carried by a run that stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """A run's account. given = blank + duplicate + invalid + forgotten + already_terminal + fetched
    + rejected + not_reached, always.

    Attributes:
        outcome: `done`, or `stopped` with the reason in `message`.
        base_url: Gateway that was asked.
        warehouse: Where the tables are.
        new: Task IDs that the tables did not have before.
        updated: Task IDs whose row is newer now.
        unfinished: Fetched, but not finished: the next run asks again.
        given_up: Fetched and not finished, but too old to be asked for again.
        given_up_before: Those of `already_terminal` that are too old, and not finished.
        mixed_up: Answers about another task than the one asked for; none of them was kept.
        invalid_examples: A few of the invalid values, with the reason.
        forgotten: Given, but forgotten on request: never requested again.
        note: What was noticed that no count shows, such as a wrong clock.
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
    mixed_up: int
    polls: int
    reasons: dict[str, int]
    invalid_examples: tuple[str, ...]
    version: str
    given_up: int = 0
    given_up_before: int = 0
    forgotten: int = 0
    note: str | None = None

    def __post_init__(self) -> None:
        parts = (self.blank, self.duplicate, self.invalid, self.forgotten, self.already_terminal)
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
