"""What a warehouse remembers of the gateways' lists: how far down all is in its tables.

For each gateway the newest task IDs of its list when it was last walked completely. A walk that
is cut short, by whatever, changes nothing here: so the next one does not stop before it has closed
the gap.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.storage.storage import Storage

WALKS: Final = "walks.json"
FORMAT: Final = 1
PORTS: Final = {"http": 80, "https": 443}


def read_walk(storage: Storage, base_url: str) -> list[str]:
    """Task IDs below which all that the gateway lists is in the warehouse; none if unknown."""
    newest = _read(storage).get(_gateway(base_url))
    return [name for name in newest if isinstance(name, str)] if isinstance(newest, list) else []


def write_walk(storage: Storage, base_url: str, newest: Sequence[str]) -> None:
    """Remember a complete walk, all answers of which are durable; no file changes for the same.

    Args:
        storage: The warehouse's.
        base_url: Of the gateway.
        newest: Task IDs at the top of its list when the walk began; none: walk all of it again.

    Raises:
        StorageFailed: It cannot be written.
    """
    walks, gateway = _read(storage), _gateway(base_url)
    if walks.get(gateway, []) == list(newest):
        return
    walks[gateway] = list(newest)
    note = {"format": FORMAT, "walks": walks}
    with storage.replacing(WALKS) as file:
        file.write(json.dumps(note, indent=1).encode() + b"\n")


def forget_walks(storage: Storage) -> None:
    """Walk all lists to their ends again, as answers were lost.

    Raises:
        StorageFailed: It cannot be removed.
    """
    storage.remove(WALKS)


def _read(storage: Storage) -> dict[str, Any]:
    """The note; a damaged one is as good as none."""
    try:
        note = json.loads(storage.read(WALKS))
    except (OSError, ValueError, RecursionError):
        return {}
    is_note = isinstance(note, dict) and note.get("format") == FORMAT
    walks = note.get("walks") if is_note else None
    return walks if isinstance(walks, dict) else {}


def _gateway(base_url: str) -> str:
    """A base URL in the one form that all its spellings share."""
    url = urlsplit(base_url.strip())
    host, port = (url.hostname or "").rstrip("."), url.port or PORTS.get(url.scheme)
    return f"{url.scheme}://{host}:{port}{url.path.rstrip('/')}"
