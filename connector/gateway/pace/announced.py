"""Rate limits that a gateway announces in header fields.

`X-RateLimit-Limit`, `-Remaining` and `-Reset` are a custom without a standard: the reset is in
seconds from now, or a time as seconds or milliseconds of the epoch or as a date. The IETF's drafts
"RateLimit header fields for HTTP" say it in three ways: -03 to -06 in `RateLimit-Limit`,
`-Remaining` and `-Reset`, -07 in `RateLimit: limit=50, remaining=9, reset=5` with a
`RateLimit-Policy: 50;w=60`, and from -08 on `RateLimit: "default";r=9;t=5` with a
`RateLimit-Policy: "default";q=50;w=60`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Numbers above these are times of the epoch, in milliseconds or seconds: 1973.
_MILLISECONDS, _SECONDS = 1e11, 1e8

_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,9})?"
_PARAMETER = re.compile(rf';\s*([a-z]+)\s*=\s*("[^"]*"|{_NUMBER})')
_MEMBER = re.compile(rf"([a-z]+)\s*=\s*({_NUMBER})")
_ITEM = re.compile(r'(?:"[^"]*"|[^",])+')


@dataclass(frozen=True, slots=True)
class Announced:
    """What an answer says of a rate limit.

    Attributes:
        rate: Requests per second in the long run; None if it does not say.
        left: Requests left in this window; None if it does not say.
        reset: Seconds until the window ends; None if it does not say.
    """

    rate: float | None = None
    left: float | None = None
    reset: float | None = None


def read_announced(headers: Mapping[str, str], now: datetime) -> Announced | None:
    """Read the fields of an answer, whose names may be in any case; None without any.

    What is not as any draft or custom has it counts as absent.
    """
    if field := headers.get("ratelimit"):
        found = _members(field) or _least_left(field)
    else:
        for prefix in ("ratelimit-", "x-ratelimit-", "x-rate-limit-"):
            if left := headers.get(prefix + "remaining"):
                break
        else:
            return None
        found = {"remaining": left, "reset": headers.get(prefix + "reset")}
        found["limit"] = headers.get(prefix + "limit")
    policy = headers.get("ratelimit-policy") or found.get("limit")
    return Announced(
        _rate(policy or ""),
        _number(found.get("remaining")),
        _seconds_until(found.get("reset") or "", now),
    )


def _members(field: str) -> dict[str, str | None]:
    """Of a field like `limit=50, remaining=9, reset=5`."""
    found = dict(_MEMBER.findall(field))
    return found if "remaining" in found else {}


def _least_left(field: str) -> dict[str, str | None]:
    """Of the policy with the fewest requests left, in a field like `"a";r=9;t=5, "b";r=90;t=50`."""
    items = [item for item in _parameters(field) if "r" in item]
    item = min(items, key=lambda item: _number(item["r"]) or 0.0, default={})
    return {"remaining": item.get("r"), "reset": item.get("t")}


def _rate(policies: str) -> float | None:
    """Requests per second of the strictest of policies like `50;w=1` or `"a";q=50;w=1`."""
    rates = [
        quota / window
        for item in _parameters(policies)
        if item.get("qu", '"requests"') == '"requests"'
        and (quota := _number(item.get("q", item[""]))) is not None
        and (window := _number(item.get("w")))
    ]
    return min(rates, default=None)


def _parameters(field: str) -> Iterator[dict[str, str]]:
    """Each item's parameters, and the item itself as the one without a name."""
    for item in _ITEM.findall(field):
        yield {"": item.partition(";")[0].strip(), **dict(_PARAMETER.findall(item))}


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(_NUMBER, text.strip()) else None


def _seconds_until(text: str, now: datetime) -> float | None:
    """Seconds to a reset in any of its forms; None if it is past."""
    number = _number(text)
    if number is None:
        number = _epoch(text)
    if number is None:
        return None
    if number > _SECONDS:
        number = number / 1e3 if number > _MILLISECONDS else number
        number -= now.timestamp()
    return number if number >= 0 else None


def _epoch(text: str) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError):
            continue
    return None
