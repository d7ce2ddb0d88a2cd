"""The marts on disk: rebuilt from `generations` when it changed, file by file.

What works them out is imported by the functions that need it: most runs change nothing.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cached_property, partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from connector.errors import DamagedFile
from connector.marts.resolutions import resolutions
from connector.marts.timings import ALLOWANCE, MADE_FROM, timings
from connector.record.mart_schema import TERM_PROMPTS
from connector.record.pieces import shortened
from connector.record.schema import (
    FAMILIES,
    GENERATIONS,
    MARTS,
    PROMPTS,
    RESOLUTIONS,
    TERMS,
    TIMINGS,
    TURNAROUND,
    TURNAROUND_HOURS,
    TURNAROUND_QUANTILES,
)
from connector.storage import parquet
from connector.storage.ahead import beside
from connector.version import VERSION
from connector.warehouse.files import files_of
from connector.warehouse.notes import read_note, write_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connector.marts.distinct_prompts import Prompts
    from connector.marts.timings import Allowance
    from connector.record.column import Table
    from connector.storage.storage import Storage

logger = logging.getLogger(__name__)

WHOLE: Final = {
    table.name: f"{table.name}/{table.name}.parquet" for table in MARTS if not table.partition
}
"""Marts of one file each."""

TERM_PROMPTS_KEY: Final = "term_prompts"

# Of which files the marts were made, and which. Written last: after a crash it does not match.
STATE: Final = "marts.json"


def rebuild(
    storage: Storage,
    generations_files: Iterable[str],
    allowance: Allowance = ALLOWANCE,
    term_prompts: int | None = None,
    *,
    again: bool = False,
) -> list[str]:
    """Bring the marts up to date with `generations`; costs next to nothing if they are.

    Of `timings`, only the partitions of changed files are worked out. A file whose content stays
    the same is not replaced. Needs the writer's lock: the files must not change meanwhile.

    Args:
        storage: The warehouse's.
        generations_files: All files of `generations`.
        allowance: What the bounds of `timings` have to bear.
        term_prompts: Distinct prompts that a term needs; as before if None.
        again: Make all of them, also those that seem to be current: one may be damaged.

    Returns:
        The files that were made, replaced or removed.

    Raises:
        WarehouseError: The disk is full, or a file damaged.
    """
    sources = _sources(generations_files)
    files = _files(sources)
    built, state = _read_state(storage), _state(storage, files, allowance)
    built_with = int(built.pop(TERM_PROMPTS_KEY, TERM_PROMPTS))
    built = {} if again else built
    least = term_prompts or built_with
    if state == built and least == built_with:
        return []
    from connector.marts.distinct_prompts import gather  # noqa: PLC0415  see above
    from connector.marts.prompts import families, prompts, terms  # noqa: PLC0415  see above
    from connector.marts.tokens import Tokens  # noqa: PLC0415  see above

    def read(columns: Sequence[str]) -> Iterator[pa.Table]:
        for source in sources:
            yield from _read(storage, source, columns)

    changed = list(_remove_orphans(storage, files))
    with beside(partial(gather, read)) as gathered_prompts:
        for source, name in sources.items():
            if name not in state or any(state[file] != built.get(file) for file in (source, name)):
                changed += _write(storage, name, TIMINGS, _timings(storage, source, allowance))
        changed += _write_whole(storage, RESOLUTIONS, [resolutions(read)])
        for table, rows in _turnarounds(_read_timings(storage, sources.values())).items():
            changed += _write_whole(storage, table, [rows])
        gathered = gathered_prompts()
    # Not beside families, which need as much memory.
    with beside(partial(terms, read, gathered, least)) as found_terms:
        changed += _write_whole(storage, PROMPTS, prompts(read, gathered))
        changed += _write_whole(storage, TERMS, [found_terms()])
    gathered = replace(gathered, tokens=Tokens())  # which only terms need
    changed += _write_whole(storage, FAMILIES, families(read, gathered))
    state = {**_state(storage, files, allowance), TERM_PROMPTS_KEY: str(least)}
    write_note(storage, STATE, state, unless_same=True)
    logger.info("rebuilt the marts: %d files changed", len(changed))
    return changed


def are_current(
    storage: Storage, generations_files: Iterable[str], allowance: Allowance = ALLOWANCE
) -> bool:
    """Whether all marts are there, made by this version of `generations` as it is now."""
    files = _files(_sources(generations_files))
    state, built = _state(storage, files, allowance), _read_state(storage)
    built.pop(TERM_PROMPTS_KEY, None)
    return len(state) == len(files) and state == built


def were_begun(storage: Storage) -> bool:
    """Whether the marts were made, or some of them by a process that was killed."""
    names = [name for table in MARTS for name in files_of(storage, table)]
    return storage.exists(STATE) or any(_may_hold_rows(storage, name) for name in names)


def _may_hold_rows(storage: Storage, name: str) -> bool:
    try:
        return parquet.read_rows(storage, name) > 0
    except DamagedFile:
        return True


def was_left_out(storage: Storage, table: Table) -> bool:
    """Whether there are generations, and a mart has not been made of them even once."""
    if storage.exists(STATE) and files_of(storage, table):
        return False
    pieces = (
        piece
        for name in files_of(storage, GENERATIONS)
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
    for name in files_of(storage, TIMINGS):
        yield from parquet.read_pieces(storage, name, schema)


class Marts:
    """Marts to read: from their files if these are current, else worked out in memory."""

    def __init__(self, storage: Storage, generations_files: Sequence[str]) -> None:
        self._storage, self._files = storage, sorted(generations_files)
        self.are_current = are_current(storage, self._files)

    def generations(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of `generations`, of which the marts are made."""
        for source in self._files:
            yield from _read(self._storage, source, columns)

    def read(self, table: Table, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Columns of a mart of one file, in pieces; all if not given."""
        names = columns or table.schema.names
        if self.are_current:
            schema = pa.schema([table[name].field for name in names])
            return parquet.read_pieces(self._storage, WHOLE[table.name], schema)
        return (piece.select(names) for piece in self._made(table))

    def table(self, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
        """The same at once."""
        schema = pa.schema([table[name].field for name in columns or table.schema.names])
        return pa.concat_tables([schema.empty_table(), *self.read(table, columns)])

    def _made(self, table: Table) -> Iterable[pa.Table]:
        from connector.marts.prompts import families, prompts, terms  # noqa: PLC0415  see above

        if table is PROMPTS:
            return prompts(self.generations, self._gathered)
        if table is FAMILIES:
            return families(self.generations, self._gathered)
        if table is TERMS:
            return [terms(self.generations, self._gathered)]
        if table is RESOLUTIONS:
            return [resolutions(self.generations)]
        return [self._turnarounds[table]]

    @cached_property
    def _gathered(self) -> Prompts:
        from connector.marts.distinct_prompts import gather  # noqa: PLC0415  see above

        return gather(self.generations)

    @cached_property
    def _turnarounds(self) -> dict[Table, pa.Table]:
        from connector.marts.curves import READ  # noqa: PLC0415  see above

        return _turnarounds(read_timings(self._storage, self._files, READ))


def _sources(generations_files: Iterable[str]) -> dict[str, str]:
    """For each file of `generations`, the file of `timings` that is made of it."""
    return {name: _timings_file(name) for name in sorted(generations_files)}


def _files(sources: dict[str, str]) -> list[str]:
    """What the marts are made of, and what is made."""
    return [*sources, *sources.values(), *WHOLE.values()]


def _state(storage: Storage, files: Iterable[str], allowance: Allowance) -> dict[str, str]:
    """For each file that is there, text that changes when it does, or what is made of it."""
    made_by = f"luma-to-parquet {VERSION}, {allowance}"
    found: dict[str, str] = {}
    for table in (GENERATIONS, *MARTS):
        found |= storage.versions(table.name)
    return {name: f"{found[name]}, {made_by}" for name in files if name in found}


def _read_state(storage: Storage) -> dict[str, str]:
    """What was noted when the marts were last made; nothing if the note is missing or damaged."""
    state = read_note(storage, STATE)
    try:
        texts = {name: text for name, text in state.items() if isinstance(text, str)}
        # One that cannot be read makes all of the note worthless.
        texts[TERM_PROMPTS_KEY] = str(max(1, int(texts.get(TERM_PROMPTS_KEY, TERM_PROMPTS))))
    except (ValueError, AttributeError):
        return {}
    return texts


def _remove_orphans(storage: Storage, files: Iterable[str]) -> Iterator[str]:
    """Remove timings of partitions that are no more."""
    for name in set(files_of(storage, TIMINGS)).difference(files):
        storage.remove(name)
        yield name


def _timings_file(generations_file: str) -> str:
    partition = PurePosixPath(generations_file).parent.name
    return f"{TIMINGS.name}/{partition}/{TIMINGS.name}.parquet"


def _read(storage: Storage, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    schema = pa.schema([GENERATIONS[column].field for column in columns])
    for piece in parquet.read_pieces(storage, name, schema):
        yield shortened(piece, but="prompt")


def _timings(storage: Storage, source: str, allowance: Allowance) -> Iterator[pa.Table]:
    return (timings(piece, allowance) for piece in _read(storage, source, MADE_FROM))


def _read_timings(storage: Storage, names: Iterable[str]) -> Iterator[pa.Table]:
    from connector.marts.curves import READ  # noqa: PLC0415  see above

    schema = pa.schema([TIMINGS[column].field for column in READ])
    return (piece for name in names for piece in parquet.read_pieces(storage, name, schema))


def _turnarounds(pieces: Iterable[pa.Table]) -> dict[Table, pa.Table]:
    from connector.marts.curves import turnarounds  # noqa: PLC0415  see above

    tables = (TURNAROUND, TURNAROUND_QUANTILES, TURNAROUND_HOURS)
    return dict(zip(tables, turnarounds(pieces), strict=True))


def _write_whole(storage: Storage, table: Table, pieces: Iterable[pa.Table]) -> Iterator[str]:
    return _write(storage, WHOLE[table.name], table, pieces)


def _write(storage: Storage, name: str, table: Table, pieces: Iterable[pa.Table]) -> Iterator[str]:
    """Write a file if it differs from what is there."""
    before = storage.version(name)
    parquet.write_table(storage, name, table, pieces, unless_same=True)
    if storage.version(name) != before:
        yield name
