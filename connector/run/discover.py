"""Task IDs that nobody has to name: what the gateway lists, down to what a walk has covered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connector.gateway.listing import PAGE
from connector.gateway.walk import Walk
from connector.run.plan import NOTHING, plan
from connector.task_ids import is_valid
from connector.task_ids.values import as_text, clean

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from connector.errors import RunStopped
    from connector.gateway.client import Client
    from connector.gateway.walk import Stretch
    from connector.record.answer import Answer


class Discovery:
    """Reads the list from its newest end, and plans as it goes.

    It is read down to what an earlier walk has covered: to a page from which on everything is known
    and that is not above one of the task IDs that led the list then. That the task IDs of a page
    are known is not enough: they may have come from a file, or from a walk that was cut short and
    left a gap below.

    Args:
        settled: Task IDs that need no asking.
        unfinished: Task IDs that are known, and asked for all the same.
        covered: Task IDs below which all is known; if none is listed, the list is read to its end.
        limit: No more answers than this many.

    Attributes:
        plan: What was listed so far; `task_ids` are those that an answer is yielded for, and those
            that `add` returns.
        newest: The `covered` of the next walk; None if this one is incomplete, or it is the same.
        broken: Why the list cannot be read to its end, if it goes round in circles.
    """

    def __init__(
        self,
        settled: pa.ChunkedArray,
        unfinished: pa.ChunkedArray,
        covered: Iterable[str] = (),
        limit: int | None = None,
    ) -> None:
        self.plan = NOTHING
        self.newest: list[str] | None = None
        self.broken: RunStopped | None = None
        self._settled = settled
        self._unfinished = unfinished
        self._known = frozenset(unfinished.to_pylist())
        self._covered = frozenset(covered)
        self._limit = limit
        self._seen: set[str] = set()
        self._unread: list[str] = []

    def answers(
        self, client: Client, stop: threading.Event, on_request: Callable[[int], None]
    ) -> Iterator[Answer]:
        """Yield an answer for each listed generation that is news.

        Args:
            client: Of the gateway.
            stop: When set, the list is read no further.
            on_request: Told how many attempts each page took.

        Raises:
            SourceError: The gateway has no list.
            RunStopped: It cannot be read on.
        """
        walk = Walk(client, stop, on_request, _as_names)
        self._seen = walk.seen
        is_covered = False
        for stretch in walk.stretches():
            news = self._plan_for(stretch)
            yield from self._read(stretch, news)
            if self.plan.over_limit:
                return
            if stretch.is_joined:
                is_covered = is_covered and not stretch.is_top
                is_covered |= not self._covered.isdisjoint(stretch.names)
                if is_covered and self._known.issuperset(news):
                    self._complete(walk.newest)
                    return
        self.broken = walk.broken
        if walk.is_at_end:
            self._complete(walk.newest if walk.is_newest_first else [])

    def add_others(self) -> pa.StringArray:
        """Plan for what is unfinished and not listed; return all that is yet to be asked for."""
        others = [name for name in self._unfinished.to_pylist() if name not in self._seen]
        return pa.array([*self._unread, *self._plan(others)], pa.string())

    def _complete(self, newest: list[str]) -> None:
        """Take the walk as complete, unless something of it must be asked for first.

        While most of what is noted is still on top, it need not be noted anew: so deletions alone
        change no file.
        """
        newest = list(filter(is_valid, newest))[:PAGE]
        left = self._covered.intersection(newest)
        is_noted = left.issuperset(newest[:1]) and 2 * len(left) > len(self._covered)
        if not self._unread and not is_noted:
            self.newest = newest

    def _plan_for(self, stretch: Stretch) -> list[str]:
        """Plan for what is not a repetition, and count what is."""
        repeated = len(stretch.names) - len(stretch.fresh)
        self.plan += replace(NOTHING, given=repeated, duplicate=repeated)
        return self._plan(stretch.fresh)

    def _read(self, stretch: Stretch, names: list[str]) -> Iterator[Answer]:
        """The answers for some task IDs; what is not to be read there will be asked for."""
        answers = dict(zip(stretch.names, stretch.answers, strict=True))
        for name in names:
            if answer := answers[name]:
                yield replace(answer, task_id=name)
            else:
                self._unread.append(name)

    def _plan(self, names: list[str]) -> list[str]:
        given = pa.array(names, pa.string())
        left = None if self._limit is None else self._limit - len(self.plan.task_ids)
        # The other way round, all that is settled would be hashed for each page.
        settled = self._settled.filter(pc.is_in(self._settled, given))
        planned = plan([given], settled, left)
        self.plan += planned
        task_ids: list[str] = planned.task_ids.to_pylist()
        return task_ids


def _as_names(task_ids: list[object]) -> list[str]:
    names: list[str] = clean(as_text(task_ids)).to_pylist()
    return names
