"""One writer a warehouse."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from connector.errors import WarehouseError, WarehouseLocked
from connector.storage.owner import locked_message, this_process

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
        (root / OWNER_FILE).write_text(json.dumps(this_process()))
    except Timeout:
        raise WarehouseLocked(locked_message(root, _owner(root))) from None
    except OSError as error:
        raise WarehouseError(f"cannot write to {root}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _owner(root: Path) -> object:
    try:
        return json.loads((root / OWNER_FILE).read_text())
    except (OSError, ValueError):
        return None
