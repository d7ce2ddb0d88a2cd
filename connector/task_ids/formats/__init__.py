"""Which format a file has: its suffix says so, or else its content."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import orjson

from connector.errors import SourceError
from connector.task_ids.content import HEAD
from connector.task_ids.formats.delimited import is_delimited

if TYPE_CHECKING:
    from connector.task_ids.content import Content

Format = Literal["text", "delimited", "json", "json_lines", "parquet", "arrow", "spreadsheet"]

_BY_SUFFIX: dict[str, Format] = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".json": "json",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
# Whatever the name says: a spreadsheet may be called .csv, and what is called .xls may be text.
_BY_CONTENT: dict[bytes, Format] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"PK\x03\x04": "spreadsheet",  # .xlsx, .xlsb and .ods are ZIP archives
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "spreadsheet",  # .xls
}
_MARKUP = re.compile(
    r"\s*<(?:(!doctype html|html|head|body|meta|table|script)|\?xml)\b", re.IGNORECASE
)
# More than the bracket, because UUIDs in braces are a list of task IDs and no JSON; and so is what
# Python prints of a set of texts.
_JSON = re.compile(r"""\s*(\[\s*(["{\]]|\d+\s*[,\]])|\{\s*("(?:[^"\\]|\\.)*"\s*:|\}))""")


def format_of(content: Content, column: str | None) -> Format:
    """The format of `content`; text if neither suffix nor content tells of another.

    Text whose first line names columns, that of the task IDs among them, is taken for CSV.

    Raises:
        SourceError: It is a web page.
    """
    told = _BY_SUFFIX.get(content.suffix)
    for sign, by_content in _BY_CONTENT.items():
        if content.head.startswith(sign) and (sign != b"PAR1" or told is None):
            return by_content
    if told in {"parquet", "arrow"}:
        return told
    head = content.head_text()
    _refuse_markup(head, content.name)
    if told in {"delimited", "json_lines"}:
        return told
    if told == "json" or _JSON.match(head):
        if _is_json_lines(head):
            return "json_lines"
        if told == "json" or not _is_broken_array(head):
            return "json"
    return "delimited" if is_delimited(head, column) else "text"


def _refuse_markup(head: str, name: str) -> None:
    """Many programs write a web page and call it .xls; a page of login comes in place of a file."""
    if markup := _MARKUP.match(head):
        what = "a web page (HTML)" if markup[1] else "XML"
        raise SourceError(
            f"{name} is {what}, not a list of task IDs. If a spreadsheet program can open it, "
            "save it from there as CSV."
        )


def _is_json_lines(head: str) -> bool:
    """Whether the first line is an object by itself and others follow; many call that `.json`."""
    first, _, rest = head.strip().partition("\n")
    if not (first.startswith("{") and rest):
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_broken_array(head: str) -> bool:
    """Whether JSON lets it down, such as a list pasted from code, with a comma before its end."""
    if not head.lstrip().startswith("[") or len(head.encode()) >= HEAD:
        return False
    try:
        orjson.loads(head)
    except orjson.JSONDecodeError:
        return True
    return False
