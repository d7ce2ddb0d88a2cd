"""Ctrl-C and SIGTERM stop a run cleanly."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Received:
    """The first signal received, if any."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number = 0


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Received]:
    """Turn the first SIGINT or SIGTERM into a request to stop; the second one quits at once."""
    received = Received()

    def handle(number: int, _frame: object) -> None:
        if received.number:
            os._exit(128 + number)
        received.number = number
        received.event.set()
        # Not through Rich: the interrupted code may hold its lock.
        os.write(2, b"\nstopping: saving results; press Ctrl-C again to quit now\n")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
