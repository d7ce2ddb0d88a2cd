"""The gateway as the batches of one process share it: one client, one throttle, one stop."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from prefect.blocks.system import Secret
from pydantic import SecretStr

from connector.errors import SettingsError
from connector.pipeline import open_client
from connector.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.settings import Settings
    from connector.source.client import Client

KEY_BLOCK: Final = "luma-api-key"
"""Name of the Secret block that is looked for if none is named."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a batch comes to its gateway, in whatever process it runs: plain values, and no key.

    Attributes:
        run_id: Batches of one run share a client.
        settings: Without the key.
        key_block: Name of the Secret block with the key; None takes it from the environment.
    """

    run_id: str
    settings: Settings
    key_block: str | None


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the batches share.

    Attributes:
        stop: Set when going on is pointless: all batches then end within seconds.
    """

    client: Client
    stop: threading.Event = field(default_factory=threading.Event)


# Module-level, because a task has nothing else in common with the next task in its process.
_shared: dict[str, Gateway] = {}
_sharing = threading.Lock()


@contextmanager
def opened(access: Access) -> Iterator[Gateway]:
    """Share a gateway for as long as the block lasts.

    Raises:
        SettingsError: There is no key, or it or the base URL cannot be used.
    """
    try:
        yield shared(access)
    finally:
        with _sharing:
            gateway = _shared.pop(access.run_id, None)
        if gateway:
            gateway.client.close()


def shared(access: Access) -> Gateway:
    """The gateway that this process shares; opened by whoever needs it first.

    Raises:
        SettingsError: As for `opened`.
    """
    with _sharing:
        if access.run_id not in _shared:
            key = find_key(access.key_block)
            settings = access.settings.model_copy(update={"key": key})
            _shared[access.run_id] = Gateway(open_client(settings))
        return _shared[access.run_id]


def find_key(block: str | None) -> SecretStr:
    """The key: from the Secret block, else from `LUMAAI_API_KEY` in the environment or `.env`.

    Args:
        block: Its name; None or "" for none. It must exist, unless it is the default one.

    Raises:
        SettingsError: There is none.
    """
    key = _key_in(block) if block else None
    key = key or load().key
    if key is None:
        raise SettingsError(
            f"no key: make a Prefect Secret block named {block or KEY_BLOCK!r}, or set"
            " LUMAAI_API_KEY in the environment or in .env"
        )
    return key


def _key_in(block: str) -> SecretStr | None:
    try:
        loaded = cast("Secret[Any]", Secret.load(block))  # no coroutine: nothing here is async
    except ValueError:
        if block == KEY_BLOCK:
            return None
        raise SettingsError(f"there is no Prefect Secret block named {block!r}") from None
    # Not `loaded.get()`, which reads JSON: a key of digits would become a number.
    value = loaded.value.get_secret_value()
    if not isinstance(value, str):
        raise SettingsError(f"the Secret block {block!r} holds no text: save the key as a string")
    return SecretStr(value)
