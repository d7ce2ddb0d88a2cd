"""Plain text: a task ID a line, or several, as people and programs put them there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import SourceError
from connector.task_ids.columns import is_header
from connector.task_ids.spelling import BLANKS, NOTHING, QUOTES, is_usual, tidied

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connector.task_ids.content import Content

# In characters. Small enough to stay in the processor's cache: four times as much is half as fast.
_BLOCK = 1 << 18
_LONGEST_LINE = 1 << 24

# A block of nothing else is but lines with an ID each.
_PLAIN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.\n"
_SEPARATORS = rf"{re.escape(BLANKS)},;，；、"  # the last ones from Chinese keyboards
_BLANKS_AND_COMMAS = f"{BLANKS},;，；、"
_BRACKETS = {"[": "]", "(": ")", "{": "}", "<": ">"}

_LAYERS = 3
_QUOTES = re.escape("".join(QUOTES))

_NEEDS_SPLITTING = re.compile(rf"[{_SEPARATORS}{_QUOTES}\[\](){{}}<>#/=:]")
_COMMENT_WORDS = {"//", "--"}
_BULLET = re.compile(r"(?:[-*•]|\d+[.)])\s+(?=\S)")
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


def read(content: Content, column: str | None) -> Iterator[pa.StringArray | list[str]]:
    """The words of `content` but for comments and a header; a blank line is a blank."""
    begun = False
    for block in line_blocks(content):
        if not begun:
            lines, begun = _without_header(block.split("\n"), column)
            yield list(_words_of(lines))
        elif block.encode().translate(None, _PLAIN):
            yield list(_words_of(block.split("\n")))
        else:
            yield pc.split_pattern(pa.array([block]), "\n").values


def _without_header(lines: list[str], column: str | None) -> tuple[list[str], bool]:
    """`lines` without a header, and whether what is to be read begins in them."""
    for position, line in enumerate(lines):
        if is_header(line, column):
            return lines[:position] + lines[position + 1 :], True
        if any(_words(line)):
            return lines, True
    return lines, False


def _words_of(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if _NEEDS_SPLITTING.search(line):
            yield from _words(line)
        else:
            yield line


def _words(line: str) -> Iterator[str]:
    """The task IDs of a line, each still in its quotes; a blank for a line of blanks."""
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
                yield from _several_in_quotes(quoted[0])
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
    """Where the IDs begin: behind a bullet or a number, and behind `task_id:` or `ids =`."""
    bullet = _BULLET.match(line)
    start = bullet.end() if bullet else 0
    label = _LABEL.match(line, start)
    if label is None:
        return start
    rest = line[label.end() :]
    if label[2] is None:
        return label.end()
    means_it = label[2] or rest[0] in QUOTES or is_usual(tidied(rest.strip(_BLANKS_AND_COMMAS)))
    return label.end() if means_it and is_header(label[1], None) else start


def _several_in_quotes(quoted: str) -> list[str]:
    """The IDs in one pair of quotes, if all are such beyond doubt; else what it is, as one."""
    parts = _BETWEEN.split(quoted[1:-1].strip(_BLANKS_AND_COMMAS))
    return parts if len(parts) > 1 and all(is_usual(tidied(part)) for part in parts) else [quoted]


def _within_brackets(line: str) -> str:
    """What is in the brackets that are around all of `line`."""
    closing = _BRACKETS.get(line[:1])
    inside = line[1:-1]
    if closing and line.endswith(closing) and not {line[0], closing} & set(inside):
        return inside
    return line


def _without_brackets(word: str) -> str:
    """`word` without brackets in pairs around it; without a single one if it then is a usual ID."""
    if word.casefold() in NOTHING:
        return word  # some have brackets of their own
    for _ in range(_LAYERS):
        if len(word) > 1 and _BRACKETS.get(word[0]) == word[-1]:
            word = word[1:-1]
    bare = word.strip("[](){}<>")
    return bare if not bare or is_usual(tidied(bare)) else word


def line_blocks(content: Content) -> Iterator[str]:
    r"""The text of `content` in blocks of whole lines, joined by "\n" however they ended.

    Raises:
        SourceError: A line is so long that this is no list of anything.
    """
    text, rest = content.text(), ""
    while block := text.read(_BLOCK):
        lines, ended, rest = (rest + block).rpartition("\n")
        if ended:
            yield lines
        elif len(rest) > _LONGEST_LINE:
            raise SourceError(
                f"{content.name} has a line of more than {_LONGEST_LINE:,} characters. "
                "Give one task ID a line, or name the file after its format: .csv, .json, .parquet."
            )
    if rest:
        yield rest
