"""Many requests in one thread, which waits for all of their answers at once.

Where answers come quickly, a thread for each request costs more than the request: threads take
turns. So one thread sends requests over connections that are open, and reads the answers that are
short and plain. An attempt that may have to wait goes to a helper, a thread of its own, from where
it is: a connection to open, a large answer, a redirect.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from connector.gateway.connection import Connection
from connector.gateway.helpers import Helpers, is_large

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from connector.gateway.client import Client
    from connector.gateway.helpers import Result
    from connector.gateway.inquiry import Inquiry
    from connector.record.answer import Answer

# Longest wait for what gives no sign, such as an event that is set, or too long a silence.
_LOOK_UP_SECONDS: Final = 0.1
# The same for room among answers that wait to be taken.
_ROOM_SECONDS: Final = 0.005
# New task IDs that come before one that was asked for already.
_OTHERS: Final = 8
# `poll` counts in milliseconds.
_SHORTEST_SECONDS: Final = 0.001


class _Pause(NamedTuple):
    """An inquiry between two attempts; the number is there to have an order."""

    until: float
    number: int
    inquiry: Inquiry


class Flights:
    """The requests under way.

    Args:
        task_ids: May be endless; pulled as they are asked for.
        client: Shared by all threads.
        most: Task IDs under way at once, those between two attempts included.
        stops: When one is set, no request starts any more.
        put: Takes answers, and the attempts at a task that has none; may block.
        room: How many more answers may be put without blocking.
        fail: Takes what must end the run, and sets one of `stops`.
        start_thread: Runs a function in a thread.
    """

    def __init__(
        self,
        task_ids: Iterable[str],
        client: Client,
        *,
        most: int,
        stops: tuple[threading.Event, ...],
        put: Callable[[list[Answer] | int], None],
        room: Callable[[], int],
        fail: Callable[[BaseException], None],
        start_thread: Callable[[Callable[[], None]], None],
    ) -> None:
        self._task_ids = iter(task_ids)
        self._is_exhausted = False
        self._client = client
        self._most = most
        self._stops = stops
        self._put, self._room, self._fail = put, room, fail
        self._next: Inquiry | None = None
        self._flying: dict[int, tuple[Connection, Inquiry]] = {}
        self._pauses: list[_Pause] = []
        self._numbers = itertools.count()
        self._line: deque[tuple[int, Inquiry]] = deque()
        self._started = 0
        self._look_at = 0.0
        self._poll = select.poll()
        self._helpers = Helpers(client, start_thread)

    def run(self) -> None:
        """Ask for all task IDs, until all have their answers or the end is decided."""
        try:
            self._poll.register(self._helpers.done, select.POLLIN)
            while True:
                seconds = self._start()
                if not self._flying and not self._helpers.busy and self._is_over():
                    break
                self._receive(self._wait(seconds))
        finally:
            self._helpers.dismiss()
            waiting = [*(pause.inquiry for pause in self._pauses), *(one for _, one in self._line)]
            for inquiry in waiting:
                self._end_unanswered(inquiry)

    def _is_over(self) -> bool:
        """Whether nothing starts any more."""
        if self._is_exhausted and not self._next and not self._pauses and not self._line:
            return True
        for stop in self._stops:  # noqa: SIM110  at each request, and `any` takes twice the time
            if stop.is_set():
                return True
        return False

    def _start(self) -> float:
        """Start all that may start; return the seconds until more may."""
        try:
            room = self._room()  # it only grows meanwhile
            while not self._is_over():
                self._end_pauses()
                inquiry = self._first(room)
                if inquiry is None:
                    return self._look_up_seconds()
                if seconds := self._client.start(inquiry):
                    return seconds
                self._watch(inquiry)
        except BaseException as error:  # noqa: BLE001  raised again by `fetch`
            self._fail(error)
        return _LOOK_UP_SECONDS

    def _end_pauses(self) -> None:
        """Line up what has paused for long enough."""
        while self._pauses and self._pauses[0].until <= time.monotonic():
            # Where the gateway limits the rate, behind a few others: tasks that are refused for
            # their own sake would else make it seem to be closed.
            place = self._started + min(_OTHERS, self._most - self._under_way())
            self._line.append((place, heapq.heappop(self._pauses).inquiry))

    def _look_up_seconds(self) -> float:
        """Seconds until to look again whether something may start."""
        left = self._pauses[0].until - time.monotonic() if self._pauses else _LOOK_UP_SECONDS
        return min(left, _LOOK_UP_SECONDS if self._room() else _ROOM_SECONDS)

    def _first(self, room: int) -> Inquiry | None:
        """The inquiry whose attempt is next; None if there is none yet."""
        place, inquiry = self._line[0] if self._line else (0, None)
        if place <= self._started and inquiry is not None:
            return inquiry
        if self._next is None and self._under_way() < min(self._most, room):
            task_id = next(self._task_ids, None)
            self._is_exhausted = task_id is None
            self._next = None if task_id is None else self._client.inquire(task_id)
        return self._next or inquiry

    def _under_way(self) -> int:
        """Inquiries that have had an attempt, or have one."""
        waiting = len(self._pauses) + len(self._line)
        return len(self._flying) + self._helpers.busy + waiting

    def _watch(self, inquiry: Inquiry) -> None:
        """Take an inquiry that has started from where it waited, and wait for its answer."""
        self._started += 1
        if inquiry is self._next:
            self._next = None
        else:
            self._line.popleft()
        if inquiry.connection is None:
            self._helpers.hand(inquiry)
            return
        self._fly(inquiry.connection, inquiry)

    def _fly(self, connection: Connection, inquiry: Inquiry) -> None:
        number = connection.fileno()
        self._flying[number] = connection, inquiry
        self._poll.register(number, select.POLLIN)

    def _wait(self, seconds: float) -> list[int]:
        """Wait until something arrives; return the numbers of its sockets."""
        if seconds < _SHORTEST_SECONDS:
            time.sleep(max(0.0, seconds))
        return [number for number, _ in self._poll.poll(max(0, int(seconds * 1000)))]

    def _receive(self, numbers: list[int]) -> None:
        """Take the answers that are there."""
        answers: list[Answer] = []
        # Before any is handed on, which may block: what arrives meanwhile is not late.
        now = time.monotonic()
        for number in numbers:
            if number == self._helpers.done.fileno():
                for done in self._helpers.results():
                    self._take(done.inquiry, done.result, answers)
                    done.is_taken.set()
                continue
            state = self._flying[number][0].look()
            if state == "odd":
                self._helpers.hand(self._landed(number))
            elif state == "all":
                self._step(number, answers)
        if now >= self._look_at:
            self._look_at = now + _LOOK_UP_SECONDS
            for number in [n for n, (one, _) in self._flying.items() if one.is_late(now)]:
                self._step(number, answers)
        if answers:
            self._give(answers)

    def _landed(self, number: int) -> Inquiry:
        self._poll.unregister(number)
        return self._flying.pop(number)[1]

    def _step(self, number: int, answers: list[Answer]) -> None:
        """End an attempt whose answer is there, or too late."""
        inquiry = self._landed(number)
        try:
            result: Result = self._client.step(inquiry)
        except BaseException as error:  # noqa: BLE001  as above
            result = error
        self._take(inquiry, result, answers)

    def _take(self, inquiry: Inquiry, result: Result, answers: list[Answer]) -> None:
        if isinstance(result, BaseException):
            self._end_unanswered(inquiry)
            self._fail(result)
        elif isinstance(result, Connection):
            self._fly(result, inquiry)
        elif result is None:
            until = time.monotonic() + (inquiry.delay or 0.0)
            heapq.heappush(self._pauses, _Pause(until, next(self._numbers), inquiry))
        elif is_large(result):
            self._give([result])
        else:
            answers.append(result)

    def _end_unanswered(self, inquiry: Inquiry) -> None:
        """Count the requests of an inquiry that ends without an answer."""
        if inquiry.attempts:
            self._put(inquiry.attempts)

    def _give(self, answers: list[Answer]) -> None:
        self._put(answers)
        try:
            for answer in answers:
                self._client.observe(answer)
        except BaseException as error:  # noqa: BLE001  as above
            self._fail(error)
