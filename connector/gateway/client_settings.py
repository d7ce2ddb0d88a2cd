"""What a client needs to know about one gateway, and the connections that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connector.gateway.batch import body_bytes
from connector.gateway.bounds import Bounds
from connector.gateway.transport import Transport
from connector.version import VERSION

if TYPE_CHECKING:
    from pydantic import SecretStr

    from connector.gateway.room import Room


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """How to ask one gateway.

    Attributes:
        base_url: Scheme and host, perhaps with a path in front of `/dream-machine`.
        key: Sent as a bearer token, to this host only.
        connect_timeout: Seconds to connect to one address of the host.
        read_timeout: Seconds without a byte after which an attempt fails.
        total_timeout: Seconds from a request to the end of its answer.
        max_body_bytes: Limit of a decompressed body; a larger one is rejected.
        max_attempts: Attempts at one task ID, the first included.
        backoff_base: Seconds; see `Backoff`.
        backoff_cap: Seconds; see `Backoff`.
        max_wait: A Retry-After of more seconds than this stops the run.
        max_outage: After this many seconds without a good answer, nothing is tried twice any more.
        max_failures_in_row: This many task IDs that fail in a row stop the run; see `Patience`.
        max_downtime: Seconds of that which stop it too.
        max_connections: Kept open for the next request: as many as there are threads.
        ids_per_request: Task IDs to ask for at once, if the gateway takes as many.
        api: `dream-machine` or `agents`.
        key_place: Where a person sets the key, for messages.
        user_agent: As the gateway sees it.
    """

    base_url: str
    key: SecretStr
    connect_timeout: float
    read_timeout: float
    total_timeout: float
    max_body_bytes: int
    max_attempts: int
    backoff_base: float = 0.5
    backoff_cap: float = 30.0
    max_wait: float
    max_outage: float = 60.0
    max_failures_in_row: int = 50
    max_downtime: float = 120.0
    max_connections: int
    ids_per_request: int = 1
    api: str = "dream-machine"
    key_place: str = "LUMAAI_API_KEY"
    user_agent: str = f"luma-to-parquet/{VERSION}"


def open_transports(
    settings: ClientSettings, key: str, room: Room
) -> tuple[Transport, Transport | None]:
    """Connections for single requests, and for requests for many task IDs if those are wanted.

    The latter have their own, whose answers may be as large as those of many requests.
    """
    headers = {
        "Authorization": f"Bearer {key}",
        "Accept": "application/json",
        # The coding that `body` decompresses within a bound.
        "Accept-Encoding": "gzip",
        "User-Agent": settings.user_agent,
    }
    bounds = Bounds(
        connect_seconds=settings.connect_timeout,
        silent_seconds=settings.read_timeout,
        total_seconds=settings.total_timeout,
        body_bytes=settings.max_body_bytes,
        room=room,
    )
    single = Transport(settings.base_url, headers, bounds, settings.max_connections)
    if settings.ids_per_request == 1:
        return single, None
    bounds = replace(bounds, body_bytes=body_bytes(bounds.body_bytes, settings.ids_per_request))
    headers["Content-Type"] = "application/json"
    return single, Transport(settings.base_url, headers, bounds, settings.max_connections)
