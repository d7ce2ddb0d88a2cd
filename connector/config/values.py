"""Kinds of values that settings have, in the forms in which people write them."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from connector.errors import UsageError
from connector.record.base_url import as_base_url
from connector.storage.file_url import path_of
from connector.words import REPORT

# Beyond these, a number is a slip of the hand, and some overflow.
_LONGEST = timedelta(days=36_500)
_LONGEST_WAIT = 7 * 86_400

LENGTH_OF_TIME: Final = "must be a length of time, such as 30m, 1h30m, 7d or PT30M"
_NUMBER_WANTED: Final = "must be a number"
_WHOLE_WANTED: Final = "must be a whole number"
_BOUNDS: Final = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
}
# How the types of pydantic's errors begin, and what a person is told.
_WANTED: Final = {
    "float": _NUMBER_WANTED,
    "finite": _NUMBER_WANTED,
    "int": _WHOLE_WANTED,
    "bool": "must be true or false",
    "time": LENGTH_OF_TIME,
    "string": "must be text",
    "path": "must be the path of a file",
    "tuple": "must be names, separated by commas",
}


def _as_text(address: object) -> object:
    """An address in the spelling that all readers of Parquet understand."""
    text = os.fspath(address) if isinstance(address, os.PathLike) else address
    if not isinstance(text, str) or "://" in (path := _path_of(text)):
        return text
    return os.path.expanduser(path).rstrip("/") or path  # noqa: PTH111  a Path changes ./x


def _path_of(text: str) -> str:
    try:
        return path_of(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


# Text, so that `s3://bucket/prefix` stays what it is; a path is taken too.
Address = Annotated[str, BeforeValidator(_as_text)]
BaseUrl = Annotated[str, AfterValidator(as_base_url)]
# Each unit once, from the longest to the shortest: `1h30m`, `2 hours 5 min`.
_UNITS = (
    (r"w(?:eeks?)?", timedelta(weeks=1)),
    (r"d(?:ays?)?", timedelta(days=1)),
    (r"h(?:(?:ou)?rs?)?", timedelta(hours=1)),
    (r"m(?:in(?:ute)?s?)?", timedelta(minutes=1)),
    (r"s(?:ec(?:ond)?s?)?", timedelta(seconds=1)),
)
_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(
    r"\s*".join(["", *(rf"(?:{_NUMBER}\s*{unit})?" for unit, _ in _UNITS), ""]), re.IGNORECASE
)
_ISO: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def _as_duration(value: object) -> object:
    """Take `90`, `30m`, `1h30m`, `2 hours` and ISO 8601; what is not text is left to pydantic."""
    if not isinstance(value, str):
        return value
    if re.fullmatch(rf"\s*{_NUMBER}\s*", value):
        return _at_most(float(value))
    if (parts := _DURATION.fullmatch(value)) and any(parts.groups()):
        each = zip(parts.groups(), _UNITS, strict=True)
        return _at_most(sum(float(count or 0) * unit.total_seconds() for count, (_, unit) in each))
    if not re.match(r"\s*-?P", value):
        raise ValueError(LENGTH_OF_TIME)
    return _ISO.validate_python(value.strip())


def _at_most(seconds: float) -> timedelta:
    """More than this overflows; the limit of the setting says so in words."""
    return timedelta(seconds=min(seconds, 2 * _LONGEST.total_seconds()))


def _as_seconds(value: object) -> object:
    """Take what `_as_duration` takes, as seconds, and any number as it is."""
    with suppress(ValueError, TypeError, OverflowError):
        return float(value)  # type: ignore[arg-type]  # what is no number raises
    found = _as_duration(value)
    return found.total_seconds() if isinstance(found, timedelta) else found


def _in_a_lifetime(length: timedelta) -> timedelta:
    if not timedelta(0) <= length <= _LONGEST:
        raise ValueError(f"must be from 0 to {_LONGEST.days:,} days")
    return length


def _in_a_week(seconds: float) -> float:
    if not 0 <= seconds <= _LONGEST_WAIT:  # as NaN is not
        raise ValueError(f"must be from 0 to {_LONGEST_WAIT:,} seconds, which are 7 days")
    return seconds


def _some(seconds: float) -> float:
    if not seconds:
        raise ValueError("must be more than 0 seconds")
    return seconds


Duration = Annotated[timedelta, BeforeValidator(_as_duration), AfterValidator(_in_a_lifetime)]
AnySeconds = Annotated[float, BeforeValidator(_as_seconds), AfterValidator(_in_a_week)]
Seconds = Annotated[AnySeconds, AfterValidator(_some)]
Rate = Annotated[float, Field(ge=0.0001, le=100_000, allow_inf_nan=False)]


def reason_of(problem: Any) -> str:
    """What a value must be, of an error of pydantic."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        bound = f"{context[name]:,}".removesuffix(".0")
        return f"must be {words} {bound}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    said: str = problem["msg"]
    return _WANTED.get(kind.partition("_")[0], said.removeprefix("Value error, "))


def _as_variable(name: str) -> str:
    """Refuse what is no variable's name: perhaps it is the key itself."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", name):
        raise ValueError(
            "must be the name of an environment variable in capital letters, such as"
            " STUDIO_A_KEY, and never the key itself"
        )
    return name


def _as_page(url: str) -> str:
    """The address of the report, also if it is given as that of its folder."""
    if not re.match(r"https?://[^/\s]", url):
        raise ValueError("must begin with http:// or https://")
    return url if re.search(r"\.html?([?#]|$)", url) else f"{url.rstrip('/')}/{REPORT}"


def _as_names(value: object) -> object:
    """Take `campaign, owner`, as a list in JSON too, for names with commas."""
    return names_in(value) if isinstance(value, str) else value


def names_in(text: str) -> list[Any]:
    """The names in a text: separated by commas, or a JSON list.

    Raises:
        ValueError: It begins like JSON and is none.
    """
    if text.lstrip().startswith("["):
        try:
            names: list[Any] = json.loads(text)
        except ValueError:
            raise ValueError('must be a JSON list of names, such as ["campaign"]') from None
        return names
    return [name.strip() for name in text.split(",") if name.strip()]


Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]
Variable = Annotated[str, AfterValidator(_as_variable)]
Page = Annotated[str, AfterValidator(_as_page)]
