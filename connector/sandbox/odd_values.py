"""Well-formed generations with unexpected values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.sandbox.kinds import Fields, Kind, values

if TYPE_CHECKING:
    from collections.abc import Callable

EXTRA_KEYS = 5_000

# A moment in 2025, for `created_at` as a number.
_EPOCH = 1_750_000_000


def _with(**changes: Any) -> Callable[[Fields], Fields]:
    return lambda fields: {**fields, **changes}


def _without(*names: str) -> Callable[[Fields], Fields]:
    return lambda fields: {name: fields[name] for name in fields if name not in names}


def _video(**changes: Any) -> Callable[[Fields], Fields]:
    return lambda fields: {**fields, "video": {**fields["video"], **changes}}


def _url_broken(fields: Fields) -> Fields:
    url = fields["video"]["download_url"]
    broken = url.replace("X-Amz-Date=", "X-Amz-Date=tomorrow-").replace("Expires=", "Expires=-")
    return _video(download_url=broken)(fields)


def _prompt_in_request(fields: Fields) -> Fields:
    return {**_without("prompt")(fields), "request": {"prompt": fields["prompt"], "loop": True}}


def _many_extra_keys(fields: Fields) -> Fields:
    return {**fields, **{f"extra_{number}": number for number in range(EXTRA_KEYS)}}


def _created_at(name: str, about: str, value: Any) -> Kind:
    return values(name, about, _with(created_at=value))


def _prompt(name: str, about: str, value: Any) -> Kind:
    return values(name, about, _with(prompt=value))


def _state(name: str, about: str, value: Any) -> Kind:
    return values(name, about, _with(state=value))


STATES = (
    values("good", "a regular generation", lambda fields: fields),
    _state("unknown-state", "an unknown state", "archived"),
    _state("uppercase-state", "COMPLETED", "COMPLETED"),
    _state("empty-state", "an empty state", ""),
    _state("number-state", "a state that is a number", 3),
    values("missing-state", "no state", _without("state")),
    values(
        "never-finishes",
        "pending forever",
        lambda fields: {
            **_without("video", "video_raw", "thumbnail", "last_frame")(fields),
            "state": "pending",
        },
    ),
    values("failed-bare", "failed without a reason", _with(state="failed", video=None)),
    values("completed-bare", "completed, but no URL", _with(video=None, thumbnail=None)),
)

SHAPES = (
    values("missing-everything-but-id", "an ID only", lambda fields: {"id": fields["id"]}),
    values("missing-id", "no ID", _without("id")),
    values("id-mismatch", "another ID", _with(id="00000000-0000-4000-8000-000000000000")),
    values("number-id", "an ID that is a number", _with(id=12345)),
    values(
        "wrong-shapes",
        "lists and strings where objects belong",
        _with(
            video=["https://example.com/video.mp4"],
            thumbnail="https://example.com/thumbnail.jpg",
            video_raw=7,
            last_frame=[],
            prompt={"text": "a cat"},
            liked="yes",
        ),
    ),
    values("many-extra-keys", "5,000 unknown keys", _many_extra_keys),
    values("prompt-in-request", "the prompt under `request`", _prompt_in_request),
    values("url-broken", "a signed URL with an invalid date", _url_broken),
    values("url-unparsable", "invalid URLs", _video(url="http://[::1", download_url="::?#")),
    values("liked-true", "`liked` is a boolean", _with(liked=True)),
    values(
        "queue-state-object",
        "`queue_state` is an object",
        _with(queue_state={"position": 3, "of": 12}, estimate_wait_seconds=41.5),
    ),
)

NUMBERS = (
    values("huge-number", "a width of 2 to the power of 70", _video(width=2**70)),
    values("negative-numbers", "sizes below zero", _video(width=-752, height=-1)),
    values("zero-size", "sizes of zero", _video(width=0, height=0)),
    values("float-size", "sizes with a fraction", _video(width=752.0, height=1360.5)),
    values("text-size", "sizes as strings", _video(width="752", height="1360px")),
    values("bool-size", "sizes that are booleans", _video(width=True, height=False)),
)

MOMENTS = (
    _created_at("zero-time", "the zero time", "0001-01-01T00:00:00Z"),
    _created_at("epoch-seconds", "seconds since 1970", _EPOCH),
    _created_at("epoch-milliseconds", "milliseconds since 1970", _EPOCH * 1000 + 325),
    _created_at("epoch-text", "seconds since 1970 as a string", str(_EPOCH)),
    _created_at("nanoseconds", "9 digits of a second", "2025-06-18T14:47:43.318498123Z"),
    _created_at("offset-time", "a UTC offset", "2025-06-18T14:47:43.318+05:30"),
    _created_at("no-offset-time", "no UTC offset", "2025-06-18T14:47:43.318"),
    _created_at("leap-second", "the 61st second", "2016-12-31T23:59:60Z"),
    _created_at("no-time", "not a time", "yesterday"),
    _created_at("impossible-date", "the 30th of February", "2025-02-30T10:00:00Z"),
    _created_at("far-future", "the year 9999", "9999-12-31T23:59:59.999999Z"),
    _created_at("beyond-time", "the year 12025", "12025-01-01T00:00:00Z"),
    values("missing-time", "no `created_at`", _without("created_at")),
)

PROMPTS = (
    _prompt("empty-prompt", "empty", ""),
    _prompt("blank-prompt", "blanks only", " \t\n\u00a0"),
    _prompt("null-prompt", "null", None),
    values("missing-prompt", "none", _without("prompt")),
    _prompt("nul-character", "a NUL character", "before\0after"),
    _prompt("control-characters", "terminal escapes", "\x1b[31mred\x1b[0m\x07\x1b]0;title\x07"),
    _prompt("script-prompt", "a script", "<script>alert(document.cookie)</script>"),
    _prompt("markup-prompt", "terminal markup", "[bold red]not a tag[/] [link=x]"),
    _prompt("formula-prompt", "a formula", '=1+1+cmd|" /C calc"!A0'),
    _prompt("quotes-prompt", "all sorts of quotes", "'; DROP TABLE generations; -- \"\\`"),
    _prompt("lines-prompt", "all sorts of line ends", "a\rb\nc\r\nd\u2028e\u0085f"),
    _prompt("right-to-left-prompt", "text that changes direction", "\u202eexe.mp4\u202c قطة"),
    _prompt(
        "combined-prompt", "letters of many code points", "e\u0301 👩\u200d👩\u200d👧 🇪🇬 \uffff"
    ),
)

KINDS = (*STATES, *SHAPES, *NUMBERS, *MOMENTS, *PROMPTS)
