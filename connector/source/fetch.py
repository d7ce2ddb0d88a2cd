"""Many task IDs at once: threads that pull IDs as they go, and answers in the order they come."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from connector.errors import GatewayDown
from connector.record.answer import PASSING
from connector.source.retry import FailureStreak

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from connector.record.answer import Answer
    from connector.source.client import Client

FEWEST_FAILURES = 5
"""One task ID that hangs is no sign of a gateway that is down, however long it hangs."""

_LOOK_UP_SECONDS = 0.1
_BUFFERED_PER_THREAD = 4


def fetch(
    task_ids: Iterable[str],
    client: Client,
    *,
    threads: int,
    stop: threading.Event,
    max_failures_in_row: int = 50,
    max_outage: float = 120.0,
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
        max_failures_in_row: So many task IDs that fail with none that does not in between mean that
            the gateway is down.
        max_outage: So many seconds of that mean it too, if it is a few IDs at least.
        grace_seconds: How long what is under way may take once the end is decided.
        on_idle: Called several times a second while no answer comes, by whoever iterates.

    Raises:
        RunStopped: After the last answer: `GatewayDown`, or what `Client.fetch` raised.
    """
    crew = _Crew(task_ids, client, threads, stop, _Patience(max_failures_in_row, max_outage))
    try:
        yield from crew.work(grace_seconds, on_idle)
    finally:
        crew.dismiss()
    if crew.failure is not None:
        raise crew.failure


class _Patience:
    """Ends when nothing but failures comes."""

    def __init__(self, max_failures: int, max_seconds: float) -> None:
        self._max_failures = max_failures
        self._max_seconds = max_seconds
        self._streak = FailureStreak()

    def observe(self, answer: Answer) -> None:
        """Count an answer; raise `GatewayDown` if it was one failure too many."""
        now = time.monotonic()
        self._streak.add(failed=answer.outcome in PASSING, now=now)
        failures, seconds = self._streak.length, self._streak.seconds(now)
        if failures >= self._max_failures or (
            failures >= FEWEST_FAILURES and seconds >= self._max_seconds
        ):
            raise GatewayDown(
                f"{failures} task IDs in a row failed, the last one so: {answer.message}. "
                "What was fetched is kept; start again when the gateway answers, and these are "
                "asked for again."
            )


class _Crew:
    """The threads of one `fetch`. They are daemons: a process that must leave need not wait."""

    def __init__(
        self,
        task_ids: Iterable[str],
        client: Client,
        threads: int,
        stop: threading.Event,
        patience: _Patience,
    ) -> None:
        self.failure: BaseException | None = None
        self._task_ids = iter(task_ids)
        self._pulling = threading.Lock()
        self._client = client
        self._patience = patience
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
                    self._patience.observe(answer)
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
