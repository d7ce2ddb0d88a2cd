"""Servers of a few lines, for answers that the sandbox does not give."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl

Handler = Callable[[str, socket.socket], None]

# Without an ID: one that differs from the asked one would be asked for again.
GENERATION = b'{"state":"completed","prompt":"x"}'


def reply(body: bytes = GENERATION, status: str = "200 OK", *headers: str) -> bytes:
    """A well-formed answer."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode("latin-1") + body


def always(*answers: bytes) -> Handler:
    """Give these answers one after the other, whatever is asked; the last one for ever."""
    left = list(answers)
    lock = threading.Lock()

    def answer(_: str, connection: socket.socket) -> None:
        with lock:
            data = left.pop(0) if len(left) > 1 else left[0]
        connection.sendall(data)

    return answer


def hang(_: str, connection: socket.socket) -> None:
    """Answer nothing, until the client or the server goes away."""
    connection.recv(1)


class RawServer:
    """A server on loopback for the length of a `with` block, with a thread for each connection.

    Attributes:
        heads: Of the requests that came, as they came.
    """

    def __init__(self, answer: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.heads: list[str] = []
        self._answer = answer
        self._connections: list[socket.socket] = []
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.base_url = f"{'https' if tls else 'http'}://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        # A shutdown wakes `accept`, which a close alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        # Whoever still waits for an answer is not to wait into the next test.
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def targets(self) -> list[str]:
        """What the request lines asked for."""
        return [head.split(" ")[1] for head in self.heads]

    def headers(self, name: str) -> list[str]:
        """The values of a header, in all requests."""
        lines = [line for head in self.heads for line in head.split("\r\n")[1:]]
        pairs = [line.partition(": ") for line in lines]
        return [value for key, _, value in pairs if key.lower() == name.lower()]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                while head := read_head(connection):
                    self.heads.append(head)
                    self._answer(head, connection)
        except OSError:
            pass  # the client went away, or refused the certificate


def read_head(connection: socket.socket) -> str:
    """The next request, up to its empty line; "" if the client has closed."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return ""
        data += byte
    return data.decode("latin-1")
