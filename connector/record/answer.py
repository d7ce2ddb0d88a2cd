"""What came of asking for one task ID: the value that `source` hands to `warehouse`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Outcome(StrEnum):
    """`GENERATION`, or the reason why there is none."""

    GENERATION = "generation"

    # Final: asking again would bring the same, so only `--retry-rejected` does.
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    BAD_REQUEST = "bad_request"
    NOT_JSON = "not_json"
    NOT_A_GENERATION = "not_a_generation"
    TOO_LARGE = "too_large"
    REDIRECTED = "redirected"

    # Passing: the next run asks again.
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    NETWORK = "network"

    @property
    def is_final(self) -> bool:
        """Whether asking again would bring the same answer."""
        return self not in PASSING


PASSING = frozenset({Outcome.RATE_LIMITED, Outcome.SERVER_ERROR, Outcome.TIMEOUT, Outcome.NETWORK})
REJECT_REASONS = tuple(outcome for outcome in Outcome if outcome is not Outcome.GENERATION)


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of all attempts at one task ID.

    Attributes:
        task_id: As it was asked for.
        outcome: `Outcome.GENERATION`, or the reason of the reject.
        http_status: Of the last attempt that had one.
        attempts: Requests made, retries included; 0 if it came with a listing.
        elapsed_seconds: From the first request to the end of the last answer, waits included.
        fetched_at: When the last answer ended; UTC, microseconds.
        body: As it came, decompressed; None if there was none. Only its start if it was too large.
        message: For people: what went wrong. None for a generation.
    """

    task_id: str
    outcome: Outcome
    http_status: int | None
    attempts: int
    elapsed_seconds: float
    fetched_at: datetime
    body: bytes | None = None
    message: str | None = None
