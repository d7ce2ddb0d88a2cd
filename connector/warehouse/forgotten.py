"""Forgets task IDs for good, and keeps only hashes of them, so that no run brings them back.

The IDs are noted first. As long as the note is there, the next process that opens the warehouse to
write goes on with the work, which can be repeated as often as need be; the note goes last.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from connector.errors import DamagedFile, WarehouseError
from connector.record.schema import COLUMNS, MARTS, TABLES
from connector.storage import parquet
from connector.warehouse.damage import DAMAGED, set_aside
from connector.warehouse.files import INBOX, files_of, is_own
from connector.warehouse.given import as_found
from connector.warehouse.notes import write_note
from connector.warehouse.shadow import REBUILT
from connector.warehouse.walks import forget_walks
from connector.words import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connector.record.column import Table
    from connector.record.scrub import Scrubber
    from connector.storage.storage import Storage

NOTE: Final = "forgotten.json"
UNDER_WAY: Final = ".forget.json"
FORMAT: Final = 1
SALT_BYTES: Final = 32
HASH_BYTES: Final = 16


class Forgotten:
    """The task IDs that a warehouse must not have again, as salted hashes.

    Raises:
        WarehouseError: The note about them is damaged.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        note = _read(storage, NOTE)
        try:
            self._salt = bytes.fromhex(note["salt"]) if note else secrets.token_bytes(SALT_BYTES)
            self._hashes = set(map(str, note["hashes"])) if note else set()
        except (LookupError, TypeError, ValueError) as error:
            raise _damaged(storage, NOTE) from error

    def __len__(self) -> int:
        return len(self._hashes)

    def mask(self, task_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Which of these IDs are forgotten."""
        if not self._hashes:
            return pa.repeat(pa.scalar(False), len(task_ids))
        names = task_ids.to_pylist()
        return pa.array([self._hash(name) in self._hashes for name in names], pa.bool_())

    def add(self, task_ids: Iterable[str]) -> None:
        """Remember further IDs, durably."""
        self._hashes |= set(map(self._hash, task_ids))
        note = {"format": FORMAT, "salt": self._salt.hex(), "hashes": sorted(self._hashes)}
        write_note(self._storage, NOTE, note, unless_same=True)

    def _hash(self, task_id: str) -> str:
        return hashlib.blake2b(task_id.encode(), digest_size=HASH_BYTES, key=self._salt).hexdigest()


def begin(storage: Storage, task_ids: Sequence[str]) -> None:
    """Note what is to be forgotten; from here on it will be, whatever happens."""
    write_note(storage, UNDER_WAY, {"format": FORMAT, "task_ids": sorted(task_ids)})


def under_way(storage: Storage) -> list[str]:
    """The task IDs of a forgetting that is not finished.

    Raises:
        WarehouseError: The note about it is damaged.
    """
    note = _read(storage, UNDER_WAY)
    try:
        return [str(name) for name in note["task_ids"]] if note else []
    except (LookupError, TypeError) as error:
        raise _damaged(storage, UNDER_WAY) from error


def end(storage: Storage) -> None:
    """Remove the note: all is forgotten."""
    storage.remove(UNDER_WAY)


def scrub_files(storage: Storage, task_ids: Sequence[str]) -> int:
    """Remove the IDs from inbox, log and tables, and all that may hold them in another form.

    Marts are made from `generations`, so they are left out. Copies of damaged files cannot be
    searched, so they go as a whole, and so does the report.

    Returns:
        Number of rows removed.

    Raises:
        DamagedFile: A file of a table that can be made again from the log is damaged.
    """
    from connector.record.scrub import Scrubber  # noqa: PLC0415  only when something is forgotten

    scrubber = Scrubber(task_ids)
    forget_walks(storage)  # it names the newest IDs of lists
    storage.remove(REPORT)
    log = TABLES["answers"]
    waiting = [(log, name) for name in storage.list(INBOX) if is_own(name)]
    kept = (table for table in TABLES.values() if table not in {*MARTS, COLUMNS})
    # The log first: whatever is made again from it meanwhile has none of them.
    ordered = sorted(kept, key=lambda table: table is not log)
    ordered = [as_found(storage, table) for table in ordered]
    files = [(table, name) for table in ordered for name in files_of(storage, table)]
    removed = 0
    for table, name in [*waiting, *files]:
        try:
            removed += _scrub(storage, name, table, scrubber)
        except DamagedFile as error:
            if table.name in REBUILT:  # it is made again from the log
                raise
            set_aside(storage, name, error)
            removed += _scrub(storage, name, table, scrubber) if storage.exists(name) else 0
    for name in storage.list_all(DAMAGED):
        storage.remove(name)
    return removed


def _scrub(storage: Storage, name: str, table: Table, scrubber: Scrubber) -> int:
    """Rewrite a file if it holds some of the IDs; return the number of rows removed."""
    before = after = 0
    is_changed = False
    for piece in parquet.read_pieces(storage, name, table.schema, all_of=table.schema):
        scrubbed = scrubber.rows(piece)
        before, after = before + len(piece), after + len(scrubbed)
        is_changed |= scrubbed is not piece
    if is_changed:
        pieces = map(scrubber.rows, parquet.read_pieces(storage, name, table.schema))
        kept = parquet.own_metadata(parquet.read_metadata(storage, name))
        parquet.write_table(storage, name, table, pieces, kept)
    return before - after


def drop_forgotten(storage: Storage, names: Iterable[str], forgotten: Forgotten) -> None:
    """Remove answers about forgotten task IDs from files of the inbox or the log.

    They came too late, or from a backup.

    Raises:
        DamagedFile: A file is damaged.
    """
    if not len(forgotten):
        return
    from connector.record.scrub import Scrubber  # noqa: PLC0415  as above

    log = TABLES["answers"]
    for name in names:
        rows = parquet.read_table(storage, name, pa.schema([log["task_id"].field]))
        found = rows["task_id"].filter(forgotten.mask(rows["task_id"]))
        if len(found):
            _scrub(storage, name, log, Scrubber(found.unique().to_pylist()))


def _read(storage: Storage, name: str) -> dict[str, Any] | None:
    try:
        note = json.loads(storage.read(name))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise _damaged(storage, name) from error
    if not isinstance(note, dict) or note.get("format") != FORMAT:
        raise _damaged(storage, name)
    return note


def _damaged(storage: Storage, name: str) -> WarehouseError:
    return WarehouseError(
        f"{storage.where(name)} is damaged: restore it from a backup. Or remove it, and give the"
        " same IDs to `luma-to-parquet forget` once more: without it, a run may bring them back"
    )
