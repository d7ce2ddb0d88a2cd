"""Rebuilds the tables from the log of answers: for a new column, or to replace damaged files.

The new tables are written to a hidden folder. When they are complete, a note says so, and they
replace the old ones, file by file; a partition that is gone keeps a file with zero rows. A crash
before the note leaves the old tables; after it, the next run finishes the change.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Final

from connector.errors import DamagedFile
from connector.record.schema import GENERATIONS, REJECTS, TABLES
from connector.storage import parquet
from connector.warehouse.files import files_of, is_own
from connector.warehouse.notes import read_note, write_note

if TYPE_CHECKING:
    from connector.storage.storage import Storage

SHADOW: Final = ".rebuild"
BEGUN: Final = "begun.json"
READY: Final = "ready.json"
REBUILT: Final = (GENERATIONS.name, REJECTS.name)


def shadow_of(storage: Storage) -> Storage:
    """Return an empty hidden storage for the new tables.

    Its name is new: a frozen writer that wakes and removes its own must not hit this one.
    """
    storage.remove_folder(SHADOW)
    shadow = storage.below(f"{SHADOW}/{secrets.token_hex(4)}")
    write_note(shadow, BEGUN, {})
    return shadow


def adopt(storage: Storage, shadow: Storage) -> int:
    """Replace the old tables by the new ones; return the number of changed files.

    A file with the same rows as before stays untouched.
    """
    names = [name for table in REBUILT for name in shadow.list(table)]
    for table in REBUILT:
        for name in files_of(storage, TABLES[table]):
            # One that is damaged has nothing to lose.
            with contextlib.suppress(DamagedFile):
                parquet.refuse_unknown(storage, name, TABLES[table].schema)
    changed = [name for name in names if not _is_same(storage, shadow, name)]
    write_note(shadow, READY, {"keep": names, "change": changed})
    finish(storage)
    return len(changed)


def finish(storage: Storage) -> str | None:
    """Finish a replacement that was begun; otherwise remove what a dead rebuild left.

    Returns:
        The name of the note if it is damaged: the tables are old ones and new ones then, and must
        be rebuilt.
    """
    folders = [begun.removesuffix(BEGUN) for begun in storage.list(SHADOW, BEGUN)]
    for folder in [f"{SHADOW}/", *folders]:  # the first is that of an earlier release
        ready = f"{folder}{READY}"
        if storage.exists(ready):
            note = _read_note(storage, folder)
            if note is None:
                return ready
            _finish(storage, folder, note)
            storage.remove(ready)
        if folder in folders:
            storage.remove(f"{folder}{BEGUN}")  # a note that arrives only now is void
    discard(storage)
    return None


def _finish(storage: Storage, folder: str, note: dict[str, list[str]]) -> None:
    places = ((f"{folder}{name}", name) for name in note["change"])
    storage.move_all((made, name) for made, name in places if storage.exists(made))
    for table in (TABLES[name] for name in REBUILT):
        for name in files_of(storage, table):
            if name not in note["keep"]:
                # Not removed: in a bucket, a removal that arrives late cannot be refused.
                parquet.write_table(storage, name, table, [], unless_same=True)


def discard(storage: Storage) -> None:
    """Remove what a rebuild left."""
    storage.remove_folder(SHADOW)


def _read_note(storage: Storage, folder: str) -> dict[str, list[str]] | None:
    """The note of a replacement; None unless it is whole, and all its files are there."""
    note = read_note(storage, f"{folder}{READY}")
    try:
        keep, change = note["keep"], note["change"]
        names = [*keep, *change]
        is_whole = all(name.split("/")[0] in REBUILT and is_own(name) for name in names)
        places = [(f"{folder}{name}", name) for name in keep]
        are_there = all(any(map(storage.exists, place)) for place in places)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return note if keep and is_whole and are_there and {*change} <= {*keep} else None


def _is_same(storage: Storage, shadow: Storage, name: str) -> bool:
    """Whether a file has the same columns and rows in both storages."""
    schema = TABLES[name.partition("/")[0]].schema
    return storage.exists(name) and parquet.is_same(storage, shadow, name, schema)
