"""Fetches many task IDs at once; answers come in order of arrival."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING

from connector.gateway.flights import Flights
from connector.gateway.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from connector.gateway.batch import Part
    from connector.gateway.client import Client
    from connector.record.answer import Answer

_LOOK_UP_SECONDS = 0.1
_BUFFERED_PER_THREAD = 4

# An answer of this size takes two places in the queue, one of twice the size three.
_SLOT_BYTES = 256 * 1024
# While answers pour in, they are taken a few at a time: to be woken for each costs more than it.
_GATHER_SECONDS = 0.005


def fetch(
    task_ids: Iterable[str],
    client: Client,
    *,
    threads: int,
    stop: threading.Event,
    grace_seconds: float = 5.0,
    on_idle: Callable[[], None] = lambda: None,
    on_request: Callable[[int], None] = lambda _: None,
) -> Generator[Answer, None, None]:
    """Request each task ID; yield each answer once, as soon as it arrives.

    IDs are pulled as they are asked for, and no faster than answers are taken. An ID that was
    pulled but not answered, or never pulled, was not reached.

    Args:
        task_ids: May be endless.
        client: Shared by the threads.
        threads: Most requests under way at once, if the throttle lets them.
        stop: When set, no request starts any more, and the iteration ends.
        grace_seconds: How long what is under way may take once the end is decided.
        on_idle: Called several times a second while no answer comes, in the caller's thread.
        on_request: Called with the attempts that a request for many IDs took, whatever its result:
            the answers in it count none; and with those at an ID that was not reached. In the
            caller's thread too.

    Raises:
        RunStopped: After the last answer: `GatewayDown`, or what `Client.fetch` raised.
    """
    crew = _Crew(task_ids, client, threads, stop)
    try:
        yield from crew.work(grace_seconds, on_idle, on_request)
    finally:
        crew.dismiss()
    if crew.failure is not None:
        raise crew.failure


class _Answers(queue.Queue["list[Answer] | int | None"]):
    """A queue in which large answers take more than one place."""

    def room(self) -> int:
        """How many more small answers may be put without waiting."""
        return self.maxsize - self._places

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._places = 0

    def _qsize(self) -> int:
        return self._places

    def _put(self, item: list[Answer] | int | None) -> None:
        super()._put(item)
        self._places += _places_of(item)

    def _get(self) -> list[Answer] | int | None:
        item: list[Answer] | int | None = super()._get()
        self._places -= _places_of(item)
        return item


def _places_of(item: list[Answer] | int | None) -> int:
    if not isinstance(item, list):
        return 1
    return len(item) + sum(len(answer.body or b"") for answer in item) // _SLOT_BYTES


class _Crew:
    """The threads of one `fetch`. They are daemons, so that the process can exit at once."""

    def __init__(
        self, task_ids: Iterable[str], client: Client, threads: int, stop: threading.Event
    ) -> None:
        self.failure: BaseException | None = None
        self._client = client
        self._stop = stop
        # Not `stop`, which is the caller's: the end of this fetch must not stop the next one.
        self._halt = threading.Event()
        # A number is that of attempts without an answer of their own; a None says that a thread
        # has ended.
        self._answers = _Answers(_BUFFERED_PER_THREAD * threads)
        self._started = 0
        if stop.is_set():
            self._first = []
        elif client.batches.size == 1:
            flights = Flights(
                task_ids,
                client,
                most=threads,
                stops=(stop, self._halt),
                put=self._answers.put,
                room=self._answers.room,
                fail=self._fail,
                start_thread=self._start,
            )
            self._first = [flights.run]
        else:
            self._work = Work(task_ids, client.batches)
            self._first = [self._ask_for_many] * threads

    def _start(self, run: Callable[[], None]) -> None:
        """Run a function in a thread; only one that runs here already may add others."""

        def run_to_the_end() -> None:
            try:
                run()
            except BaseException as exc:  # noqa: BLE001  raised again by `fetch`, in its own thread
                self._fail(exc)
            finally:
                self._answers.put(None)

        name = f"fetch-{self._started}"
        self._started += 1
        # In the context of the run that it works for, whose log follows that.
        run_here = copy_context().run
        threading.Thread(target=run_here, args=(run_to_the_end,), name=name, daemon=True).start()

    def _fail(self, failure: BaseException) -> None:
        """End the run, for the first reason that there is."""
        self.failure = self.failure or failure
        self._halt.set()

    def work(
        self, grace_seconds: float, on_idle: Callable[[], None], on_request: Callable[[int], None]
    ) -> Generator[Answer, None, None]:
        """Start the threads; yield answers until all have ended or the grace period is over."""
        for run in self._first:
            self._start(run)
        ended = 0
        end = float("inf")
        while ended < self._started:
            if self._stop.is_set():
                self._halt.set()
            if self._halt.is_set():
                end = min(end, time.monotonic() + grace_seconds)
            if self._answers.empty():
                time.sleep(_GATHER_SECONDS)
            try:
                answers = self._answers.get(timeout=_LOOK_UP_SECONDS)
            except queue.Empty:
                if time.monotonic() >= end:
                    return
                on_idle()
                continue
            if answers is None:
                ended += 1
            elif isinstance(answers, int):
                on_request(answers)
            else:
                yield from answers

    def dismiss(self) -> None:
        """Stop the threads, and empty the queue so that none blocks on it."""
        self._halt.set()
        with suppress(queue.Empty):
            while True:
                self._answers.get_nowait()

    def _ask_for_many(self) -> None:
        try:
            while (part := self._work.take((self._stop, self._halt))) is not None:
                self._settle(part)
        finally:
            self._client.pass_on()

    def _settle(self, part: Part) -> None:
        """Ask, and hand the answers on; apart, or they would be held until the next ones."""
        with self._client.room.visit():
            if answers := self._ask(part):
                self._answers.put(answers)
        for answer in answers:
            self._client.observe(answer)

    def _ask(self, part: Part) -> list[Answer]:
        """The answers that a part of the work brings; none if the end is decided before."""
        if part.is_single:
            answer = self._client.fetch(part.task_ids[0], self._halt)
            return [] if answer is None else [answer]
        batch = self._client.fetch_batch(part.task_ids, self._halt)
        if batch is None:
            return []
        with self._client.room.turn(len(batch.body or b"")):
            answers, unsettled = self._client.batches.read(part, batch)
        self._work.give_back(unsettled)
        self._answers.put(batch.attempts)
        return answers
