"""One run at a time per warehouse, across machines, by a global concurrency limit.

This comes on top of the warehouse's own lock: it also holds where a lock in the storage cannot (a
shared file system), and lets runs queue where Prefect shows it.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from connector.errors import WarehouseLocked
from connector.words import at_most

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from prefect.client.orchestration import SyncPrefectClient

# How long a turn outlives a killed process; the server accepts no less.
LEASE_SECONDS: Final = 60.0

# Time in which a busy server hands out a free slot.
ANSWER_SECONDS: Final = 30.0

_LOOK_UP_SECONDS: Final = 2.0


@contextmanager
def turn(warehouse: str | Path, timeout: float) -> Iterator[None]:
    """Be the only flow run that writes to a warehouse; wait for another one to end.

    Args:
        warehouse: Its address, which must be the same on all machines.
        timeout: Seconds to wait.

    Raises:
        WarehouseLocked: Another flow run still writes to it.
    """
    name, end = limit_name(warehouse), time.monotonic() + timeout
    with ExitStack() as held:
        try:
            _await(name, warehouse, end)
            held.enter_context(_slot(name, end))
        except TimeoutError:
            raise WarehouseLocked(
                f"another flow run is writing to {warehouse}; the next run does this one's work. To"
                " wait for it, set the parameter lock_timeout. If there is no such run, a restart"
                " of the server has left the slot taken:"
                f" prefect gcl update '{name}' --active-slots 0"
            ) from None
        yield


def _await(name: str, warehouse: str | Path, end: float) -> None:
    """Wait until the slot looks free. Prefect's own wait logs a traceback at its timeout."""
    with get_client(sync_client=True) as client:
        _make_limit(client, name)
        if not _is_taken(client, name):
            return
        if (seconds := end - time.monotonic()) <= 0:
            raise TimeoutError
        text = "another run is writing to %s: waiting for %s at most"
        get_run_logger().info(text, warehouse, at_most(seconds))
        while _is_taken(client, name):
            if time.monotonic() >= end:
                raise TimeoutError
            time.sleep(_LOOK_UP_SECONDS)
    get_run_logger().info("it has ended: continuing")


def _slot(name: str, end: float) -> AbstractContextManager[None]:
    return concurrency(
        name,
        timeout_seconds=max(ANSWER_SECONDS, end - time.monotonic()),
        lease_duration=LEASE_SECONDS,
        # The warehouse's own lock still holds, so a run survives a restart of the server.
        raise_on_lease_renewal_failure=False,
    )


def limit_name(warehouse: str | Path) -> str:
    """Name the limit of a warehouse, without characters that Prefect does not accept."""
    return "writes to " + re.sub(r"[/%&<>?#\x00-\x1f\x7f]+", ":", in_full(warehouse)).strip(":")


def in_full(warehouse: str | Path) -> str:
    """Return a warehouse's address as a URL or an absolute path."""
    address = str(warehouse)
    return address if "://" in address else str(Path(address).resolve())


def _make_limit(client: SyncPrefectClient, name: str) -> None:
    """Create the limit if it is missing; a user's changes to it stay."""
    try:
        client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        limit = GlobalConcurrencyLimitCreate(name=name, limit=1)
        with suppress(ObjectAlreadyExists):  # another run has just created it
            client.create_global_concurrency_limit(limit)


def _is_taken(client: SyncPrefectClient, name: str) -> bool:
    limit = client.read_global_concurrency_limit_by_name(name)
    return limit.active and limit.active_slots >= limit.limit
