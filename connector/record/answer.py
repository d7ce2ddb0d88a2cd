"""The result of requesting one task ID, passed from `gateway` to `warehouse`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class Concern(StrEnum):
    """The scope of an answer without a generation, which decides what happens next."""

    TASK = "task"  # given up, once the gateway is known to give generations
    MOMENT = "moment"  # requested again: the gateway is busy, broken or not ready
    GATEWAY = "gateway"  # requested again: a wrong address or a proxy gave this answer
    UNCLEAR = "unclear"  # requested again: a 403 or a block page, of the task or of everyone
    ACCOUNT = "account"  # the run stops: no credit, no quota, or a login page
    KEY = "key"  # the run stops: the key is refused


class Outcome(StrEnum):
    """`GENERATION`, or the reason why there is none."""

    GENERATION = "generation"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    BAD_REQUEST = "bad_request"
    NOT_JSON = "not_json"
    NOT_A_GENERATION = "not_a_generation"
    TOO_LARGE = "too_large"
    REDIRECTED = "redirected"
    NOT_READY = "not_ready"
    OTHER_TASK = "other_task"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    NETWORK = "network"


# A retry in the same run may have another result.
PASSING: Final = frozenset(
    {Outcome.RATE_LIMITED, Outcome.SERVER_ERROR, Outcome.TIMEOUT, Outcome.NETWORK}
)
REJECT_REASONS: Final = tuple(outcome for outcome in Outcome if outcome is not Outcome.GENERATION)

# The scope of a reason if nothing in the answer says more.
_USUAL_CONCERNS: Final[dict[str, Concern]] = {
    Outcome.NOT_FOUND: Concern.TASK,
    Outcome.FORBIDDEN: Concern.TASK,
    Outcome.BAD_REQUEST: Concern.TASK,
    Outcome.NOT_A_GENERATION: Concern.TASK,
    Outcome.TOO_LARGE: Concern.TASK,
    Outcome.NOT_JSON: Concern.GATEWAY,
    Outcome.REDIRECTED: Concern.GATEWAY,
}


def usual_concern(outcome: str) -> Concern | None:
    """The scope of an outcome by itself; None for a generation.

    A later release may have outcomes that this one does not know: they pass.
    """
    if outcome == Outcome.GENERATION:
        return None
    return _USUAL_CONCERNS.get(outcome, Concern.MOMENT)


class Answer(NamedTuple):
    """The result of all attempts at one task ID.

    Attributes:
        task_id: The requested ID.
        outcome: `Outcome.GENERATION`, or the reason of the reject.
        http_status: Of the last attempt that had one.
        attempts: Requests made, retries included; 0 if it came along with others.
        elapsed_seconds: From the first request to the end of the last answer, waits included.
        fetched_at: When the last answer ended; UTC, microseconds.
        body: As it came, decompressed; None if there was none. Only its start if it was too large.
        message: For people: what went wrong. None for a generation.
        status: Of the generation, in five words; None if there is none.
        concerns: What the reject is true of; None for a generation.
        base_url: Gateway that was asked.
        api: Which of its APIs: `dream-machine` or `agents`.
        sequence: Place in the log, once it is saved.
        mixed_up: Answers about another task that came before this one.
    """

    task_id: str
    outcome: Outcome
    http_status: int | None
    attempts: int
    elapsed_seconds: float
    fetched_at: datetime
    body: bytes | None = None
    message: str | None = None
    status: str | None = None
    concerns: Concern | None = None
    base_url: str | None = None
    api: str | None = None
    sequence: int | None = None
    mixed_up: int = 0

    @property
    def end(self) -> str:
        """The generation's status, or the reason of the reject."""
        return self.outcome.value if self.status is None else self.status
