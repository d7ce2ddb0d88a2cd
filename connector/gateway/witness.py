"""What other answers say about a refusal that does not say what it is true of.

A 403 such as `{"message": "Forbidden"}` may be of its task, or keep everyone out: firewalls answer
so once they begin to block a client. If others are let in after it, it is of its task. If none is,
a task that had its generation is asked for again: the witness. If the refusal is a web page, a
made-up task will do: a firewall that stands before the gateway does not know its tasks. So no task
is given up for a page.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from connector.errors import AccountRefused
from connector.record.answer import Concern
from connector.record.wordings import PAGE, XML_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.gateway.attempt import Attempt
    from connector.gateway.inquiry import Inquiry
    from connector.record.answer import Answer

# Attempts at a task whose refusal is unclear: at least, and at most before any generation came.
FEWEST: Final = 2
MOST_UNPROVEN: Final = 3

# Tasks that stay refused, however often they are asked for, until fewer attempts do. A gateway that
# refuses requests at random would have let one of them in.
STEADY: Final = 3


class Witness:
    """The answers that show that a gateway lets requests in; safe to share between threads.

    All moments are when a request was sent, in seconds of the client's clock.

    Args:
        max_attempts: Attempts at a task, in general.
        base_url: Of the gateway.
        ask: Asks for a task ID, with retries.
    """

    def __init__(
        self, max_attempts: int, base_url: str, ask: Callable[[str], tuple[Inquiry, Answer]]
    ) -> None:
        self._max_attempts = max_attempts
        self._base_url = base_url
        self._ask = ask
        # Held while a witness is asked for: its answer serves all that wait meanwhile.
        self._turn = threading.Lock()
        self._refused: AccountRefused | None = None
        # Refusals that were found to be of their tasks.
        self._cleared = 0
        # Whether a task was refused and then let in.
        self._is_fickle = False
        self._names: tuple[str | None, str | None] = (None, None)
        self._let_in_at = self._many_let_in_at = -math.inf

    def most_attempts(self, inquiry: Inquiry, attempt: Attempt) -> int:
        """Attempts at a task whose refusal is unclear."""
        is_proven = self._names[0] is not None
        if inquiry.is_probe and _is_page(attempt.body):
            # Meanwhile others are sent to a firewall that may keep them out.
            return min(self._max_attempts, MOST_UNPROVEN) if is_proven else 1
        if not is_proven:
            fewest = FEWEST if _is_page(attempt.body) else 1
            return max(min(self._max_attempts, MOST_UNPROVEN), fewest)
        if self._cleared >= STEADY and not self._is_fickle:
            return FEWEST
        return max(self._max_attempts, FEWEST)

    def remember(self, task_id: str) -> None:
        """Remember a task that has given a generation."""
        if task_id != self._names[0]:
            self._names = task_id, self._names[0]

    def let_in(self, inquiry: Inquiry) -> None:
        """Note an inquiry that was let in: about a task, or about many at once or a list."""
        # A race between threads may lose a moment, which costs a request.
        if inquiry.question.is_list:
            self._many_let_in_at = max(self._many_let_in_at, inquiry.sent)
        else:
            self._let_in_at = max(self._let_in_at, inquiry.sent)
        self._is_fickle |= inquiry.unclear_at is not None

    def can_tell(self, inquiry: Inquiry, attempt: Attempt, *, is_last: bool) -> bool:
        """Whether another task can show what an unclear refusal is true of.

        Of a page, it may show so at once: a firewall that blocks everyone is not to be asked on.
        """
        if inquiry.question.is_list or inquiry.is_probe:
            return False
        is_known = self._other_than(inquiry.question.name) is not None
        return _is_page(attempt.body) or (is_last and is_known)

    def cleared_up(self, inquiry: Inquiry, attempt: Attempt) -> Attempt:
        """An attempt whose scope other answers show, as far as they do; may ask for one.

        A request that was let in after the refusal before the last one shows that it is the task
        that is refused: between the two, nothing has changed.

        Raises:
            AccountRefused: A task that had its generation is refused now, or a made-up one too.
        """
        since = inquiry.unclear_since
        with self._turn:
            if self._refused is not None:
                raise self._refused
            if self._let_in_at < since:
                self._summon(inquiry)
            if self._let_in_at < since or inquiry.later is not None or _is_page(attempt.body):
                return attempt
            self._cleared += 1
        return attempt._replace(verdict=attempt.verdict._replace(concerns=Concern.TASK))

    def _summon(self, inquiry: Inquiry) -> None:
        """Ask for a task that had its generation, else for a made-up one."""
        name = self._other_than(inquiry.question.name)
        asked, answer = self._ask(name or str(uuid4()))
        inquiry.attempts += asked.attempts
        is_refused = answer.concerns is Concern.UNCLEAR
        # The gateway itself may refuse a made-up task; then no firewall did.
        is_by_gateway = is_refused and name is None and not _is_page(answer.body)
        if is_by_gateway or answer.concerns is Concern.TASK:
            self._let_in_at = max(self._let_in_at, asked.sent)
            return
        # Requests for many at once may have other rights.
        are_many_let_in = self._many_let_in_at >= inquiry.unclear_since
        if is_refused and not are_many_let_in:
            self._refused = _kept_out(self._base_url, answer.message, name)
            raise self._refused

    def _other_than(self, task_id: str) -> str | None:
        """Another task that has given a generation; None if there is none yet."""
        return next((name for name in self._names if name not in (None, task_id)), None)


def _kept_out(base_url: str, said: str | None, task_id: str | None) -> AccountRefused:
    """The error for a task that was given before and is refused now; for a made-up one if None."""
    kept = "No task is given up, and what was fetched is kept."
    if task_id is not None:
        return AccountRefused(
            f"{base_url} keeps out every task ({said}), also {task_id!r}, which it gave before. It"
            " may block this program or address for a while: start again later, or ask the"
            " gateway's operator to let it in. If the key is that of another account now, use"
            f" another warehouse for it. {kept}"
        )
    return AccountRefused(
        f"{base_url} keeps out every task ({said}), also a made-up one. A firewall blocks this"
        " program or address, or the base URL is wrong: check `base_url` or LUMA_BASE_URL, start"
        f" again later, or ask the gateway's operator to let this program in. {kept}"
    )


def _is_page(body: bytes | None) -> bool:
    """Whether a refusal is a web page, which a firewall or a proxy sends.

    An error in XML is none: stores such as S3 refuse so what they do not have, a made-up task too.
    """
    start = body or b""
    return PAGE.match(start) is not None and XML_ERROR.match(start) is None
