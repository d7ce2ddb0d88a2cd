"""Which files of a warehouse's folders are its own, and which are not.

A program that keeps folders in sync leaves copies beside a table's files, and people put things
there. Such files are named to people, and neither read nor removed.
"""

from __future__ import annotations

import functools
import logging
import re
from typing import TYPE_CHECKING, Final

from connector.record.schema import ANSWERS, REJECTS, RUNS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.record.column import Table
    from connector.storage.storage import Storage

logger = logging.getLogger(__name__)

INBOX: Final = "inbox"
FOLDERS: Final = (*TABLES, INBOX)
ADDED_TO: Final = frozenset({ANSWERS.name, RUNS.name})
NAMED: Final = 5
REJECTS_FILE: Final = f"{REJECTS.name}/{REJECTS.name}.parquet"

# Files to which each run adds. Where the name is that of a run, all of it must be: some programs
# append the name of a machine.
_RUN: Final = r"\d{8}T\d{12}Z-[0-9a-f]{6}"
_BATCH: Final = re.compile(rf"{_RUN}(-[a-z]?\d{{4,}}|-[0-9a-f]{{6}})*\.parquet")
_OTHER: Final = re.compile(rf"(?!{_RUN}|0-)[A-Za-z0-9_ -]+\.parquet|0-(compacted|empty)\.parquet")

_SPANS: Final = {
    "month": r"(unknown|\d{4}-\d{2})",
    "day": r"(unknown|__HIVE_DEFAULT_PARTITION__|\d{4}-\d{2}-\d{2})",
}


def files_of(storage: Storage, table: Table) -> list[str]:
    """Names of the files of a table, sorted."""
    return [name for name in storage.list(table.name) if is_own(name)]


def is_own(name: str) -> bool:
    """Whether a file in the folder of a table, or of the inbox, is one that this package writes."""
    folder, *between, file = name.split("/")
    if folder == INBOX:
        return not between and _is_added(file)
    table = TABLES[folder]
    # By name: to hash a table is to hash all of its columns, for each of a thousand files.
    is_named = _is_added(file) if folder in ADDED_TO else file == f"{folder}.parquet"
    return is_named and _is_place(table, between)


def _is_added(file: str) -> bool:
    return bool(_BATCH.fullmatch(file) or _OTHER.fullmatch(file))


def _is_place(table: Table, between: list[str]) -> bool:
    if table.partition is None or len(between) != 1:
        return table.partition is None and not between
    return bool(_folder_of(table.partition).fullmatch(between[0]))


@functools.cache
def _folder_of(partition: str) -> re.Pattern[str]:
    return re.compile("|".join(f"{partition}_{span}={value}" for span, value in _SPANS.items()))


def warn_of_foreign(storage: Storage, folders: Iterable[str] = FOLDERS) -> None:
    """Name the files in these folders that are not the warehouse's own."""
    found = (name for folder in folders for name in storage.list_all(folder))
    names = [name for name in found if not is_own(name)]
    if names:
        logger.warning(
            "%s: not files of this warehouse, so they are left out. Other programs may read them as"
            " part of the table, or fail: move them elsewhere.",
            named(storage, names),
        )


def named(storage: Storage, names: list[str]) -> str:
    """Name files to people, the first of many."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(map(storage.where, names[:NAMED])) + more
