"""The table `generations`: one file per partition, each replaced as a whole."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile
from connector.record.merge import KNOWN_COLUMNS, resolve, splice
from connector.record.order import (
    is_earlier,
    of_possible_year,
    plausible,
    sequence_of,
    with_sequence,
)
from connector.record.schema import GENERATIONS, TERMINAL_STATUSES
from connector.storage import parquet
from connector.storage.ahead import side_by_side
from connector.warehouse.files import files_of
from connector.warehouse.founding import WITHOUT_TIME
from connector.warehouse.homes import PLACES, Homes
from connector.warehouse.spill import CHUNK_BYTES, Spill, join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.storage.storage import Storage
    from connector.warehouse.spill import Chunk, Part

FORMATS: Final = {"month": "%Y-%m", "day": "%Y-%m-%d"}

# Beside the tables, where nobody reads, while its rows are filed again.
REFILED: Final = f"{GENERATIONS.name}-without-time.parquet"

HOMES: Final = pa.schema(
    {"task_id": pa.string(), "partition": pa.dictionary(pa.int32(), pa.string())}
)
KNOWN: Final = pa.schema(
    [*HOMES, ("is_terminal", pa.bool_()), ("started_at", GENERATIONS["created_at"].type)]
)
LINEAGE: Final = pa.schema([GENERATIONS[name].field for name in KNOWN_COLUMNS])
ORDER: Final = pa.schema(
    [GENERATIONS[name].field for name in ("task_id", "sequence", "fetched_at")]
)
STARTS: Final = ("created_at", "first_seen_at")
READ: Final = pa.schema(
    [*ORDER, *(GENERATIONS[name].field for name in ("status", "base_url", *STARTS))]
)


class Last(NamedTuple):
    """The last place in the log, and the latest time of an answer, of some rows."""

    sequence: int = 0
    fetched_at: datetime = datetime.min.replace(tzinfo=UTC)

    def beyond(self, other: Last) -> Last:
        """The later of both."""
        return Last(max(self.sequence, other.sequence), max(self.fetched_at, other.fetched_at))


def last_of(rows: pa.Table) -> Last:
    """The last place in the log, and the latest time, of rows of a table."""
    if not len(rows):
        return Last()
    last, latest = pc.max(sequence_of(rows)).as_py(), pc.max(rows["fetched_at"]).as_py()
    return Last() if latest is None else Last(last, latest)


class Upserted(NamedTuple):
    """What an upsert changed.

    Attributes:
        late: Rows that come before the known one of their task, which no longer says whether they
            are in it.
    """

    new: int = 0
    updated: int = 0
    partitions: int = 0
    late: int = 0


class Generations:
    """The table `generations` on a storage, partitioned by `month` or `day` of creation."""

    def __init__(self, storage: Storage, partition_by: str) -> None:
        self._storage = storage
        self._partition_by = partition_by
        self._without_time = WITHOUT_TIME[partition_by]
        self._known: pa.Table | None = None
        self._homes: pa.Table | None = None
        self._lookup: Homes | None = None
        # What was read of each file; an upsert changes few of them.
        self._known_of: dict[str, pa.Table] = {}
        # Of each file a task of each gateway.
        self._gateways_of: dict[str, dict[str, str]] = {}
        # Rows of the files written since.
        self._written: dict[str, int] = {}
        # Partitions where an upsert may change rows; to the others it only adds.
        self._changing: set[str] = set()
        self._last = Last()
        # Whether columns of a later release are an error: a writer would lose them.
        self.refuses_unknown = False

    def files(self) -> dict[str, str]:
        """The file of each existing partition."""
        return {
            name.split("/")[-2].partition("=")[2]: name
            for name in files_of(self._storage, GENERATIONS)
        }

    def known(self) -> pa.Table:
        """All known task IDs, as rows of `KNOWN`.

        `started_at` is the creation, or the first fetch where that is unknown or cannot be true;
        null if neither can.
        """
        if self._known is None:
            read = self._known_of
            self._known_of = {
                name: read[name] if name in read else self._known_in(partition, name)
                for partition, name in self.files().items()
            }
            self._known = pa.concat_tables([KNOWN.empty_table(), *self._known_of.values()])
            self._homes, self._lookup = self._known.select(HOMES.names), None
            self._written = {}
        return self._known

    def rows_by_file(self) -> dict[str, int]:
        """Number of rows of each file, as it was read or written."""
        self._known_homes()
        return {name: len(rows) for name, rows in self._known_of.items()} | self._written

    def forget(self) -> None:
        """Forget what was read, because the files were replaced."""
        self._known = self._homes = self._lookup = None
        self._known_of, self._gateways_of, self._written = {}, {}, {}

    def gateways(self) -> set[str]:
        """Base URLs that generations came from."""
        self.known()
        return {url for name in self._known_of for url in self._gateways_of[name]}

    def task_of(self, base_url: str) -> str | None:
        """A task ID, of the latest partition, that this gateway gave a generation for."""
        self.known()
        found = (self._gateways_of[name].get(base_url) for name in reversed(self._known_of))
        return next(filter(None, found), None)

    def last(self) -> Last:
        """The last place in the log, and the latest time, of all rows."""
        self.known()
        return self._last

    def sequences(self, task_ids: pa.ChunkedArray) -> pa.Table:
        """The place in the log of those of these task IDs that have a generation."""
        homes = self._known_homes()
        homes = homes.filter(pc.is_in(homes["task_id"], task_ids)).cast(PLACES)
        places, files = pc.unique(homes["partition"]).to_pylist(), self.files()
        pieces = [parquet.read_table(self._storage, files[p], ORDER) for p in places if p in files]
        rows = pa.concat_tables([ORDER.empty_table(), *pieces])
        rows = rows.filter(pc.is_in(rows["task_id"], task_ids))
        return pa.table([rows["task_id"], sequence_of(rows)], ["task_id", "sequence"])

    def task_ids(self) -> pa.ChunkedArray:
        """All known task IDs; none of a file is read where an upsert has just written it."""
        return self._known_homes()["task_id"]

    def rows(self) -> int:
        """Number of known task IDs."""
        return len(self._known_homes())

    def _known_homes(self) -> pa.Table:
        if self._homes is None:
            self.known()
        return self._homes

    def _known_in(self, partition: str, name: str) -> pa.Table:
        all_of = GENERATIONS.schema if self.refuses_unknown else None
        rows = parquet.read_table(self._storage, name, READ, all_of=all_of)
        if rows["task_id"].null_count:
            raise DamagedFile(f"{self._storage.where(name)} has rows without a task ID")
        self._last = self._last.beyond(last_of(rows))
        self._gateways_of[name] = {
            url: rows["task_id"][pc.index(rows["base_url"], url).as_py()].as_py()
            for url in pc.unique(rows["base_url"]).to_pylist()
            if url
        }
        now = datetime.now(UTC)
        columns = [
            rows["task_id"],
            pa.DictionaryArray.from_arrays(
                pa.repeat(pa.scalar(0, pa.int32()), len(rows)), [partition]
            ),
            pc.is_in(rows["status"], pa.array(TERMINAL_STATUSES)),
            pc.coalesce(*(plausible(rows[column], now) for column in STARTS)),
        ]
        return pa.table(columns, schema=KNOWN)

    def upsert(self, groups: Iterable[pa.Table]) -> Upserted:
        """Merge rows; a partition without newer rows stays untouched.

        Each partition is rewritten once, or once per `CHUNK_ROWS` of its new rows, whatever the
        number of groups: the cost is linear in the rows touched, and memory is bounded.

        Args:
            groups: Rows of `generations`, older groups first; a task ID may occur several times.
        """
        files = self.files()
        total = Upserted()
        self._changing = set()
        with Spill(self._storage) as spill:
            for rows in groups:
                spill.add(rows, self._find_homes(rows))
                del rows  # or the last group would be in memory twice
            # Not earlier: `_find_homes` uses what was known before.
            self._known = None
            # Memory has to bear one chunk: two partitions go together if they are no larger.
            upserted = side_by_side(
                lambda part: self._upsert_part(part, files.get(part.partition)),
                spill.by_partition(),
                lambda part: 1 if spill.has_one else part.size / CHUNK_BYTES,
            )
            for changed in upserted:
                total = Upserted(*map(operator.add, total, changed))
        return total

    def _upsert_part(self, part: Part, name: str | None) -> Upserted:
        total = Upserted()
        for chunk in part.chunks:
            changed = self._upsert_into(part.partition, chunk, name)
            name = self._name(part.partition) if changed.partitions else name
            total = Upserted(*map(operator.add, total, changed))
        return total

    def refile(self) -> None:
        """Move rows whose time became known after their first answer to their proper partitions.

        Not safe for readers: for a moment a row is in neither place.
        """
        name = self.files().get(self._without_time)
        if name is None:
            return
        times = parquet.read_table(
            self._storage, name, pa.schema([GENERATIONS["created_at"].field])
        )
        if pc.all(pc.equal(self._computed(times), self._without_time), min_count=0).as_py():
            return
        self._storage.move(name, REFILED)
        self.forget()
        self.upsert(parquet.read_pieces(self._storage, REFILED, GENERATIONS.schema))
        self._storage.remove(REFILED)

    def _name(self, partition: str) -> str:
        folder = f"{GENERATIONS.partition}_{self._partition_by}={partition}"
        return f"{GENERATIONS.name}/{folder}/{GENERATIONS.name}.parquet"

    def _upsert_into(self, partition: str, chunk: Chunk, name: str | None) -> Upserted:
        known = LINEAGE.empty_table()
        if name and partition in self._changing:
            known = parquet.read_table(self._storage, name, LINEAGE)
        rows = join(chunk)
        known = with_sequence(known.filter(pc.is_in(known["task_id"], rows["task_id"])))
        late = pc.sum(is_earlier(rows, known)).as_py() if len(known) else 0
        upserts = resolve(known, rows)
        del rows  # or they would be in memory twice
        if not len(upserts):
            return Upserted(late=late)
        updated = pc.sum(pc.is_in(upserts["task_id"], known["task_id"])).as_py()
        existing = parquet.read_pieces(self._storage, name, GENERATIONS.schema) if name else ()
        name = self._name(partition)
        parquet.write_table(self._storage, name, GENERATIONS, splice(existing, upserts))
        self._written[name] = parquet.read_rows(self._storage, name)
        self._known_of.pop(name, None)
        return Upserted(len(upserts) - updated, updated, 1, late)

    def _find_homes(self, rows: pa.Table) -> pa.ChunkedArray:
        """Return each row's partition: where its task ID is, else by its first answer.

        A task ID stays there even if a later answer changes its creation: a move would show it to
        a reader twice, or not at all.
        """
        if self._lookup is None:
            self._lookup = Homes(self._known_homes())
        known = self._lookup.find(rows["task_id"])
        computed = pa.table([rows["task_id"], self._computed(rows)], PLACES)
        keys = [("sequence", "ascending"), ("fetched_at", "ascending")]
        ordered = computed.take(pc.sort_indices(rows, sort_keys=keys))
        # Without threads, which would lose the order.
        groups = pa.concat_tables([known, ordered]).group_by("task_id", use_threads=False)
        places = groups.aggregate([("partition", "first")]).rename_columns(PLACES.names)
        repeating = known if len(places) == len(rows) else places
        self._changing.update(pc.unique(repeating["partition"]).to_pylist())
        new = places.filter(pc.invert(pc.is_in(places["task_id"], known["task_id"])))
        self._lookup.add(new)
        self._homes = pa.concat_tables([self._homes, new.cast(HOMES)])
        return places["partition"].take(pc.index_in(rows["task_id"], places["task_id"]))

    def _computed(self, rows: pa.Table) -> pa.ChunkedArray:
        """The partition of each row by its time of creation."""
        days = rows["created_at"].cast(pa.date32()).combine_chunks().dictionary_encode()
        names = pc.strftime(of_possible_year(days.dictionary), FORMATS[self._partition_by])
        return pc.fill_null(names.take(days.indices), self._without_time)
