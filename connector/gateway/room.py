"""Memory for large answers: threads that read them share a bound in bytes.

Small answers are not counted. A large one takes room as it arrives, and gives it back once it was
handed on. A thread that finds no room waits, and its gateway with it; the one that began first
never waits, so one of them always goes on.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

# Of an answer; this much has room always.
SMALL_BYTES: Final = 256 * 1024

_FREE: Final = nullcontext()

# An answer is copied a few times on its way, so this is a quarter of what it takes.
MOST_BYTES: Final = 64 * 1024 * 1024


class Room:
    """The bytes of large answers that threads hold, at most `most`; each holds one at a time."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._held: dict[int, int] = {}  # by thread, in the order in which they began
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    def hold(self, size: int) -> float:
        """Let this thread hold this many bytes in all; wait until there is room.

        Returns:
            Seconds that it waited.
        """
        if size <= SMALL_BYTES:
            return 0.0
        me, begun = threading.get_ident(), time.monotonic()
        with self._changed:
            self._held.setdefault(me, 0)
            while self._others(me) + size > self._most and next(iter(self._held)) != me:
                self._changed.wait()
            self._held[me] = max(size, self._held[me])
        return time.monotonic() - begun

    def _others(self, me: int) -> int:
        return sum(size for thread, size in self._held.items() if thread != me)

    def leave(self) -> None:
        """Give back what this thread holds: it has handed its answer on."""
        if threading.get_ident() in self._held:
            with self._changed:
                del self._held[threading.get_ident()]
                self._changed.notify_all()

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Leave at the end of the block."""
        try:
            yield
        finally:
            self.leave()

    def turn(self, size: int) -> AbstractContextManager[object]:
        """A context for parsing: one large answer at a time, as that takes many times its size."""
        return _FREE if size <= SMALL_BYTES else self._turn
