"""Judges an answer: a generation, or a refusal and its scope.

Both the HTTP status and the body count: gateways wrap a 429 in a 400, or a 401 in a 200. Only a
refusal that is true of the task may be held against it. If the scope is uncertain, the refusal
counts as temporary: requesting a task again costs a request, giving it up wrongly loses it.

::

    judge -> generation?                 dialects.find
          -> a web page?                 blocked, perhaps for this task only, or a wrong address
          -> codes, then texts           key, account, rate, missing task, not now
          -> the status                  HTTP's, or the one in the body; a 403 needs words too
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from connector.record.answer import Concern, Outcome
from connector.record.dialects import find, is_refusal, other_ids, parse, says_all
from connector.record.keys import STATE_KEYS, folded
from connector.record.refusal import (
    LONGEST_MESSAGE,
    codes_in,
    message_in,
    reports_a_fault,
    status_in,
)
from connector.record.wordings import (
    ABOUT_A_ROUTE,
    ABOUT_A_TASK,
    ACCOUNT_CODE,
    AWS_KNOWS_NO_ROUTE,
    CHALLENGE,
    CODES,
    GONE,
    KEEPS_OUT,
    LOGIN,
    PAGE,
    QUOTED_PATH,
    QUOTES_A_REQUEST,
    STATUS_IN_TEXT,
    TEXTS,
    TITLE,
    first_match,
)


class Verdict(NamedTuple):
    """The meaning of an answer.

    Attributes:
        outcome: `Outcome.GENERATION`, or the reason why there is none.
        message: What went wrong, for people; None for a generation.
        concerns: The scope of the refusal; None for a generation.
        status: The generation's status, one of five; None if there is none.
        other_ids: The generation's IDs, if none of them is the one asked for.
    """

    outcome: Outcome
    message: str | None = None
    concerns: Concern | None = None
    status: str | None = None
    other_ids: tuple[str, ...] = ()


GONE_STATUSES: Final = frozenset({404, 410})

# Statuses with which gateways also report a missing task in words.
GONE_IN_WORDS: Final = frozenset({*range(200, 300), 400, 422})

CLEAR_STATUSES: Final = frozenset({402, 408, 409, 423, 425, 429, *range(500, 600)})

# Statuses of a request that is wrong for this task: 414 is about the length of its ID.
OF_A_TASK: Final = frozenset({400, 413, 414, 422, 451})

NO_ROUTE_OF_AWS: Final = frozenset({400, 403})

# Statuses about the form of the request, which is the same for every task.
OF_THE_ADDRESS: Final = frozenset({405, 406, 411, 412, 415, 416, 417, 421, 426, 428, 431, 505})

NOT_READY: Final = frozenset({202, 204, 205, 206})

# With these, a challenge is not about one request.
TO_ALL: Final = frozenset({429, 503})


def judge(http_status: int, body: bytes, task_id: str = "") -> Verdict:
    """Judge a complete answer.

    Args:
        http_status: HTTP status of the answer.
        body: Decompressed body.
        task_id: The requested ID.
    """
    if PAGE.match(body):
        return _judge_page(http_status, body)
    document: Any = None
    is_json = bool(body.strip())
    try:
        document = parse(body) if is_json else None
    except ValueError as error:
        is_json = False
        said = str(error)
    if http_status in range(200, 300):
        if is_json and (found := find(document, task_id)) is not None:
            others = other_ids(found, task_id) if task_id else ()
            return Verdict(Outcome.GENERATION, status=found.status, other_ids=others)
        if not body.strip():
            return _empty(http_status)
        if not is_json:
            return _judge_text(body, said)
    # Some gateways answer so for a task that has failed, with all of its generation.
    found = find(document, task_id) if http_status in OF_A_TASK else None
    if found is not None and says_all(found, task_id):
        return Verdict(Outcome.GENERATION, status=found.status)
    return _judge_refusal(http_status, document if is_json else _as_text(body))


def _judge_page(http_status: int, body: bytes) -> Verdict:
    """Judge HTML, which is written for people and says nothing about a task."""
    said = f"HTTP {http_status}: "
    start = body[: 64 * 1024]
    if http_status == HTTPStatus.UNAUTHORIZED:
        return Verdict(Outcome.FORBIDDEN, said + "a login page", Concern.KEY)
    title = TITLE.search(start)
    came = f"came in place of JSON{_quoted(title[1])}" if title else "came in place of JSON"
    # A page of a gateway that is broken is about this minute, whatever scripts it carries.
    is_broken = http_status in range(500, 600) and http_status != HTTPStatus.SERVICE_UNAVAILABLE
    if not is_broken and LOGIN.search(start):
        return Verdict(Outcome.FORBIDDEN, f"{said}a login page {came}", Concern.ACCOUNT)
    if not is_broken and CHALLENGE.search(start):
        # Firewalls also block a single request, for what its ID looks like.
        scope = Concern.ACCOUNT if http_status in TO_ALL else Concern.UNCLEAR
        return Verdict(Outcome.FORBIDDEN, f"{said}a challenge page {came}", scope)
    message = f"{said}a web page {came}: check the base URL"
    if http_status == HTTPStatus.FORBIDDEN:
        return Verdict(Outcome.FORBIDDEN, message, Concern.UNCLEAR)
    if http_status in range(200, 300):
        return Verdict(Outcome.NOT_JSON, message, Concern.GATEWAY)
    by_status = _by_status(http_status, message)
    concerns = by_status.concerns
    if concerns is not Concern.MOMENT and concerns is not Concern.ACCOUNT:
        concerns = Concern.GATEWAY
    return Verdict(by_status.outcome, message, concerns)


def _quoted(title: bytes) -> str:
    words = " ".join(unescape(title.decode(errors="replace")).split())
    return f' ("{words}")' if words else ""


def _empty(http_status: int) -> Verdict:
    if http_status in NOT_READY:
        return _not_ready(http_status)
    return Verdict(Outcome.NOT_JSON, "the body is empty", Concern.GATEWAY)


def _not_ready(http_status: int) -> Verdict:
    message = f"HTTP {http_status}: {_phrase(http_status)}; there is no generation yet"
    return Verdict(Outcome.NOT_READY, message, Concern.MOMENT)


def _judge_text(body: bytes, why: str) -> Verdict:
    """Judge text that is not JSON, with a status of success."""
    text = _as_text(body)
    kind = first_match(TEXTS, text) if not body.lstrip().startswith((b"{", b"[")) else None
    if kind is not None:
        return _of_kind(kind, f"the body is not JSON: {text}")
    return Verdict(Outcome.NOT_JSON, f"the body is not JSON: {why}", Concern.GATEWAY)


def _as_text(body: bytes) -> str:
    return body[:LONGEST_MESSAGE].decode(errors="replace").strip()


def _judge_refusal(http_status: int, document: Any) -> Verdict:
    """Judge a refusal in JSON or text: by its codes and words, else by its status."""
    said = message_in(document) or ""
    refusal = _Refusal(http_status, status_in(document), said[:LONGEST_MESSAGE])
    is_success = http_status in range(200, 300)
    message = said if is_success and said else f"HTTP {http_status}: {said or _phrase(http_status)}"
    is_of_aws = refusal.status in NO_ROUTE_OF_AWS and AWS_KNOWS_NO_ROUTE.search(refusal.text)
    kind = _kind_of(refusal, document)
    if kind is not None and not is_of_aws:
        return _of_kind(kind, message)
    if refusal.status in range(200, 300):
        is_early = refusal.status in NOT_READY
        return _not_ready(refusal.status) if is_early else _no_generation(document, said)
    verdict = _by_status(refusal.status, message)
    if is_of_aws:
        why = f"{message} (Amazon API Gateway says so of a path that it lacks: check the base URL)"
        return Verdict(verdict.outcome, why, Concern.GATEWAY)
    return _of_status(verdict, refusal, document)


def _of_status(verdict: Verdict, refusal: _Refusal, document: Any) -> Verdict:
    """The verdict of a status alone, where a task is not what the words are about."""
    if verdict.concerns is not Concern.TASK:
        return verdict
    if _is_about_the_address(refusal.text):
        return verdict._replace(concerns=Concern.GATEWAY)
    if verdict.outcome is Outcome.FORBIDDEN and not _names_a_task(refusal.text, document):
        # Also what a firewall answers to everyone, once it begins to block: others' answers decide.
        return verdict._replace(concerns=Concern.UNCLEAR)
    return verdict


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal without its codes.

    Attributes:
        http_status: HTTP status of the answer.
        inner_status: The status that the body quotes.
        text: The message in the body.
    """

    http_status: int
    inner_status: int | None
    text: str

    @property
    def is_broken(self) -> bool:
        return self.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def status(self) -> int:
        """The status that counts: the HTTP status of a broken gateway, else the inner one."""
        if self.inner_status is None or self.is_broken:
            return self.http_status
        return self.inner_status

    @property
    def is_of_a_missing_task(self) -> bool:
        return not GONE_STATUSES.isdisjoint((self.http_status, self.inner_status))

    @property
    def is_clear(self) -> bool:
        """Whether the status is specific enough to ignore the words of a message."""
        return not CLEAR_STATUSES.isdisjoint((self.http_status, self.inner_status))


def _kind_of(refusal: _Refusal, document: Any) -> Concern | Outcome | None:
    """The meaning of codes and words; None if only the status has one."""
    if refusal.http_status == HTTPStatus.UNAUTHORIZED:
        return Concern.KEY
    kind: Concern | Outcome | None = _kind_of_upstream(refusal)
    for code in codes_in(document):
        kind = kind or _kind_of_code(refusal, code)
    return kind or _kind_of_text(refusal)


def _kind_of_upstream(refusal: _Refusal) -> Outcome | None:
    """The meaning of an upstream status that a gateway quotes."""
    found = None if refusal.is_of_a_missing_task else STATUS_IN_TEXT.search(refusal.text)
    status = int(found[1] or found[2]) if found else 0
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return None if refusal.is_broken else Outcome.RATE_LIMITED
    # Upstream, the gateway's own key or account was refused, not the caller's.
    is_passing = status in (401, 402, 403, 408) or status in range(500, 600)
    return Outcome.SERVER_ERROR if is_passing else None


def _kind_of_code(refusal: _Refusal, code: str) -> Concern | Outcome | None:
    kind = first_match(CODES, code)
    if kind is Concern.ACCOUNT and _is_rate(refusal, code):
        return Outcome.RATE_LIMITED
    if kind is Concern.KEY and (refusal.is_of_a_missing_task or refusal.is_broken):
        return None
    if kind is Outcome.RATE_LIMITED and refusal.is_broken:
        return None
    return kind


def _is_rate(refusal: _Refusal, code: str) -> bool:
    """Whether a quota is per minute, by the status and the text."""
    if HTTPStatus.TOO_MANY_REQUESTS not in (refusal.http_status, refusal.inner_status):
        return False
    says_account = TEXTS[Concern.ACCOUNT].search(refusal.text) or ACCOUNT_CODE.search(code)
    return not says_account or bool(TEXTS[Outcome.RATE_LIMITED].search(refusal.text))


def _kind_of_text(refusal: _Refusal) -> Concern | Outcome | None:
    kind = first_match(TEXTS, refusal.text)
    if refusal.is_of_a_missing_task:
        return kind if kind is Outcome.NOT_READY else None
    if kind is None and _keeps_everyone_out(refusal):
        kind = Concern.ACCOUNT
    if kind is None:
        is_gone = refusal.http_status in GONE_IN_WORDS and GONE.search(refusal.text)
        return Outcome.NOT_FOUND if is_gone else None
    if kind is not Concern.ACCOUNT and refusal.is_clear:
        return None
    # "not authorized to see this generation" is not about the key.
    is_of_task = kind is Concern.KEY and ABOUT_A_TASK.search(refusal.text)
    return None if is_of_task else kind


def _keeps_everyone_out(refusal: _Refusal) -> bool:
    """Whether a 403 is of the plan, the program or where it runs; another path may be open."""
    is_forbidden = refusal.status == HTTPStatus.FORBIDDEN and KEEPS_OUT.search(refusal.text)
    return bool(is_forbidden) and not ABOUT_A_ROUTE.search(refusal.text)


def _names_a_task(text: str, document: Any) -> bool:
    codes = " ".join(codes_in(document)).replace("_", " ")
    # A path that a message quotes has the word too.
    said = QUOTED_PATH.sub(" ", text)
    return bool(ABOUT_A_TASK.search(said) or ABOUT_A_TASK.search(codes))


def _is_about_the_address(text: str) -> bool:
    """Whether a text reports a missing page, not a missing task."""
    if not ABOUT_A_ROUTE.search(text):
        return False
    return not ABOUT_A_TASK.search(text) or bool(QUOTES_A_REQUEST.search(text))


def _of_kind(kind: Concern | Outcome, message: str) -> Verdict:
    if kind is Concern.KEY:
        return Verdict(Outcome.FORBIDDEN, message, Concern.KEY)
    if kind is Concern.ACCOUNT:
        return Verdict(Outcome.FORBIDDEN, message, Concern.ACCOUNT)
    if kind is Outcome.NOT_FOUND:
        return Verdict(Outcome.NOT_FOUND, message, Concern.TASK)
    return Verdict(Outcome(kind), message, Concern.MOMENT)


def _by_status(status: int, message: str) -> Verdict:
    """The meaning of an HTTP status by itself."""
    if status in OF_STATUS:
        return Verdict(OF_STATUS[status][0], message, OF_STATUS[status][1])
    if status in OF_A_TASK:
        return Verdict(Outcome.BAD_REQUEST, message, Concern.TASK)
    if status in OF_THE_ADDRESS:
        return Verdict(Outcome.BAD_REQUEST, message, Concern.GATEWAY)
    # Others are of servers on the way, such as 499 where nginx has lost its client.
    if status in range(400, 600):
        return Verdict(Outcome.SERVER_ERROR, message, Concern.MOMENT)
    message += "; no generation comes with this status"
    return Verdict(Outcome.NOT_A_GENERATION, message, Concern.GATEWAY)


OF_STATUS: Final = {
    401: (Outcome.FORBIDDEN, Concern.KEY),
    402: (Outcome.FORBIDDEN, Concern.ACCOUNT),
    403: (Outcome.FORBIDDEN, Concern.TASK),
    404: (Outcome.NOT_FOUND, Concern.TASK),
    407: (Outcome.NETWORK, Concern.MOMENT),  # from a proxy on the way
    408: (Outcome.TIMEOUT, Concern.MOMENT),
    410: (Outcome.NOT_FOUND, Concern.TASK),
    429: (Outcome.RATE_LIMITED, Concern.MOMENT),
    505: (Outcome.SERVER_ERROR, Concern.GATEWAY),
}


def _no_generation(document: Any, said: str) -> Verdict:
    """Judge a success without a generation: one that reports a fault or a state may be temporary.

    `{"status": "COMPLETED", "request_id": …}` is of a queue, whose result is elsewhere.
    """
    kind = type(document).__name__ if not isinstance(document, dict) else "object"
    message = said or f"a JSON {kind} without a generation"
    may_pass = isinstance(document, str | int | float) or (
        isinstance(document, dict)
        and (
            is_refusal(document)
            or reports_a_fault(document)
            or any(name in PASSES or WAITS.search(name) for name in folded(document))
        )
    )
    concerns = Concern.MOMENT if may_pass else Concern.TASK
    return Verdict(Outcome.NOT_A_GENERATION, message, concerns)


# Keys of a state, and of what holds a generation once there is one.
PASSES: Final = frozenset({*STATE_KEYS, "done", "data"})

# And those of what says how far it is, such as `queue_position` and `estimated_time`.
WAITS: Final = re.compile(r"(?:^|_)(?:queue|position|progress|percent|eta|estimated?|wait)(?:_|$)")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no such status is known"
