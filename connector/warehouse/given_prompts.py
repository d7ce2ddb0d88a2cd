"""The prompts of the table `given`, for generations whose gateway sends none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile
from connector.record import kept
from connector.record.kept import KEY, TEXT, same_name
from connector.record.pieces import grouped
from connector.record.schema import GENERATIONS
from connector.storage import parquet
from connector.warehouse.given import FILE, PROMPT, set_aside
from connector.warehouse.notes import read_note, write_note

if TYPE_CHECKING:
    from connector.record.column import Table
    from connector.storage.storage import Storage
    from connector.warehouse.generations import Generations

# Which file's prompts are in `generations`. Written last: after a crash it does not match.
STATE: Final = "given.json"

NARROW_ROWS: Final = 65_536

# What `Prompts.fill` reads and changes.
NARROW: Final = pa.schema(
    [
        GENERATIONS[name].field
        for name in (
            KEY,
            PROMPT,
            "prompt_source",
            "prompt_id",
            "prompt_words",
            "prompt_characters",
        )
    ]
)


class Prompts:
    """The kept prompts, for generations whose gateway sends none.

    Args:
        storage: The warehouse's.
        given: The table as it is found.
        only: Task IDs to look at; None for all.
    """

    def __init__(self, storage: Storage, given: Table, only: pa.Array | None = None) -> None:
        self._storage = storage
        self._only = only
        self._known: pa.Table | None = None
        name = same_name(PROMPT, given.schema.names)
        self._columns = name and pa.schema([given[KEY].field, given[name].field])

    def __bool__(self) -> bool:
        return bool(self._columns)

    def fill(self, rows: pa.Table) -> pa.Table:
        """Rows of `generations`, with the prompts that they lack."""
        if not self or not len(rows):
            return rows
        is_open = kept.lacks_prompt(rows)
        if self._only is not None:
            is_open = pc.and_(is_open, pc.is_in(rows[KEY], self._only))
        lacking = rows[KEY].filter(is_open)
        if not len(lacking):
            return rows
        try:
            return kept.with_prompts(rows, self._of(lacking), is_open)
        except DamagedFile as error:
            set_aside(self._storage, error)
            self._columns = None
            return rows

    def _of(self, task_ids: pa.ChunkedArray) -> pa.Table:
        if self._known is not None:
            return self._known
        wanted = task_ids.unique() if self._only is None else self._only
        found = []
        for piece in parquet.read_pieces(self._storage, FILE, self._columns):
            rows = piece.filter(pc.is_in(piece[KEY], wanted)).rename_columns([KEY, PROMPT])
            if len(rows):
                texts = kept.converted(rows[PROMPT], TEXT)
                found.append(pa.table([rows[KEY], texts], names=[KEY, PROMPT]))
        nothing = pa.schema([(KEY, TEXT), (PROMPT, TEXT)]).empty_table()
        prompts = pa.concat_tables([nothing, *found])
        if self._only is not None:
            self._known = prompts
        return prompts


def prompts_are_applied(storage: Storage) -> bool:
    """Whether the prompts of `generations` are known to be those of the table `given`."""
    return bool(read_note(storage, STATE) == {FILE: storage.version(FILE)})


def apply_prompts(
    storage: Storage, generations: Generations, given: Table, only: pa.Array | None = None
) -> None:
    """Bring the prompts of `generations` up to date with the table `given`.

    Costs next to nothing if they are. A crash needs no repair: the next call does the rest.

    Args:
        storage: The warehouse's.
        generations: Its generations.
        given: The table as it is found.
        only: Task IDs whose prompts may be out of date; None for all.
    """
    prompts = Prompts(storage, given, only)
    if not prompts or prompts_are_applied(storage):
        return
    state = {FILE: storage.version(FILE)}
    is_certain = only is not None and not len(only)
    for name in () if is_certain else generations.files().values():
        if _differs(storage, name, prompts):
            pieces = parquet.read_pieces(storage, name, GENERATIONS.schema)
            filled = (prompts.fill(rows) for rows in grouped(pieces, rows=parquet.ROW_GROUP_ROWS))
            parquet.write_table(storage, name, GENERATIONS, filled)
    write_note(storage, STATE, state)


def _differs(storage: Storage, name: str, prompts: Prompts) -> bool:
    """Whether a file of `generations` has prompts that are to be filled in."""
    pieces = parquet.read_pieces(storage, name, NARROW)
    groups = grouped(pieces, rows=NARROW_ROWS)
    return any(not prompts.fill(rows).equals(rows) for rows in groups)
