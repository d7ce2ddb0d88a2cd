"""One task ID in the ways people write it: in quotes, as an address, as a word for nothing.

A UUID is one ID in either letter case, so it becomes lower case. Any other ID is opaque: only what
stands around it is taken off.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from connector.task_ids.validity import unreadable

ZERO_WIDTH: Final = "\u200b"  # a space that web pages add
# All that Python calls a blank, the byte order mark, and that space.
BLANKS: Final = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\ufeff" + ZERO_WIDTH

# Soft hyphens, joiners and marks of direction, which come along when text is copied.
UNSEEN: Final = "\u00ad\ufeff" + "".join(
    chr(code)
    for first, last in ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x2069))
    for code in range(first, last + 1)
)
AROUND: Final = BLANKS + UNSEEN

# What programs write where there is no value, in lower case; the last ones are Excel's errors.
NOTHING: Final = frozenset(
    "- -- --- – — ... … nan -nan null (null) none nil n/a #n/a na #na <na> nat undefined "  # noqa: SIM905  as a list it is a page
    "(blank) \\n "
    "#n/a! #null! #ref! #value! #name? #div/0! #num! 1.#ind -1.#ind 1.#qnan -1.#qnan".split()
)

# Opening quotes, each with those that may close it.
QUOTES: Final = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": "”",
    "”": "”",
    "„": "“”",
    "‘": "’",
    "’": "’",
    "‚": "‘’",
    "«": "»",
    "»": "«",
    "‹": "›",
    "›": "‹",
}

UUID: Final = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_USUAL = re.compile(rf"{UUID}|task_[\w-]{{32}}", re.ASCII)
_USUAL_WITHIN = re.compile(rf"(?<![\w-])(?:{_USUAL.pattern})(?![\w-])", re.ASCII)
_DRESSED_UUID = re.compile(
    rf"(?:urn:uuid:)?(?:({UUID})|\{{({UUID})\}}|\(({UUID})\)|\[({UUID})\]|<({UUID})>)",
    re.IGNORECASE,
)
_UNSEEN = re.compile(f"[{UNSEEN}]")
_DASHES = re.compile("[\u2010-\u2015\u2212]")  # word processors put them for hyphens
_ROUNDED = re.compile(r"\d+(?:[.,]\d+)?E\+\d+", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;]+")
_FORMULA = re.compile(r'=\s*"(.*)"', re.DOTALL)
_HYPERLINK = re.compile(r'=\s*HYPERLINK\(\s*"([^"]*)"\s*(?:[,;]\s*"([^"]*)"\s*)?\)', re.IGNORECASE)
_APOSTROPHE = re.compile(r"'[^'\"]+")
_ADDRESS = re.compile(
    r"<?(?:https?://[^/?#]*(?P<path>[^?#]*)"
    r"|(?:[^/?#\s]+)?/?dream-machine/v1/generations(?P<bare>/[^?#]+))(?:[?#].*)?>?",
    re.IGNORECASE | re.DOTALL,
)


def is_usual(task_id: str) -> bool:
    """Whether gateways are known to issue IDs of this shape: a UUID, or `task_` + 32 characters."""
    return _USUAL.fullmatch(task_id) is not None


def usual_parts(text: str) -> list[str]:
    """The task IDs of a usual shape that `text` consists of; none if it holds anything else."""
    parts = [tidied(part) for part in _BETWEEN.split(text.strip(BLANKS)) if part]
    return parts if all(map(is_usual, parts)) else []


def find_usual(text: str) -> list[str]:
    """The different task IDs of a usual shape that `text` holds, each apart from other words."""
    return list(dict.fromkeys(_USUAL_WITHIN.findall(text)))


def tidied(text: str) -> str:
    """The task ID that `text` holds, without what is around it; "" for a word for nothing.

    An address holds it as the last segment of its path.
    """
    text = _unquoted(text.strip(AROUND))
    if text.casefold() in NOTHING:
        return ""
    if address := _ADDRESS.fullmatch(text):
        path = address["path"] or address["bare"] or ""
        last = unquote(path.rstrip("/>").rpartition("/")[2])
        text = last or unreadable("an address without a task ID at the end of its path")
    if _ROUNDED.fullmatch(text):
        return unreadable(f"{text} is a number that a spreadsheet has rounded")
    hyphenated = text if text.isascii() else _DASHES.sub("-", _UNSEEN.sub("", text))
    if dressed := _DRESSED_UUID.fullmatch(hyphenated):
        uuid: str = next(filter(None, dressed.groups()))
        return uuid.lower()
    return text


def _unquoted(text: str) -> str:
    """`text` without one pair of quotes, or without what makes a spreadsheet keep it as text."""
    if formula := _FORMULA.fullmatch(text):
        return formula[1].replace('""', '"').strip(BLANKS)
    if link := _HYPERLINK.fullmatch(text):
        label = link[2] or ""
        return label if is_usual(label) else link[1]
    if len(text) > 1 and text[-1] in QUOTES.get(text[0], ""):
        return text[1:-1].strip(BLANKS)
    if _APOSTROPHE.fullmatch(text):
        return text[1:]
    return text
