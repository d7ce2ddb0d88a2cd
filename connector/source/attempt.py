"""What one request told: from the reply's status and body to an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from connector.record.answer import PASSING, Outcome
from connector.record.dialects import MISSING_TASK_CODES, error_code, error_message, judge
from connector.source.retry import parse_retry_after

if TYPE_CHECKING:
    from datetime import datetime

    from connector.source.failure import AttemptFailed
    from connector.source.transport import Reply

KEPT_OF_TOO_LARGE = 4096

DOWN = PASSING - {Outcome.RATE_LIMITED}
"""What a gateway that is down makes of a task ID; one that limits the rate is not down."""

_OUTCOMES = {
    403: Outcome.FORBIDDEN,
    404: Outcome.NOT_FOUND,
    407: Outcome.NETWORK,  # said by a proxy on the way
    408: Outcome.TIMEOUT,
    410: Outcome.NOT_FOUND,
    429: Outcome.RATE_LIMITED,
}
_ASK_TO_WAIT = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one request.

    Attributes:
        outcome: What the task ID ends as if this was the last attempt.
        message: As the gateway or the HTTP stack said it; None for a generation.
        is_worth_retrying: Whether another attempt may end otherwise.
        status: HTTP status, if there was an answer.
        body: Of the answer; only its start if it was too large.
        retry_after: Seconds that the gateway asks to wait.
    """

    outcome: Outcome
    message: str | None
    is_worth_retrying: bool
    status: int | None = None
    body: bytes | None = None
    retry_after: float | None = None

    @property
    def kind(self) -> Literal["good", "refused", "failed"]:
        """What it tells the throttle of the gateway's state."""
        if self.status in _ASK_TO_WAIT:
            return "refused"
        return "failed" if self.outcome in DOWN else "good"


def from_failure(failure: AttemptFailed) -> Attempt:
    """No answer came."""
    return Attempt(failure.outcome, str(failure), failure.is_worth_retrying, failure.status)


def from_reply(reply: Reply, now: datetime) -> Attempt:
    """An answer came: judge it by its status, and by its body if that says success."""
    outcome, message = _outcome_of(reply)
    return Attempt(
        outcome,
        message,
        is_worth_retrying=outcome in PASSING,
        status=reply.status,
        body=reply.body if reply.is_whole else reply.body[:KEPT_OF_TOO_LARGE],
        retry_after=(
            parse_retry_after(reply.headers.get("retry-after"), now)
            if reply.status in _ASK_TO_WAIT
            else None
        ),
    )


def _outcome_of(reply: Reply) -> tuple[Outcome, str | None]:
    status = reply.status
    if status in range(200, 300):
        return _outcome_of_success(reply)
    said = error_message(reply.body) or _phrase(status)
    if status == HTTPStatus.BAD_REQUEST and error_code(reply.body) in MISSING_TASK_CODES:
        return Outcome.NOT_FOUND, f"HTTP {status}: {said}"
    if status in range(400, 500):
        return _OUTCOMES.get(status, Outcome.BAD_REQUEST), f"HTTP {status}: {said}"
    if status in range(500, 600):
        return Outcome.SERVER_ERROR, f"HTTP {status}: {said}"
    return Outcome.NOT_A_GENERATION, f"HTTP {status}: {said}; no generation comes with this status"


def _outcome_of_success(reply: Reply) -> tuple[Outcome, str | None]:
    if not reply.is_whole:
        return Outcome.TOO_LARGE, f"the body is larger than {len(reply.body):,} bytes"
    outcome, message = judge(reply.body)
    looks_cut = not reply.has_known_end and reply.body.lstrip()[:1] in (b"", b"{")
    if outcome is Outcome.NOT_JSON and looks_cut:
        return Outcome.NETWORK, "the answer broke off before the end of its JSON"
    return outcome, message


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no such status is known"
