"""Large answers that are under way at once have a bound in bytes, and none waits for ever."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from clients import make_client
from raw_server import RawServer, reply

from connector.gateway.fetch import fetch
from connector.gateway.room import Room

if TYPE_CHECKING:
    import socket

SIZE = 400_000
BODY = b'{"state":"completed","prompt":"' + b"x" * SIZE + b'"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"


class Watched(Room):
    """A room that knows the most that was held at once."""

    def __init__(self) -> None:
        super().__init__(most=3 * SIZE)
        self.peak = 0

    def hold(self, size: int) -> float:
        waited = super().hold(size)
        self.peak = max(self.peak, sum(self._held.copy().values()))
        return waited


@pytest.mark.parametrize("is_chunked", [False, True])
def test_threads_wait_for_room_and_all_answers_come(
    monkeypatch: pytest.MonkeyPatch, is_chunked: bool
) -> None:
    watched = Watched()
    monkeypatch.setattr("connector.gateway.client.Room", lambda: watched)
    asked = 0

    def answer(_: str, connection: socket.socket) -> None:
        nonlocal asked
        asked += 1
        connection.sendall(CHUNKED % (len(BODY), BODY) if is_chunked else reply(BODY))

    with RawServer(answer) as server, make_client(server.base_url) as client:
        answers = fetch(map(str, range(40)), client, threads=16, stop=threading.Event())
        assert sum(len(one.body or b"") for one in answers) == 40 * len(BODY)
    # The one that never waits comes on top.
    assert len(BODY) < watched.peak <= 4 * len(BODY)
    assert asked == 40


def test_a_wait_for_room_is_not_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(most=SIZE)
    monkeypatch.setattr("connector.gateway.client.Room", lambda: room)

    def hog() -> None:
        with room.visit():
            room.hold(SIZE)
            held.set()
            time.sleep(1.2)

    held = threading.Event()
    threading.Thread(target=hog).start()
    held.wait()
    with (
        RawServer(lambda _, connection: connection.sendall(reply(BODY))) as server,
        make_client(server.base_url, total_timeout=1.0, max_attempts=1) as client,
    ):
        (one,) = fetch(["a"], client, threads=1, stop=threading.Event())
    assert one.http_status == 200
    assert one.body == BODY
