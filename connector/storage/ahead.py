"""Works ahead in other threads, where pieces are small: Arrow releases Python's lock.

Each piece of work runs in the context of the run that it is for, whose log follows that.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

Item = TypeVar("Item")
Result = TypeVar("Result")

# A larger piece is the only one in memory, and so is one of larger rows: these are copied often.
LARGE: Final = 32 * 1024 * 1024
LARGE_ROW: Final = 64 * 1024

# Pieces in work at a time; more would take more memory.
AT_ONCE: Final = 2

# Name of the threads that work on them.
BESIDE: Final = "beside"


def ahead(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same pieces; the one after a small one is made while that is used.

    Not where `side_by_side` keeps two threads busy already.
    """
    if threading.current_thread().name.startswith(BESIDE):
        yield from pieces
        return
    make = partial(copy_context().run, next, iter(pieces), None)
    with ThreadPoolExecutor(1) as thread:
        coming: Future[pa.Table | None] | None = thread.submit(make)
        while coming is not None and (piece := coming.result()) is not None:
            coming = None if is_large(piece) else thread.submit(make)
            yield piece
            del piece  # or it would stay in memory while the next one is made
            coming = coming or thread.submit(make)


@contextmanager
def beside(work: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """Work in a thread while the block goes on, which gets a function to wait for the result."""
    with ThreadPoolExecutor(1, BESIDE) as thread:
        yield thread.submit(copy_context().run, work).result


def is_large(piece: pa.Table) -> bool:
    """Whether a piece is to be worked on alone."""
    return int(piece.nbytes) > min(LARGE, LARGE_ROW * len(piece))


def share_of(piece: pa.Table) -> float:
    """The share of memory that a piece takes in work: a large one takes all of it."""
    return 1 if is_large(piece) else 1 / AT_ONCE


def side_by_side(
    work: Callable[[Item], Result], items: Iterable[Item], share: Callable[[Item], float]
) -> Iterator[Result]:
    """Yield the result for each item, in order; two are in work while one is used.

    Args:
        work: Takes an item, in any thread.
        items: Taken one by one, in this thread.
        share: The share of memory that an item takes in work: two are in work only if both have
            room, and one that takes all of it, or more, in this thread, which may read ahead.
    """
    running: deque[tuple[Future[Result], float]] = deque()
    with ThreadPoolExecutor(AT_ONCE, BESIDE) as threads:
        for item in items:
            mine = share(item)
            while len(running) == AT_ONCE or (running and running[0][1] + mine > 1):
                yield running.popleft()[0].result()
            if mine >= 1:
                yield work(item)
            else:
                running.append((threads.submit(copy_context().run, work, item), mine))
            del item  # or it would stay in memory while the next one is made
        while running:
            yield running.popleft()[0].result()
