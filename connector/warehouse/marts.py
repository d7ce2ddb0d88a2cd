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
from connector.warehouse.storage import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connector.record.columns import Table
    from connector.record.marts.timings import Allowance
    from connector.warehouse.storage import LocalStorage

logger = logging.getLogger(__name__)

PROMPTS_FILE: Final = f"{PROMPTS.name}/{PROMPTS.name}.parquet"
RESOLUTIONS_FILE: Final = f"{RESOLUTIONS.name}/{RESOLUTIONS.name}.parquet"

STATE: Final = "marts.json"
"""From which files the marts were built. Written last, so that a crash has them built again."""


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
        The files that were replaced, made or removed.

    Raises:
        WarehouseError: The disk is full, or a file damaged.
    """
    sources = {name: _timings_file(name) for name in sorted(generations_files)}
    built = _read_state(storage)
    state = {name: _state_of(storage, name, allowance) for name in sources}
    marts = {PROMPTS_FILE, RESOLUTIONS_FILE, *sources.values()}
    if state == built and all(map(storage.exists, marts)):
        return []
    changed = [*_remove_all_but(storage, marts)]
    for source, name in sources.items():
        if state[source] != built.get(source) or not storage.exists(name):
            changed += _write(storage, name, TIMINGS, _timings(storage, source, allowance))

    def read(columns: Sequence[str]) -> Iterator[pa.Table]:
        for source in sources:
            yield from _read(storage, source, columns)

    changed += _write(storage, RESOLUTIONS_FILE, RESOLUTIONS, [resolutions(read)])
    changed += _write(storage, PROMPTS_FILE, PROMPTS, prompts(read))
    with storage.replacing(STATE) as file:
        file.write(json.dumps(state, indent=1).encode() + b"\n")
    logger.info("rebuilt the marts: %d files changed", len(changed))
    return changed


def _timings_file(generations_file: str) -> str:
    partition = PurePosixPath(generations_file).parent.name
    return f"{TIMINGS.name}/{partition}/{TIMINGS.name}.parquet"


def _state_of(storage: LocalStorage, name: str, allowance: Allowance) -> str:
    """Text that changes when the file, or what is made of it, does."""
    found = storage.path(name).stat()
    made_by = f"luma-to-parquet {version('luma-to-parquet')}, {allowance}"
    return f"{found.st_size} bytes, {found.st_mtime_ns}, {made_by}"


def _read_state(storage: LocalStorage) -> dict[str, str]:
    try:
        state: dict[str, str] = json.loads(storage.path(STATE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return state


def _remove_all_but(storage: LocalStorage, marts: set[str]) -> Iterator[str]:
    """Remove timings of partitions that are no more."""
    for name in storage.list(TIMINGS.name):
        if name not in marts:
            storage.path(name).unlink()
            yield name


def _read(storage: LocalStorage, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    schema = pa.schema([GENERATIONS[column].field for column in columns])
    return parquet.read_pieces(storage, name, schema)


def _timings(storage: LocalStorage, source: str, allowance: Allowance) -> Iterator[pa.Table]:
    return (timings(piece, allowance) for piece in _read(storage, source, MADE_FROM))


def _write(
    storage: LocalStorage, name: str, table: Table, pieces: Iterable[pa.Table]
) -> Iterator[str]:
    """Write a file, and let it take its name's place only if it differs from what is there."""
    path = PurePosixPath(name)
    candidate = str(path.with_name(f".{path.name}.candidate{TEMPORARY}"))
    parquet.write(storage, candidate, table, pieces)
    if storage.exists(name) and filecmp.cmp(
        storage.path(name), storage.path(candidate), shallow=False
    ):
        storage.path(candidate).unlink()
    else:
        storage.move(candidate, name)
        yield name
