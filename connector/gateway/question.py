"""What is asked of a gateway, and how its reply is read: for one task ID or for many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import orjson

from connector.gateway.attempt import Attempt, from_reply
from connector.gateway.records import records_in
from connector.record.answer import Outcome
from connector.record.dialects import parse
from connector.record.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from connector.gateway.transport import Reply, Transport

BATCH_PATH: Final = "/luma/tasks"

# Statuses of a gateway that has no such path, however often it is asked.
ABSENT: Final = frozenset({404, 405, 410, 501})


@dataclass(frozen=True, slots=True)
class Question:
    """A request.

    Attributes:
        transport: It sends the question.
        path: Percent-encoded.
        name: The task ID, or for people what is asked for.
        body: Of a POST; None for a GET.
    """

    transport: Transport
    path: str
    name: str
    body: bytes | None = None

    def send(self) -> Reply:
        """Ask once.

        Raises:
            AttemptFailed: No answer came.
        """
        return self.transport.send(self.path, self.body)

    def read(self, reply: Reply, now: datetime) -> Attempt:
        """Judge the reply."""
        return from_reply(reply, now, self.name)


class BatchQuestion(Question):
    """A request for many task IDs."""

    __slots__ = ()

    @classmethod
    def of(cls, task_ids: Sequence[str], transport: Transport, base_path: str) -> BatchQuestion:
        """Ask for these; `base_path` is that of the base URL."""
        name, body = f"{len(task_ids):,} task IDs at once", orjson.dumps({"ids": list(task_ids)})
        return cls(transport, base_path + BATCH_PATH, name, body)

    def read(self, reply: Reply, now: datetime) -> Attempt:
        """Judge the reply as a whole: whatever a single record says is not the account's fault."""
        if reply.status in range(200, 300) and reply.is_whole and _has_records(reply.body):
            verdict = Verdict(Outcome.GENERATION)
            return Attempt(
                verdict, is_worth_retrying=False, http_status=reply.status, body=reply.body
            )
        attempt = from_reply(reply, now)
        if reply.status in ABSENT:
            return replace(attempt, is_worth_retrying=False)
        return attempt


def _has_records(body: bytes) -> bool:
    try:
        return bool(records_in(parse(body)))
    except ValueError:
        return False
