"""One request and its answer: sent, redacted, judged, and checked to be about what was asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from connector.gateway.attempt import Attempt, about_another, from_failure
from connector.gateway.failure import AttemptFailed
from connector.gateway.pace.announced import read_announced
from connector.gateway.transport import LISTEN_SECONDS
from connector.record.answer import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connector.gateway.inquiry import Inquiry
    from connector.gateway.redact import Redactor
    from connector.gateway.room import Room
    from connector.gateway.transport import Sent
    from connector.gateway.whose import Owners

logger = logging.getLogger(__name__)


class Exchange:
    """Makes single attempts; safe to share between threads. `now` gives the time of day."""

    def __init__(
        self, redactor: Redactor, owners: Owners, room: Room, now: Callable[[], datetime]
    ) -> None:
        self._redactor = redactor
        self._owners = owners
        self._room = room
        self._now = now
        self._is_first = True

    def make(self, inquiry: Inquiry) -> Attempt:
        """Make the attempt whose turn it is."""
        question = inquiry.question
        try:
            if inquiry.failure is not None:
                raise inquiry.failure
            sent = question.send(
                is_fresh=inquiry.needs_fresh_connection, started=inquiry.connection
            )
        except AttemptFailed as failure:
            attempt = from_failure(failure)
        else:
            now = self._now()
            with self._room.turn(len(sent.reply.body)):
                reply = self._redactor.reply(sent.reply)
                attempt = question.read(reply, now)
            if announced := read_announced(reply.headers, now):
                attempt = attempt._replace(announced=announced)
            if not inquiry.is_probe and not self._is_its_own(inquiry, attempt, sent):
                attempt = about_another(attempt)
                sent.connection.close()
            elif self._owners.are_confused:
                sent.connection.close()
            else:
                sent.connection.has_given |= attempt.verdict.outcome is Outcome.GENERATION
                question.transport.keep(sent)
        if (message := attempt.verdict.message) is not None:
            message = self._redactor.message(message)
            attempt = attempt._replace(verdict=attempt.verdict._replace(message=message))
        if self._is_first:
            self._is_first = False
            if attempt.http_status is None:  # while attempts go on: the host may be wrong
                logger.warning("%s", attempt.message)
        return attempt

    def _is_its_own(self, inquiry: Inquiry, attempt: Attempt, sent: Sent) -> bool:
        """Whether an answer is about what was asked, for all that is known."""
        if ids := attempt.verdict.other_ids:
            connection = sent.connection
            # What came first over a connection may still be followed by the answer.
            is_first = not connection.has_given and self._owners.are_unknown
            is_first = is_first and connection.is_silent(LISTEN_SECONDS)
            name = inquiry.question.name
            return self._owners.owns(name, ids, inquiry.others, is_first=is_first)
        if attempt.verdict.outcome is Outcome.GENERATION:
            self._owners.has_matched = True
        return True
