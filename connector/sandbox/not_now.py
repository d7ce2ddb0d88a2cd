"""Answers that say "not now": the same request gets its generation later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.sandbox.choices import NotNow
from connector.sandbox.draws import Draws, pick
from connector.sandbox.replies import Reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.sandbox.settings import SandboxSettings


def _error(status: int, message: str, kind: str, code: str) -> Reply:
    return json_reply(status, {"error": {"message": message, "type": kind, "code": code}})


def _coded(code: int, message: str, data: Any) -> Reply:
    return json_reply(200, {"code": code, "message": message, "data": data})


_REPLIES: Mapping[NotNow, Reply] = {
    NotNow.PENDING_202: json_reply(202, {"status": "pending"}),
    NotNow.EMPTY_202: Reply(202),
    NotNow.EMPTY_204: Reply(204, b"", ()),
    NotNow.CONFLICT_409: json_reply(409, {"detail": "the generation is being updated, retry"}),
    NotNow.LOCKED_423: json_reply(423, {"detail": "the generation is locked by another process"}),
    NotNow.EARLY_425: json_reply(425, {"detail": "too early"}),
    NotNow.CODE_429: _coded(429, "rate limit exceeded", None),
    NotNow.CODE_500: _coded(500, "upstream timeout", {}),
    NotNow.CODE_503: _coded(503, "service temporarily unavailable", None),
    NotNow.UPSTREAM_BUSY: _error(
        200, "the upstream is saturated, try again later", "new_api_error", "upstream_error"
    ),
    NotNow.WRAPPED_429: _error(
        400,
        "bad response status code 429 from upstream",
        "upstream_error",
        "bad_response_status_code",
    ),
}


def not_now(task_id: str, attempt: int, settings: SandboxSettings) -> tuple[NotNow, Reply] | None:
    """The "not now" for an ID's attempt, counted from 1; None if it gets its regular answer."""
    if settings.not_now == NotNow.NONE:
        return None
    if settings.not_now_attempts and attempt > settings.not_now_attempts:
        return None
    chosen, kind, *_ = Draws(settings.seed, task_id).shares("not now")
    if chosen >= settings.not_now_share:
        return None
    name = pick(tuple(_REPLIES), kind) if settings.not_now == NotNow.MIXED else settings.not_now
    return NotNow(name), _REPLIES[NotNow(name)]
