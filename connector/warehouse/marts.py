"""The marts on disk: rebuilt from `generations` when it changed, file by file."""

from __future__ import annotations

import filecmp
import json
import logging
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from connector.record.marts.prompts import prompts
from connector.record.marts.resolutions import resolutions
from connector.record.marts.timings import ALLOWANCE, MADE_FROM, timings
from connector.record.schema import GENERATIONS, PROMPTS, RESOLUTIONS, TIMINGS
from connector.warehouse import parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connector.record.columns import Table
    from connector.record.marts.timings import Allowance
    from connector.warehouse.storage import LocalStorage

logger = logging.getLogger(__name__)

PROMPTS_FILE: Final = f"{PROMPTS.name}/{PROMPTS.name}.parquet"
RESOLUTIONS_FILE: Final = f"{RESOLUTIONS.name}/{RESOLUTIONS.name}.parquet"

STATE: Final = "marts.json"
"""Of which files the marts were made, and which. Written last: after a crash it does not match."""


def rebuild(
    storage: LocalStorage, generations_files: Iterable[str], allowance: Allowance = ALLOWANCE
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
    sources = {name: _timings_file(name) for name in sorted(generations_files)}
    files = [*sources, *sources.values(), RESOLUTIONS_FILE, PROMPTS_FILE]
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


def _state(storage: LocalStorage, files: Iterable[str], allowance: Allowance) -> dict[str, str]:
    """For each file that is there, text that changes when it does, or what is made of it."""
    made_by = f"luma-to-parquet {version('luma-to-parquet')}, {allowance}"
    found = {name: storage.path(name).stat() for name in files if storage.exists(name)}
    return {
        name: f"{stat.st_size} bytes, {stat.st_mtime_ns}, {made_by}" for name, stat in found.items()
    }


def _read_state(storage: LocalStorage) -> dict[str, str]:
    try:
        state: dict[str, str] = json.loads(storage.path(STATE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return state


def _write_state(storage: LocalStorage, state: dict[str, str]) -> None:
    with storage.replacing(STATE) as file:
        file.write(json.dumps(state, indent=1).encode() + b"\n")


def _remove_orphans(storage: LocalStorage, files: Iterable[str]) -> Iterator[str]:
    """Remove timings of partitions that are no more."""
    for name in set(storage.list(TIMINGS.name)).difference(files):
        storage.remove(name)
        yield name


def _timings_file(generations_file: str) -> str:
    partition = PurePosixPath(generations_file).parent.name
    return f"{TIMINGS.name}/{partition}/{TIMINGS.name}.parquet"


def _read(storage: LocalStorage, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    schema = pa.schema([GENERATIONS[column].field for column in columns])
    return parquet.read_pieces(storage, name, schema)


def _timings(storage: LocalStorage, source: str, allowance: Allowance) -> Iterator[pa.Table]:
    return (timings(piece, allowance) for piece in _read(storage, source, MADE_FROM))


def _write(
    storage: LocalStorage, name: str, table: Table, pieces: Iterable[pa.Table]
) -> Iterator[str]:
    """Write a file, and let it take its name's place only if it differs from what is there."""
    candidate = f"{storage.draft_of(name)}.candidate"
    parquet.write(storage, candidate, table, pieces)
    if storage.exists(name) and filecmp.cmp(
        storage.path(name), storage.path(candidate), shallow=False
    ):
        storage.remove(candidate)
    else:
        storage.move(candidate, name)
        yield name
