"""Which format a file has: its suffix says so, or else its content."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import orjson

from connector.source.task_ids.delimited import delimiter_of

if TYPE_CHECKING:
    from connector.source.task_ids.content import Content

Format = Literal["text", "delimited", "json", "json_lines", "parquet"]

_BY_SUFFIX: dict[str, Format] = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".json": "json",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".parquet": "parquet",
}
# More than the bracket, because UUIDs in braces are a list of task IDs and no JSON.
_JSON = re.compile(r"""\s*(\[\s*(["{\]]|\d+\s*[,\]])|\{\s*["}])""")


def format_of(content: Content, column: str | None) -> Format:
    """The format of `content`; text if neither suffix nor content tells of another.

    Text whose first line has the column of task IDs is taken for CSV, so that a header is not
    asked for as if it were an ID.
    """
    told = _BY_SUFFIX.get(content.suffix)
    if told is None and content.head.startswith(b"PAR1"):
        return "parquet"
    if told not in {None, "json"}:
        return told
    head = content.head_text()
    if told == "json" or _JSON.match(head):
        return "json_lines" if _is_json_lines(head) else "json"
    return "delimited" if delimiter_of(head, column) else "text"


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
