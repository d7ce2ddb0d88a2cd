"""Fetches many task IDs at once: threads pull IDs, and answers come in order of arrival."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from connector.gateway.client import Client
    from connector.record.answer import Answer

_LOOK_UP_SECONDS = 0.1
_BUFFERED_PER_THREAD = 4


def fetch(
    task_ids: Iterable[str],
    client: Client,
    *,
    threads: int,
    stop: threading.Event,
    grace_seconds: float = 5.0,
    on_idle: Callable[[], None] = lambda: None,
) -> Generator[Answer, None, None]:
    """Request each task ID; yield each answer once, as soon as it arrives.

    IDs are pulled one by one, no faster than answers are consumed. An ID without an answer was not
    reached.

    Args:
        task_ids: May be endless.
        client: Shared by the threads.
        threads: Most requests in flight; the throttle may allow fewer.
        stop: When set, no further request starts, and the iteration ends.
        grace_seconds: Seconds that requests in flight may still take once the iteration ends.
        on_idle: Called several times a second, in the consumer's thread, while no answer comes.

    Raises:
        RunStopped: After the last answer: `GatewayDown`, or what `Client.fetch` raised.
    """
    crew = _Crew(task_ids, client, threads, stop)
    try:
        yield from crew.work(grace_seconds, on_idle)
    finally:
        crew.dismiss()
    if crew.failure is not None:
        raise crew.failure


class _Crew:
    """The threads of one `fetch`. They are daemons, so that the process can exit at once."""

    def __init__(
        self,
        task_ids: Iterable[str],
        client: Client,
        threads: int,
        stop: threading.Event,
    ) -> None:
        self.failure: BaseException | None = None
        self._task_ids = iter(task_ids)
        self._pulling = threading.Lock()
        self._client = client
        self._stop = stop
        # Not `stop`, which is the caller's: the end of this fetch must not stop the next one.
        self._halt = threading.Event()
        # None: a thread has ended.
        self._answers: queue.Queue[Answer | None] = queue.Queue(_BUFFERED_PER_THREAD * threads)
        self._threads = [
            threading.Thread(target=self._run, name=f"fetch-{number}", daemon=True)
            for number in range(threads)
        ]

    def work(
        self, grace_seconds: float, on_idle: Callable[[], None]
    ) -> Generator[Answer, None, None]:
        """Start the threads; yield answers until all have ended or the grace period is over."""
        for thread in self._threads:
            thread.start()
        working = len(self._threads)
        end = float("inf")
        while working:
            if self._stop.is_set():
                self._halt.set()
            if self._halt.is_set():
                end = min(end, time.monotonic() + grace_seconds)
            try:
                answer = self._answers.get(timeout=_LOOK_UP_SECONDS)
            except queue.Empty:
                if time.monotonic() >= end:
                    return
                on_idle()
                continue
            if answer is None:
                working -= 1
            else:
                yield answer

    def dismiss(self) -> None:
        """Stop the threads, and empty the queue so that none blocks on it."""
        self._halt.set()
        with suppress(queue.Empty):
            while True:
                self._answers.get_nowait()

    def _run(self) -> None:
        try:
            while (task_id := self._pull()) is not None:
                answer = self._client.fetch(task_id, self._halt)
                if answer is not None:
                    self._answers.put(answer)
                    self._client.observe(answer)
        except BaseException as exc:  # noqa: BLE001  # raised again by `fetch`, in its own thread
            self.failure = self.failure or exc
            self._halt.set()
        finally:
            self._answers.put(None)

    def _pull(self) -> str | None:
        if self._stop.is_set() or self._halt.is_set():
            return None
        with self._pulling:
            return next(self._task_ids, None)
