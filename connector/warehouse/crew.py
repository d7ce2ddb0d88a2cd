"""Flattens many answers on all cores; few in this process alone, as a process takes a second."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from connector.warehouse.worker import CHANGED, Work, read_message, work, write_message

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Future

# Groups of answers that this process flattens itself before it asks for help.
ALONE: Final = 4

# More would wait for this process, which writes the tables.
MOST_WORKERS: Final = 4

GATEWAYS: Final = pa.schema({"gateways": pa.map_(pa.string(), pa.string())})

logger = logging.getLogger(__name__)


def flattened(
    groups: Iterable[pa.Table], rejudged_by: Mapping[str, str] | None, workers: int | None = None
) -> Generator[Work]:
    """Flatten groups of answers; yield what `work` makes of each, in order.

    Close it early where an error ends the iteration: its processes end then.

    Args:
        groups: Of the `answers` table.
        rejudged_by: Base URLs by run ID, to judge the answers again; None keeps the verdicts.
        workers: Processes that help; one per core if None.
    """
    workers = min(_cores(), MOST_WORKERS) if workers is None else workers
    source = iter(groups)
    done = 0
    while workers < 2 or done < ALONE:  # noqa: PLR2004  one is no faster than none
        if (group := next(source, None)) is None:
            return
        yield work(group, rejudged_by)
        done += 1
    if (first := next(source, None)) is not None:
        with contextlib.closing(_Crew(workers, rejudged_by)) as crew:
            yield from crew.flatten(first, source)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Crew:
    """Worker processes, each with a thread of this process that waits for it."""

    def __init__(self, workers: int, rejudged_by: Mapping[str, str] | None) -> None:
        self._rejudged_by = rejudged_by
        self._workers = [_Worker(rejudged_by) for _ in range(workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, "flatten")

    def flatten(self, first: pa.Table, others: Iterator[pa.Table]) -> Iterator[Work]:
        """Flatten groups; one more than there are workers is under way, so that none waits."""
        under_way: deque[tuple[pa.Table, Future[Work]]] = deque()
        group: pa.Table | None = first
        while group is not None or under_way:
            if group is not None:
                under_way.append((group, self._threads.submit(self._ask, group)))
                group = next(others, None)
            if group is None or len(under_way) > len(self._workers):
                yield self._result(*under_way.popleft())

    def _ask(self, answers: pa.Table) -> Work:
        worker = self._idle.get()
        try:
            return worker.ask(answers)
        finally:
            self._idle.put(worker)

    def _result(self, answers: pa.Table, future: Future[Work]) -> Work:
        try:
            return future.result()
        except (EOFError, OSError, pa.ArrowInvalid) as error:
            # Out of memory, perhaps. An error of the answers themselves shows up here again.
            logger.debug("a worker has ended (%s): its answers are flattened here", error)
            return work(answers, self._rejudged_by)

    def close(self) -> None:
        """End the processes; they hold nothing that is needed."""
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)


class _Worker:
    """A process that flattens; it starts with its first answers."""

    def __init__(self, rejudged_by: Mapping[str, str] | None) -> None:
        rows = [] if rejudged_by is None else [{"gateways": list(rejudged_by.items())}]
        self._gateways = pa.Table.from_pylist(rows, GATEWAYS)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_over = False

    def ask(self, answers: pa.Table) -> Work:
        """Have answers flattened.

        Raises:
            OSError: The process could not be started, or has ended.
            EOFError: It has ended.
        """
        process = self._process or self._start()
        if process.stdin is None or process.stdout is None:  # pragma: no cover  both are pipes
            raise AssertionError
        write_message(process.stdin, answers)
        changed, rows = read_message(process.stdout), read_message(process.stdout)
        if changed is None or rows is None:
            raise EOFError("it ended early")
        for name in CHANGED:
            position = answers.schema.get_field_index(name)
            answers = answers.set_column(position, answers.schema.field(position), changed[name])
        return Work(answers, rows)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._is_over or not sys.executable:
            raise OSError("no process can be started")
        # A process group of its own: Ctrl-C is for this process, which decides what to do.
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", "-m", "connector.warehouse.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            process_group=0,
        )
        if self._is_over:
            process.kill()
        elif process.stdin:
            write_message(process.stdin, self._gateways)
        return process

    def kill(self) -> None:
        """End the process, and start none."""
        self._is_over = True
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError, ValueError):
                    if pipe:
                        pipe.close()
