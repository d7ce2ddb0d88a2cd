"""Many task IDs at once: threads that pull IDs as they go, and answers in the order they come."""

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
    """Ask for each task ID; yield each answer once, as soon as it is there.

    IDs are pulled one by one, and no faster than answers are taken. An ID that was pulled but not
    answered, or never pulled, was not reached.

    Args:
        task_ids: May be endless.
        client: Shared by the threads.
        threads: How many requests may be under way at once, if the throttle lets them.
        stop: When set, no request starts any more, and the iteration ends.
        grace_seconds: How long what is under way may take once the end is decided.
        on_idle: Called several times a second while no answer comes, by whoever iterates.

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
    """The threads of one `fetch`. They are daemons: a process that must leave need not wait."""

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
        # Apart from `stop`, which is the caller's: a fetch that ends must not end the next one.
        self._halt = threading.Event()
        # A None says that a thread has ended.
        self._answers: queue.Queue[Answer | None] = queue.Queue(_BUFFERED_PER_THREAD * threads)
        self._threads = [
            threading.Thread(target=self._run, name=f"fetch-{number}", daemon=True)
            for number in range(threads)
        ]

    def work(
        self, grace_seconds: float, on_idle: Callable[[], None]
    ) -> Generator[Answer, None, None]:
        """Start, and yield the answers until all threads have ended or the grace is over."""
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
        """Let all threads end, and make room for what they still hold, which nobody takes."""
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
