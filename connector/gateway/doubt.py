"""Doubt about the base URL, from the first answers of a run."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from connector.record.answer import Concern, Outcome

if TYPE_CHECKING:
    from connector.record.answer import Answer

FIRST_ANSWERS: Final = 20


class Doubt:
    """Grows while the first answers are the same refusal, and ends with the first that is not.

    Attributes:
        count: Refusals of the same kind so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kind: tuple[Outcome, int | None] | None = None
        self._is_over = False
        self._lock = Lock()

    def dispel(self) -> None:
        """End the doubt."""
        self._is_over = True

    def observe(self, answer: Answer) -> bool:
        """Count an answer; return True once, when `FIRST_ANSWERS` refusals have come."""
        if self._is_over:
            return False
        with self._lock:
            kind = (answer.outcome, answer.http_status)
            # A failure that may pass says nothing about the address.
            is_refusal = answer.concerns in (Concern.TASK, Concern.GATEWAY, Concern.UNCLEAR)
            if not is_refusal or self._kind not in (None, kind):
                self.dispel()
                return False
            self._kind = kind
            self.count += 1
            return self.count == FIRST_ANSWERS


def is_elsewhere(outcome: Outcome, concerns: Concern | None) -> bool:
    """Whether the answer to a made-up task ID comes from something other than a gateway."""
    return concerns is Concern.GATEWAY or outcome is Outcome.TOO_LARGE


def describe(base_url: str, outcome: Outcome, concerns: Concern | None, message: str | None) -> str:
    """Explain what the answer to a made-up task ID means for the base URL."""
    said = message or outcome
    if is_elsewhere(outcome, concerns):
        return (
            f"{base_url} does not answer like a Dream Machine gateway to a made-up task ID"
            f" ({said}): the base URL is wrong, or a proxy or login page answers instead."
        )
    why = "or the key may not read them, " if concerns is Concern.UNCLEAR else ""
    return (
        f"A made-up task ID is refused too ({said}): either these task IDs belong to another"
        f" gateway or account, {why}or the path of the base URL has a part too few or too many."
    )
