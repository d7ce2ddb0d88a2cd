"""Limits of one request in time and bytes, enforced where the bytes arrive."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector.gateway.failure import Overdue
from connector.gateway.room import Room

if TYPE_CHECKING:
    import socket

_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one request.

    Attributes:
        connect_seconds: Time to connect to one address of the host.
        silent_seconds: Time between two bytes.
        total_seconds: Time from the request to the end of its answer.
        body_bytes: Size of the decompressed body.
        room: For the bodies of all requests.
    """

    connect_seconds: float
    silent_seconds: float
    total_seconds: float
    body_bytes: int
    room: Room = field(default_factory=Room)

    @property
    def wire_bytes(self) -> int:
        """Bytes that may arrive for one request, with headers and the framing of small chunks."""
        return 2 * self.body_bytes + 1024 * 1024


class Incoming:
    """The bytes of one answer, until they are too many or take too long.

    A socket's own timeout restarts with each byte.

    Args:
        sock: Its timeout is `silent_seconds`.
        bounds: Limits of this answer.
    """

    __slots__ = ("_bounds", "_deadline", "_heard_at", "_left", "_sock")

    def __init__(self, sock: socket.socket, bounds: Bounds) -> None:
        self._sock = sock
        self._bounds = bounds
        self._left = bounds.wire_bytes
        self._heard_at = time.monotonic()
        self._deadline = self._heard_at + bounds.total_seconds

    def receive(self, most: int = _PIECE_BYTES) -> bytes:
        """The next bytes; none at the end.

        Raises:
            TimeoutError: They took too long: `Overdue` if all of the answer did.
            OSError: They are too many, or the connection broke.
        """
        left = self._deadline - time.monotonic()
        is_last_stretch = left < self._bounds.silent_seconds
        return self._counted(self._hurry(left, most) if is_last_stretch else self._sock.recv(most))

    def take(self) -> bytes:
        """The bytes that are here, of a socket that does not wait; none at the end.

        Raises:
            BlockingIOError, ssl.SSLWantReadError: There are none.
            OSError: They are too many, or the connection broke.
        """
        data = self._counted(self._sock.recv(_PIECE_BYTES))
        self._heard_at = time.monotonic()
        return data

    def lateness(self, now: float) -> TimeoutError | None:
        """What is wrong if nothing has arrived by now; None if there is still time."""
        if now >= self._deadline:
            return self._overdue()
        is_silent = now - self._heard_at >= self._bounds.silent_seconds
        return TimeoutError("timed out") if is_silent else None

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"more than {self._bounds.wire_bytes} bytes arrived for one answer")
        return data

    def hold(self, size: int) -> None:
        """Hold this many bytes of the body; a wait for memory is not the gateway's."""
        self._deadline += self._bounds.room.hold(size)

    @property
    def received(self) -> int:
        """Bytes so far."""
        return self._bounds.wire_bytes - self._left

    def _hurry(self, left: float, most: int) -> bytes:
        """Receive with what is left of the time."""
        if left <= 0:
            raise self._overdue()
        self._sock.settimeout(left)
        try:
            return self._sock.recv(most)
        except TimeoutError:
            raise self._overdue() from None
        finally:
            self._sock.settimeout(self._bounds.silent_seconds)

    def _overdue(self) -> Overdue:
        return Overdue(f"the answer was not complete after {self._bounds.total_seconds:g} s")
