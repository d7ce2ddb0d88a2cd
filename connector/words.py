"""Numbers, times and texts as people read them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

_BLANKS = re.compile(r"[\s\u2028\u2029]+")
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the direction of what follows
    "\ufeff\ufff9-\ufffb\ue000-\uf8ff]"  # no sign of their own, or one of no known meaning
)

NEAR_ONE: Final = 0.999

# How many of a unit of time make the next.
UNITS: Final = ((60.0, "s"), (60.0, "min"), (24.0, "h"), (math.inf, "d"))

# Below this, a decimal place tells something.
FEW: Final = 10


def plain(text: str, limit: int) -> str:
    """A text on one line: blanks joined, characters that could deceive written as escapes."""
    line = _BLANKS.sub(" ", text[: 4 * limit]).strip()
    shown = _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
    is_cut = len(shown) > limit or len(text) > 4 * limit
    return shown[: limit - 1].rstrip() + "…" if is_cut else shown


def number(count: int) -> str:
    """Such as 1,234,567."""
    return f"{count:,}"


def plural(count: int, noun: str) -> str:
    """Such as 1 prompt, 2,000 prompts."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(part: float, whole: float) -> str:
    """Such as 8.3%; never 0% for some, nor 100% for not quite all. A dash of nothing."""
    if not whole:
        return "–"
    share = part / whole
    if 0 < share < 1 - NEAR_ONE:
        return "<0.1%"
    if NEAR_ONE < share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def at_least(seconds: float) -> str:
    """A lower bound, such as 34 s or 2.1 min: rounded down, so that it stays true."""
    return _duration(seconds, math.floor)


def at_most(seconds: float) -> str:
    """An upper bound, rounded up."""
    return _duration(seconds, math.ceil)


def between(lower: float, upper: float) -> str:
    """Both bounds, such as 34–58 s."""
    low, high = at_least(lower), at_most(upper)
    if low == high:
        return low
    (low_value, _, low_unit), (_, _, high_unit) = low.partition(" "), high.partition(" ")
    return f"{low_value if low_unit == high_unit or low_value == '0' else low}–{high}"


def _duration(seconds: float, rounded: Callable[[float], int]) -> str:
    value = seconds
    for count, unit in UNITS:
        places = 1 if value < FEW else 0
        shown = rounded(round(value * 10**places, 6)) / 10**places
        if shown < count:
            return f"{shown:,.{places}f} {unit}".replace(".0 ", " ")
        value /= count
    raise AssertionError("the last unit has no end")


def size(count: int) -> str:
    """Bytes, such as 42 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004  what the prefixes mean
            return f"{value:,.{1 if value < FEW and unit != 'B' else 0}f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def day(moment: date | datetime) -> str:
    """Such as 15 Oct 2025."""
    return f"{moment.day} {moment:%b %Y}"


def minute(moment: datetime) -> str:
    """Such as 15 Oct 2025, 08:56."""
    return f"{day(moment)}, {moment:%H:%M}"
