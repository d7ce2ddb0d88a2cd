"""Whose answer it is: an answer belongs to the task that was asked for.

Gateways, and proxies in front of them, now and then send an answer to another question: late,
twice, or over the wrong connection. Nothing shows that but the ID in it. Yet an ID that differs
proves nothing: the documented example has one of its own, beside the task ID that was asked for.

So an answer with another ID is asked for again, over a connection that was never used, and is kept
if it says the same. Where the first answers come with other IDs, over connections that are new, or
`ENOUGH` say the same again, the gateway has IDs of its own. From then on only an ID that came for
another task too, or that is another task's, is asked for again.
"""

from __future__ import annotations

from array import array
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# Answers that say the same again, after which the gateway is known to do so.
ENOUGH: Final = 3

# Answers of a gateway that gives a new ID each time never say the same.
MOST_ASKED: Final = 2

# IDs that gateways give in place of a task's own are remembered, the latest of them.
REMEMBERED: Final = 100_000

# Answers about other tasks, from which on no connection is used twice.
MOST_MIXED_UP: Final = 3


class Owners:
    """Which IDs are whose, as a run learns it; safe to share between threads.

    Where the IDs of answers are those asked for, it costs eight bytes for each.

    Attributes:
        mixed_up: Answers about another task so far.
        has_matched: Whether some answer had the ID that was asked for.
    """

    def __init__(self) -> None:
        self.mixed_up = 0
        self.has_matched = False
        self._asked = array("q")  # hashes of task IDs, until they are needed
        self._tasks: set[int] = set()
        self._owners: dict[str, str] = {}
        self._confirmed = 0
        self._shared = 0
        self._lock = Lock()

    @property
    def are_confused(self) -> bool:
        """Whether the gateway has mixed up so much that an answer needs its own connection."""
        return self.mixed_up >= MOST_MIXED_UP

    @property
    def are_unknown(self) -> bool:
        """Whether neither kind of gateway is known yet: IDs as asked for, or IDs of its own."""
        return not self.has_matched and not self.mixed_up and self._confirmed < ENOUGH

    def expect(self, task_ids: Iterable[str]) -> None:
        """Task IDs of this run: an answer with one of them is about that task."""
        self._asked.extend(map(hash, task_ids))

    def owns(
        self, task_id: str, ids: tuple[str, ...], before: list[tuple[str, ...]], *, is_first: bool
    ) -> bool:
        """Whether to keep an answer that gives other IDs than the one asked for.

        Args:
            task_id: What was asked for.
            ids: What the answer gives.
            before: What the answers before it gave, to the same question.
            is_first: Whether it is the first generation over its connection.
        """
        with self._lock:
            self._take_asked()
            if any(hash(one) in self._tasks for one in ids):
                return False
            is_shared = any(self._owners.get(one, task_id) != task_id for one in ids)
            is_confirmed = ids in before
            # Nothing late can be there, and nothing says that the gateway has no IDs of its own.
            is_usual = is_first and self.are_unknown
            if is_shared:
                self._shared += is_confirmed
                is_kept = is_confirmed or self._shared >= ENOUGH
            else:
                is_confirmed = is_confirmed or is_usual or len(before) >= MOST_ASKED
                self._confirmed += is_confirmed
                is_kept = is_confirmed or self._confirmed >= ENOUGH
            if is_kept:
                self._remember(task_id, ids)
            return is_kept

    def note_mixed_up(self, count: int) -> None:
        """Count answers that were about another task."""
        with self._lock:
            self.mixed_up += count

    def _take_asked(self) -> None:
        """Turn what was asked for into a set; other threads may add to it meanwhile."""
        count = len(self._asked)
        self._tasks.update(self._asked[:count])
        del self._asked[:count]

    def _remember(self, task_id: str, ids: tuple[str, ...]) -> None:
        for one in ids:
            self._owners.setdefault(one, task_id)
        while len(self._owners) > REMEMBERED:
            del self._owners[next(iter(self._owners))]
