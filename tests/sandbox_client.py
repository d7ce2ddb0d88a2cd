"""A client as bare as can be, to test the sandbox with: nothing of the connector, no library."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

ROOT = "/dream-machine/v1/generations"
AUTHORIZED = {"Authorization": "Bearer any"}


@dataclass(frozen=True)
class Response:
    """What came back: headers by name in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Wire:
    """What came over a bare socket, and whether the other side ended it.

    Attributes:
        data: All bytes.
        end: `closed`, `reset`, or `open` if patience or `limit` ran out first.
    """

    data: bytes
    end: str

    @property
    def status(self) -> int | None:
        """The status that the first line tells, if it is one; 100 is not the last word."""
        answer = self.data.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        words = answer.split(b"\r\n", 1)[0].split(b" ")
        return int(words[1]) if words[0].startswith(b"HTTP/1.") else None


class Client:
    """One kept-alive connection."""

    def __init__(self, base_url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, target: str, headers: dict[str, str] = AUTHORIZED) -> Response:
        """Ask for a path, percent-encoded, with its query."""
        return self.request("GET", target, headers)

    def request(
        self, method: str, target: str, headers: dict[str, str] = AUTHORIZED, body: bytes = b""
    ) -> Response:
        """Send any request."""
        self._connection.request(method, target, body or None, headers)
        response = self._connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, named, response.read())

    def generation(self, task_id: str) -> Any:
        """The body for a task ID, decoded."""
        return self.get(path(task_id)).json()


def path(task_id: str) -> str:
    """The path that asks for a task ID."""
    return f"{ROOT}/{quote(task_id, safe='')}"


def ask(base_url: str, target: str) -> Response:
    """Ask once, on a connection of its own."""
    with Client(base_url) as client:
        return client.get(target)


def connect(base_url: str) -> socket.socket:
    """A bare socket."""
    address = urlsplit(base_url)
    return socket.create_connection((address.hostname, address.port), timeout=60)


def request_bytes(target: str, *headers: str) -> bytes:
    """A request as it goes over the wire."""
    lines = (f"GET {target} HTTP/1.1", "Host: sandbox", "Authorization: Bearer any", *headers)
    return "\r\n".join((*lines, "", "")).encode()


def read_wire(connection: socket.socket, *, patience: float, limit: int = 1 << 30) -> Wire:
    """Read until the other side ends it, nothing comes for this many seconds, or `limit` bytes."""
    data, deadline = bytearray(), time.monotonic() + patience
    while len(data) < limit and (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            received = connection.recv(1 << 20)
        except TimeoutError:
            break
        except ConnectionResetError:
            return Wire(bytes(data), "reset")
        if not received:
            return Wire(bytes(data), "closed")
        data += received
    return Wire(bytes(data), "open")
