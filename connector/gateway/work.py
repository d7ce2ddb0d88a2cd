"""The task IDs that are left to ask for, in parts as large as the gateway takes them."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from connector.gateway.batch import Part, slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connector.gateway.batch import Batches

_LOOK_UP_SECONDS = 0.1


class Work:
    """What is left to ask for; threads take parts of it, and bring back what they could not settle.

    Args:
        task_ids: May be endless; pulled as they are taken.
        batches: How many at once.
    """

    def __init__(self, task_ids: Iterable[str], batches: Batches) -> None:
        self._task_ids = iter(task_ids)
        self._batches = batches
        self._returned: deque[Part] = deque()
        self._under_way = 0
        self._changed = threading.Condition()

    def take(self, stops: Sequence[threading.Event]) -> Part | None:
        """The next part; None if there is none, or one of the events is set."""
        with self._changed:
            while not any(stop.is_set() for stop in stops):
                part = self._next()
                if part is not None:
                    self._under_way += not part.is_single
                    return part
                if not self._under_way:
                    return None
                # What a batch leaves out is still to come.
                self._changed.wait(_LOOK_UP_SECONDS)
        return None

    def _next(self) -> Part | None:
        if self._returned:
            part = self._returned.popleft()
            if len(part.task_ids) > self._batches.size:
                first, *others = slices(part.task_ids, self._batches.size)
                self._returned.extendleft(reversed(others))
                return first
            return part
        task_ids = tuple(islice(self._task_ids, self._batches.size))
        return Part(task_ids) if task_ids else None

    def give_back(self, parts: Iterable[Part]) -> None:
        """A batch is over, and this is what it did not settle."""
        with self._changed:
            self._under_way -= 1
            self._returned.extend(parts)
            self._changed.notify_all()
