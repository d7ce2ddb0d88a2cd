"""Threads for what may have to wait: a connection to open, a large answer, a redirect."""

from __future__ import annotations

import queue
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from connector.gateway.room import SMALL_BYTES
from connector.record.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.gateway.client import Client
    from connector.gateway.connection import Connection
    from connector.gateway.inquiry import Inquiry

    # What an attempt led to: a connection that its answer will come over, the answer to keep,
    # another attempt, or the end of the run.
    Result = Connection | Answer | None | BaseException


def is_large(result: Result) -> bool:
    """Whether it is an answer whose memory is counted."""
    return isinstance(result, Answer) and len(result.body or b"") > SMALL_BYTES


class Done(NamedTuple):
    """The result of an attempt; the event says that it was handed on, if it is an answer."""

    inquiry: Inquiry
    result: Result
    is_taken: threading.Event


class Helpers:
    """Threads for attempts that may have to wait: as many as there are at once.

    One with a large answer keeps its room until that is handed on.

    Attributes:
        busy: Attempts handed over whose result was not taken yet.
        done: A socket that can be read once there are results.
    """

    def __init__(self, client: Client, start_thread: Callable[[Callable[[], None]], None]) -> None:
        self.busy = 0
        self.done, self._signal = socket.socketpair()
        self.done.setblocking(False)
        self._signal.setblocking(False)
        self._client = client
        self._start_thread = start_thread
        self._threads = 0
        self._handed: queue.SimpleQueue[Inquiry | None] = queue.SimpleQueue()
        self._results: deque[Done] = deque()

    def hand(self, inquiry: Inquiry) -> None:
        """Leave an attempt to a helper."""
        self.busy += 1
        self._handed.put(inquiry)
        if self.busy > self._threads:
            self._threads += 1
            self._start_thread(self._run)

    def results(self) -> Iterator[Done]:
        """Take the results that are there."""
        self.done.recv(4096)
        while self._results:
            self.busy -= 1
            yield self._results.popleft()

    def dismiss(self) -> None:
        """Let the helpers end."""
        for done in self._results:
            done.is_taken.set()
        for _ in range(self._threads):
            self._handed.put(None)
        self.done.close()
        self._signal.close()

    def _run(self) -> None:
        while (inquiry := self._handed.get()) is not None:
            with self._client.room.visit():
                self._work(inquiry)

    def _work(self, inquiry: Inquiry) -> None:
        try:
            result: Result = None
            if inquiry.connection is None:
                result = self._client.connect(inquiry)
            if result is None:
                result = self._client.step(inquiry)
        except BaseException as error:  # noqa: BLE001  raised again by `fetch`
            result = error
        done = Done(inquiry, result, threading.Event())
        self._results.append(done)
        # If it cannot be sent, there are signs enough that nobody has read.
        with suppress(OSError):
            self._signal.send(b".")
        if is_large(result):
            done.is_taken.wait()
