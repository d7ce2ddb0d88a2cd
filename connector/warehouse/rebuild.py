"""Rebuilds the tables from the log of answers: for a new column, or to replace damaged files.

The new tables are written to a hidden folder. When they are complete, a note says so, and they
replace the old ones, file by file. A crash before the note leaves the old tables; after it, the
next run finishes the change.
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
    """Return an empty hidden storage for the new tables."""
    storage.remove_folder(SHADOW)
    return storage.below(SHADOW)


def adopt(storage: Storage, shadow: Storage) -> int:
    """Replace the old tables by the new ones; return the number of changed files.

    A file with the same rows as before stays untouched.
    """
    names = [name for table in REBUILT for name in shadow.list(table)]
    changed = [name for name in names if not _is_same(storage, shadow, name)]
    with storage.replacing(READY) as file:
        file.write(json.dumps({"keep": names, "change": changed}).encode())
    finish(storage)
    return len(changed)


def finish(storage: Storage) -> None:
    """Finish a replacement that was begun; otherwise remove what a dead rebuild left."""
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
    """Whether a file has the same columns and rows in both storages."""
    schema = TABLES[name.partition("/")[0]].schema
    return storage.exists(name) and parquet.is_same(storage, shadow, name, schema)
