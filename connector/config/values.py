"""Kinds of values that settings have, in the forms in which people write them."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from connector.errors import UsageError
from connector.record.base_url import as_base_url
from connector.storage.file_url import path_of
from connector.words import REPORT

# Beyond these, a number is a slip of the hand, and some overflow.
_LONGEST = timedelta(days=36_500)
LONGEST_WAIT = 7 * 86_400.0


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
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", re.IGNORECASE)
_SECONDS_IN = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _as_duration(value: object) -> object:
    """Take `30m`, `2h`, `7d` and plain seconds too; the rest is ISO 8601, which pydantic reads."""
    if not isinstance(value, str):
        return value
    if short := _DURATION.fullmatch(value):
        seconds = float(short[1]) * _SECONDS_IN[short[2].lower()]
        # More than this overflows; the limit of the setting says so in words.
        return timedelta(seconds=min(seconds, 2 * _LONGEST.total_seconds()))
    if not re.match(r"\s*-?P", value):
        raise ValueError("is not a length of time, such as 30m, 2h, 7d or PT30M")
    return value


Duration = Annotated[timedelta, BeforeValidator(_as_duration), Field(ge=timedelta(0), le=_LONGEST)]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_WAIT, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0.0001, le=100_000, allow_inf_nan=False)]


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
            raise ValueError('is not a JSON list of names, such as ["campaign"]') from None
        return names
    return [name.strip() for name in text.split(",") if name.strip()]


Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]
Variable = Annotated[str, AfterValidator(_as_variable)]
Page = Annotated[str, AfterValidator(_as_page)]
