"""Refusals of a whole account, for every ID until the setting changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from connector.sandbox.choices import Refusal, Wording
from connector.sandbox.replies import Reply, html_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Said(NamedTuple):
    """A refusal's message for people and code for programs."""

    message: str
    code: str


class Shape(NamedTuple):
    """A refusal's usual wording and its reply."""

    usual: Said
    reply: Callable[[Said], Reply]


def _error(status: int, kind: str) -> Callable[[Said], Reply]:
    def reply(said: Said) -> Reply:
        return json_reply(
            status, {"error": {"message": said.message, "type": kind, "code": said.code}}
        )

    return reply


def _coded(code: int) -> Callable[[Said], Reply]:
    return lambda said: json_reply(200, {"code": code, "message": said.message, "data": None})


def _page(status: int, title: str, content: str) -> Shape:
    # A page has a fixed wording.
    return Shape(Said(title, ""), lambda said: html_reply(status, said.message, content))


_WORDINGS: Mapping[Wording, Said] = {
    Wording.CREDIT: Said("Insufficient credits", "insufficient_credits"),
    Wording.QUOTA: Said("User quota is not enough", "insufficient_user_quota"),
    Wording.BALANCE: Said("Account balance is too low, please top up", "insufficient_balance"),
    Wording.BILLING: Said("Billing hard limit has been reached", "billing_hard_limit_reached"),
}
_SPENT_QUOTA = Said(
    "You exceeded your current quota, please check your plan and billing details",
    "insufficient_quota",
)
_SHAPES: Mapping[Refusal, Shape] = {
    Refusal.PAYMENT_402: Shape(
        _WORDINGS[Wording.CREDIT], lambda said: json_reply(402, {"detail": said.message})
    ),
    Refusal.QUOTA_403: Shape(_WORDINGS[Wording.QUOTA], _error(403, "new_api_error")),
    Refusal.QUOTA_429: Shape(_SPENT_QUOTA, _error(429, "insufficient_quota")),
    Refusal.CODE_402: Shape(_WORDINGS[Wording.BALANCE], _coded(402)),
    Refusal.CODE_401: Shape(Said("token expired", "token_expired"), _coded(401)),
    Refusal.CHALLENGE_PAGE: _page(
        403, "Just a moment...", '<div id="cf-chl-widget">Checking your browser</div>'
    ),
    Refusal.LOGIN_PAGE: _page(
        200, "Sign in", '<form action="/login" method="post"><input type="password"></form>'
    ),
}
# Refusals of a key or a browser, not for lack of money.
_WORDLESS = {Refusal.CODE_401, Refusal.CHALLENGE_PAGE, Refusal.LOGIN_PAGE}


def refuse(refusal: Refusal, wording: Wording) -> Reply:
    """The answer to every request of a refused account.

    Args:
        refusal: Any but `NONE`.
        wording: What has run out; ignored by refusals for other causes.
    """
    shape = _SHAPES[refusal]
    is_usual = wording is Wording.USUAL or refusal in _WORDLESS
    return shape.reply(shape.usual if is_usual else _WORDINGS[wording])
