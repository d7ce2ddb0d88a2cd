"""Plain answers: a head in the first bytes that arrive, then as many bytes as it says, or chunks.

Nearly all are like that, and are read here at a tenth of what a general reader needs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.gateway.bounds import Incoming

_VERSION: Final = b"HTTP/1.1 "
# Not those without a body, 204 and 304, whatever their length says.
_STATUS: Final = re.compile(r"(?!204|304)[2-9][0-9]{2}( |$)")
_LONGEST_LENGTH: Final = 9
# Headers that say how the body is to be read, twice.
_TWICE: Final = re.compile(
    r"\n(content-length|transfer-encoding|content-encoding) *:.*\n\1 *:", re.DOTALL | re.IGNORECASE
)
# The size of a chunk, without extensions; a longer line cannot be one.
_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,7})\r\n")
_CHUNK_LINE: Final = 9
State: TypeAlias = Literal["all", "some", "odd"]


class Head(NamedTuple):
    """The head of a plain answer, and how many bytes it and the body have; None if in chunks."""

    status: int
    headers: dict[str, str]
    length: int | None
    size: int


def read_head(start: bytes) -> Head | None:
    """The head of a plain answer; None for any other."""
    end = start.find(b"\r\n\r\n")
    if end < 0 or not start.startswith(_VERSION):
        return None
    text = start[len(_VERSION) : end].decode("latin-1")
    first, *lines = text.split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or " " in name:
            return None
        headers.setdefault(name.lower(), value.strip())
    is_twice = len(headers) < len(lines) and _TWICE.search(text)
    if is_twice or not _STATUS.match(first) or text.count("\n") != len(lines):
        return None
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if length is None and coding is not None and coding.lower() == "chunked":
        return Head(int(first[:3]), headers, None, end + 4)
    if length is None or coding is not None or not _is_length(length):
        return None
    return Head(int(first[:3]), headers, int(length), end + 4)


def _is_length(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= _LONGEST_LENGTH


def body_in(start: bytes, head: Head) -> tuple[State, bytes]:
    """How much of the body is here, and what; of one in chunks only the whole."""
    if head.length is None:
        return _join_chunks(start, head.size)
    is_whole = len(start) >= head.size + head.length
    return "all" if is_whole else "some", start[head.size :]


def _join_chunks(data: bytes, place: int) -> tuple[State, bytes]:
    """A body in chunks that begins there; `odd` with extensions, trailers, or bytes after it."""
    pieces: list[bytes] = []
    while chunk := _CHUNK.match(data, place):
        start, size = chunk.end(), int(chunk[1], 16)
        place = start + size + 2
        if len(data) < place:
            return "some" if size else "odd", b""
        if data[place - 2 : place] != b"\r\n":
            return "odd", b""
        if not size:
            return ("all", b"".join(pieces)) if place == len(data) else ("odd", b"")
        pieces.append(data[start : place - 2])
    return "some" if len(data) - place < _CHUNK_LINE else "odd", b""


def rest_of_body(incoming: Incoming, start: bytes, length: int) -> Iterator[bytes]:
    """A body of known length, as it arrives."""
    left = length - len(start)
    yield start if left >= 0 else start[:length]
    while left > 0:
        piece = incoming.receive()
        if not piece:
            raise _cut(left)
        yield piece if len(piece) <= left else piece[:left]
        left -= len(piece)


def _cut(missing: int) -> ConnectionError:
    return ConnectionError(f"{plural(missing, 'byte')} of its body are missing")
