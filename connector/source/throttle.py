"""How many requests may be in flight: the place where the pace of a run is decided."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Sample:
    """What one request told of the gateway's state.

    Attributes:
        kind: `good` (any answer that shows the gateway at ease, a 404 too), `refused` (429 or 503),
            `failed` (other 5xx, a timeout, a broken connection).
        latency: Seconds from sending to the end of the answer.
        retry_after: Seconds that the gateway asked to wait, if it did.
    """

    kind: Literal["good", "refused", "failed"]
    latency: float
    retry_after: float | None = None


class Throttle:
    """A fixed number of requests in flight, and one pause for all threads on Retry-After."""

    def __init__(
        self, max_concurrency: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = threading.Semaphore(max_concurrency)
        self._clock = clock
        self._resume_at = 0.0

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until a request may start; False if `stop` was set before that."""
        self._slots.acquire()
        while not stop.is_set():
            wait = self._resume_at - self._clock()
            if wait <= 0:
                return True
            stop.wait(wait)
        self._slots.release()
        return False

    def release(self, sample: Sample) -> None:
        """Tell that a request has ended, and how."""
        if sample.retry_after:
            self._resume_at = max(self._resume_at, self._clock() + sample.retry_after)
        self._slots.release()
