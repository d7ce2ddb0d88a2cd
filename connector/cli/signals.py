"""Ctrl-C, SIGTERM and a closed terminal stop a run cleanly."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

from connector.cli.log import JsonFormatter
from connector.cli.mode import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator


class Received:
    """The first signal received, if any."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number = 0


def _line(message: str) -> bytes:
    if not Mode.is_json:
        return f"\n{message}\n".encode()
    record = logging.makeLogRecord({"msg": message, "levelno": logging.WARNING})
    record.levelname, record.name = "WARNING", __name__
    return f"{JsonFormatter().format(record)}\n".encode()


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Received]:
    """Turn the first such signal into a request to stop; the second one quits at once.

    A hang-up that the caller ignores, as `nohup` does, stays ignored.
    """
    received = Received()

    def handle(number: int, _frame: object) -> None:
        if received.number:
            os._exit(128 + number)
        received.number = number
        received.event.set()
        # Not through Rich: the interrupted code may hold its lock.
        with contextlib.suppress(OSError):
            os.write(2, _line("stopping: saving results; press Ctrl-C again to quit now"))

    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    earlier = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
