"""File formats, and which of them a file has: its first bytes, its suffix, or its text says so.

To add one: a module here with a function `read_…(content, column, keep)`, and a line in `FORMATS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import pyarrow as pa

from connector.errors import SourceError
from connector.task_ids.content import HEAD, Content
from connector.task_ids.formats.delimited import is_delimited, read_delimited
from connector.task_ids.formats.json_lists import read_json, read_json_lines
from connector.task_ids.formats.parquet import read_arrow, read_parquet
from connector.task_ids.formats.spreadsheet import read_spreadsheet
from connector.task_ids.formats.text import read_text
from connector.task_ids.kept import Keep, Rows

Values = Iterator[pa.Array | Sequence[object] | Rows]


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one format are recognized and read.

    Attributes:
        read: Yields the task IDs of a file, in chunks; see `task_ids.read` for the column. With
            columns to keep, yields `Rows`.
        suffixes: Of file names, in lower case.
        signs: First bytes, which count for more than the name: a spreadsheet may be called .csv.
    """

    read: Callable[[Content, str | None, Keep | None], Values]
    suffixes: tuple[str, ...] = ()
    signs: tuple[bytes, ...] = ()


TEXT: Final = Format(read_text)
DELIMITED: Final = Format(read_delimited, (".csv", ".tsv"))
JSON: Final = Format(read_json, (".json",))
JSON_LINES: Final = Format(read_json_lines, (".jsonl", ".ndjson"))
FORMATS: Final = (
    # The letters alone may begin a task ID; the byte begins the first structure in the file.
    Format(read_parquet, (".parquet",), (b"PAR1\x15",)),
    Format(read_arrow, (".arrow", ".feather"), (b"ARROW1",)),
    # .xlsx, .xlsb and .ods are ZIP archives; the other sign is that of .xls. The suffixes are not
    # here because many programs write text and call it .xls.
    Format(read_spreadsheet, (), (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")),
    JSON,
    JSON_LINES,
    DELIMITED,
    TEXT,
)

_REFUSED: Final = {
    b"%PDF-": "a PDF document. Save the list as text or CSV.",
    b"{\\rtf": "a rich-text document. Save it as plain text.",
    b"SQLite format 3\0": "a SQLite database. Give sqlite:///PATH as the source, and `query`.",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive. Unpack it first.",
    b"\xfd7zXZ\0": "compressed with xz. Decompress it first, or use gzip, bzip2 or zstd.",
    b"\x04\x22\x4d\x18": "compressed with lz4. Decompress it first, or use gzip, bzip2 or zstd.",
    b"\x1f\x8b": "compressed twice. Decompress it once first.",
    b"\x28\xb5\x2f\xfd": "compressed twice. Decompress it once first.",
}
# The name of the first file, filled up with zero bytes; then this, at its place.
_TAR = re.compile(rb"[^\0]{1,100}\0(?s:.*)ustar", re.ASCII)
_TAR_BYTES: Final = 262
_MARKUP = re.compile(
    r"\s*<(?:(!doctype html|html|head|body|meta|table|script)\b"
    r"|\?xml\b|!--|[a-z][^<>]*>.*?</[a-z])",
    re.IGNORECASE | re.DOTALL,
)
# More than the bracket: UUIDs in braces, and a set as Python prints it, are lists of task IDs.
_JSON = re.compile(r"""\s*(\[\s*(["{\]]|\d+\s*[,\]])|\{\s*("(?:[^"\\]|\\.)*"\s*:|\}))""")


def choose_format(content: Content, column: str | None) -> Format:
    """The format of `content`: plain text if nothing points to another.

    Text whose first line names columns, that of the task IDs among them, is taken for CSV.

    Raises:
        SourceError: It is a web page, or another kind of file that holds no list.
    """
    for one in FORMATS:
        if content.head.startswith(one.signs):
            return one
    by_suffix = next((one for one in FORMATS if content.suffix in one.suffixes), None)
    if by_suffix and by_suffix.signs:
        return by_suffix
    _refuse_others(content.head, content.name)
    head = content.head_text()
    _refuse_markup(head, content.name)
    if by_suffix is DELIMITED:
        return DELIMITED
    if by_suffix or _JSON.match(head):
        if _is_json_lines(head, at_least_two=by_suffix is not JSON_LINES):
            return JSON_LINES
        if by_suffix or not _is_broken_array(head):
            return JSON
    return DELIMITED if is_delimited(head, column) else TEXT


def _refuse_others(head: bytes, name: str) -> None:
    for sign, what in _REFUSED.items():
        if head.startswith(sign):
            raise SourceError(f"{name} is {what}")
    if _TAR.fullmatch(head[:_TAR_BYTES]):
        raise SourceError(f"{name} is an archive (tar). Unpack it first.")


def _refuse_markup(head: str, name: str) -> None:
    """Many programs write a web page and call it .xls; a login page comes in place of a file."""
    if markup := _MARKUP.match(head):
        what = "a web page (HTML)" if markup[1] else "XML or HTML"
        raise SourceError(
            f"{name} is {what}, not a list of task IDs. If a spreadsheet program can open "
            "it, save it from there as CSV."
        )


def _is_json_lines(head: str, *, at_least_two: bool) -> bool:
    """Whether the first line is an object by itself and others follow; many call that `.json`."""
    first, _, rest = head.strip().partition("\n")
    if at_least_two and not (first.startswith("{") and rest):
        return False
    return not first or (not rest and len(head) >= HEAD) or _is_json(first)


def _is_broken_array(head: str) -> bool:
    """Whether JSON does not allow it, such as a list pasted from code, with a comma at its end."""
    return head.lstrip().startswith("[") and len(head.encode()) < HEAD and not _is_json(head)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
