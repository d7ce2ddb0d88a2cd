"""A connection to the gateway: a request goes out as bytes, and its answer is read within bounds.

Nearly all answers are short and plain, and `plain` reads them. All others (an end by closing,
HTTP/1.0, a head in pieces, anything odd) are left to `framing`, which gets the same bytes from the
start.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from urllib3.util import wait_for_read

from connector.gateway.body import read_body
from connector.gateway.bounds import Incoming
from connector.gateway.framing import Reader
from connector.gateway.plain import Head, State, body_in, read_head, rest_of_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.gateway.bounds import Bounds

# A body of more bytes takes its time: it has a thread to itself, and so has what a redirect brings.
_LARGE: Final = 256 * 1024
_ODD: Final = range(300, 400)


class Reply(NamedTuple):
    """An answer as received.

    Attributes:
        status: HTTP status.
        headers: By name in lower case.
        body: Decompressed; only the start if it is not whole.
        is_whole: Whether the body is within the bounds.
        has_known_end: False if the body ended with the connection, and so may have been cut.
        is_last: Whether no other answer can come over its connection.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool = True
    has_known_end: bool = True
    is_last: bool = False


class Connection:
    """One connection, used by one thread at a time.

    Args:
        sock: Connected, through whatever proxies and TLS there are.
        bounds: Limits of each request.

    Attributes:
        status: HTTP status of the latest answer, as soon as it is known.
        has_given: Whether a generation came over it, which may come a second time.
        is_used: Whether an answer came over it; the gateway may have closed it since.
        is_open_to_polling: Whether `poll` knows when something arrives, as it does not for TLS
            within TLS.
    """

    def __init__(self, sock: socket.socket, bounds: Bounds) -> None:
        self.status: int | None = None
        self.has_given = self.is_used = False
        self._sock = sock
        self._bounds = bounds
        self._waits = True
        # The answer under way: what has arrived, and what is wrong with it.
        self._start = b""
        self._head: Head | None = None
        self._body: bytes | None = None  # once it is all here
        self._error: OSError | None = None
        # TLS through a proxy that itself speaks TLS is not an SSLSocket.
        self._is_tls = isinstance(sock, ssl.SSLSocket) or hasattr(sock, "sslobj")
        self.is_open_to_polling = isinstance(sock, socket.socket)
        sock.settimeout(bounds.silent_seconds)

    def fileno(self) -> int:
        """The number that `poll` knows it by."""
        return self._sock.fileno()

    @property
    def has_no_answer(self) -> bool:
        """Whether no byte has arrived since the last request."""
        return not self._incoming.received

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):
            self._sock.close()

    def is_silent(self, seconds: float = 0.0) -> bool:
        """Whether nothing has arrived that nobody asked for, such as a late answer or an end.

        Args:
            seconds: Wait for as long, should something be on its way.
        """
        try:
            if not seconds and not self._waits and not self._is_tls:
                return self._has_nothing()
            if self._has_pending():
                return False
            return not wait_for_read(self._sock, timeout=seconds) or self._is_only_tls()
        except (OSError, ValueError):
            return False

    def _has_nothing(self) -> bool:
        """The same for a socket that does not wait, which is quicker to ask."""
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False

    def _has_pending(self) -> bool:
        """Whether something was read from a TLS socket that nobody has taken yet."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def _is_only_tls(self) -> bool:
        """Whether what has arrived belongs to TLS itself: a session ticket, say."""
        if not self._is_tls:
            return False
        self._sock.settimeout(0)
        try:
            self._sock.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError):
            return True
        finally:
            self._sock.settimeout(self._bounds.silent_seconds if self._waits else 0.0)
        return False

    def send(self, request: bytes, *, waits: bool = True) -> None:
        """Send a request, whose answer `receive` returns.

        Args:
            request: As it goes over the wire.
            waits: Whether `receive` follows at once; else `look` says when it may.

        Raises:
            OSError: The connection broke, or would have to wait.
        """
        self._wait(waits)
        self.status = self._head = self._body = self._error = None
        self._start = b""
        try:  # noqa: SIM105  for each request, and `suppress` takes longer
            self._sock.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may refuse a request before it has read it, and the refusal can be read
        self._incoming = Incoming(self._sock, self._bounds)

    def look(self) -> State:
        """Take in what has arrived of an answer, without waiting for the rest.

        Returns:
            `all`: it is short and plain, and `receive` returns or raises at once. `some`: more is
            to come. `odd`: `receive` may wait.
        """
        try:
            piece = self._incoming.take()
            while self._is_tls and self._has_pending():
                piece += self._incoming.take()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return "some"
        except OSError as error:
            self._error = error
            return "all"
        self._start += piece
        head = self._head = self._head or read_head(self._start)
        if not piece or head is None or head.status in _ODD:
            return "odd"
        state, body = body_in(self._start, head)
        if state == "all":
            self._body = body
        return "odd" if state == "some" and self._is_large(head) else state

    def _is_large(self, head: Head) -> bool:
        return max(head.length or 0, len(self._start)) > _LARGE

    def is_late(self, now: float) -> bool:
        """Whether the answer has taken too long, which `receive` then raises."""
        self._error = self._error or self._incoming.lateness(now)
        return self._error is not None

    def receive(self) -> Reply:
        """Read the answer to the request that was sent.

        Raises:
            OSError, HTTPException, BrokenBody, ValueError: No answer came; `explain` says why.
        """
        incoming, head, body = self._incoming, self._head, self._body
        if self._error is not None:
            self.status = head.status if head else None
            raise self._error
        if body is None:
            self._wait(True)
        start = self._start or incoming.receive()
        head = head or read_head(start)
        self._start = b""
        if head is None:
            return self._read_other(start)
        state: State = "all"
        if body is None:
            state, body = body_in(start, head)
        length = head.length
        if state != "all":
            if length is None:
                return self._read_other(start)
            # All at once, or all threads would wait with a part each.
            self._hold(min(length, self._bounds.body_bytes))
        self.status, headers = head.status, head.headers
        if state == "all" and length is not None:
            body = body[:length]
        pieces = (body,) if state == "all" else rest_of_body(incoming, body, length or 0)
        whole, is_whole = read_body(pieces, headers, self._bounds.body_bytes, self._hold)
        has_more = length is not None and incoming.received > head.size + length
        is_last = not is_whole or has_more or "close" in headers.get("connection", "").lower()
        return Reply(self.status, headers, whole, is_whole, is_last=is_last)

    def _hold(self, size: int) -> None:
        """Hold this much memory; a thread that must not wait reads one answer at a time anyway."""
        if self._waits:
            self._incoming.hold(size)

    def _wait(self, waits: bool) -> None:
        """Whether the socket waits for what it is to send or receive."""
        if waits is not self._waits:
            self._sock.settimeout(self._bounds.silent_seconds if waits else 0.0)
            self._waits = waits

    def _read_other(self, start: bytes) -> Reply:
        """Read an answer of any form."""
        most = self._bounds.body_bytes
        reader = Reader(self._incoming, start, self.is_silent, most)
        try:
            message = reader.read()
        finally:
            self.status = reader.status
        body, is_whole = read_body(message.pieces, message.headers, most, self._hold)
        is_last = not is_whole or message.is_last or reader.has_more
        known = message.has_known_end
        return Reply(message.status, message.headers, body, is_whole, known, is_last)
