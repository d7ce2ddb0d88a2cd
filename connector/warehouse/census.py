"""A note of the files that tables have, with their rows, to notice when someone removes one.

It is written after the tables, so a crash leaves one that knows less; it never claims too much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.record.schema import GENERATIONS
from connector.warehouse import inbox
from connector.warehouse.files import REJECTS_FILE, files_of, is_own
from connector.warehouse.notes import read_note, write_note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.storage.storage import Storage

CENSUS: Final = "tables.json"
FORMAT: Final = 1


def read_census(storage: Storage) -> dict[str, int] | None:
    """Rows by file as last noted; None if the note is missing or damaged."""
    note = read_note(storage, CENSUS)
    try:
        if note["format"] != FORMAT:
            return None
        rows = {name: int(count) for name, count in note["rows"].items()}
        return rows if all(map(is_own, rows)) else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def write_census(storage: Storage, rows: Mapping[str, int]) -> None:
    """Note the rows by file, unless they are noted already."""
    if read_census(storage) != rows:
        write_note(storage, CENSUS, {"format": FORMAT, "rows": rows})


def missing_files(storage: Storage) -> list[str]:
    """Files of the tables that someone has removed."""
    noted = read_census(storage)
    if noted is not None:
        return [name for name, count in noted.items() if count and not storage.exists(name)]
    # Without a note: all that every warehouse has.
    is_founded = storage.exists(REJECTS_FILE) and bool(files_of(storage, GENERATIONS))
    return [REJECTS_FILE] if inbox.logged_files(storage) and not is_founded else []


def shrunken_files(storage: Storage, rows: Mapping[str, int]) -> list[str]:
    """Files of `generations` with fewer rows than noted: an older copy took their place."""
    noted = read_census(storage) or {}
    names = [name for name in noted if name.startswith(f"{GENERATIONS.name}/")]
    return [name for name in names if rows.get(name, noted[name]) < noted[name]]


def grown_files(storage: Storage, rows: Mapping[str, int]) -> list[str]:
    """Files of `generations` with more rows than noted: after a crash, or an older copy."""
    noted = read_census(storage) or {}
    return [name for name, count in rows.items() if count > noted.get(name, 0)]
