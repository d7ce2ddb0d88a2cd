"""The words of keys: what a gateway's own name for a documented field is made of.

The paths that `connector.record.schema` declares are exact. Where a value has none of them, its key
is read by its words: `createdTime` is a time of creation and `generateParam` holds the request,
whoever chose the name. A value counts under such a name only if it converts to the column's type.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-\s]+")

# Of what the request holds, the column and further names.
_REQUESTED: Final = {
    "prompt": ("prompt", "prompt_text", "text_prompt", "user_prompt"),
    "requested_model": ("model", "model_name", "model_id"),
    "requested_aspect_ratio": ("aspect_ratio", "ratio"),
    "requested_resolution": ("resolution", "size"),
    "requested_duration": ("duration",),
    "requested_loop": ("loop",),
}
_IN_REQUESTS: Final = tuple((name, key) for name, keys in _REQUESTED.items() for key in keys)

# Where the state is an object: of its word, likeliest first.
STATE_WORDS: Final = ("state", "status", "name", "value", "label", "phase", "code", "type")

_SAID: Final = ("message", "msg", "reason", "detail", "description", "text")
_IN_FAILURES: Final = (
    *(("failure_reason", key) for key in _SAID),
    *(("failure_code", key) for key in ("code", "error_code", "type", "name")),
)
SIDES: Final = ("video_width", "video_height")
_SIZES: Final = tuple(zip(SIDES, ("width", "height"), strict=True))
_UNITS: Final = ("seconds", "sec", "secs", "s", "ms")
_IN_META: Final = (
    ("created_at", "created_at"),
    ("started_at", "started_at"),
    *(("finished_at", f"{stem}_at") for stem in ("finished", "completed", "ended")),
)
_FLAT: Final = ("url", "width", "height")

# Of an object that is a file, the key of its address, likeliest first.
URL_KEYS: Final = ("url", "uri", "video_url", "resource", "src", "href", "link", "file_url")

_TIME = (
    r"(?:(?:task|job|generation|date|time|gmt)_)?(?:%s)(?:_(?:at|time|date|on|timestamp|ts|ms))*"
)
_FAILURE: Final = "(?:fail(?:ed|ure)?|err(?:or)?s?|reject(?:ed|ion)?|moderation|cancel(?:lation)?)"
_WHY: Final = "_?(?:reason|message|msg|details?|desc(?:ription)?|text|info)"

# Keys of a result's files, and of what holds them. `progress_video` and the like are no results.
_FILES: Final = re.compile(
    r"(?:\w+_)?videos?(?:_(?:urls?|list|results?|info|files?))?|assets?|artifacts|outputs?"
    r"|(?:task_)?results?(?:_(?:json|urls?))?|response|works?|files?|medias?|contents?|generated"
    r"|urls?|(?:file|download)_urls?|resources?|data|items?"
)
_NO_RESULTS: Final = re.compile(
    r"(?:^|_)(?:input|source|ref|reference|start|end|init|progress|preview|raw|orig|original|hdr"
    r"|exr)(?:_|$)"
)

# Keys of the text in error bodies, likeliest first. In any spelling: `errorMessage`, `Message`.
MESSAGE_KEYS: Final = (
    "message",
    "detail",
    "error",
    "errors",
    "fault",
    "faultstring",
    "error_message",
    "failure_reason",
    "msg",
    "error_msg",
    "err_msg",
    "info",
    "exception",
    "reason",
    "title",
    "description",
    "failure",
    "cause",
    "err",
    "status_message",
    "status_msg",
    "status_reason",
    "status_detail",
    "state_reason",
    "state_message",
    "state_msg",
)

# Of what was asked for.
_REQUEST: Final = (
    r"(?:\w+_)?(?:params?|parameters|arg(?:ument)?s|inputs?|options|settings|config|request|body"
    r"|payload|properties|meta|metadata)(?:_json)?|prompt_json"
)

# Columns by the words of a key, each with the key within it or "" for the value itself.
_RULES: Final = tuple(
    (re.compile(pattern), columns)
    for pattern, columns in (
        (_REQUEST, _IN_REQUESTS),
        (
            r"(?:text|user|orig|original|input)_prompt|prompt(?:_text)?",
            (("prompt", ""), ("prompt", "text"), ("prompt", "prompt")),
        ),
        (r"model_(?:name|id)", (("requested_model", ""),)),
        (r"aspect_ratio|ratio", (("requested_aspect_ratio", ""),)),
        (r"resolution|size", (("requested_resolution", ""),)),
        (r"loop", (("requested_loop", ""),)),
        (r"state|status|task_status", tuple(("state", word) for word in STATE_WORDS)),
        (_TIME % "created?|creation|insert(?:ed)?", (("created_at", ""),)),
        (_TIME % "submit(?:ted)?|submission", (("created_at", ""), ("submitted_at", ""))),
        (_TIME % "start(?:ed)?|begin|began", (("started_at", ""),)),
        (_TIME % "finish(?:ed)?|complet(?:ed?|ion)|end(?:ed)?|done", (("finished_at", ""),)),
        (
            rf"{_FAILURE}{_WHY}|failure|err(?:or)?s?",
            (("failure_reason", ""), *_IN_FAILURES),
        ),
        (rf"{_FAILURE}_?(?:code|type|no)", (("failure_code", ""),)),
        *(
            (rf"{name}_{key}", ((f"{column}_{key}", ""),))
            for name, column in (
                *((name, name) for name in ("video", "thumbnail", "last_frame", "video_raw")),
                ("cover(?:_image)?", "thumbnail"),
            )
            for key in _FLAT
        ),
        (r"cover(?:_image)?", tuple((f"thumbnail_{key}", key) for key in _FLAT)),
        *(
            (name, tuple((f"{name}_url", key) for key in URL_KEYS))
            for name in ("video", "thumbnail", "last_frame", "video_raw")
        ),
        (
            "video",
            (
                *((name, key) for name in SIDES for key in ("resolution", "size", "dimensions")),
                *(("video_duration_seconds", f"duration_{unit}") for unit in _UNITS),
            ),
        ),
        (r"metadata|meta", (*_SIZES, ("video_duration_seconds", "duration"))),
        ("metadata", _IN_META),
        *((key, ((column, ""),)) for column, key in _SIZES),
        (r"type", (("generation_type", ""),)),
    )
)


@lru_cache(maxsize=4096)
def snake(key: str) -> str:
    """A key in snake case: `videoURL`, `video-url` and `Video Url` are `video_url`."""
    return _BOUNDARY.sub("_", key).lower()


@lru_cache(maxsize=4096)
def by_words(key: str) -> tuple[tuple[str, str], ...]:
    """The columns that a key in snake case is read for, with the key within it or "".

    The likeliest come first.
    """
    return tuple(pair for pattern, columns in _RULES if pattern.fullmatch(key) for pair in columns)


@lru_cache(maxsize=4096)
def holds_files(key: str) -> bool:
    """Whether a key in snake case can be that of a result's files."""
    return bool(_FILES.fullmatch(key)) and not _NO_RESULTS.search(key)


@lru_cache(maxsize=4096)
def holds_request(key: str) -> bool:
    """Whether a key in snake case can be that of the request."""
    return re.fullmatch(_REQUEST, key) is not None
