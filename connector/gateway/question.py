"""What is asked of a gateway, and how its reply is read: for one task ID or for many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from connector.gateway.attempt import Attempt, from_reply
from connector.gateway.records import names_of, records_in
from connector.record.answer import Concern, Outcome, usual_concern
from connector.record.dialects import parse
from connector.record.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from connector.gateway.connection import Connection, Reply
    from connector.gateway.transport import Sent, Transport

BATCH_PATH: Final = "/luma/tasks"

# Statuses of a gateway that has no such path, however often it is asked.
ABSENT: Final = frozenset({404, 405, 410, 501})
# Those that no task ID can be to blame for.
NEVER: Final = ABSENT - {404}
# "Too many" with one of these is about the task IDs in a request, not about requests.
OF_SIZE: Final = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class Question:
    """A request.

    Attributes:
        transport: It sends the question.
        path: Percent-encoded.
        name: The task ID, or for people what is asked for.
        body: Of a POST; None for a GET.
        is_list: Whether the answer is about many tasks.
    """

    transport: Transport
    path: str
    name: str
    body: bytes | None = None
    is_list: bool = False

    def send(self, *, is_fresh: bool, started: Connection | None = None) -> Sent:
        """Ask once; the arguments and errors are those of `Transport.send`."""
        return self.transport.send(self.path, self.body, is_fresh=is_fresh, started=started)

    def read(self, reply: Reply, now: datetime) -> Attempt:
        """Judge the reply."""
        return from_reply(reply, now, "" if self.is_list else self.name)


class BatchQuestion(Question):
    """A request for many task IDs."""

    __slots__ = ()

    @classmethod
    def of(cls, task_ids: Sequence[str], transport: Transport, base_path: str) -> BatchQuestion:
        """Ask for these; `base_path` is that of the base URL."""
        name, body = f"{len(task_ids):,} task IDs at once", orjson.dumps({"ids": list(task_ids)})
        return cls(transport, base_path + BATCH_PATH, name, body, is_list=True)

    def read(self, reply: Reply, now: datetime) -> Attempt:
        """Judge the reply as a whole: whatever a single record says is not the account's fault."""
        records = _records(reply.body) if reply.status in range(200, 300) else None
        if records and reply.is_whole:
            verdict = Verdict(Outcome.GENERATION, other_ids=self._other_ids(records))
            return Attempt(
                verdict, is_worth_retrying=False, http_status=reply.status, body=reply.body
            )
        attempt = from_reply(reply, now)
        # A 403 is how some say that they have no such path; if not, smaller batches may pass.
        if reply.status in ABSENT or attempt.verdict.concerns is Concern.UNCLEAR:
            return attempt._replace(is_worth_retrying=False)
        if reply.status in OF_SIZE and attempt.outcome is Outcome.RATE_LIMITED:
            return _too_many_ids(attempt)
        return attempt

    def _other_ids(self, records: list[dict[str, Any]]) -> tuple[str, ...]:
        """An ID of each record, if none of these tasks was asked for."""
        asked = frozenset(orjson.loads(self.body or b"null")["ids"])
        if any(not asked.isdisjoint(names_of(record)) for record in records):
            return ()
        names = (next(filter(None, names_of(record)), "") for record in records)
        return tuple(filter(None, names))


def _too_many_ids(attempt: Attempt) -> Attempt:
    verdict = Verdict(Outcome.BAD_REQUEST, attempt.message, usual_concern(Outcome.BAD_REQUEST))
    return attempt._replace(verdict=verdict, is_worth_retrying=False, retry_after=None)


def _records(body: bytes) -> list[dict[str, Any]] | None:
    try:
        return records_in(parse(body))
    except ValueError:
        return None
