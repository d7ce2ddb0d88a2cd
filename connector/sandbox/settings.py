"""The sandbox's settings, declared once for code, command line and `/_sandbox`."""

# ruff: noqa: RUF009 -- a knob is a field of the dataclass
from __future__ import annotations

import base64
import re
from dataclasses import Field, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from connector.sandbox.choices import (
    STATES,
    Batch,
    BatchRefusal,
    BatchShape,
    Dialect,
    MissingAs,
    NotNow,
    RateHeaders,
    Refusal,
    RetryAfter,
    TimeForm,
    Wording,
    WrongPath,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

# The sandbox's present is fixed, so that its answers stay the same forever: `make run` and the
# tests need that. Its command line sets the present of its start.
NOW = datetime(2025, 10, 15, tzinfo=UTC)


def _knob(default: T, about: str, *, repr: bool = True, **limits: Any) -> T:  # noqa: A002 -- field's
    return field(default=default, repr=repr, metadata={"about": about, **limits})


def _share(default: float, about: str) -> float:
    return _knob(default, f"share of IDs {about}", most=1)


def _share_of(about: str) -> float:
    return _knob(0.0, f"share of {about}", most=1)


def _choice(words: object, about: str) -> Any:
    """One of a Literal's words; the first is the default."""
    return _knob(get_args(words)[0], about, choices=get_args(words))


# Titles of groups, by the first setting of each.
GROUPS = {
    "host": "Address and key",
    "seed": "Generations behind the task IDs",
    "dialect": "Shapes, words and times of answers",
    "polls": "Progress of unfinished IDs",
    "latency": "Speed and limits",
    "refusal": "Refused accounts and 'not now'",
    "batch": "Many tasks in one request",
    "fault_share": "Faults",
    "count_task_ids": "Statistics",
}


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """How the sandbox behaves; the default is a healthy gateway.

    The facts about an ID follow only from the ID, `seed`, `now`, `days` and the shares, not from
    the clock, the order of requests or other IDs. The progress of an unfinished ID follows from the
    number of its requests, or with `finish_after` from the time since the first. Only `resign` and
    `live` show the clock's time.
    """

    host: str = _knob("127.0.0.1", "address to listen on")
    port: int = _knob(0, "port to listen on; 0 takes a free one", most=65535)
    key: str = _knob("", "the only valid key; if empty, any key is valid", repr=False)
    base_path: str = _knob(
        "", "path before the API's own, such as /proxy", pattern=r"(/[^/?#\s]+)*"
    )
    wrong_path: WrongPath = _choice(WrongPath, "answer at any path outside the API")

    seed: int = _knob(0, "another seed gives the same IDs different generations")
    now: datetime = _knob(NOW, "newest creation time, ISO 8601; it decides the answers")
    days: float = _knob(60.0, "generations were created within this many days before `now`")
    failed: float = _share(0.08, "that end as failed")
    unfinished: float = _share(0.06, "that are unfinished at the first request")
    missing: float = _share(0.0, "that the gateway does not know (404)")
    missing_prefix: str = _knob("", "IDs that start with this are also unknown")
    missing_as: MissingAs = _choice(MissingAs, "the 404 for an unknown ID")
    resign: bool = _knob(False, "sign URLs at each request instead of once after creation")

    dialect: Dialect = _choice(
        Dialect,
        "shape of all good answers; `mixed` draws one for each ID, `shares` uses the shares below",
    )
    states: str = _knob(
        STATES[0],
        "spelling of states: as documented, `mixed` by ID, or one word for its phase",
        choices=STATES,
    )
    time_form: TimeForm = _choice(TimeForm, "form of timestamps; `mixed` by ID")
    official: float = _share(0.25, "answered in the official dialect")
    enveloped: float = _share(0.10, 'wrapped in {"code": …, "data": …}')
    extra_keys: float = _share(0.15, "with undocumented keys")
    vip: float = _share(0.20, "with `video_raw`")
    other_id: float = _share(0.0, "whose `id` is not the task ID")

    polls: int = _knob(1, "an unfinished ID finishes after 1 to this many answers")
    finish_after: float = _knob(
        0.0, "seconds until an unfinished ID finishes, roughly; 0: it finishes after `polls`"
    )
    live: bool = _knob(
        False,
        "an unfinished ID is submitted by its first request, and its times follow the clock (needs"
        " `finish_after`)",
    )

    latency: float = _knob(0.0, "seconds that an answer takes, on average")
    jitter: float = _knob(0.5, "the latency varies by up to this share of it", most=1)
    workers: int = _knob(0, "requests processed at once, others queue; 0: no limit")
    rate_limit: float = _knob(0.0, "requests a second, beyond which it answers 429; 0: no limit")
    burst: int = _knob(10, "requests that may come at once under the rate limit")
    window: float = _knob(
        0.0, "seconds of a window in which the rate limit is counted, such as 60; 0: no window"
    )
    window_slides: bool = _knob(False, "count in a sliding window instead of a fixed one")
    others: float = _share_of("the rate limit that others use with the same key, on average")
    others_cycle: float = _knob(
        0.0, "seconds in which the others' use rises to twice its average and falls to 0; 0: steady"
    )
    retry_after: RetryAfter = _choice(
        RetryAfter, "how a refusal says when to come back, rounded up; 'none' has no body either"
    )
    rate_headers: RateHeaders = _choice(RateHeaders, "fields that announce the rate limit")
    refusals_take: bool = _knob(False, "refusals because of a limit take as long as answers")
    max_concurrent: int = _knob(0, "requests at once, beyond which it refuses; 0: no limit")
    overload_status: int = _knob(503, "status of that refusal", choices=(429, 503))

    refusal: Refusal = _choice(Refusal, "refuse every ID, as for an account without credit")
    refusal_wording: Wording = _choice(Wording, "what the refusal says has run out")
    refusal_after: int = _knob(0, "requests answered normally before the refusals start")
    not_now: NotNow = _choice(NotNow, "answer 'not now'; `mixed` by ID")
    not_now_attempts: int = _knob(1, "first requests for an ID that get 'not now'; 0: all")
    not_now_share: float = _share(1.0, "that get 'not now'")

    batch: Batch = _choice(Batch, "answer to POST /luma/tasks")
    batch_most: int = _knob(0, "IDs that one request may ask for; 0: no limit")
    batch_refusal: BatchRefusal = _choice(BatchRefusal, "answer to more IDs than that")
    batch_shape: BatchShape = _choice(BatchShape, "records, or a bare array of generations")
    batch_hidden: float = _share(0.0, "that answers about many leave out")
    batch_hidden_prefix: str = _knob("", "IDs that start with this are left out too")
    batch_misnamed: float = _share(0.0, "whose record has a wrong task ID, or none")

    fault_share: float = _knob(0.0, "share of attempts that fail, never three in a row", most=1)
    slow_seconds: float = _knob(3.0, "seconds that a slow answer takes")
    drip_seconds: float = _knob(1.0, "seconds between two bytes of a dripping answer")

    count_task_ids: bool = _knob(True, "count requests by ID in the statistics")
    listing: tuple[str, ...] = field(default=(), repr=False)
    listing_fails_after: int = _knob(0, "IDs of the listing after which it answers 500; 0: none")
    fixtures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for knob in knobs():
            value = _plain(knob, getattr(self, knob.name))
            _check(knob, value)
            # A setting of type float may be given as an int.
            object.__setattr__(self, knob.name, value)
        if self.live and not self.finish_after:
            raise ValueError("live needs finish_after: seconds until an unfinished ID finishes")

    def changed(self, changes: Mapping[str, Any]) -> SandboxSettings:
        """These settings with changes, given as in JSON.

        Raises:
            ValueError: Unknown setting or invalid value.
        """
        known = {knob.name: knob for knob in fields(self)}
        unknown = sorted(set(changes) - set(known))
        if unknown:
            raise ValueError(f"unknown setting: {', '.join(unknown)}")
        return replace(self, **{name: _from_json(known[name], changes[name]) for name in changes})

    def to_json(self) -> dict[str, Any]:
        """These settings for JSON, as `changed` reads them."""
        values = {knob.name: getattr(self, knob.name) for knob in fields(self)}
        values["now"] = self.now.isoformat()
        values["fixtures"] = encode_fixtures(self.fixtures)
        return values


def knobs() -> list[Field[Any]]:
    """The settings with a plain value, which are options of the command line."""
    return [knob for knob in fields(SandboxSettings) if "about" in knob.metadata]


def encode_fixtures(fixtures: Mapping[str, bytes]) -> dict[str, str]:
    """Encode bodies, which may be any bytes, for JSON."""
    return {task_id: base64.b64encode(body).decode() for task_id, body in fixtures.items()}


def _from_json(knob: Field[Any], value: Any) -> Any:
    try:
        if knob.name == "fixtures":
            return {task_id: base64.b64decode(body) for task_id, body in value.items()}
        if knob.name == "listing":
            return tuple(map(str, value))
        if knob.name == "now":
            return datetime.fromisoformat(value)
    except (TypeError, ValueError, AttributeError) as exc:
        raise ValueError(f"{knob.name}: {value!r} is invalid") from exc
    return value


def _plain(knob: Field[Any], value: Any) -> Any:
    wanted = type(knob.default)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ValueError(f"{knob.name}: {value!r} is not a {wanted.__name__}")
    return value


def _check(knob: Field[Any], value: Any) -> None:
    choices = knob.metadata.get("choices")
    if choices and value not in choices:
        raise ValueError(f"{knob.name} must be one of {choices}, not {value!r}")
    pattern = knob.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        raise ValueError(f"{knob.name} must start with a slash and not end with one: {value!r}")
    if isinstance(value, int | float) and knob.name != "seed":
        most = knob.metadata.get("most", float("inf"))
        if not 0 <= value <= most:
            raise ValueError(f"{knob.name} must be from 0 to {most}, not {value!r}")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"{knob.name} needs a time zone: {value.isoformat()}")
