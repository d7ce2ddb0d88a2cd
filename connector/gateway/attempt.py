"""The outcome of one request, from the reply's status and body."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, NamedTuple

from connector.gateway.retry import parse_retry_after
from connector.record.answer import PASSING, Concern, Outcome, usual_concern
from connector.record.judge import Verdict, judge

if TYPE_CHECKING:
    from datetime import datetime

    from connector.gateway.connection import Reply
    from connector.gateway.failure import AttemptFailed
    from connector.gateway.pace.announced import Announced

KEPT_OF_TOO_LARGE = 4096

# Outcomes that suggest the gateway is down; a gateway that limits the rate is not.
DOWN = PASSING - {Outcome.RATE_LIMITED}

_ASK_TO_WAIT = frozenset({429, 503})


class Attempt(NamedTuple):
    """The result of one request.

    Attributes:
        verdict: What the answer, or its absence, means.
        is_worth_retrying: Whether another attempt may have another result.
        http_status: HTTP status, if there was an answer.
        body: The answer's body; only the start if it was too large.
        retry_after: Seconds the gateway asks to wait.
        announced: What the answer says of a rate limit.
        is_stale: Whether the gateway had closed the connection before it could see the request.
    """

    verdict: Verdict
    is_worth_retrying: bool
    http_status: int | None = None
    body: bytes | None = None
    retry_after: float | None = None
    announced: Announced | None = None
    is_stale: bool = False

    @property
    def outcome(self) -> Outcome:
        """The task ID's outcome if this was the last attempt."""
        return self.verdict.outcome

    @property
    def message(self) -> str | None:
        """The error in the gateway's or the HTTP stack's words; None for a generation."""
        return self.verdict.message

    @property
    def kind(self) -> Literal["good", "refused", "failed"]:
        """What the throttle learns about the gateway's state."""
        outcome = self.verdict.outcome
        if self.http_status in _ASK_TO_WAIT or outcome is Outcome.RATE_LIMITED:
            return "refused"
        return "failed" if outcome in DOWN else "good"

    @property
    def is_out(self) -> bool:
        """Whether the gateway as a whole asks to wait."""
        return self.http_status == HTTPStatus.SERVICE_UNAVAILABLE


def from_failure(failure: AttemptFailed) -> Attempt:
    """Describe an attempt without an answer."""
    verdict = Verdict(failure.outcome, str(failure), usual_concern(failure.outcome))
    return Attempt(verdict, failure.is_worth_retrying, failure.status, is_stale=failure.is_stale)


def about_another(attempt: Attempt) -> Attempt:
    """The same answer, where it is about another task: another attempt may have the right one."""
    ids = attempt.verdict.other_ids
    verdict = Verdict(
        Outcome.OTHER_TASK,
        f"the answer is about another task: {ids[0]}",
        Concern.MOMENT,
        other_ids=ids,
    )
    return attempt._replace(verdict=verdict, is_worth_retrying=True)


def from_reply(reply: Reply, now: datetime, task_id: str = "") -> Attempt:
    """Judge an answer by its status and body."""
    verdict = _judged(reply, task_id)
    may_pass = verdict.concerns is Concern.MOMENT and verdict.outcome in PASSING
    may_pass = may_pass or verdict.concerns is Concern.UNCLEAR
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
