"""One writer a warehouse."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from connector.errors import WarehouseError, WarehouseLocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_FILE: Final = ".lock"
OWNER_FILE: Final = ".lock-owner.json"


@contextlib.contextmanager
def writer_lock(root: Path, timeout: float) -> Iterator[None]:
    """Hold the lock of a warehouse folder, making the folder if need be.

    The kernel keeps the lock and frees it when its owner dies, however that happens.

    Args:
        root: The folder.
        timeout: Seconds to wait for another writer to end.

    Raises:
        WarehouseLocked: Another writer still has it; the message names who.
        WarehouseError: The folder cannot be written.
    """
    lock = FileLock(root / LOCK_FILE, timeout=timeout)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        (root / OWNER_FILE).write_text(json.dumps(_me()))
    except Timeout:
        raise WarehouseLocked(
            f"another run is writing to {root} ({_owner(root)}): wait for it, or let this one wait"
            " with --lock-timeout SECONDS"
        ) from None
    except OSError as error:
        raise WarehouseError(f"cannot write to {root}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _me() -> dict[str, object]:
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "started_at": started_at}


def _owner(root: Path) -> str:
    try:
        owner = json.loads((root / OWNER_FILE).read_text())
        return f"host {owner['host']}, process {owner['pid']}, since {owner['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "owner unknown"
