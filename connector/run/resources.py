"""The resources of a run: the warehouse, opened to write, and a client.

What talks to a gateway is imported with the first client: a run that finds nothing new needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.gateway.credentials import checked_base_url, checked_key
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from connector.gateway.client import Client
    from connector.metrics.meters import Meters
    from connector.run.selection import Given
    from connector.settings import Settings


def open_warehouse(settings: Settings, given: Given) -> AbstractContextManager[Warehouse]:
    """Open the warehouse of the settings as its only writer.

    Raises:
        SourceError: It would be a new one, and no task ID to fill it with can be read.
    """
    if not Warehouse.exists(settings.warehouse):
        given.begin()
    return Warehouse.writing(settings.warehouse, settings.partition_by, settings.lock_timeout)


def check_access(settings: Settings, key_place: str | None = None) -> None:
    """Check, without a client, that the key and the base URL can be used.

    Args:
        settings: Settings with a key.
        key_place: As for `open_client`.

    Raises:
        SettingsError: One of them cannot.
    """
    checked_key(settings.ready(), key_place or settings.key_variable)
    checked_base_url(settings.base_url)


def open_client(
    settings: Settings,
    meters: Meters | None = None,
    *,
    proof: str | None = None,
    key_place: str | None = None,
) -> Client:
    """Create a client for the gateway of the settings; it does not connect yet.

    Args:
        settings: Settings with a key.
        meters: Count each attempt.
        proof: A task that the gateway has given a generation for before.
        key_place: Where a person sets the key, if not in a variable.

    Raises:
        SettingsError: The key or the base URL cannot be used.
    """
    from connector.gateway.client import Client  # noqa: PLC0415  see above
    from connector.gateway.client_settings import ClientSettings  # noqa: PLC0415  see above
    from connector.gateway.pace.throttle import Throttle  # noqa: PLC0415  see above

    throttle = Throttle(settings.max_concurrency, settings.requests_per_second)
    if meters:
        meters.watch_in_flight(lambda: throttle.state().in_flight)
    client = Client(
        ClientSettings(
            base_url=settings.base_url,
            key=settings.ready(),
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            total_timeout=settings.total_timeout,
            max_body_bytes=settings.max_body_bytes,
            max_attempts=settings.max_attempts,
            max_wait=settings.max_wait,
            max_connections=settings.max_concurrency,
            ids_per_request=settings.ids_per_request,
            api=settings.api,
            key_place=key_place or settings.key_variable,
        ),
        throttle,
        on_attempt=meters.count_attempt if meters else None,
    )
    if proof is not None:
        client.trust(proof)
    return client
