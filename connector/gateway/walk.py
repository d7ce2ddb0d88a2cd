"""Reads the gateway's list of generations, newest first, while the list changes.

A new generation pushes the others back, so that a page repeats some. A deletion pulls the others
forward, past the start of the next page, so that a page misses some. So each page is requested to
start with the last generation of the page before. If it does not, earlier pages are read again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connector.errors import GatewayDown
from connector.gateway.listing import PAGE, PageRefused, read_page

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from connector.gateway.client import Client
    from connector.gateway.listing import Page
    from connector.record.answer import Answer

logger = logging.getLogger(__name__)

# Smaller pages do not overlap: a gateway that sends them has a short list.
OVERLAP_FROM: Final = 10

# Consecutive pages without a new ID: this many new generations between requests are unlikely.
REPEATS: Final = 3

# A list that forces more steps back has no reliable order.
STEPS_BACK: Final = 100


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a walk that one page adds.

    Attributes:
        names: Task IDs as text; "" where an item has none.
        answers: One for each of `names`; None where the item is not a generation.
        fresh: Those of `names` that no earlier stretch had.
        is_top: Whether it is the first page, perhaps read again.
        is_joined: Whether nothing can be missing since the last joined stretch.
    """

    names: list[str]
    answers: list[Answer | None]
    fresh: list[str]
    is_top: bool
    is_joined: bool


class Walk:
    """One reading of the list.

    Args:
        client: The gateway's client.
        stop: When set, the walk ends.
        on_request: Called with the number of attempts for each page.
        as_names: Converts the IDs of a page, of any type, to comparable text: one for each, ""
            where an item has none.

    Attributes:
        seen: Task IDs of all stretches so far.
        newest: Task IDs of the first page, as last read.
        is_at_end: Whether the whole list was read.
        is_newest_first: Whether the times of creation agree with that, or are missing.
        broken: Why the list cannot be read to its end, if it repeats itself.
    """

    def __init__(
        self,
        client: Client,
        stop: threading.Event,
        on_request: Callable[[int], None],
        as_names: Callable[[list[object]], list[str]],
    ) -> None:
        self.seen: set[str] = set()
        self.newest: list[str] = []
        self.is_at_end = False
        self.is_newest_first = True
        self.broken: GatewayDown | None = None
        self._client = client
        self._stop = stop
        self._on_request = on_request
        self._as_names = as_names
        self._offset = self._deepest = 0
        self._joined: set[str] = set()
        self._joint: str | None = None
        self._overlaps: bool | None = None
        self._is_stepping_back = False
        self._steps_back = self._repeats = 0
        self._before: list[str] = []
        self._loose: list[str] = []
        self._first_created_at: datetime | None = None

    def stretches(self) -> Iterator[Stretch]:
        """Yield what each page adds, until the end, `stop`, or a list that only repeats.

        Raises:
            SourceError: The gateway has no list.
            RunStopped: The list cannot be read further.
        """
        page = self._read(is_first=True)
        while page and not self.is_at_end:
            names = self._as_names(page.task_ids)
            if not self._is_page_again(names):
                stretch = self._stretch(names, page)
                yield stretch
                if stretch.is_joined and self._is_end(names, page):
                    self._end(page)
                elif not self._turn(names, page, stretch):
                    return
            elif len(names) > PAGE:
                self._end(page)  # it ignores the limit too: this is the whole list
            else:
                self._count_in_pages()
            page = None if self.broken or self.is_at_end else self._read()

    def _read(self, *, is_first: bool = False) -> Page | None:
        try:
            return read_page(
                self._client, self._offset, self._stop, self._on_request, is_first=is_first
            )
        except PageRefused:
            if self._joint is None or self._overlaps:
                raise
        self._count_in_pages()
        return self._read()

    def _is_page_again(self, names: list[str]) -> bool:
        """Whether a page further down is identical to the one before it."""
        before, self._before = self._before, names
        return self._offset > self._deepest and any(names) and names == before

    def _count_in_pages(self) -> None:
        """Continue without overlaps: the gateway may accept only offsets of whole pages."""
        if self._joint is None:
            self._give_up()
        self._overlaps, self._joint = False, None
        self._offset += 1

    def _is_joined(self, names: list[str]) -> bool:
        """Whether a page begins within the joined part, so that nothing was skipped."""
        if self._steps_back > STEPS_BACK:
            return False
        if self._offset == 0 or (self._joint is None and not self._is_stepping_back):
            return True
        return next(filter(None, names), None) in self._joined

    def _stretch(self, names: list[str], page: Page) -> Stretch:
        """A page without the overlap that was requested on purpose."""
        is_joined, answers = self._is_joined(names), page.answers
        if self._offset == 0:
            self.newest = [name for name in names if name]
            self._first_created_at = page.first_created_at
            self._joined.clear()
        if is_joined:
            self._joined.update(filter(None, names))
        if self._joint in names:
            self._overlaps = True
            at = names.index(self._joint)
            names, answers = names[:at] + names[at + 1 :], answers[:at] + answers[at + 1 :]
        fresh = [name for name in names if name not in self.seen]
        self.seen.update(filter(None, fresh))
        return Stretch(names, answers, fresh, self._offset == 0, is_joined)

    def _is_end(self, names: list[str], page: Page) -> bool:
        """Whether a page is the last; "no more" on a full page is verified where that is cheap."""
        if page.is_last:
            return len(names) < PAGE or not self._can_overlap(names)
        return names == [self._joint]

    def _can_overlap(self, names: list[str]) -> bool:
        return self._overlaps is not False and len(names) >= OVERLAP_FROM and bool(names[-1])

    def _end(self, page: Page) -> None:
        first, last = self._first_created_at, page.last_created_at
        self.is_newest_first = first is None or last is None or first >= last
        self.is_at_end = True

    def _turn(self, names: list[str], page: Page, stretch: Stretch) -> bool:
        """Find the page to read next; False if there is none."""
        if not stretch.is_joined and not self._rounds_up(names):
            if self._step_back():
                return True
            if page.is_last:
                return False
        self._go_on(names, repeats=not any(stretch.fresh))
        return True

    def _rounds_up(self, names: list[str]) -> bool:
        """Whether the gateway rounded the offset up to the next whole page, twice now."""
        if self._joint is None or self._overlaps is not None:
            return False
        before, self._loose = self._loose, names
        if names != before:
            return False
        self._overlaps, self._joint = False, None
        self._offset += 1
        return True

    def _step_back(self) -> bool:
        """Turn to an earlier page; False after too many such steps."""
        self._steps_back += 1
        if self._steps_back > STEPS_BACK:
            if self._steps_back == STEPS_BACK + 1:
                logger.warning(
                    "The list of generations changes its order while it is read: the next run"
                    " reads all of it again."
                )
            return False
        self._deepest = max(self._deepest, self._offset)
        self._offset = max(0, self._offset - PAGE + 1)
        self._joint, self._is_stepping_back = None, True
        return True

    def _go_on(self, names: list[str], *, repeats: bool) -> None:
        """Turn to the next page, unless the pages only repeat."""
        if self._offset > self._deepest:
            self._repeats = self._repeats + 1 if repeats else 0
        self._deepest = max(self._deepest, self._offset)
        self._is_stepping_back = False
        overlaps = self._can_overlap(names)
        self._joint = names[-1] if overlaps else None
        self._offset += len(names) - overlaps
        if self._repeats >= REPEATS:
            self._give_up()

    def _give_up(self) -> None:
        self.broken = GatewayDown(
            f"the list of generations cannot be read to its end: from item {self._offset + 1:,} on,"
            " the gateway repeats what it has listed, as if it ignored `offset`. What was fetched"
            " is kept; fetch the rest by task ID, from a file."
        )
