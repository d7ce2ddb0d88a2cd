"""One run at a time per warehouse, across machines, by a global concurrency limit.

This comes on top of the warehouse's own lock: it also holds where a lock in the storage cannot (a
shared file system), and lets runs queue where Prefect shows it.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import copy_context
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.responses import ConcurrencyLimitWithLeaseResponse
from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError

from connector.errors import WarehouseLocked
from connector.words import at_most

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

# How long a turn outlives a killed process; the server accepts no less.
LEASE_SECONDS: Final = 60.0

_RENEW_SECONDS: Final = LEASE_SECONDS / 3

_LOOK_UP_SECONDS: Final = 2.0


@contextmanager
def turn(warehouse: str | Path, timeout: float) -> Iterator[None]:
    """Be the only flow run that writes to a warehouse; wait for another one to end.

    Not by `prefect.concurrency`, whose two threads and two events cost 0.15 s of CPU time, a
    quarter of a run that finds nothing new, and whose time-out logs a traceback.

    Args:
        warehouse: Its address, which must be the same on all machines.
        timeout: Seconds to wait.

    Raises:
        WarehouseLocked: Another flow run still writes to it.
    """
    with get_client(sync_client=True) as client:
        lease = _await(client, warehouse, timeout)
        ended = threading.Event()
        renewing = threading.Thread(
            target=copy_context().run, args=(_renew, client, lease, ended), daemon=True
        )
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            client.release_concurrency_slots_with_lease(lease)


def _await(client: SyncPrefectClient, warehouse: str | Path, timeout: float) -> UUID:
    """Take the slot as soon as it is free."""
    name, end = limit_name(warehouse), time.monotonic() + timeout
    if lease := _take(client, name):
        return lease
    if timeout > 0:
        text = "another run is writing to %s: waiting for %s at most"
        get_run_logger().info(text, warehouse, at_most(timeout))
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_UP_SECONDS))
            if lease := _take(client, name):
                get_run_logger().info("it has ended: continuing")
                return lease
    raise WarehouseLocked(
        f"another flow run is writing to {warehouse}; the next run does this one's work. To wait"
        " for it, set the parameter lock_timeout. If there is no such run, a restart of the server"
        f" has left the slot taken: prefect gcl update '{name}' --active-slots 0"
    )


def _take(client: SyncPrefectClient, name: str) -> UUID | None:
    """Take the slot if it is free. A limit that is missing is made; a user's changes stay."""
    try:
        taken = _occupy(client, name)
        if not taken.limits:
            limit = GlobalConcurrencyLimitCreate(name=name, limit=1)
            with suppress(ObjectAlreadyExists):  # another run has just made it
                client.create_global_concurrency_limit(limit)
            taken = _occupy(client, name)
    except PrefectHTTPStatusError as error:
        if error.response.status_code == HTTPStatus.LOCKED or _allows_none(client, name):
            return None
        raise
    return taken.lease_id


def _occupy(client: SyncPrefectClient, name: str) -> ConcurrencyLimitWithLeaseResponse:
    answer = client.increment_concurrency_slots_with_lease([name], 1, "concurrency", LEASE_SECONDS)
    return ConcurrencyLimitWithLeaseResponse.model_validate(answer.json())


def _allows_none(client: SyncPrefectClient, name: str) -> bool:
    """Whether the limit is 0, by which a user stops all runs: the server fails to divide by it."""
    return client.read_global_concurrency_limit_by_name(name).limit == 0


def _renew(client: SyncPrefectClient, lease: UUID, ended: threading.Event) -> None:
    """Keep the slot until the run has ended."""
    is_known = True
    while not ended.wait(_RENEW_SECONDS):
        try:
            client.renew_concurrency_lease(lease, LEASE_SECONDS)
        except Exception as error:  # noqa: BLE001  the run goes on, whatever Prefect's client raises
            if is_known and not ended.is_set():
                get_run_logger().warning(
                    "Prefect's server did not renew this run's turn: %s. Should another run start,"
                    " it finds the warehouse locked.",
                    error,
                )
            is_known = False


def limit_name(warehouse: str | Path) -> str:
    """Name the limit of a warehouse, without characters that Prefect does not accept."""
    return "writes to " + re.sub(r"[/%&<>?#\x00-\x1f\x7f]+", ":", in_full(warehouse)).strip(":")


def in_full(warehouse: str | Path) -> str:
    """Return a warehouse's address as a URL or an absolute path."""
    address = str(warehouse)
    return address if "://" in address else str(Path(address).resolve())
