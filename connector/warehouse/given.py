"""The table `given`: what came with the task IDs, one file that each run with kept columns updates.

It is its own log: no answer holds its values, so `rebuild` leaves it as it is. A run replaces the
file before its first request. What it gives is gathered on disk, so memory is bounded however long
the list is.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile, UsageError
from connector.record import kept
from connector.record.kept import KEY, NOTHING, TEXT, WORDS, joined, same_name
from connector.record.schema import GENERATIONS, GIVEN, TIMINGS
from connector.storage import parquet
from connector.storage.local import trying_to
from connector.storage.memory import release
from connector.warehouse import damage
from connector.words import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from connector.record.column import Column, Table
    from connector.record.kept import Values
    from connector.storage.storage import Storage
    from connector.warehouse.generations import Generations

logger = logging.getLogger(__name__)

FILE: Final = f"{GIVEN.name}/{GIVEN.name}.parquet"
PROMPT: Final = "prompt"

# Of kept columns whose names are taken, beside the columns of another table.
PREFIX: Final = "given_"
# Taken everywhere, so that a kept column has one name in every table and view.
TAKEN: Final = frozenset(
    {"family_id", "month", "created_month", "created_day"}.union(
        *(GENERATIONS.schema.names, TIMINGS.schema.names)
    )
)

# Rows and bytes that are merged at once, and after how many bytes rows go to the disk.
BUCKET_ROWS: Final = 65_536
BUCKET_BYTES: Final = 32 * 1024 * 1024
MEMORY_BYTES: Final = 16 * 1024 * 1024
SAMPLED: Final = 64  # one row in this many, or more if rows are large
MOST_PROMPTED: Final = 100_000  # changed prompts that are held at once

# Which file's prompts are in `generations`. Written last: after a crash it does not match.
STATE: Final = "given.json"


def declared(storage: Storage) -> Table:
    """The table `given` as it is, with its kept columns."""
    if not storage.exists(FILE):
        return GIVEN
    return replace(GIVEN, columns=kept.declare(GIVEN, parquet.read_schema(storage, FILE)))


def as_found(storage: Storage, table: Table) -> Table:
    """The declaration of a table of this warehouse: only that of `given` is not the same in all."""
    return declared(storage) if table.name == GIVEN.name else table


def read_column(storage: Storage, column: str) -> pa.Table:
    """Read one kept column: `task_id` and `value`, one row per task ID, sorted by task ID.

    Args:
        storage: The warehouse's.
        column: Its name, in any letter case.

    Raises:
        UsageError: No such column was kept.
        DamagedFile: The file cannot be read.
    """
    table = declared(storage)
    names = [name for name in table.schema.names if name != KEY]
    name = same_name(column, names)
    if name is None:
        known = f"kept are {', '.join(names)}" if names else "none is kept so far"
        raise UsageError(
            f"no column {column!r} was kept{did_you_mean(column, names)}; {known}: `ingest --keep`"
            " takes it from the list of task IDs"
        )
    schema = pa.schema([table[KEY].field, table[name].field])
    return parquet.read_table(storage, FILE, schema).rename_columns([KEY, "value"])


def joined_columns(table: Table, given: Table) -> dict[str, Column]:
    """What the kept columns are called beside those of another table, to their declarations.

    Raises:
        UsageError: The table has no task IDs.
    """
    if KEY not in table.schema.names or table.name == GIVEN.name:
        raise UsageError(f"{table.name} has no task IDs to which kept columns could be added")
    taken = {name.casefold() for name in TAKEN.union(table.schema.names)}
    called: dict[str, Column] = {}
    # Those with a free name first: they keep it.
    for column in sorted(given.columns, key=lambda column: column.name.casefold() in taken):
        name = column.name
        while name.casefold() in taken:
            name = f"{PREFIX}{name}"
        called[name] = column
        taken.add(name.casefold())
    order = {column.name: name for name, column in called.items() if column.name != KEY}
    return {order[name]: given[name] for name in given.schema.names if name in order}


def with_given_columns(storage: Storage, rows: pa.Table, called: Mapping[str, Column]) -> pa.Table:
    """Add kept columns, as `joined_columns` calls them; null for a task ID that has none."""
    fields = [GIVEN[KEY].field, *(column.field for column in called.values())]
    found = parquet.read_table(storage, FILE, pa.schema(fields))
    places = pc.index_in(rows[KEY], found[KEY].combine_chunks())
    for name, column in called.items():
        rows = rows.append_column(name, found[column.name].take(places))
    return rows


def mend(storage: Storage) -> Table:
    """`declared`; of a damaged file, what can be read stays."""
    try:
        return declared(storage)
    except DamagedFile as error:
        _set_aside(storage, error)
        return declared(storage)


def _set_aside(storage: Storage, error: DamagedFile) -> None:
    try:
        table = declared(storage)
    except DamagedFile:
        table = GIVEN
    damage.set_aside(storage, FILE, error, table)
    logger.warning("Columns that came with task IDs are lost: give the lists again with --keep.")


class Gathered:
    """What a run's sources give beside the task IDs, on its way to the table.

    A context: at its end, what it holds on disk is removed.
    """

    def __init__(self, storage: Storage) -> None:
        self._folder = storage.scratch / GIVEN.name
        self._held: list[pa.Table] = []
        # Some task IDs, each with the share of a bucket that it stands for.
        self._sample: list[pa.Table] = []
        self._share = 0.0
        self._held_bytes = 0
        self._raw: pa.OSFile | None = None
        self._names: dict[str, str] = {}
        # By name, then by source: the types of the values, and whether two of them are odd.
        self._types: dict[str, dict[str, tuple[set[pa.DataType], bool]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._raw:
            self._raw.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(
        self, where: str, task_ids: pa.Array, columns: Mapping[str, Values], *, has_types: bool
    ) -> None:
        """Add rows.

        Args:
            where: Their source.
            task_ids: Valid ones.
            columns: For each name the values, in the order of the task IDs.
            has_types: Whether the source has types, so that two of them in one column are odd.
        """
        names = [self._names.setdefault(name.casefold(), name) for name in columns]
        for name, values in zip(names, columns.values(), strict=True):
            types, _ = self._types.setdefault(name, {}).setdefault(where, (set(), has_types))
            types |= values.types
        rows = pa.table(
            [task_ids, *(values.texts for values in columns.values())], names=[KEY, *names]
        )
        self._note(rows)
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes > MEMORY_BYTES:
            with trying_to(f"write to {self._folder}"):
                self._write_out()

    def _note(self, rows: pa.Table) -> None:
        """Take a sample of the task IDs, as fine as the rows are large."""
        if not len(rows):
            return
        of_one = max(1 / BUCKET_ROWS, rows.nbytes / len(rows) / BUCKET_BYTES)
        step = max(1, min(SAMPLED, int(SAMPLED / BUCKET_ROWS / of_one)))
        sample = rows[KEY].take(pa.array(range(0, len(rows), step)))
        shares = pa.repeat(of_one * len(rows) / len(sample), len(sample))
        self._sample.append(pa.table([sample, shares], names=[KEY, "share"]))
        self._share += of_one * len(rows)

    def types(self) -> dict[str, pa.DataType]:
        """The type of each column: that of all sources together."""
        return {
            name: joined(joined(types) for types, _ in by_source.values())
            for name, by_source in self._types.items()
        }

    def has_types(self, name: str) -> bool:
        """Whether a source of this column has types, which texts of CSV do not."""
        return any(has_types for _, has_types in self._types[name].values())

    def remarks(self) -> Iterator[str]:
        """What to tell people of columns that are text because types differ."""
        for name, by_source in self._types.items():
            for where, (types, has_types) in by_source.items():
                if has_types and joined(types) == TEXT and len(types - {NOTHING}) > 1:
                    yield f"{name} of {where} has {_listed(types)}"
            of_sources = {joined(types) for types, _ in by_source.values()}
            if joined(of_sources) == TEXT and len(of_sources - {NOTHING}) > 1:
                yield f"{name} has {_listed(of_sources)} in different sources"

    def sorted_rows(self) -> Iterator[pa.Table]:
        """All rows as texts, one for each task ID, sorted, in tables of a bounded size."""
        schema = pa.schema([(KEY, TEXT), *((name, TEXT) for name in self._types)])
        if self._share <= 1:
            pieces = [_widened(rows, schema) for rows in self._all()]
            yield kept.latest(pa.concat_tables([schema.empty_table(), *pieces]))
            return
        with trying_to(f"write to {self._folder}"):
            for path in self._buckets(schema):
                # Not mapped: pages of a mapped file count as the process's memory.
                with pa.OSFile(path) as file, pa.ipc.open_stream(file) as stream:
                    rows = kept.latest(stream.read_all())
                yield rows
                del rows
                release()

    def _write_out(self) -> None:
        if self._raw is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._raw = pa.OSFile(str(self._folder / "raw"), "wb")
        for rows in self._held:
            # One stream after another in one file: each may have columns of its own.
            with pa.ipc.new_stream(self._raw, rows.schema) as stream:
                stream.write_table(rows)
        self._held, self._held_bytes = [], 0

    def _all(self) -> Iterator[pa.Table]:
        """All rows in the order in which they were given."""
        if self._raw:
            self._raw.close()
            with pa.OSFile(str(self._folder / "raw"), "rb") as file:
                while file.tell() < file.size():
                    with pa.ipc.open_stream(file) as stream:
                        yield stream.read_all()
        yield from self._held

    def _buckets(self, schema: pa.Schema) -> list[str]:
        """Write all rows to files, each with the task IDs between two of the sampled ones."""
        bounds = self._bounds()
        self._folder.mkdir(parents=True, exist_ok=True)
        paths = [str(self._folder / f"{number:06}") for number in range(len(bounds) + 1)]
        writers = [pa.ipc.new_stream(path, schema) for path in paths]
        try:
            for rows in self._all():
                whole = _widened(rows, schema)
                number = pa.repeat(pa.scalar(0, pa.int32()), len(whole))
                for bound in bounds:
                    number = pc.add(number, pc.greater_equal(whole[KEY], bound).cast(pa.int32()))
                for one in pc.unique(number).to_pylist():
                    writers[one].write_table(whole.filter(pc.equal(number, one)))
        finally:
            for writer in writers:
                writer.close()
        return paths

    def _bounds(self) -> list[str]:
        """The first task ID of each bucket but the first."""
        sample = pa.concat_tables(self._sample).group_by(KEY).aggregate([("share", "sum")])
        bounds, share = [], 0.0
        for task_id, more in zip(*sample.sort_by(KEY).select([KEY, "share_sum"]), strict=True):
            if share + more.as_py() > 1 and share:
                bounds.append(task_id.as_py())
                share = 0.0
            share += more.as_py()
        return bounds


def _listed(types: Iterable[pa.DataType]) -> str:
    return " and ".join(WORDS[type_] for type_ in WORDS if type_ in types)


def _widened(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """`rows` with all columns of a schema; what they do not have is not given."""
    columns = [
        rows[name] if name in rows.column_names else pa.nulls(len(rows), TEXT)
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)


class Merged(NamedTuple):
    """What a merge made.

    Attributes:
        table: The declaration of the table.
        prompted: Task IDs with another prompt than before; None if they are many.
    """

    table: Table
    prompted: pa.Array | None


def merge(
    storage: Storage, gathered: Gathered, is_forgotten: Callable[[pa.Array], pa.Array]
) -> Merged:
    """Update the table by what was gathered; equal values change no file.

    Args:
        storage: The warehouse's.
        gathered: What the sources of a run gave.
        is_forgotten: Tells which task IDs must not be kept.

    Raises:
        StorageFailed: It cannot be written.
    """
    try:
        return _merge(storage, gathered, is_forgotten)
    except DamagedFile as error:
        _set_aside(storage, error)
        return _merge(storage, gathered, is_forgotten)


def _merge(
    storage: Storage, gathered: Gathered, is_forgotten: Callable[[pa.Array], pa.Array]
) -> Merged:
    before = declared(storage)
    names = [name for name in before.schema.names if name != KEY]
    types = {name: _type_now(storage, before, name) for name in names}
    now, own_names = dict(types), {}
    for name, type_ in gathered.types().items():
        own = own_names[name] = same_name(name, names) or name
        now[own] = joined([types.get(own, NOTHING), type_])
        had = types.get(own, NOTHING)
        is_odd = had != TEXT or gathered.has_types(name)
        if now[own] == TEXT and NOTHING not in {had, type_} and had != type_ and is_odd:
            remark = f"{own} had {WORDS[had]} so far, and now has {WORDS[type_]}"
            logger.warning("The kept column %s: it is text from now on.", remark)
    for remark in gathered.remarks():
        logger.warning("The kept column %s: it is kept as text.", remark)
    columns = [kept.kept_column(n, TEXT if t == NOTHING else t) for n, t in now.items()]
    after = replace(GIVEN, columns=(*GIVEN.columns, *columns))
    incoming = (
        rows.rename_columns([own_names.get(name, name) for name in rows.column_names])
        for found in gathered.sorted_rows()
        if len(rows := found.filter(pc.invert(is_forgotten(found[KEY]))))
    )
    changes = _Changes(same_name(PROMPT, after.schema.names))
    pieces = parquet.read_pieces(storage, FILE, before.schema)
    spliced = _spliced(pieces, incoming, after.schema, changes)
    parquet.write_table(storage, FILE, after, spliced, unless_same=True)
    return Merged(after, changes.task_ids())


class _Changes:
    """The task IDs whose prompt a merge changes, up to `MOST_PROMPTED`."""

    def __init__(self, column: str | None) -> None:
        self._column = column
        self._found: list[pa.Array] = []
        self._count = 0

    def noted(self, before: pa.Table, after: pa.Table) -> pa.Table:
        """Return what is merged."""
        if self._column and self._count <= MOST_PROMPTED:
            found = kept.changed(before, after, self._column)
            self._count += len(found)
            self._found += found.chunks
        return after

    def task_ids(self) -> pa.Array | None:
        """The task IDs; None if they are more."""
        if self._count > MOST_PROMPTED:
            return None
        return pa.chunked_array(self._found, TEXT).combine_chunks()


def _type_now(storage: Storage, table: Table, name: str) -> pa.DataType:
    """A column's type; that of nothing if it has had no value so far."""
    type_ = table[name].type
    is_empty = type_ == TEXT and parquet.is_all_null(storage, FILE, name)
    return NOTHING if is_empty else type_


def _spliced(
    pieces: Iterable[pa.Table],
    incoming: Iterable[pa.Table],
    schema: pa.Schema,
    changes: _Changes,
) -> Iterator[pa.Table]:
    """Merge two sorted streams, holding a piece and a bucket at a time."""
    old, new = (iter(filter(len, tables)) for tables in (pieces, incoming))
    piece, bucket = next(old, None), next(new, None)
    nothing = GIVEN.schema.empty_table()
    while piece is not None or bucket is not None:
        before = nothing if piece is None else piece
        given = nothing if bucket is None else bucket
        if piece is not None and bucket is not None:
            last = min(piece[KEY][-1].as_py(), bucket[KEY][-1].as_py())
            before, given = _up_to(piece, last), _up_to(bucket, last)
        yield changes.noted(before, kept.merged(before, given, schema))
        if piece is not None:
            piece = piece.slice(len(before)) if len(before) < len(piece) else next(old, None)
        if bucket is not None:
            bucket = bucket.slice(len(given)) if len(given) < len(bucket) else next(new, None)


def _up_to(rows: pa.Table, last: str) -> pa.Table:
    return rows.slice(0, pc.sum(pc.less_equal(rows[KEY], last)).as_py() or 0)


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
            _set_aside(self._storage, error)
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
    return _read_state(storage) == {FILE: storage.version(FILE)}


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
            filled = (prompts.fill(rows) for rows in _grouped(pieces))
            parquet.write_table(storage, name, GENERATIONS, filled)
    with storage.replacing(STATE) as file:
        file.write(json.dumps(state).encode() + b"\n")


def _read_state(storage: Storage) -> object:
    try:
        return json.loads(storage.read(STATE))
    except (OSError, ValueError, RecursionError):
        return None


def _differs(storage: Storage, name: str, prompts: Prompts) -> bool:
    """Whether a file of `generations` has prompts that are to be filled in."""
    pieces = parquet.read_pieces(storage, name, NARROW)
    groups = _grouped(pieces, NARROW_ROWS)
    return any(not prompts.fill(rows).equals(rows) for rows in groups)


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


def _grouped(pieces: Iterable[pa.Table], rows: int = parquet.ROW_GROUP_ROWS) -> Iterator[pa.Table]:
    """Pieces put together, because the kept prompts are read once for each."""
    held: list[pa.Table] = []
    for piece in pieces:
        held.append(piece)
        if sum(map(len, held)) >= rows:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
