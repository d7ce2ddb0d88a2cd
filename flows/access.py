"""The gateway that the batches of one process share: one client, one throttle, one stop."""

from __future__ import annotations

import re
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from connector.config.origin import Place
from connector.errors import SettingsError
from connector.metrics.meters import open_metrics
from connector.run.resources import open_client
from connector.settings import load
from flows import dask_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.gateway.client import Client
    from connector.metrics.meters import Meters
    from connector.run.run import Run
    from connector.settings import Settings

# Default name of the Secret block.
KEY_BLOCK: Final = "luma-api-key"

_LIKE_A_KEY = re.compile("[0-9a-fA-F]{8}|[0-9a-zA-Z_]{20}")

_LOOK_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """How a batch reaches its gateway in any process: plain values, without the key.

    Attributes:
        run_id: Batches of one run share a client.
        settings: The run's settings without the key.
        key_block: Name of the Secret block with the key; None reads it from the environment.
        proof: A task that the gateway has given a generation for before.
        is_apart: Whether each batch has its own client, with a share of the limits.
    """

    run_id: str
    settings: Settings
    key_block: str | None
    proof: str | None = None
    is_apart: bool = False

    def asking_for(self, ids_per_request: int) -> Access:
        """Return the same for a gateway that takes no more than this many task IDs at once."""
        if ids_per_request >= self.settings.ids_per_request:
            return self
        found = {"ids_per_request": ids_per_request}
        return replace(self, settings=self.settings.model_copy(update=found))

    def share(self, batches: int) -> Access:
        """Return the access of one of several separate batches: an equal share of the limits."""
        settings = self.settings
        rate = settings.requests_per_second
        ceilings = {
            "max_concurrency": max(1, settings.max_concurrency // batches),
            "requests_per_second": rate and rate / batches,
        }
        return replace(self, settings=settings.model_copy(update=ceilings), is_apart=True)


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the batches share.

    Attributes:
        client: The gateway's client.
        stop: Set when going on is pointless: all batches then end within seconds.
    """

    client: Client
    stop: threading.Event = field(default_factory=threading.Event)


# Module-level: tasks in the same process share nothing else.
_shared: dict[str, Gateway] = {}
_sharing = threading.Lock()


@contextmanager
def share_gateway(access: Access, run: Run) -> Iterator[Gateway]:
    """Share a run's gateway for the block.

    Raises:
        SettingsError: The key is missing, or the key or the base URL cannot be used.
    """
    try:
        with _sharing:
            _shared[access.run_id] = _open(access, run.meters, run.watcher.stop)
        yield _shared[access.run_id]
    finally:
        with _sharing:
            gateway = _shared.pop(access.run_id, None)
        if gateway:
            gateway.client.close()


@contextmanager
def batch_gateway(access: Access) -> Iterator[Gateway]:
    """Open the gateway of a batch: shared within its process, or its own.

    Raises:
        SettingsError: As for `share_gateway`.
    """
    if not access.is_apart:
        yield shared_gateway(access)
        return
    # The flow writes the metrics of the run.
    with open_metrics(metrics_file=None) as meters:
        gateway = _open(access, meters)
        with closing(gateway.client), following(dask_cluster.stop_of(access.run_id), gateway.stop):
            rate = access.settings.requests_per_second
            if rate:
                # The batch before may just have sent its last request.
                gateway.stop.wait(1 / rate)
            yield gateway


@contextmanager
def following(stop_of_run: Any, stop: threading.Event) -> Iterator[None]:
    """Set `stop` when the run's is set, or when the cluster no longer answers."""
    done = threading.Event()

    def follow() -> None:
        while not done.wait(_LOOK_UP_SECONDS):
            try:
                is_set = stop_of_run.is_set()
            except Exception:  # noqa: BLE001  any error means that this worker is cut off
                is_set = True
            if is_set:
                stop.set()
                return

    following_thread = threading.Thread(target=follow, daemon=True)
    following_thread.start()
    try:
        yield
    finally:
        done.set()
        following_thread.join()


def shared_gateway(access: Access) -> Gateway:
    """Return the gateway that this process shares; the first call opens it.

    Raises:
        SettingsError: As for `share_gateway`.
    """
    with _sharing:
        if access.run_id not in _shared:
            _shared[access.run_id] = _open(access)
        return _shared[access.run_id]


def _open(
    access: Access, meters: Meters | None = None, stop: threading.Event | None = None
) -> Gateway:
    found = load_with_key(access.key_block, key_variable=access.settings.key_variable)
    settings = access.settings.model_copy(update={"key": found.key})
    place = key_place(found, access.key_block)
    client = open_client(settings, meters, proof=access.proof, key_place=place)
    return Gateway(client, stop or threading.Event())


def key_in_block(block: str | None) -> SecretStr | None:
    """The key in a Secret block.

    Args:
        block: Name of the block; None or "" for none. It must exist, unless it is the default one.

    Raises:
        SettingsError: There is no such block, or it holds no text.
    """
    return _key_in(block) if block else None


def load_with_key(block: str | None, **given: Any) -> Settings:
    """Settings with the key of the Secret block, else of the environment or `.env`.

    Args:
        block: As for `key_in_block`.
        given: As for `connector.settings.load`.

    Raises:
        SettingsError: There is no key, or a setting makes no sense.
    """
    settings = load(**given, key=key_in_block(block))
    if settings.key is None:
        raise SettingsError(
            f"no key: create a Prefect Secret block named {block or KEY_BLOCK!r}, or set"
            f" {settings.key_variable} in the environment or in .env"
        )
    return settings


def key_place(settings: Settings, block: str | None) -> str | None:
    """Where the key of `load_with_key` is, if it is in the Secret block."""
    is_in_block = settings.origin("key").place is Place.ARGUMENT
    return f"the Secret block {block!r}" if is_in_block else None


def _key_in(block: str) -> SecretStr | None:
    try:
        # Not `Secret.load`, which costs 0.1 s more, nor a secret's `get`, which reads JSON: a key
        # of digits would become a number.
        with get_client(sync_client=True) as client:
            value = client.read_block_document_by_name(block, "secret").data["value"]
    except ObjectNotFound:
        if block == KEY_BLOCK:
            return None
        # Perhaps it is the key itself, which belongs in no log.
        shown = "as the parameter key_block says" if _LIKE_A_KEY.search(block) else repr(block)
        raise SettingsError(
            f"there is no Prefect Secret block named {shown}: create it, or correct key_block"
        ) from None
    if not isinstance(value, str):
        raise SettingsError(
            f"the Secret block {block!r} does not contain text: save the key as a string"
        )
    return SecretStr(value)
