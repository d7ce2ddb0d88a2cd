"""Answers that say "not now": the same request gets its generation later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.sandbox.draws import Draws, pick
from connector.sandbox.replies import Reply, coded_reply, error_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.sandbox.choices import NotNow
    from connector.sandbox.settings import SandboxSettings


_REPLIES: Mapping[NotNow, Reply] = {
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


def not_now(task_id: str, attempt: int, settings: SandboxSettings) -> tuple[NotNow, Reply] | None:
    """The "not now" for an ID's attempt, counted from 1; None if it gets its regular answer."""
    if settings.not_now == "none":
        return None
    if settings.not_now_attempts and attempt > settings.not_now_attempts:
        return None
    chosen, kind, *_ = Draws(settings.seed, task_id).shares("not now")
    if chosen >= settings.not_now_share:
        return None
    name = pick(tuple(_REPLIES), kind) if settings.not_now == "mixed" else settings.not_now
    return name, _REPLIES[name]
