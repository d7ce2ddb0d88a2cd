"""What one request told: from the reply's status and body to an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from connector.gateway.retry import parse_retry_after
from connector.record.answer import PASSING, Concern, Outcome, usual_concern
from connector.record.judge import Verdict, judge

if TYPE_CHECKING:
    from datetime import datetime

    from connector.gateway.failure import AttemptFailed
    from connector.gateway.transport import Reply

KEPT_OF_TOO_LARGE = 4096

# What a gateway that is down makes of a task ID; one that limits the rate is not down.
DOWN = PASSING - {Outcome.RATE_LIMITED}

_ASK_TO_WAIT = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one request.

    Attributes:
        verdict: What the answer means, or the lack of one.
        is_worth_retrying: Whether another attempt may end otherwise.
        http_status: HTTP status, if there was an answer.
        body: Of the answer; only its start if it was too large.
        retry_after: Seconds that the gateway asks to wait.
    """

    verdict: Verdict
    is_worth_retrying: bool
    http_status: int | None = None
    body: bytes | None = None
    retry_after: float | None = None

    @property
    def outcome(self) -> Outcome:
        """What the task ID ends as if this was the last attempt."""
        return self.verdict.outcome

    @property
    def message(self) -> str | None:
        """As the gateway or the HTTP stack said it; None for a generation."""
        return self.verdict.message

    @property
    def kind(self) -> Literal["good", "refused", "failed"]:
        """What it tells the throttle of the gateway's state."""
        if self.http_status in _ASK_TO_WAIT or self.outcome is Outcome.RATE_LIMITED:
            return "refused"
        return "failed" if self.outcome in DOWN else "good"


def from_failure(failure: AttemptFailed) -> Attempt:
    """No answer came."""
    verdict = Verdict(failure.outcome, str(failure), usual_concern(failure.outcome))
    return Attempt(verdict, failure.is_worth_retrying, failure.status)


def from_reply(reply: Reply, now: datetime, task_id: str = "") -> Attempt:
    """An answer came: judge it by its status and its body."""
    verdict = _judged(reply, task_id)
    may_pass = verdict.outcome in PASSING and verdict.concerns is Concern.MOMENT
    return Attempt(
        verdict,
        is_worth_retrying=may_pass,
        http_status=reply.status,
        body=reply.body if reply.is_whole else reply.body[:KEPT_OF_TOO_LARGE],
        retry_after=(
            parse_retry_after(reply.headers.get("retry-after"), now)
            if may_pass or reply.status in _ASK_TO_WAIT
            else None
        ),
    )


def _judged(reply: Reply, task_id: str) -> Verdict:
    if not reply.is_whole and reply.status in range(200, 300):
        message = f"the body is larger than {len(reply.body):,} bytes"
        return Verdict(Outcome.TOO_LARGE, message, Concern.TASK)
    verdict = judge(reply.status, reply.body, task_id)
    looks_cut = not reply.has_known_end and reply.body.lstrip()[:1] in (b"", b"{")
    if verdict.outcome is Outcome.NOT_JSON and looks_cut:
        message = "the answer broke off before the end of its JSON"
        return Verdict(Outcome.NETWORK, message, Concern.MOMENT)
    return verdict
