"""The marts on disk: rebuilt from `generations` when it changed, file by file."""

from __future__ import annotations

import json
import logging
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from connector.marts.prompts import prompts
from connector.marts.resolutions import resolutions
from connector.marts.timings import ALLOWANCE, MADE_FROM, timings
from connector.record.schema import GENERATIONS, PROMPTS, RESOLUTIONS, TIMINGS
from connector.storage import parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connector.marts.timings import Allowance
    from connector.record.column import Table
    from connector.storage.storage import Storage

logger = logging.getLogger(__name__)

PROMPTS_FILE: Final = f"{PROMPTS.name}/{PROMPTS.name}.parquet"
RESOLUTIONS_FILE: Final = f"{RESOLUTIONS.name}/{RESOLUTIONS.name}.parquet"

# Of which files the marts were made, and which. Written last: after a crash it does not match.
STATE: Final = "marts.json"


def rebuild(
    storage: Storage, generations_files: Iterable[str], allowance: Allowance = ALLOWANCE
) -> list[str]:
    """Bring the marts up to date with `generations`; costs next to nothing if they are.

    Of `timings`, only the partitions of changed files are worked out. A file whose content stays
    the same is not replaced. Needs the writer's lock: the files must not change meanwhile.

    Args:
        storage: The warehouse's.
        generations_files: All files of `generations`.
        allowance: What the bounds of `timings` have to bear.

    Returns:
        The files that were made, replaced or removed.

    Raises:
        WarehouseError: The disk is full, or a file damaged.
    """
    sources = _sources(generations_files)
    files = _files(sources)
    built, state = _read_state(storage), _state(storage, files, allowance)
    if state == built:
        return []
    changed = list(_remove_orphans(storage, files))
    for source, name in sources.items():
        if name not in state or any(state[file] != built.get(file) for file in (source, name)):
            changed += _write(storage, name, TIMINGS, _timings(storage, source, allowance))

    def read(columns: Sequence[str]) -> Iterator[pa.Table]:
        for source in sources:
            yield from _read(storage, source, columns)

    changed += _write(storage, RESOLUTIONS_FILE, RESOLUTIONS, [resolutions(read)])
    changed += _write(storage, PROMPTS_FILE, PROMPTS, prompts(read))
    _write_state(storage, _state(storage, files, allowance))
    logger.info("rebuilt the marts: %d files changed", len(changed))
    return changed


def are_current(
    storage: Storage, generations_files: Iterable[str], allowance: Allowance = ALLOWANCE
) -> bool:
    """Whether all marts are there, made by this version of `generations` as it is now."""
    files = _files(_sources(generations_files))
    state = _state(storage, files, allowance)
    return len(state) == len(files) and state == _read_state(storage)


def was_left_out(storage: Storage, table: Table) -> bool:
    """Whether there are generations, and a mart has not been made of them even once."""
    if storage.exists(STATE) and storage.list(table.name):
        return False
    pieces = (
        piece
        for name in storage.list(GENERATIONS.name)
        for piece in _read(storage, name, ["task_id"])
    )
    return any(map(len, pieces))


def read_timings(
    storage: Storage, generations_files: Sequence[str], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Columns of `timings`: from its files if they are current, else worked out in memory."""
    if not are_current(storage, generations_files):
        for source in generations_files:
            for piece in _timings(storage, source, ALLOWANCE):
                yield piece.select(columns)
        return
    schema = pa.schema([TIMINGS[column].field for column in columns])
    for name in storage.list(TIMINGS.name):
        yield from parquet.read_pieces(storage, name, schema)


def _sources(generations_files: Iterable[str]) -> dict[str, str]:
    """For each file of `generations`, the file of `timings` that is made of it."""
    return {name: _timings_file(name) for name in sorted(generations_files)}


def _files(sources: dict[str, str]) -> list[str]:
    """What the marts are made of, and what is made."""
    return [*sources, *sources.values(), RESOLUTIONS_FILE, PROMPTS_FILE]


def _state(storage: Storage, files: Iterable[str], allowance: Allowance) -> dict[str, str]:
    """For each file that is there, text that changes when it does, or what is made of it."""
    made_by = f"luma-to-parquet {version('luma-to-parquet')}, {allowance}"
    found: dict[str, str] = {}
    for table in (GENERATIONS, TIMINGS, RESOLUTIONS, PROMPTS):
        found |= storage.versions(table.name)
    return {name: f"{found[name]}, {made_by}" for name in files if name in found}


def _read_state(storage: Storage) -> dict[str, str]:
    try:
        state: dict[str, str] = json.loads(storage.read(STATE))
    except (FileNotFoundError, ValueError):
        return {}
    return state


def _write_state(storage: Storage, state: dict[str, str]) -> None:
    with storage.replacing(STATE) as file:
        file.write(json.dumps(state, indent=1).encode() + b"\n")


def _remove_orphans(storage: Storage, files: Iterable[str]) -> Iterator[str]:
    """Remove timings of partitions that are no more."""
    for name in set(storage.list(TIMINGS.name)).difference(files):
        storage.remove(name)
        yield name


def _timings_file(generations_file: str) -> str:
    partition = PurePosixPath(generations_file).parent.name
    return f"{TIMINGS.name}/{partition}/{TIMINGS.name}.parquet"


def _read(storage: Storage, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    schema = pa.schema([GENERATIONS[column].field for column in columns])
    return parquet.read_pieces(storage, name, schema)


def _timings(storage: Storage, source: str, allowance: Allowance) -> Iterator[pa.Table]:
    return (timings(piece, allowance) for piece in _read(storage, source, MADE_FROM))


def _write(storage: Storage, name: str, table: Table, pieces: Iterable[pa.Table]) -> Iterator[str]:
    """Write a file if it differs from what is there."""
    before = storage.version(name)
    parquet.write(storage, name, table, pieces, unless_same=True)
    if storage.version(name) != before:
        yield name
