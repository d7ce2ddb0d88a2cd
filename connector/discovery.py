"""Task IDs that nobody has to name: what the gateway lists, up to what is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from connector.plan import NOTHING, plan
from connector.source.listing import read_page
from connector.source.task_ids.values import as_text, clean

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from connector.record.answer import Answer
    from connector.source.client import Client
    from connector.source.listing import Page


class Discovery:
    """Reads the list from its newest end until a page has no news, and plans as it goes.

    The list moves while it is read: what is created meanwhile pushes the rest back, so that a
    generation may be on two pages. It counts as a duplicate then.

    Args:
        settled: Task IDs that need no asking.
        limit: No more answers than this many.

    Attributes:
        plan: What was listed so far; `task_ids` are those that an answer is yielded for.
    """

    def __init__(self, settled: pa.ChunkedArray, limit: int | None = None) -> None:
        self.plan = NOTHING
        self._settled = settled
        self._limit = limit
        self._seen: set[str] = set()

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
        offset = 0
        while (page := read_page(client, offset, stop, on_request)) is not None:
            offset += len(page.answers)
            news = self._news(page)
            yield from news
            if page.is_last or not news or self.plan.over_limit:
                return

    def add(self, task_ids: pa.ChunkedArray) -> pa.StringArray:
        """Plan for other task IDs beside the listed ones; return those to ask for."""
        return self._plan(
            [task_id for task_id in task_ids.to_pylist() if task_id not in self._seen]
        )

    def _news(self, page: Page) -> list[Answer]:
        names = clean(as_text(page.task_ids)).to_pylist()
        answers = {
            name: replace(answer, task_id=name)
            for name, answer in zip(names, page.answers, strict=True)
        }
        fresh = [name for name in names if name not in self._seen]
        self.plan += replace(
            NOTHING, given=len(names) - len(fresh), duplicate=len(names) - len(fresh)
        )
        return [answers[name] for name in self._plan(fresh).to_pylist()]

    def _plan(self, names: list[str]) -> pa.StringArray:
        left = None if self._limit is None else self._limit - len(self.plan.task_ids)
        planned = plan([pa.array(names, pa.string())], self._settled, left)
        self._seen.update(names)
        self.plan += planned
        return planned.task_ids
