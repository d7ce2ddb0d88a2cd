"""Bytes for the wire: a well-formed reply, or a script of steps for everything else."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Headers: TypeAlias = tuple[tuple[str, str], ...]

JSON: Headers = (("Content-Type", "application/json"),)
HTML: Headers = (("Content-Type", "text/html; charset=utf-8"),)

_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_WITHOUT_BODY = (204, 304)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply with a status, headers and a body of known length."""

    status: int
    body: bytes = b""
    headers: Headers = JSON

    def encode(self, *, closes: bool = False, without_body: bool = False) -> bytes:
        """All bytes of it; `closes` announces the end of the connection."""
        headers = self.headers
        if self.status not in _WITHOUT_BODY:
            headers = (*headers, ("Content-Length", str(len(self.body))))
        if closes:
            headers = (*headers, ("Connection", "close"))
        start = head(self.status, headers)
        return start if without_body or self.status in _WITHOUT_BODY else start + self.body


@dataclass(frozen=True, slots=True)
class Pause:
    """A step of a script: wait, possibly forever."""

    seconds: float


class End(Enum):
    """A step that ends the connection."""

    CLOSE = "close"
    RESET = "reset"


Step: TypeAlias = bytes | Pause | End


@dataclass(frozen=True, slots=True)
class Script:
    """Bytes, pauses and ends to play in order, possibly forever.

    Attributes:
        status: The status that the client sees, if any.
        steps: Produced as fast as the client reads them.
    """

    status: int | None
    steps: Iterator[Step]


def head(status: int, headers: Headers) -> bytes:
    """A status line and headers, including the empty line."""
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, 'Odd')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def encode_json(value: Any) -> bytes:
    """JSON in UTF-8, also for values that faster encoders refuse."""
    return _ENCODER.encode(value).encode()


def json_reply(status: int, value: Any, *headers: tuple[str, str]) -> Reply:
    """A reply with any JSON value."""
    return Reply(status, encode_json(value), (*JSON, *headers))


def coded_reply(status: int, code: object, message: str, data: object = None) -> Reply:
    """The error of a gateway that puts everything into an envelope."""
    return json_reply(status, {"code": code, "message": message, "data": data})


def error_reply(status: int, message: str, kind: str, code: object, **more: str) -> Reply:
    """The error of a gateway that follows OpenAI's API."""
    error = {"message": message, "type": kind, "code": code, **more}
    return json_reply(status, {"error": error})


def html_reply(status: int, title: str, content: str = "") -> Reply:
    """A page like that of a proxy or a web interface; its default content is the title."""
    start = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>"
    page = f"{start}<body>{content or title}</body></html>"
    return Reply(status, page.encode(), HTML)


def http_date(epoch_seconds: float) -> str:
    """A timestamp for HTTP headers, such as `Wed, 15 Oct 2025 00:00:00 GMT`."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(epoch_seconds))
