"""Whether the base URL is the right one, judged by the first answers of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.record.answer import Concern, Outcome

if TYPE_CHECKING:
    from connector.record.answer import Answer
    from connector.record.judge import Verdict

FIRST_ANSWERS: Final = 20


class Doubt:
    """Grows while the first answers all refuse alike, and ends with the first generation.

    Not locked: threads that race may lose a count, which delays a decision by one answer.

    Attributes:
        count: Refusals of the same kind so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kind: tuple[Outcome, int | None] | None = None
        self._is_over = False

    def dispel(self) -> None:
        """Have no doubt any more."""
        self._is_over = True

    def observe(self, answer: Answer) -> bool:
        """Count an answer; tell whether the base URL is doubtful now."""
        if self._is_over:
            return False
        kind = (answer.outcome, answer.http_status)
        # What passes says nothing of the address.
        is_refusal = answer.concerns in (Concern.TASK, Concern.GATEWAY)
        if not is_refusal or self._kind not in (None, kind):
            self.dispel()
            return False
        self._kind = kind
        self.count += 1
        return self.count >= FIRST_ANSWERS


def describe(base_url: str, made_up: Verdict) -> str:
    """Say what the answer to a task ID that nobody has tells of the base URL."""
    if made_up.outcome is Outcome.NOT_FOUND and made_up.concerns is Concern.TASK:
        return (
            f"{base_url} refuses a made-up task ID as a gateway does ({made_up.message}), so the"
            " task IDs may be another gateway's or another account's, or the base URL lacks a part"
            " of its path or has one too much."
        )
    return (
        f"{base_url} does not answer like a Dream Machine gateway to a made-up task ID"
        f" ({made_up.message or made_up.outcome}): the base URL is wrong, or something stands in"
        " between."
    )
