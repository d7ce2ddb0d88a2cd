"""Limits of one request in time and bytes, enforced where the bytes arrive."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from connector.gateway.failure import Overdue

if TYPE_CHECKING:
    import socket


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one request.

    Attributes:
        connect_seconds: Time to connect to one address of the host.
        silent_seconds: Time between two bytes.
        total_seconds: Time from the request to the end of its answer.
        body_bytes: Size of the decompressed body.
    """

    connect_seconds: float
    silent_seconds: float
    total_seconds: float
    body_bytes: int

    @property
    def wire_bytes(self) -> int:
        """Bytes that may arrive for one request, with headers and the framing of small chunks."""
        return 2 * self.body_bytes + 1024 * 1024


class BoundedResponse(HTTPResponse):
    """Reads an answer, status line and headers included, within the limits of one request."""

    def __init__(self, bounds: Bounds, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock, bounds))


class _BoundedReader(io.RawIOBase):
    """A socket's bytes, until they are too many or take too long.

    A socket's own timeout restarts with each byte.
    """

    def __init__(self, inner: io.RawIOBase, sock: socket.socket, bounds: Bounds) -> None:
        self._inner = inner
        self._sock = sock
        self._bounds = bounds
        self._left = bounds.wire_bytes
        self._deadline = time.monotonic() + bounds.total_seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._overdue()
        is_last_stretch = left < self._bounds.silent_seconds
        if is_last_stretch:
            self._sock.settimeout(left)
        try:
            count = self._inner.readinto(buffer) or 0
        except TimeoutError:
            if is_last_stretch:
                raise self._overdue() from None
            raise
        self._left -= count
        if self._left < 0:
            raise OSError(f"more than {self._bounds.wire_bytes} bytes arrived for one answer")
        return count

    def _overdue(self) -> Overdue:
        return Overdue(f"the answer was not complete after {self._bounds.total_seconds:g} s")

    def close(self) -> None:
        super().close()
        self._inner.close()
