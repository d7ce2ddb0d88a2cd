"""Numbers, times and texts as people read them."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date, datetime

# The report's file; a flow writes it beside the tables.
REPORT: Final = "report.html"

BLANKS: Final = re.compile(r"[^\S ]+")  # line ends, tabs and the like

# Unicode categories that a reader cannot see or that change what is around them: control
# characters, marks that turn the direction of text, halves of surrogate pairs, private characters.
UNSEEN: Final = {"Cc", "Cf", "Cs", "Co"}

# Emoji and some scripts need these between their letters.
JOINERS: Final = "\u200c\u200d"

NEAR_ONE: Final = 0.999

# How many of each unit make the next.
UNITS: Final = ((60.0, "s"), (60.0, "min"), (24.0, "h"), (math.inf, "d"))

NOT_KNOWN: Final = "not known"

# Numbers below this get a decimal place.
FEW: Final = 10


def plain(text: object, limit: int | None = None) -> str:
    r"""Text on one line that is safe to show: unseen characters become such as `\x1b`.

    Args:
        text: Any value; None is empty.
        limit: The most characters; a longer text is cut and ends in `…`.
    """
    whole = "" if text is None else str(text)
    # A prompt may have millions of characters.
    line = BLANKS.sub(" ", whole[: 4 * limit if limit else None]).strip()
    shown = line if line.isprintable() else "".join(map(_visible, line))
    if limit and (len(shown) > limit or len(whole) > 4 * limit):
        return shown[: limit - 1].rstrip() + "…"
    return shown


def _visible(character: str) -> str:
    if unicodedata.category(character) in UNSEEN and character not in JOINERS:
        return character.encode("unicode_escape").decode()
    return character


def hide_user(address: str, sign: str = "") -> str:
    """Put a sign in place of user and password: all up to the last `@` before the path."""
    return re.sub(r"//[^/?#]*@", f"//{sign}", address)


def number(count: int) -> str:
    """Such as 1,234,567."""
    return f"{count:,}"


def plural(count: int, noun: str) -> str:
    """Such as 1 prompt, 2,000 prompts."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Such as ` (did you mean prompt?)`, to be put after a wrong name; empty if none is near."""
    near = difflib.get_close_matches(name, [*names])
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def percent(part: float, whole: float) -> str:
    """Such as 8.3%; never 0% for some, nor 100% for not quite all; a dash if the whole is 0."""
    if not whole:
        return "–"
    share = part / whole
    if 0 < share < 1 - NEAR_ONE:
        return "<0.1%"
    if NEAR_ONE < share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def at_least(seconds: float) -> str:
    """A lower bound such as 34 s or 2.1 min, rounded down so that it stays true."""
    return _duration(seconds, math.floor)


def at_most(seconds: float) -> str:
    """An upper bound, rounded up."""
    return _duration(seconds, math.ceil)


def about(seconds: float) -> str:
    """The nearest, for estimates."""
    return _duration(seconds, round)


def between(lower: float, upper: float) -> str:
    """Both bounds, such as 34–58 s; if nothing is known below, `at most 58 s`."""
    low, high = at_least(lower), at_most(upper)
    if low == high:
        return low
    if low == "0 s":
        return f"at most {high}"
    (low_value, _, low_unit), (_, _, high_unit) = low.partition(" "), high.partition(" ")
    return f"{low_value if low_unit == high_unit else low}–{high}"


def estimate(value: float | None, lower: float | None, upper: float | None) -> str:
    """An estimate with its band, such as `about 56 s (54–58 s)`; without one, what bounds say.

    Args:
        value: In seconds; None if it is not known to within a factor of two.
        lower: Lower end of its band; None or zero if there is none.
        upper: Upper end of its band; None if there is none.
    """
    if value is not None and upper is not None:
        return f"about {about(value)} ({between(lower or 0, upper)})"
    if upper is None:
        return f"at least {at_least(lower)}" if lower else NOT_KNOWN
    return between(lower or 0, upper)


def _duration(seconds: float, rounded: Callable[[float], int]) -> str:
    value = seconds
    for count, unit in UNITS:
        places = 1 if value < FEW else 0
        shown = rounded(round(value * 10**places, 6)) / 10**places
        if shown < count:
            return f"{shown:,.{places}f} {unit}".replace(".0 ", " ")
        value /= count
    raise AssertionError("the last unit has no limit")


def byte_size(count: int) -> str:
    """Such as 42 MB."""
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
