"""What follows from a single value: one small pure function a column or two."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

# The words of gateways for each status, in snake case.
STATES: Final = {
    "queued": """pending queued queueing queue in_queue enqueued waiting wait submitted submitting
        not_start not_started staged staging created accepted scheduled received initialized
        initializing preparing throttled new""",
    "running": """processing process dreaming running run in_progress in_process inprogress progress
        generating generation upscaling rendering starting started working active executing ongoing
        encoding uploading downloading preprocessing pre_processing postprocessing post_processing
        extending reframing modifying finalizing finishing doing""",
    "completed": "completed complete completion succeeded succeed success successful finished"
    " finish done",
    "failed": """failed fail failure error errored cancelled canceled cancel expired expire rejected
        reject moderated moderation_failed content_moderated timed_out timeout aborted terminated
        blocked denied""",
}
STATUS_OF_STATE: Final = {word: name for name, words in STATES.items() for word in words.split()}

# Which of the failed states say why.
CATEGORY_OF_STATE: Final = {
    **dict.fromkeys(("cancelled", "canceled", "cancel", "aborted"), "cancelled"),
    **dict.fromkeys(
        ("moderated", "moderation_failed", "content_moderated", "blocked"), "moderation"
    ),
    **dict.fromkeys(("timed_out", "timeout", "expired", "expire"), "gateway_error"),
}

# Kinds of failure by the words of a code or a reason; the first that fits counts.
CATEGORIES: Final = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "cancelled": r"cancel|aborted by|取消",
        "moderation": r"moderat|nsfw|polic(y|ies)|safety|unsafe|sensitive|inappropriate|prohibited"
        r"|flagged|violat|nudity|sexual|violen|copyright|celebrit|public figure|guidelines"
        r"|not allowed content|敏感|违规|审核",
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

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
# `TASK_STATUS_SUCCEED`, `JOB_STATE_RUNNING`
_STATE_PREFIX = re.compile(r"^(task|job|generation|video|state|status)_(state_|status_)?")

_LENGTH = re.compile(
    r"\s*(?:PT)?(\d{1,6}(?:\.\d{1,6})?)\s*(|ms|s|sec|secs|seconds?|m|min|minutes?)\s*",
    re.IGNORECASE,
)
_SECONDS_IN: Final = {"ms": 0.001, "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0}

PIXELS: Final = {
    "360p": 640 * 360,
    "540p": 960 * 540,
    "720p": 1280 * 720,
    "1080p": 1920 * 1080,
    "1440p": 2560 * 1440,
    "4k": 3840 * 2160,
}
"""Luma keeps the number of pixels and varies the shape: 752×1360 and 1552×656 are both its 720p."""
NEAR_PIXELS: Final = 1.4

RATIOS: Final = {
    name: int(name.split(":")[0]) / int(name.split(":")[1])
    for name in ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21", "3:2", "2:3")
}
"""The official names and the two usual ones that lie more than 8% from each of them."""
NEAR_RATIO: Final = 1.04

_RATIO = re.compile(r"\s*(\d{1,5})\s*[:x/]\s*(\d{1,5})\s*", re.ASCII)


class Frame(NamedTuple):
    """What a width and a height say."""

    resolution: str | None = None
    aspect_ratio: str | None = None
    orientation: str | None = None
    megapixels: float | None = None


NO_FRAME: Final = Frame()


@lru_cache(maxsize=4096)
def status(state: str | None) -> str:
    """`state` in five words, in any case and spelling; a new one is `unknown`: not final."""
    word = _word(state or "")
    return STATUS_OF_STATE.get(word) or STATUS_OF_STATE.get(_STATE_PREFIX.sub("", word), "unknown")


def _word(text: str) -> str:
    """A word in snake case: `In Progress`, `in-progress` and `InProgress` are one."""
    return _NOT_A_WORD.sub("_", _HUMP.sub("_", text).lower()).strip("_")


@lru_cache(maxsize=4096)
def failure_category(state: str | None, code: str | None, reason: str | None) -> str:
    """The kind of a failure: by its code, else its reason, else the state."""
    by_state = CATEGORY_OF_STATE.get(_STATE_PREFIX.sub("", _word(state or "")))
    if by_state == "cancelled":
        return by_state
    for text in filter(None, (code, reason)):
        for name, pattern in CATEGORIES.items():
            if pattern.search(text):
                return name
    return by_state or "other"


@lru_cache(maxsize=4096)
def length_in_seconds(duration: str | None) -> float | None:
    """A requested length, such as `5s`, `9` or `1500ms`, as a number; null if it is none."""
    match = _LENGTH.fullmatch(duration or "")
    return float(match[1]) * _SECONDS_IN.get(match[2].lower(), 1.0) if match else None


@lru_cache(maxsize=4096)
def frame(width: int | None, height: int | None) -> Frame:
    """Name a size; nothing for a missing or impossible one."""
    if width is None or height is None or width <= 0 or height <= 0:
        return NO_FRAME
    pixels = width * height
    nearest = min(PIXELS, key=lambda name: abs(math.log(pixels / PIXELS[name])))
    is_near = 1 / NEAR_PIXELS <= pixels / PIXELS[nearest] <= NEAR_PIXELS
    return Frame(
        nearest if is_near else f"{min(width, height)}p",
        _named_ratio(width, height),
        _orientation(width, height),
        pixels / 1e6,
    )


@lru_cache(maxsize=4096)
def requested_frame(resolution: str | None, aspect_ratio: str | None) -> Frame:
    """The same from what was asked for, where no size is known."""
    named = (resolution or "").strip().lower() or None
    match = _RATIO.fullmatch(aspect_ratio or "")
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not width or not height:
        return Frame(named)
    return Frame(named, _named_ratio(width, height), _orientation(width, height))


def _named_ratio(width: int, height: int) -> str:
    ratio = width / height
    nearest = min(RATIOS, key=lambda name: abs(math.log(ratio / RATIOS[name])))
    if 1 / NEAR_RATIO <= ratio / RATIOS[nearest] <= NEAR_RATIO:
        return nearest
    divisor = math.gcd(width, height)
    return f"{width // divisor}:{height // divisor}"


def _orientation(width: int, height: int) -> str:
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"


def prompt_id(prompt: str) -> str:
    """Identify a prompt's text; surrounding blanks make no difference."""
    return blake2b(prompt.strip().encode(), digest_size=8).hexdigest()


def prompt_words(prompt: str) -> int:
    """Words, separated by blanks of any kind."""
    return len(prompt.split())
