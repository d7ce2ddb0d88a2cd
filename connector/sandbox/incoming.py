"""The parts of an HTTP/1.1 request that a gateway needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024 * 1024


class NotHttp(Exception):
    """The bytes are not a request; the connection cannot continue."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: Such as `GET`.
        path: Still percent-encoded, without the query.
        query: What follows the question mark.
        headers: By name in lower case; shared, so never change them.
        body: Needs a Content-Length; chunked bodies are not supported.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def closes(self) -> bool:
        """Whether the client asks to close the connection after the answer."""
        return self.headers.get("connection", "").lower() == "close"


def take_request(buffer: bytearray) -> Request | None:
    """Remove one request from the start of `buffer`; None if it is still incomplete.

    Raises:
        NotHttp: The bytes cannot become a request.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > HEAD_LIMIT:
            raise NotHttp("the head is too long")
        return None
    start_line, _, header_lines = bytes(buffer[:end]).partition(b"\r\n")
    method, path, query = _start(start_line.decode("latin-1"))
    headers = _headers(header_lines)
    body_start = end + 4
    body_end = body_start + _body_length(headers)
    if len(buffer) < body_end:
        return None
    body = bytes(buffer[body_start:body_end])
    del buffer[:body_end]
    return Request(method, path, query, headers, body)


def _start(line: str) -> tuple[str, str, str]:
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 -- method, target, version
        raise NotHttp(f"not a request line: {line[:80]!r}")
    path, _, query = words[1].partition("?")
    return words[0], path, query


# A client sends the same headers again and again.
@lru_cache(maxsize=64)
def _headers(lines: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines.decode("latin-1").split("\r\n") if line)
    return {name.lower(): value.strip() for name, _, value in pairs}


def _body_length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not text.isdecimal() or int(text) > BODY_LIMIT:
        raise NotHttp("the body has no valid length, or is too long")
    return int(text)
