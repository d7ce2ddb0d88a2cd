"""Converts values of an unexpected type where nothing is lost, else to null.

Each function takes any JSON value but null, and returns the column's value or None. The caller
notes the conversion in the row's `coercions`.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from connector.record.column import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Some gateways write "none" as `0001-01-01T00:00:00Z`.
ZERO_YEAR: Final = 1

# Upper bound of epoch numbers by unit, with the unit in microseconds. In the next smaller unit they
# would be within days of 1970, in the next larger one after the year 5000.
EPOCH_UNITS: Final = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))
EPOCH_NANOSECONDS_END: Final = 1e20

# Digits of a date, with or without a time, and not a number since 1970: `20250203`,
# `20250203040506`.
CALENDAR: Final = ((19_000_101, 21_001_231), (19_000_101_000_000, 21_001_231_235_959))

# `2025-02-03T04:05:06Z[Europe/Paris]`: the offset is enough.
_ZONE_NAME = re.compile(r"\[[^\]]*\]\s*$")
_SLASHES = re.compile(r"^(\d{4})/(\d{1,2})/(\d{1,2})(?=\D|$)")
# `2025-02-03 04:05:06.789 +0000 UTC m=+0.01`, as Go prints times.
_NAME_AFTER_OFFSET = re.compile(r"(?<= [+-]\d{4}) [A-Z]{3,5}( m=\S+)?$")
# `/Date(1738555506000+0000)/`, as .NET writes times; the number is in UTC.
_DOTNET = re.compile(r"/Date\((-?\d{1,20})(?:[+-]\d{4})?\)/", re.ASCII)
# Objects in place of a time: of Protobuf and Firestore in parts, of MongoDB by one key.
_PARTS: Final = (("seconds", "nanos"), ("seconds", "nanoseconds"), ("_seconds", "_nanoseconds"))
_NANOS: Final = range(1_000_000_000)
_MONGO: Final = frozenset({"$date", "$numberLong"})
_UTC_WORD = re.compile(r"\s*(UTC|GMT|Z)$", re.IGNORECASE)

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_LONGEST_NUMBER = 40

# `5s`, `1500ms`, `PT1M5S`, `1m5s`, `00:01:05.5`
_PART = r"(?:(\d{1,6}(?:\.\d{1,6})?)\s*(?:%s)\s*)?"
_LENGTH = re.compile(
    r"(?:P(?:0D)?T)?"
    + _PART % "h|hours?|hrs?"
    + _PART % "m|min|mins|minutes?"
    + _PART % "s|sec|secs|seconds?"
    + _PART % "ms|milliseconds?",
    re.IGNORECASE | re.ASCII,
)
_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2}(?:\.\d{1,6})?)", re.ASCII)
_SECONDS_IN: Final = (3600.0, 60.0, 1.0, 0.001)


def to_string(value: Any) -> str | None:
    """Return text with lone surrogates replaced; booleans and finite numbers as JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    # NaN stands for a value that is missing: no prompt and no model has this name.
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def to_json(value: Any) -> str:
    """Return any value as JSON text with sorted keys; lone surrogates stay escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        return f"<{type(value).__name__} nested too deeply to write>"


def to_number(value: Any) -> float | int | None:
    """Return a finite number, from a number or numeric text."""
    if (
        isinstance(value, str)
        and len(value) <= _LONGEST_NUMBER
        and _NUMBER.fullmatch(value.strip())
    ):
        text = value.strip()
        value = int(text) if text.lstrip("+-").isdigit() else float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def to_int(value: Any, bits: int) -> int | None:
    """Return an integer of this many bits: 752.0 and "752" are one, 752.5 and 2^70 are not."""
    number = to_number(value)
    if number is None or number != int(number):
        return None
    limit = 1 << (bits - 1)
    return int(number) if -limit <= number < limit else None


def to_float(value: Any) -> float | None:
    """Return a finite float."""
    number = to_number(value)
    try:
        return None if number is None else float(number)
    except OverflowError:
        return None


@lru_cache(maxsize=4096)
def length_in_seconds(text: str | None) -> float | None:
    """Convert a length, such as `5s`, `9`, `1500ms` or `00:05`, to seconds; None if invalid."""
    text = (text or "").strip()
    match = _CLOCK.fullmatch(text) or _LENGTH.fullmatch(f"{text}s" if text[-1:].isdigit() else text)
    if match is None or not any(match.groups()):
        return None
    parts = zip(match.groups(), _SECONDS_IN, strict=False)
    return sum(float(part) * unit for part, unit in parts if part)


def to_seconds(value: Any) -> float | None:
    """Return a number of seconds, from a number or a length in words."""
    seconds = to_float(value)
    return length_in_seconds(value) if seconds is None and isinstance(value, str) else seconds


def to_bool(value: Any) -> bool | None:
    """Return a boolean, from text or from 1 and 0."""
    if isinstance(value, str):
        return {"true": True, "false": False, "1": True, "0": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else None


def to_time(value: Any) -> datetime | None:
    """Return a time, from text in a common form (UTC without an offset) or a number since 1970.

    Numbers are seconds, milliseconds, microseconds or nanoseconds, by their size. Of objects, those
    are times that Protobuf, Firestore and MongoDB write.
    """
    if isinstance(value, dict):
        return _from_object(value)
    number = to_number(value)
    if number is not None:
        is_calendar = any(first <= number <= last for first, last in CALENDAR)
        return _from_calendar(number) if is_calendar else _from_epoch(number)
    if not isinstance(value, str):
        return None
    text = value.strip()
    return parse_time(text)[0] or _from_usual_forms(text)


def _from_object(value: dict[str, Any]) -> datetime | None:
    if len(value) == 1 and _MONGO.issuperset(value):
        return to_time(*value.values())
    for parts in _PARTS:
        if parts[0] in value and value.keys() <= set(parts):
            seconds, nanos = (to_int(value.get(part, 0), 64) for part in parts)
            if seconds is not None and nanos in _NANOS:
                return _from_micros(seconds * 1_000_000 + (nanos or 0) // 1000)
    return None


def _from_calendar(digits: float) -> datetime | None:
    text = str(int(digits))
    moment, _ = parse_time(f"{text[:8]}T{text[8:] or '000000'}")
    return moment if digits == int(digits) else None


def _from_usual_forms(text: str) -> datetime | None:
    """Parse RFC 822, slashes, a zone in brackets or after an offset, or `UTC` for an offset."""
    if match := _DOTNET.fullmatch(text):
        return _from_micros(int(match[1]) * 1000)
    plain = _NAME_AFTER_OFFSET.sub("", _ZONE_NAME.sub("", text))
    plain = _UTC_WORD.sub("+00:00", plain)
    if match := _SLASHES.match(plain):
        plain = f"{match[1]}-{match[2]:0>2}-{match[3]:0>2}{plain[match.end() :]}"
    if moment := parse_time(plain)[0]:
        return moment
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def is_no_time(value: Any) -> bool:
    """Whether a value means "no time": 0, "" or the year 1."""
    if isinstance(value, str):
        return value.strip() in ("", "0") or value.startswith("0001-01-01")
    return value in (0, False)


def parse_time(text: str) -> tuple[datetime | None, bool]:
    """Parse RFC 3339 text; return the time and whether the text is as documented.

    Digits beyond microseconds are cut off. The zero time is documented to mean "none".
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None, False
    if moment.year == ZERO_YEAR:
        return None, True
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC), False
    try:
        return moment.astimezone(UTC), True
    except OverflowError:
        return None, False


def _from_epoch(number: float) -> datetime | None:
    if not 0 < number < EPOCH_NANOSECONDS_END:
        return None
    for end, micros in EPOCH_UNITS:
        if number < end:
            return _from_micros(round(number * micros))
    return _from_micros(int(number) // 1000)


def _from_micros(micros: int) -> datetime | None:
    return EPOCH + timedelta(microseconds=micros) if 0 < micros <= EPOCH_UNITS[-1][0] else None


def coercer(kind: pa.DataType, unit: str | None = None) -> Callable[[Any], Any]:
    """What converts values to a column of this type and unit."""
    return to_seconds if unit == "seconds" else COERCERS[kind]


COERCERS: Final[dict[pa.DataType, Callable[[Any], Any]]] = {
    pa.string(): to_string,
    pa.bool_(): to_bool,
    pa.int32(): lambda value: to_int(value, 32),
    pa.int64(): lambda value: to_int(value, 64),
    pa.float64(): to_float,
    TIMESTAMP: to_time,
}
