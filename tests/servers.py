"""Servers of others, each a process of its own on loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START_SECONDS: Final = 120.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(command: Sequence[str], answers: Callable[[], bool]) -> Iterator[None]:
    """Run a server for as long as the block lasts, which begins when it answers."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            assert process.poll() is None, f"{command} ended at once"
            assert time.monotonic() < deadline, f"{command} did not answer"
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()
