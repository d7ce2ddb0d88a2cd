"""Plain text: a task ID a line, or several, as people and programs put them there.

A line is split into words. If some are IDs of a usual shape (`spelling.is_usual`) and others cannot
be IDs, it is a record, such as a line of a log, and gives the former only. If no word can be an ID,
it is a sentence, and gives one invalid value that quotes it. All other words are IDs as they are:
an ID may have any shape, but not of signs only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from connector.task_ids.columns import is_header
from connector.task_ids.kept import without_columns
from connector.task_ids.spelling import (
    BLANKS,
    NOTHING,
    QUOTES,
    UUID,
    ZERO_WIDTH,
    find_usual,
    is_usual,
    tidied,
)
from connector.task_ids.validity import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connector.task_ids.content import Content
    from connector.task_ids.kept import Keep

# A block of nothing else consists of lines with an ID each.
_PLAIN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-\n"
_PLAIN_LINE = re.compile(r"\w[\w-]*", re.ASCII)
# Not the zero-width space, which may be within an ID. The last ones are of Chinese keyboards.
_SEPARATORS = rf"{re.escape(BLANKS).replace(ZERO_WIDTH, '')},;，；、"
_BLANKS_AND_COMMAS = f"{BLANKS},;，；、"
_BRACKETS = {"[": "]", "(": ")", "{": "}", "<": ">"}

_LAYERS = 3
_QUOTES = re.escape("".join(QUOTES))

_BULLET = re.compile(r"(?:[-*+•]|\d+[.)])\s+(?=\S)")
# The common ways to write one ID a line, matched first for speed.
_ONE_UUID = re.compile(rf"\s*(?:[-*+•]\s+)?[{_QUOTES}(\[{{<]*({UUID})[{_QUOTES})\]}}>]*[\s,;]*")
_COMMENT_WORDS = {"//", "--"}
_LABEL = re.compile(r"[\"']?([A-Za-z_][\w -]{0,30}?)[\"']?\s?(?:=\s?(?=[\[({])|[:=](\s?))(?=\S)")
_BETWEEN = re.compile(rf"[{_SEPARATORS}]+")
_WORD = re.compile(rf"[^{_SEPARATORS}]+")
_ADDRESS = re.compile(
    # In a query, a comma or a semicolon ends the address only where a word or an address ends too.
    rf"https?://[^{_SEPARATORS}?#\"'<>)\]}}]+"
    rf"(?:[?#](?:(?![,;](?:\s|$|https?://))[^\s\"'<>)\]}}])*)?",
    re.IGNORECASE,
)
_BEFORE_QUOTED = re.compile(rf"[\[({{<]\s*(?=[{_QUOTES}])")
_QUOTED = {
    quote: re.compile(rf"(?:=\"|{quote}).*?[{closing}](?=[{_SEPARATORS}\])}}>]|\Z)", re.DOTALL)
    for quote, closing in QUOTES.items()
}

# Lines that Markdown, YAML and the shells of databases draw.
_RULE = re.compile(r"[-+=|_~*:.\s\u2500-\u257f]{3,}")
_COLORS = re.compile(r"\x1b\[[\d;]*m")
_BETWEEN_CELLS = re.compile(r"\s{2,}|\s*[|│]\s*")

# Beside IDs of a usual shape, a word counts as another ID if it has a letter and a digit and is no
# date, time or measure; and if it is like a usual one with a letter too few, it counts anywhere.
_MAY_BE_ID = re.compile(
    r"(?![\d.:+-]+(?:T[\d.:+-]+)?(?:ms|[smhdxZ]|[kMGT]i?B|px)?\Z)(?=.*\d)(?=.*[A-Za-z])[\w.-]+"
)
_ALMOST_USUAL = re.compile(
    r"(?:[\da-f]+-){3,}[\da-f]+|(?=.*\d)[\da-f]{32}|task_\w{8,}", re.IGNORECASE
)
_ANY_LETTER = re.compile(r"\w")
_LETTERS = re.compile(r"[^\W\d_]{2,}[.!?:…]*")
_SHORTEST_USUAL = 36
_CELLS = 50
_SENTENCE = 3  # words of letters; fewer may be IDs
_LONG = 8  # characters of an ID in a sentence, unlike `ray-2`
_SHOWN = 60


def read_text(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[pa.StringArray | list[str]]:
    """The IDs in `content`, without comments and a header; a blank line is a blank.

    Raises:
        SourceError: There are columns to keep, and text has none.
    """
    if keep:
        raise without_columns(content.name, "it is a plain list of task IDs")
    has_usual = bool(find_usual(content.head_text()))
    begun = False
    for block in content.line_blocks():
        if begun and not block.encode().translate(None, _PLAIN):
            yield pc.split_pattern(pa.array([block]), "\n").values
            continue
        lines = (_COLORS.sub("", block) if "\x1b" in block else block).split("\n")
        if not begun:
            lines, begun = _without_header(lines, column)
        yield list(_ids_of(lines, has_usual=has_usual))


def _without_header(lines: list[str], column: str | None) -> tuple[list[str], bool]:
    """`lines` without a header, and whether the IDs begin in them."""
    for position, line in enumerate(lines):
        names = (line, *_BETWEEN_CELLS.split(line, _CELLS))
        if not find_usual(line) and any(is_header(name, column) for name in names):
            return lines[:position] + lines[position + 1 :], True
        if not _RULE.fullmatch(line) and any(_words(line)):
            return lines, True
    return lines, False


def _ids_of(lines: Iterable[str], *, has_usual: bool) -> Iterator[str]:
    for line in lines:
        if _PLAIN_LINE.fullmatch(line):
            yield line
        elif one := _ONE_UUID.fullmatch(line):
            yield one[1]
        elif not _RULE.fullmatch(line) or not line.strip(BLANKS):
            yield from _chosen(list(_words(line)), line, has_usual=has_usual)


def _chosen(words: list[str], line: str, *, has_usual: bool) -> list[str]:
    """Those of the words of a line that are task IDs; see the head of this module."""
    ids, others = [], []
    for word in words:
        usual = _usual_in(word)
        ids += usual or [word]
        if not usual and word and word.casefold() not in NOTHING:
            others.append(word)
    if not others or (len(words) == 1 and not line.endswith(":")):
        return ids
    may_be_ids = set(filter(_MAY_BE_ID.fullmatch, others))
    if len(may_be_ids) == len(set(others)):
        return ids
    letters = sum(1 for word in others if _LETTERS.fullmatch(word))
    meant = [one for one in ids if is_usual(one) or _ALMOST_USUAL.fullmatch(one)]
    if meant and (letters or any(map(is_usual, meant))):
        return meant
    long_enough = [one for one in ids if one in may_be_ids and len(one) >= _LONG]
    if letters >= _SENTENCE and long_enough:
        return long_enough
    if letters >= (1 if has_usual and not may_be_ids else _SENTENCE):
        return [unreadable(f"{line.strip(BLANKS)[:_SHOWN]!r} is text, not a task ID")]
    return ids


def _usual_in(word: str) -> list[str]:
    """The IDs of a usual shape in a word: itself, or what a path or a `name=` holds."""
    if len(word) < _SHORTEST_USUAL:
        return []
    bare = tidied(word.strip("*_~"))  # as Markdown has it in bold
    if is_usual(bare):
        return [bare]
    # The end of an address is an ID of its own, unless it is a word or the name of a file.
    is_opaque = _ADDRESS.match(word) and _MAY_BE_ID.fullmatch(bare) and "." not in bare
    return [] if is_opaque else find_usual(unquote(word))


def _words(line: str) -> Iterator[str]:
    """The words of a line, each still in its quotes; a blank for a line of blanks."""
    line = line.strip(BLANKS)
    if not line or line.casefold() in NOTHING:
        yield ""
        return
    line = _within_brackets(line[_start_of(line) :].strip(_BLANKS_AND_COMMAS))
    position, unclosed = 0, ""
    while position < len(line):
        if between := (_BETWEEN.match(line, position) or _BEFORE_QUOTED.match(line, position)):
            position = between.end()
            continue
        quote = _quote_at(line, position)
        if quote and quote not in unclosed:
            if quoted := _QUOTED[quote].match(line, position):
                yield quoted[0]
                position = quoted.end()
            else:
                unclosed += quote  # to the end of the line: looked for once
            continue
        word = (_ADDRESS.match(line, position) or _WORD.match(line, position))[0]  # type: ignore[index]  # a word, if nothing else
        if _starts_comment(word):
            return
        yield from filter(None, [_without_brackets(word)])
        position += len(word)


def _starts_comment(word: str) -> bool:
    return word in _COMMENT_WORDS or (word[0] == "#" and word.casefold() not in NOTHING)


def _quote_at(line: str, position: int) -> str:
    """The quote with which a word begins here, also as Excel's `="…"`; "" if it does not."""
    if line.startswith('="', position):
        return '"'
    return line[position] if line[position] in QUOTES else ""


def _start_of(line: str) -> int:
    """Where the IDs begin: behind a bullet or a number, and behind `task_id: ` or `ids = [`."""
    bullet = _BULLET.match(line)
    start = bullet.end() if bullet else 0
    label = _LABEL.match(line, start)
    if label is None:
        return start
    if label[2] is None:
        return label.end()
    means_it = label[2] or line[label.end()] in QUOTES
    return label.end() if means_it and is_header(label[1], None) else start


def _within_brackets(line: str) -> str:
    """What is in the brackets that are around all of `line`."""
    closing = _BRACKETS.get(line[:1])
    inside = line[1:-1]
    if closing and line.endswith(closing) and not {line[0], closing} & set(inside):
        return inside
    return line


def _without_brackets(word: str) -> str:
    """`word` without brackets in pairs around it; "" if it is only signs."""
    if word.casefold() in NOTHING:
        return word  # some have brackets of their own
    for _ in range(_LAYERS):
        if len(word) > 1 and _BRACKETS.get(word[0]) == word[-1]:
            word = word[1:-1]
    return word if _ANY_LETTER.search(word) else ""
