"""Answers whose status says that there is no generation, in many shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.sandbox.kinds import Case, Group, Kind, either, fixed
from connector.sandbox.replies import (
    JSON,
    Reply,
    coded_reply,
    error_reply,
    html_reply,
    http_date,
    json_reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _status(name: str, about: str, reply: Reply) -> Kind:
    return fixed(Group.STATUS, name, about, reply)


def _made(name: str, about: str, status: int, answer: Callable[[Case], Reply]) -> Kind:
    return Kind(name, Group.STATUS, about, status, answer)


def _come_back(retry_after: str) -> Reply:
    return json_reply(429, {"detail": "Too many requests"}, ("Retry-After", retry_after))


def _rate_limited_date(case: Case) -> Reply:
    # A date has whole seconds: two seconds ahead is at least one second away.
    return _come_back(http_date(case.now + 2))


def _redirect(location: str) -> Reply:
    return Reply(302, b"", (("Location", location),))


def _redirect_same_host(case: Case) -> Reply:
    return Reply(200, case.body) if case.is_redirected else _redirect(case.url + "?redirected")


REFUSALS = (
    _status("not-found", "404, JSON", json_reply(404, {"detail": "Generation not found"})),
    _status(
        "not-found-400",
        "400 that means 404",
        coded_reply(400, "task_not_exist", "task not exist"),
    ),
    _status("not-found-html", "404, an HTML page", html_reply(404, "404 Not Found")),
    _status("gone", "410, empty", Reply(410)),
    _status(
        "bad-request",
        "422, `detail` is an array",
        json_reply(422, {"detail": [{"loc": ["path", "id"], "msg": "no UUID", "type": "uuid"}]}),
    ),
    _status(
        "bad-request-400",
        "400, `error` is an object",
        error_reply(400, "invalid id", "invalid_request", "bad_id"),
    ),
    _status(
        "forbidden", "403, about this task", json_reply(403, {"detail": "Not your generation"})
    ),
    _status("unauthorized", "401", json_reply(401, {"detail": "Not authenticated"})),
    _status("no-content", "204, so no body", Reply(204)),
    _status("not-modified", "304 to an unconditional request", Reply(304)),
    _status("odd-status", "a non-standard status", json_reply(799, {"detail": "?"})),
)

RATE_LIMITS = (
    _status("rate-limited", "429, Retry-After in seconds", _come_back("1")),
    _made("rate-limited-date", "429, Retry-After is an HTTP date", 429, _rate_limited_date),
    _status("rate-limited-bare", "429, no Retry-After, empty", Reply(429, b"", ())),
    _status("rate-limited-forever", "429, Retry-After is an hour", _come_back("3600")),
    _status("rate-limited-nonsense", "429, Retry-After is invalid", _come_back("soon")),
    _status("rate-limited-negative", "429, Retry-After is negative", _come_back("-5")),
)

FAILURES = (
    _status(
        "server-error",
        "500, JSON",
        error_reply(500, "internal error", "server", None),
    ),
    _status("server-error-empty", "500, empty", Reply(500, b"", JSON)),
    _status("bad-gateway", "502, an HTML page", html_reply(502, "502 Bad Gateway")),
    _status(
        "unavailable",
        "503, JSON",
        json_reply(503, {"code": "unavailable", "message": "upstream is busy"}),
    ),
    _status(
        "unavailable-later",
        "503, Retry-After in seconds",
        json_reply(503, {"detail": "Try later"}, ("Retry-After", "1")),
    ),
    _status("gateway-timeout", "504, an HTML page", html_reply(504, "504 Gateway Timeout")),
    _status("request-timeout", "408, empty", Reply(408, b"", ())),
)

REDIRECTS = (
    *either(_made("redirect-same-host", "302 to a good answer here", 302, _redirect_same_host)),
    _made(
        "redirect-other-host",
        "302 to another port, which answers and counts requests",
        302,
        lambda case: _redirect(case.elsewhere_url),
    ),
    _made("redirect-loop", "302 to itself", 302, lambda case: _redirect(case.url)),
    _status("redirect-nowhere", "302 without a Location", Reply(302, b"", ())),
    _status("redirect-nonsense", "302 to an invalid URL", _redirect("http://[::nowhere/")),
)

KINDS = (*REFUSALS, *RATE_LIMITS, *FAILURES, *REDIRECTS)
