"""Reads an answer of any form: with an odd head, in chunks, or until the connection closes.

A good body is kept, whatever is odd around it. What contradicts itself, or is not HTTP, is broken,
and that is said as soon as it is known. https://www.rfc-editor.org/rfc/rfc9112#section-6.3
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from connector.gateway.body import CODINGS, BrokenBody, read_body, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.gateway.bounds import Incoming

_PIECE_BYTES: Final = 64 * 1024
_MOST_HEAD: Final = 128 * 1024
_MOST_INTERIM: Final = 100
_STATUS: Final = re.compile(rb"HTTP/1\.(\d) +([1-9]\d\d)(?: [^\r]*)?")
_STATUS_BYTES: Final = len(b"HTTP/1.1 200")
_CHUNK: Final = re.compile(rb"[ \t]*(?:0x)?0*([0-9a-fA-F]{0,9})[ \t]*(?:;.*)?", re.DOTALL)
# More digits are no length of a body that anybody wants.
_LENGTH: Final = re.compile(r"0*([0-9]{1,9})")
_SHOWN: Final = 40
# An answer that seems to be complete is so after this silence.
_QUIET_SECONDS: Final = 0.1
# Of which a second one counts.
_LISTS: Final = ("content-length", "transfer-encoding", "content-encoding", "connection")


class BrokenAnswer(ValueError):
    """It is not HTTP, or contradicts itself; the text is for people."""


class _Ended(ConnectionError):
    """The connection was closed within a line."""


@dataclass
class Message:
    """An answer as HTTP has it, whose head has been read.

    Attributes:
        status: HTTP status.
        headers: By name in lower case.
        pieces: The body as it arrives, without its framing.
        has_known_end: False once the body has ended with the connection.
        is_last: Whether the next answer may be lost or mistaken on this connection.
    """

    status: int
    headers: dict[str, str]
    pieces: Iterator[bytes] = field(default_factory=lambda: iter(()))
    has_known_end: bool = True
    is_last: bool = False


class Reader:
    """The bytes of an answer, in lines and pieces.

    Args:
        incoming: Where they come from.
        start: Those that are here already.
        is_silent: Whether nothing more comes within some seconds.
        most: Bytes of a body, decompressed.

    Attributes:
        status: HTTP status, once the head has been read.
    """

    def __init__(
        self, incoming: Incoming, start: bytes, is_silent: Callable[[float], bool], most: int
    ) -> None:
        self.status: int | None = None
        self._incoming = incoming
        self._data, self._at = start, 0
        self._is_silent = is_silent
        self._most = most
        self._left_of_head = _MOST_HEAD

    @property
    def has_more(self) -> bool:
        """Whether bytes are here that were not taken."""
        return self._at < len(self._data)

    def read(self) -> Message:
        """Read the head, after those of interim answers; the body is read from `pieces`.

        Raises:
            BrokenAnswer, OSError: There is none.
        """
        for _ in range(_MOST_INTERIM):
            version, status = self._status()
            if status >= HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS:
                break
            self._headers()
        else:
            raise BrokenAnswer(f"more than {_MOST_INTERIM} interim answers came before it")
        message = Message(status, self._headers())
        self.status = status
        said = tokens(message.headers.get("connection", ""))
        message.is_last = "close" in said or (version == b"0" and "keep-alive" not in said)
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            message.is_last = True
        elif status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            message.pieces = self._body(message)
        return message

    def _body(self, message: Message) -> Iterator[bytes]:
        headers = message.headers
        codings = [name for name in tokens(headers.get("transfer-encoding", "")) if name]
        codings = [name for name in codings if name != "identity"]
        is_chunked = codings[-1:] == ["chunked"]
        while codings[-1:] == ["chunked"]:
            codings.pop()
        if unknown := [name for name in codings if name not in CODINGS]:
            raise BrokenAnswer(f"its Transfer-Encoding {_quoted(unknown[0])} is unknown")
        if codings:
            said = headers.get("content-encoding", "identity")
            headers["content-encoding"] = ", ".join([said, *codings])
        if is_chunked:
            message.is_last |= "content-length" in headers
            return self._chunks(message)
        length = None if codings else _length_of(headers.get("content-length"))
        return self._until_closed(message) if length is None else self._counted(length)

    def _counted(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self._take(length)
            if not piece:
                raise ConnectionError(f"{length} bytes of its body are missing")
            yield piece
            length -= len(piece)

    def _until_closed(self, message: Message) -> Iterator[bytes]:
        """All that comes; the end of JSON is enough of an end if nothing follows it."""
        message.is_last, pieces = True, []
        while piece := self._take(_PIECE_BYTES):
            yield piece
            pieces.append(piece)
            is_maybe_over = piece.rstrip()[-1:] in (b"}", b"]") or message.headers.get(
                "content-encoding"
            )
            if is_maybe_over and not self.has_more and self._is_silent(_QUIET_SECONDS):
                data = b"".join(pieces)
                if self._is_json(data, message.headers):
                    return
                pieces = [data]
        message.has_known_end = False

    def _is_json(self, data: bytes, headers: dict[str, str]) -> bool:
        try:
            body, is_whole = read_body((data,), headers, self._most)
            return is_whole and isinstance(json.loads(body), dict | list)
        except (BrokenBody, ValueError, RecursionError):
            return False

    def _chunks(self, message: Message) -> Iterator[bytes]:
        held = bytearray()  # thousands of small pieces would take more memory
        while size := self._chunk_size():
            for piece in self._counted(size):
                held += piece
                if len(held) >= _PIECE_BYTES:
                    yield bytes(held)
                    held.clear()
            end = self._take(1)
            if end == b"\r":
                end = self._take(1)
            if end != b"\n":
                raise BrokenAnswer("a chunk of its body is longer than it says")
        yield bytes(held)
        while self.has_more or not self._is_silent(_QUIET_SECONDS):
            if not self._line():  # after the trailers, which say nothing
                return
        message.is_last = True

    def _chunk_size(self) -> int:
        line = self._line(_may_be_size)
        found = _CHUNK.fullmatch(line)
        if not found or not line.partition(b";")[0].strip():
            raise BrokenAnswer(f"it has {_quoted(line)} for the size of a chunk")
        return int(found[1] or b"0", 16)

    def _status(self) -> tuple[bytes, int]:
        """Which HTTP/1 it is, and the status."""
        self._left_of_head = _MOST_HEAD
        while self._peek(1) in (b"\r", b"\n"):  # after an earlier answer
            self._line()
        line = self._line(_may_be_status)
        found = _STATUS.fullmatch(line)
        if not found:
            raise BrokenAnswer(f"it begins with {_quoted(line)}")
        return found[1], int(found[2])

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        name = ""
        while line := self._header():
            text = line.decode("latin-1")
            if text[0] in " \t":  # goes on from the line before it
                if name:
                    headers[name] = f"{headers[name]} {text.strip()}".strip()
                continue
            start, colon, value = text.partition(":")
            name = start.strip().lower() if colon else ""
            if name in headers and name in _LISTS:
                headers[name] += f", {value.strip()}"
            elif name in headers:
                name = ""  # the first one counts
            elif name:
                headers[name] = value.strip()
        return headers

    def _header(self) -> bytes:
        try:
            return self._line()
        except _Ended:
            self._at = len(self._data)
            return b""  # what is missing will be missed in the body

    def _line(self, may_begin: Callable[[bytes], bool] = lambda _: True) -> bytes:
        """The next line, without its end; only its start if that shows that it is no such line."""
        while (end := self._data.find(b"\n", self._at)) < 0:
            start = self._data[self._at :]
            if len(start) > self._left_of_head or (start and not may_begin(start)):
                end = len(self._data)
                break
            self._more()
        line = self._data[self._at : end]
        self._left_of_head -= len(line)
        self._at = end + 1
        if self._left_of_head < 0:
            raise BrokenAnswer(f"its head, or the lines of its chunks, exceed {_MOST_HEAD:,} bytes")
        return line.removesuffix(b"\r")

    def _peek(self, count: int) -> bytes:
        if not self.has_more:
            self._more()
        return self._data[self._at : self._at + count]

    def _more(self) -> None:
        """Receive more, which must come."""
        data = self._incoming.receive()
        if not data:
            raise _Ended("the connection was closed before it was complete")
        self._data, self._at = self._data[self._at :] + data, 0

    def _take(self, most: int) -> bytes:
        """Some of the next bytes; none at the end."""
        if not self.has_more:
            self._data, self._at = self._incoming.receive(), 0
        piece = self._data[self._at : self._at + most]
        self._at += len(piece)
        return piece


def _may_be_status(start: bytes) -> bool:
    """Whether it is worth to wait for the rest of a status line."""
    known = b"HTTP/1."
    if len(start) < _STATUS_BYTES:
        return start[: len(known)] == known[: len(start)]
    return _STATUS.fullmatch(start.removesuffix(b"\r")) is not None


def _may_be_size(start: bytes) -> bool:
    return _CHUNK.fullmatch(start.removesuffix(b"\r")) is not None


def _length_of(text: str | None) -> int | None:
    """What `Content-Length` says, also if it says it twice; None if that is not to be believed."""
    values = {value for value in tokens(text or "") if value}
    if len(values) > 1:
        raise BrokenAnswer(f"its Content-Length is both {' and '.join(sorted(values))}")
    found = _LENGTH.fullmatch(values.pop()) if values else None
    return int(found[1]) if found else None


def _quoted(data: bytes | str) -> str:
    text = data.decode("latin-1") if isinstance(data, bytes) else data
    return repr(text[:_SHOWN]) + "…" * (len(text) > _SHOWN)
