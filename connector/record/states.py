"""Maps a gateway's words to a status and to a kind of failure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# Gateways' words for each status, in snake case.
STATES: Final = {
    "queued": """pending queued queueing queue in_queue enqueued waiting wait submitted submitting
        not_start not_started staged staging created accepted scheduled received initialized
        initializing preparing throttled new 排队中 等待中 未开始""",
    "running": """processing process dreaming running run in_progress in_process inprogress progress
        generating generation upscaling rendering starting started working active executing ongoing
        encoding uploading downloading preprocessing pre_processing postprocessing post_processing
        extending reframing modifying finalizing finishing doing retrying saving building booting
        animating transcoding 生成中 处理中 进行中""",
    # That a callback was not delivered is no failure of the generation.
    "completed": """completed complete completion succeeded succeed success successful finished
        finish done ready generated rendered processed available published delivered final
        completed_successfully callback_failed 已完成 完成 成功 生成成功""",
    "failed": """failed fail failure error errored cancelled canceled cancel expired expire rejected
        reject moderated moderation_failed content_moderated timed_out timeout aborted terminated
        blocked denied request_moderated nsfw unsuccessful stopped killed crashed filtered
        content_filtered policy_violation 失败 已失败 生成失败 已取消""",
}
STATUS_OF_STATE: Final = {word: name for name, words in STATES.items() for word in words.split()}

# Failed states that say why.
CATEGORY_OF_STATE: Final = {
    **dict.fromkeys(("cancelled", "canceled", "cancel", "aborted"), "cancelled"),
    **dict.fromkeys(
        [
            "moderated",
            "moderation_failed",
            "content_moderated",
            "request_moderated",
            "nsfw",
            "blocked",
            "filtered",
            "content_filtered",
            "policy_violation",
        ],
        "moderation",
    ),
    **dict.fromkeys(("timed_out", "timeout", "expired", "expire"), "gateway_error"),
}

# Kinds of failure by the words of a code or a reason; the first match counts.
CATEGORIES: Final = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "cancelled": r"cancel|aborted by|取消",
        "moderation": r"moderat|nsfw|polic(y|ies)|safety|unsafe|sensitive|inappropriate|prohibited"
        r"|flagged|violat|nudity|sexual|violen|copyright|celebrit|public figure|guidelines"
        r"|not allowed content|content.filter|敏感|违规|审核",
        "quota": r"quota|credit|balance|budget|billing|payment|insufficient.fund|rate.?limit"
        r"|too.many.requests|额度|余额|欠费",
        "invalid_input": r"invalid|unsupported|not.supported|bad.request|malformed|unprocessable"
        r"|too.(long|short|large|small|big)|must.(be|have|not)|missing|required|corrupt|out.of.range"
        r"|(cannot|could.not|failed.to|unable.to).(be.)?(read|decode|download|load|fetch|open|parse)"
        r"|wrong.format|exceeds?.(the.)?(max|limit|length)|参数",
        "gateway_error": r"internal|server|upstream|time.?d?.?out|unavailable|overload|busy|gpu"
        r"|memory|network|connection|generation.failed|unknown.error|unexpected|exception|crash"
        r"|try.again|retry|worker|系统|超时",
    }.items()
}

FAILED_ENDINGS: Final = (
    "_failed",
    "_failure",
    "_rejected",
    "_cancelled",
    "_canceled",
    "_violation",
)

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
# `TASK_STATUS_SUCCEED`, `MEDIA_GENERATION_STATUS_ACTIVE`
_STATE_PREFIX = re.compile(r"^((task|job|media|generation|video|run|state|status)_)+")


@lru_cache(maxsize=4096)
def status(state: str | None) -> str:
    """Map a state, in any case and spelling, to one of five statuses; a new one is `unknown`."""
    text = (state or "").strip()
    word = _word(text) or text  # of other scripts, as it is
    short = _STATE_PREFIX.sub("", word)
    found = STATUS_OF_STATE.get(word) or STATUS_OF_STATE.get(short)
    # `CREATE_TASK_FAILED`: whichever step failed, nothing follows.
    return found or ("failed" if word.endswith(FAILED_ENDINGS) else "unknown")


def _word(text: str) -> str:
    """Convert to snake case: `In Progress`, `in-progress` and `InProgress` are the same."""
    return _NOT_A_WORD.sub("_", _HUMP.sub("_", text).lower()).strip("_")


@lru_cache(maxsize=4096)
def failure_category(state: str | None, code: str | None, reason: str | None) -> str:
    """Return the kind of a failure, by its code, else its reason, else its state."""
    by_state = CATEGORY_OF_STATE.get(_STATE_PREFIX.sub("", _word(state or "")))
    if by_state == "cancelled":
        return by_state
    for text in filter(None, (code, reason)):
        for name, pattern in CATEGORIES.items():
            if pattern.search(text):
                return name
    return by_state or "other"
