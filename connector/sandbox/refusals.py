"""Refusals of a whole account, for every ID until the setting changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from connector.sandbox.replies import Reply, coded_reply, error_reply, html_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.sandbox.choices import Refusal, Wording


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
    "200-login-page": html_reply(
        200, "Sign in", '<form action="/login" method="post"><input type="password"></form>'
    ),
}


def refuse(refusal: Refusal, wording: Wording) -> Reply:
    """The answer to every request of a refused account.

    Args:
        refusal: Any but `none`.
        wording: What has run out; ignored by refusals for other causes.
    """
    if refusal in _OTHERS:
        return _OTHERS[refusal]
    usual, reply = _SPENT[refusal]
    return reply(_WORDINGS.get(wording, usual))
