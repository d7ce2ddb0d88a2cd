"""Clients for tests: quick to give up, and free of any throttle."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from conftest import KEY
from pydantic import SecretStr

from connector.gateway.client import Client
from connector.gateway.client_settings import ClientSettings
from connector.settings import load

if TYPE_CHECKING:
    from connector.gateway.pace.throttle import Sample
    from connector.record.answer import Answer


DEFAULTS = load()


class OpenThrottle:
    """Lets everything through, and keeps what it is told."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def acquire(self, stop: threading.Event) -> bool:
        """Never wait."""
        return not stop.is_set()

    def begin(self) -> str:
        """Never wait."""
        return "a request"

    def end(self, _request: str, sample: Sample) -> None:
        """Keep it."""
        self.samples.append(sample)

    def release(self, sample: Sample) -> None:
        """Keep it."""
        self.samples.append(sample)

    def pass_on(self) -> None:
        """Nobody waits."""


def make_client(base_url: str, throttle: Any = None, **changes: Any) -> Client:
    """A client whose clocks may be given along with its settings."""
    clocks = {name: changes.pop(name) for name in ("clock", "now", "draw") if name in changes}
    settings: dict[str, Any] = {
        "base_url": base_url,
        "key": SecretStr(KEY),
        "connect_timeout": 5.0,
        "read_timeout": 5.0,
        "total_timeout": 10.0,
        "max_body_bytes": DEFAULTS.max_body_bytes,
        "max_wait": DEFAULTS.max_wait,
        "max_connections": DEFAULTS.max_concurrency,
        "max_attempts": 2,
        "backoff_base": 0.001,
        **changes,
    }
    return Client(ClientSettings(**settings), throttle or OpenThrottle(), **clocks)


def ask(base_url: str, task_id: str = "a", **changes: Any) -> Answer:
    """What comes of one task ID, asked for by a client of its own."""
    with make_client(base_url, **changes) as client:
        answer = client.fetch(task_id, threading.Event())
    assert answer is not None
    return answer
