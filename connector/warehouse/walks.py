"""How much of each gateway's list the warehouse has.

For each gateway, the newest task IDs of its list at the last complete walk. An interrupted walk
changes nothing here, so that the next one does not stop before it has closed the gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from connector.warehouse.notes import read_note, write_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.storage.storage import Storage

WALKS: Final = "walks.json"
FORMAT: Final = 1
PORTS: Final = {"http": 80, "https": 443}


def read_walk(storage: Storage, base_url: str) -> list[str]:
    """Task IDs below which the warehouse has the whole list; empty if unknown."""
    newest = _read(storage).get(_gateway(base_url))
    return [name for name in newest if isinstance(name, str)] if isinstance(newest, list) else []


def write_walk(storage: Storage, base_url: str, newest: Sequence[str]) -> None:
    """Record a complete walk whose answers are all durable; unchanged IDs change no file.

    Args:
        storage: The warehouse's storage.
        base_url: The gateway's base URL.
        newest: Task IDs at the top of the list when the walk began; empty to walk all again.

    Raises:
        StorageFailed: The note cannot be written.
    """
    walks, gateway = _read(storage), _gateway(base_url)
    if walks.get(gateway, []) == list(newest):
        return
    walks[gateway] = list(newest)
    write_note(storage, WALKS, {"format": FORMAT, "walks": walks})


def forget_walks(storage: Storage) -> None:
    """Have all lists walked to their ends again, because answers were lost.

    Raises:
        StorageFailed: The note cannot be removed.
    """
    storage.remove(WALKS)


def _read(storage: Storage) -> dict[str, Any]:
    """The recorded walks; none if the note is missing or damaged."""
    note = read_note(storage, WALKS)
    is_note = isinstance(note, dict) and note.get("format") == FORMAT
    walks = note.get("walks") if is_note else None
    return walks if isinstance(walks, dict) else {}


def _gateway(base_url: str) -> str:
    """One spelling for all spellings of a base URL."""
    url = urlsplit(base_url.strip())
    host, port = (url.hostname or "").rstrip("."), url.port or PORTS.get(url.scheme)
    return f"{url.scheme}://{host}:{port}{url.path.rstrip('/')}"
