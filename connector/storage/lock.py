"""The lock of a warehouse in a folder: one writer at a time."""

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
    """Hold the lock of a warehouse folder, which is created if missing.

    Waits `timeout` seconds for another writer to end.

    The kernel keeps the lock, and frees it however its owner ends.

    Raises:
        WarehouseLocked: Another writer still has it; the message names it.
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
        raise WarehouseError(f"cannot write to {root}: {_reason(root, error)}") from error
    try:
        yield
    finally:
        lock.release()


def _reason(root: Path, error: OSError) -> str:
    for folder in (root, *root.parents):
        if folder.is_symlink() and not folder.exists():
            return f"{folder} is a link to {folder.readlink()}, which does not exist"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "it is a file, not a folder"
    return error.strerror or str(error)


def _owner(root: Path) -> object:
    try:
        return json.loads((root / OWNER_FILE).read_text())
    except (OSError, ValueError):
        return None
