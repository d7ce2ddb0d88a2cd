"""Which task IDs a user selects, and which of them a run must request."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from connector import task_ids
from connector.errors import SettingsError, SourceError
from connector.gateway.apis import LISTING
from connector.run.plan import NOTHING, Plan, plan
from connector.warehouse.warehouse import Warehouse

# The largest limit: beyond it, numbers of Arrow overflow.
MOST: Final = 10**12

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from connector.record.kept import Values
    from connector.settings import Settings
    from connector.task_ids.kept import Take


@dataclass(frozen=True, slots=True)
class Selection:
    """Which task IDs to request.

    Attributes:
        sources: Files, globs, `-`, SQLAlchemy URLs, or iterables of task IDs; or `luma:list` alone.
        column: Column of the IDs, if its name is not a usual one (docs/task-ids.md).
        query: SQL for a SQLAlchemy URL.
        limit: Most task IDs to request; None for all.
        refresh: Request finished ones again.
        retry_rejected: Request finally rejected and given-up ones again.
    """

    sources: Sequence[task_ids.Source]
    column: str | None = None
    query: str | None = None
    limit: int | None = None
    refresh: bool = False
    retry_rejected: bool = False

    def __post_init__(self) -> None:
        """Refuse a limit that makes no sense.

        Raises:
            SettingsError: It is not a whole number from 1 on.
        """
        limit = self.limit
        if limit is None:
            return
        if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MOST:
            raise SettingsError(f"limit must be a whole number from 1 to {MOST:,}, not {limit!r}")

    @property
    def is_listing(self) -> bool:
        """Whether the gateway's list is the source."""
        return LISTING in (source for source in self.sources if isinstance(source, str))

    def open(self, settings: Settings) -> Given:
        """Find the sources, before anything is written; none is read yet.

        Raises:
            SourceError: One is missing, or they do not go together.
        """
        if self.is_listing:
            self._check_listing(settings)
        return Given(self, settings)

    def _check_listing(self, settings: Settings) -> None:
        if len(self.sources) > 1 or self.column or self.query:
            raise SourceError(f"{LISTING} must be the only source, without a column or a query")
        if settings.api == "agents":
            raise SourceError(
                f"{LISTING}: the agents API has no list of generations: name task IDs, or a"
                " file of them"
            )
        if settings.keep:
            raise SourceError(f"{LISTING} has no columns to keep: leave out `keep` and LUMA_KEEP")


class Given:
    """The task IDs that the sources of a selection give, and the columns to keep with them.

    Each source is found, and read, once.
    """

    def __init__(self, selection: Selection, settings: Settings) -> None:
        self.selection = selection
        self._take: Take | None = None
        self._early: list[tuple[str, pa.Array, Mapping[str, Values], bool]] = []
        self._chunks: Iterator[pa.StringArray] = iter(())
        if not selection.is_listing:
            self._chunks = task_ids.read(
                selection.sources,
                column=selection.column,
                query=selection.query,
                keep=settings.keep,
                take=self._receive,
            )

    def begin(self) -> None:
        """Read as far as the first task ID.

        Raises:
            SourceError: That is not possible, or there is none.
        """
        begun = []
        for chunk in self._chunks:
            begun.append(chunk)
            if pc.any(pc.not_equal(chunk, "")).as_py():
                break
        self._chunks = chain(begun, self._chunks)

    def chunks(self, take: Take) -> Iterator[pa.StringArray]:
        """The task IDs, as `task_ids.read` yields them; `take` receives the columns to keep."""
        self._take = take
        for where, ids, columns, has_types in self._early:
            take(where, ids, columns, has_types=has_types)
        return self._chunks

    def _receive(
        self, where: str, task_ids: pa.Array, columns: Mapping[str, Values], *, has_types: bool
    ) -> None:
        if self._take:
            self._take(where, task_ids, columns, has_types=has_types)
        else:
            self._early.append((where, task_ids, columns, has_types))


def make_plan(given: Given, settings: Settings, warehouse: Warehouse | None, take: Take) -> Plan:
    """Decide which task IDs to request, given what the warehouse holds; None holds nothing.

    `take` receives the columns to keep.

    A listing is not known before it is read: its plan grows with the run.

    Raises:
        SourceError: The task IDs cannot be read, or there are none.
    """
    selection = given.selection
    if selection.is_listing:
        return NOTHING
    settled = warehouse and settled_in(warehouse, selection, settings)
    given_up = warehouse and given_up_in(warehouse, selection, settings)
    is_forgotten = warehouse.forgotten().mask if warehouse else None
    return plan(given.chunks(take), settled, selection.limit, given_up, is_forgotten)


def settled_in(warehouse: Warehouse, selection: Selection, settings: Settings) -> pa.ChunkedArray:
    """Task IDs that a selection need not request."""
    return warehouse.settled(
        base_url=settings.base_url,
        refresh=selection.refresh,
        retry_rejected=selection.retry_rejected,
        give_up_after=settings.give_up_after,
    )


def given_up_in(
    warehouse: Warehouse, selection: Selection, settings: Settings
) -> pa.ChunkedArray | None:
    """Those of `settled_in` that are given up; None if a selection requests them again."""
    return None if selection.retry_rejected else warehouse.given_up(settings.give_up_after)


def preview(selection: Selection, settings: Settings) -> Plan:
    """Plan a run without a request or a change.

    Raises:
        UsageError: The task IDs or the warehouse cannot be read.
    """
    given = selection.open(settings)
    if selection.is_listing:
        raise SourceError(f"only the gateway knows {LISTING}: leave out --dry-run")
    has_warehouse = Warehouse.exists(settings.warehouse)
    warehouse = Warehouse.existing(settings.warehouse) if has_warehouse else None
    return make_plan(given, settings, warehouse, lambda *_, **__: None)
