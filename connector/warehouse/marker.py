"""The marker of a warehouse: its format, its partitions, and which release made its tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connector.errors import StorageFailed, WarehouseError
from connector.record.schema import ANSWERS, GENERATIONS
from connector.version import VERSION
from connector.warehouse.files import files_of
from connector.warehouse.generations import FORMATS
from connector.warehouse.notes import write_note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.storage.storage import Storage

MARKER: Final = "warehouse.json"
FORMAT: Final = 1

# Counted up when answers are judged or flattened otherwise than before: tables that an earlier
# version made are then rebuilt from the log, once.
TABLES_VERSION: Final = 4


def read_marker(storage: Storage) -> dict[str, Any] | None:
    """Read a warehouse's marker; None if there is no warehouse yet.

    Raises:
        WarehouseError: Something else is there, or a warehouse of another format.
        StorageFailed: The storage cannot be read.
    """
    try:
        marker = json.loads(storage.read(MARKER))
    except FileNotFoundError:
        if files_of(storage, GENERATIONS) and files_of(storage, ANSWERS):
            raise WarehouseError(_to_restore(storage, "missing")) from None
        if not storage.is_empty():
            raise WarehouseError(
                f"{storage.address} has files but is not a warehouse: name an empty or a new folder"
            ) from None
        return None
    except NotADirectoryError:
        raise WarehouseError(f"{storage.address} is a file: name a folder") from None
    except IsADirectoryError:
        marker = None
    except OSError as error:
        raise StorageFailed.reading(storage.where(MARKER), error.strerror or error) from error
    except (ValueError, RecursionError):
        marker = None
    if isinstance(marker, dict):
        _refuse_later(storage, marker)
    if not isinstance(marker, dict) or marker.get("partition_by") not in [*FORMATS]:
        raise WarehouseError(_to_restore(storage, "damaged"))
    return marker


def _to_restore(storage: Storage, what: str) -> str:
    """What to do about a marker that cannot be read, which changes nothing else."""
    files = files_of(storage, GENERATIONS)
    partition_by = "day" if files and "_day=" in files[0] else "month"
    return (
        f"{storage.where(MARKER)} is {what}: restore it from a backup, or write"
        f' {{"format": {FORMAT}, "partition_by": "{partition_by}"}} to it. The next run then'
        " rebuilds the tables from the log of answers"
    )


def _refuse_later(storage: Storage, marker: Mapping[str, Any]) -> None:
    """Refuse a warehouse that a later release wrote: this one would lose what it does not know.

    Raises:
        WarehouseError: A later release wrote it.
    """
    format_, tables = marker.get("format", FORMAT), marker.get("tables_version") or 0
    is_later = isinstance(tables, int | float) and tables > TABLES_VERSION
    if format_ != FORMAT or is_later:
        raise WarehouseError(
            f"{storage.address} was written by another version of luma-to-parquet"
            f" (format {format_}, tables {tables}; this one has {FORMAT}, {TABLES_VERSION}):"
            f" install {marker.get('version') or 'a later release'} or later, or use a new folder"
        )


def write_marker(
    storage: Storage, partition_by: str, tables_version: int | None = TABLES_VERSION
) -> dict[str, Any]:
    """Write a marker and return it; `tables_version` is None while tables must be rebuilt."""
    marker = {
        "format": FORMAT,
        "partition_by": partition_by,
        "tables_version": tables_version,
        "version": VERSION,
    }
    write_note(storage, MARKER, marker)
    return marker
