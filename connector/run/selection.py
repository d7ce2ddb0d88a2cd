"""Which task IDs a user asks for, and what of them is left to fetch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector import task_ids
from connector.errors import SourceError
from connector.gateway import listing
from connector.run.plan import NOTHING, Plan, plan
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from connector.settings import Settings


@dataclass(frozen=True, slots=True)
class Selection:
    """Which task IDs to ask for.

    Attributes:
        sources: Files, globs, `-`, SQLAlchemy URLs, or iterables of task IDs; or `luma:list` alone.
        column: Where the IDs are, if not in a column that is found by itself (docs/task-ids.md).
        query: What to ask a SQLAlchemy URL for.
        limit: Ask for no more than this many.
        refresh: Ask again for finished ones.
        retry_rejected: Ask again for finally rejected and given-up ones.
    """

    sources: Sequence[task_ids.Source]
    column: str | None = None
    query: str | None = None
    limit: int | None = None
    refresh: bool = False
    retry_rejected: bool = False

    @property
    def is_listing(self) -> bool:
        """Whether the gateway says which there are."""
        return listing.SOURCE in (source for source in self.sources if isinstance(source, str))

    @property
    def is_repeated(self) -> bool:
        """Whether it asks again for what is settled."""
        return self.refresh or self.retry_rejected


def make_plan(selection: Selection, settings: Settings, warehouse: Warehouse | None) -> Plan:
    """Decide which task IDs to ask for, given what the warehouse holds; None holds nothing.

    Of a listing nothing is known before it is read: its plan grows with the run.

    Raises:
        SourceError: The task IDs cannot be read, or there are none.
    """
    if selection.is_listing:
        if len(selection.sources) > 1 or selection.column or selection.query:
            raise SourceError(
                f"{listing.SOURCE} stands alone: no other source, column or query goes with it"
            )
        return NOTHING
    values = task_ids.read(selection.sources, column=selection.column, query=selection.query)
    settled = warehouse and settled_in(warehouse, selection, settings)
    return plan(values, settled, selection.limit)


def settled_in(warehouse: Warehouse, selection: Selection, settings: Settings) -> pa.ChunkedArray:
    """Task IDs that a selection need not ask for."""
    return warehouse.settled(
        base_url=settings.base_url,
        refresh=selection.refresh,
        retry_rejected=selection.retry_rejected,
        give_up_after=settings.give_up_after,
    )


def preview(selection: Selection, settings: Settings) -> Plan:
    """Plan a run, asking and changing nothing.

    Raises:
        UsageError: The task IDs or the warehouse cannot be read.
    """
    if selection.is_listing:
        raise SourceError(f"only the gateway knows {listing.SOURCE}: leave out --dry-run")
    has_warehouse = Warehouse.exists(settings.warehouse)
    warehouse = Warehouse.existing(settings.warehouse) if has_warehouse else None
    return make_plan(selection, settings, warehouse)
