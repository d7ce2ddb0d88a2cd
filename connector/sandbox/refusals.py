"""Refusals of a whole account, and answers that say "not now"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from connector.sandbox.draws import Draws, pick
from connector.sandbox.replies import Reply, coded_reply, error_reply, html_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.sandbox.choices import NotNow, Refusal, Wording
    from connector.sandbox.settings import SandboxSettings


class Said(NamedTuple):
    """A refusal's message for people and code for programs."""

    message: str
    code: str


_WORDINGS: Mapping[Wording, Said] = {
    "credit": Said("Insufficient credits", "insufficient_credits"),
    "quota": Said("User quota is not enough", "insufficient_user_quota"),
    "balance": Said("Account balance is too low, please top up", "insufficient_balance"),
    "billing": Said("Billing hard limit has been reached", "billing_hard_limit_reached"),
}
_SPENT_QUOTA = Said(
    "You exceeded your current quota, please check your plan and billing details",
    "insufficient_quota",
)
# Refusals because something has run out: the usual wording, and the reply.
_SPENT: Mapping[Refusal, tuple[Said, Callable[[Said], Reply]]] = {
    "402": (_WORDINGS["credit"], lambda said: json_reply(402, {"detail": said.message})),
    "403-quota": (
        _WORDINGS["quota"],
        lambda said: error_reply(403, said.message, "new_api_error", said.code),
    ),
    "429-quota": (
        _SPENT_QUOTA,
        lambda said: error_reply(429, said.message, "insufficient_quota", said.code),
    ),
    "200-code-402": (_WORDINGS["balance"], lambda said: coded_reply(200, 402, said.message)),
}
# Refusals of a key or a browser.
_OTHERS: Mapping[Refusal, Reply] = {
    "200-code-401": coded_reply(200, 401, "token expired"),
    "403-challenge": html_reply(
        403, "Just a moment...", '<div id="cf-chl-widget">Checking your browser</div>'
    ),
    # As a firewall says it, without a word about why.
    "403-forbidden": json_reply(403, {"message": "Forbidden"}),
    "200-login-page": html_reply(
        200, "Sign in", '<form action="/login" method="post"><input type="password"></form>'
    ),
}


# The same request gets its generation later.
_NOT_NOW: Mapping[NotNow, Reply] = {
    "202-pending": json_reply(202, {"status": "pending"}),
    "202-empty": Reply(202),
    "204": Reply(204, b"", ()),
    "409": json_reply(409, {"detail": "the generation is being updated, retry"}),
    "423": json_reply(423, {"detail": "the generation is locked by another process"}),
    "425": json_reply(425, {"detail": "too early"}),
    "200-code-429": coded_reply(200, 429, "rate limit exceeded"),
    "200-code-500": coded_reply(200, 500, "upstream timeout", {}),
    "200-code-503": coded_reply(200, 503, "service temporarily unavailable"),
    "200-upstream-busy": error_reply(
        200, "the upstream is saturated, try again later", "new_api_error", "upstream_error"
    ),
    "400-wrapping-429": error_reply(
        400,
        "bad response status code 429 from upstream",
        "upstream_error",
        "bad_response_status_code",
    ),
}


def refuse(refusal: Refusal, wording: Wording) -> Reply:
    """The answer to every request of a refused account; some have a wording of their own."""
    if refusal in _OTHERS:
        return _OTHERS[refusal]
    usual, reply = _SPENT[refusal]
    return reply(_WORDINGS.get(wording, usual))


def not_now(task_id: str, attempt: int, settings: SandboxSettings) -> tuple[NotNow, Reply] | None:
    """The "not now" for an ID's attempt, counted from 1; None if it gets its regular answer."""
    if settings.not_now == "none":
        return None
    if settings.not_now_attempts and attempt > settings.not_now_attempts:
        return None
    chosen, kind, *_ = Draws(settings.seed, task_id).shares("not now")
    if chosen >= settings.not_now_share:
        return None
    name = pick(tuple(_NOT_NOW), kind) if settings.not_now == "mixed" else settings.not_now
    return name, _NOT_NOW[name]
