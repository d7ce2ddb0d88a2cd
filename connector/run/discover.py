"""Discovers task IDs: reads the gateway's list down to what an earlier walk has covered."""

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
    """Reads the list, newest first, and plans page by page.

    It stops at what an earlier walk has covered: at a page without news, at or below one of the
    task IDs that led the list then. A page without news alone is not enough: its task IDs may have
    come from a file, or from a walk that was interrupted and left a gap below.

    Args:
        settled: Task IDs that need no request.
        unfinished: Known task IDs that are requested again.
        covered: Task IDs below which all is known; if none is listed, the list is read to its end.
        limit: Most answers.
        given_up: Those of `settled` that are given up.
        is_forgotten: Tells which task IDs must never be saved again; None for none.

    Attributes:
        plan: The plan so far; `task_ids` are those with a yielded answer, and those that
            `add_others` returns.
        newest: The `covered` of the next walk; None if this one is incomplete or nothing changes.
        broken: Why the list cannot be read to its end, if it repeats itself.
    """

    def __init__(
        self,
        settled: pa.ChunkedArray,
        unfinished: pa.ChunkedArray,
        covered: Iterable[str] = (),
        *,
        limit: int | None = None,
        given_up: pa.ChunkedArray | None = None,
        is_forgotten: Callable[[pa.Array], pa.Array] | None = None,
    ) -> None:
        self.plan = NOTHING
        self.newest: list[str] | None = None
        self.broken: RunStopped | None = None
        self._settled = settled
        self._unfinished = unfinished
        self._known = frozenset(unfinished.to_pylist())
        self._covered = frozenset(covered)
        self._limit = limit
        self._given_up = given_up
        self._is_forgotten = is_forgotten
        self._seen: set[str] = set()
        self._unread: list[str] = []

    def answers(
        self, client: Client, stop: threading.Event, on_request: Callable[[int], None]
    ) -> Iterator[Answer]:
        """Yield an answer for each listed generation that is news.

        Args:
            client: The gateway's client.
            stop: When set, the walk ends.
            on_request: Called with the number of attempts for each page.

        Raises:
            SourceError: The gateway has no list.
            RunStopped: The list cannot be read further.
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
        """Plan the unfinished task IDs that were not listed; return all that remain to request."""
        others = [name for name in self._unfinished.to_pylist() if name not in self._seen]
        return pa.array([*self._unread, *self._plan(others)], pa.string())

    def _complete(self, newest: list[str]) -> None:
        """Take the walk as complete, unless some of it must be requested first.

        While most of `covered` still leads the list, it stays: so deletions alone change no file.
        """
        newest = list(filter(is_valid, newest))[:PAGE]
        left = self._covered.intersection(newest)
        is_noted = left.issuperset(newest[:1]) and 2 * len(left) > len(self._covered)
        if not self._unread and not is_noted:
            self.newest = newest

    def _plan_for(self, stretch: Stretch) -> list[str]:
        """Plan the fresh task IDs, and count the repeated ones."""
        repeated = len(stretch.names) - len(stretch.fresh)
        self.plan += replace(NOTHING, given=repeated, duplicate=repeated)
        return self._plan(stretch.fresh)

    def _read(self, stretch: Stretch, names: list[str]) -> Iterator[Answer]:
        """Yield the answers for some task IDs; note those without one, to be requested."""
        answers = dict(zip(stretch.names, stretch.answers, strict=True))
        for name in names:
            if answer := answers[name]:
                yield answer._replace(task_id=name)
            else:
                self._unread.append(name)

    def _plan(self, names: list[str]) -> list[str]:
        given = pa.array(names, pa.string())
        left = None if self._limit is None else self._limit - len(self.plan.task_ids)
        # Filtered first: `plan` would hash all settled IDs for each page.
        settled = self._settled.filter(pc.is_in(self._settled, given))
        planned = plan([given], settled, left, self._given_up, self._is_forgotten)
        self.plan += planned
        task_ids: list[str] = planned.task_ids.to_pylist()
        return task_ids


def _as_names(task_ids: list[object]) -> list[str]:
    names: list[str] = clean(as_text(task_ids)).to_pylist()
    return names
