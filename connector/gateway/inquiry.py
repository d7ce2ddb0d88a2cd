"""A question on its way to an answer, over all attempts; one thread has it at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.gateway.attempt import Attempt
    from connector.gateway.connection import Connection
    from connector.gateway.failure import AttemptFailed
    from connector.gateway.pace.request import Request
    from connector.gateway.question import Question


@dataclass(slots=True, eq=False)
class Inquiry:
    """A question, the attempts so far, and the one under way.

    Attributes:
        question: What is asked.
        is_probe: Whether any answer will do, whichever task it is about.
        attempts: Attempts that are over.
        others: The IDs in answers about other tasks.
        stale: Attempts over connections that the gateway had closed by then.
        is_stale: Whether the last attempt was one of those.
        status: HTTP status of the last attempt that had one.
        began: When the first attempt began, in seconds of the client's clock.
        delay: Seconds to wait before the next attempt; None if there is none.
        sent: When the last attempt began.
        request: That attempt, as the throttle knows it.
        connection: Over which it was sent; None if a connection must be opened for it.
        failure: Why none could be.
        refusals: How often it was refused in a row, up to now.
        refused_at: When the last of those refusals arrived, in seconds of the client's clock.
        unclear: The last attempt, if other answers must say what it is true of.
        later: Seconds from then to the next attempt; None if it was the last one.
        unclear_at: When the last answer of unclear scope arrived.
        unclear_since: When the one before it did; it itself if there was none.
    """

    question: Question
    is_probe: bool = False
    attempts: int = 0
    others: list[tuple[str, ...]] = field(default_factory=list)
    stale: int = 0
    is_stale: bool = False
    status: int | None = None
    began: float | None = None
    delay: float | None = None
    sent: float = 0.0
    request: Request | None = None
    connection: Connection | None = None
    failure: AttemptFailed | None = None
    refusals: int = 0
    refused_at: float = 0.0
    unclear: Attempt | None = None
    later: float | None = None
    unclear_at: float | None = None
    unclear_since: float = 0.0

    @property
    def needs_fresh_connection(self) -> bool:
        """Whether it is in doubt whose an answer over a connection that was used may be."""
        return bool(self.others) or self.is_stale

    def note_unclear(self, now: float) -> None:
        """Note that an answer of unclear scope has arrived."""
        self.unclear_since = now if self.unclear_at is None else self.unclear_at
        self.unclear_at = now
