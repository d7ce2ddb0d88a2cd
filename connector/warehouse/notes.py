"""Notes: small JSON files beside the tables. Each says one thing about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from connector.errors import StorageFailed

if TYPE_CHECKING:
    from connector.storage.storage import Storage


def read_note(storage: Storage, name: str) -> Any:
    """Read what a note says, as JSON has it; None if the note is missing or damaged.

    Raises:
        StorageFailed: The storage cannot be read.
    """
    try:
        return json.loads(storage.read(name))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except OSError as error:  # the note may be sound, and what it says must not be lost
        raise StorageFailed.reading(storage.where(name), error.strerror or error) from error
    except (ValueError, RecursionError):
        return None


def write_note(storage: Storage, name: str, content: object, *, unless_same: bool = False) -> None:
    """Replace a note.

    Raises:
        StorageFailed: It cannot be written.
    """
    with storage.replacing(name, unless_same=unless_same) as file:
        file.write(json.dumps(content, indent=1).encode() + b"\n")
