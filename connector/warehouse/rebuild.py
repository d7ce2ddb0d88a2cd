"""All tables anew from the log of answers: for a new column, or in place of damaged files.

The new tables grow in a hidden folder. When they are whole, a note says so, and then they take
the place of the old ones, file by file. A crash before the note leaves the old tables; after it,
the next run finishes the change.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from connector.record.schema import GENERATIONS, REJECTS, TABLES
from connector.storage import parquet

if TYPE_CHECKING:
    from connector.storage.storage import Storage

SHADOW: Final = ".rebuild"
READY: Final = f"{SHADOW}/ready.json"
REBUILT: Final = (GENERATIONS.name, REJECTS.name)


def shadow_of(storage: Storage) -> Storage:
    """An empty hidden storage for the new tables."""
    storage.remove_folder(SHADOW)
    return storage.below(SHADOW)


def adopt(storage: Storage, shadow: Storage) -> int:
    """Let the new tables take the place of the old ones; returns how many files changed.

    A file that says the same as before stays as it is.
    """
    names = [name for table in REBUILT for name in shadow.list(table)]
    changed = [name for name in names if not _is_same(storage, shadow, name)]
    with storage.replacing(READY) as file:
        file.write(json.dumps({"keep": names, "change": changed}).encode())
    finish(storage)
    return len(changed)


def finish(storage: Storage) -> None:
    """Go on with a change that was begun; without one, remove what a dead rebuild left."""
    if storage.exists(READY):
        note = json.loads(storage.read(READY))
        for name in note["change"]:
            if storage.exists(f"{SHADOW}/{name}"):
                storage.move(f"{SHADOW}/{name}", name)
        for name in [name for table in REBUILT for name in storage.list(table)]:
            if name not in note["keep"]:
                storage.remove(name)
        storage.remove(READY)
    storage.remove_folder(SHADOW)


def _is_same(storage: Storage, shadow: Storage, name: str) -> bool:
    """Whether two files hold the same rows, by the same columns."""
    schema = TABLES[name.partition("/")[0]].schema
    return storage.exists(name) and parquet.is_same(storage, shadow, name, schema)
