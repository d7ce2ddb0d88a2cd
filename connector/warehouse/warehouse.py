"""A warehouse: the tables at one address, and the only way to change them."""

from __future__ import annotations

import contextlib
import json
import logging
import operator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile, WarehouseError
from connector.record.base_url import as_base_url
from connector.record.merge import give_up, latest_rejects, merge_rejects, unproven_gateways
from connector.record.order import TOLERANCE, Procession, count_ahead, sequence_of
from connector.record.schema import ANSWERS, COLUMNS, GENERATIONS, GIVEN, REJECTS, RUNS
from connector.storage import parquet
from connector.storage.ahead import is_large, side_by_side
from connector.storage.storage import storage_of
from connector.version import VERSION
from connector.warehouse import (
    census,
    clocks,
    compact,
    forgotten,
    founding,
    given,
    inbox,
    rebuild,
    sequence,
)
from connector.warehouse import refresh as marts
from connector.warehouse.damage import set_aside
from connector.warehouse.dictionary import columns_table
from connector.warehouse.files import FOLDERS, NAMED, files_of, warn_of_foreign
from connector.warehouse.forgotten import Forgotten
from connector.warehouse.generations import FORMATS, Generations, Last, last_of
from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from connector.record.answer import Answer
    from connector.record.column import Table
    from connector.storage.storage import Address, Storage

logger = logging.getLogger(__name__)

FORMAT: Final = 1

# Counted up when answers are judged or flattened otherwise than before: tables that an earlier
# version made are then made anew from the log, once.
TABLES_VERSION: Final = 4
MARKER: Final = "warehouse.json"
DRAFT: Final = ".draft"
REJECTS_FILE: Final = f"{REJECTS.name}/{REJECTS.name}.parquet"
COUNTS: Final = [
    name for name in RUNS.schema.names if RUNS[name].type in {pa.int64(), pa.float64()}
]
COLUMNS_FILE: Final = f"{COLUMNS.name}/{COLUMNS.name}.parquet"


class Committed(NamedTuple):
    """What a commit changed.

    Attributes:
        ahead: Answers that call a generation created later.
        late: 1 or more if answers came that the tables cannot take in: older than what they have.
    """

    answers: int = 0
    new: int = 0
    updated: int = 0
    ahead: int = 0
    late: int = 0

    def __add__(self, other: Committed) -> Committed:  # type: ignore[override]  # sums, not joins
        return Committed(*map(operator.add, self, other))


class Rebuilt(NamedTuple):
    """What a rebuild did."""

    answers: int
    generations: int
    changed_files: int


class Kept(NamedTuple):
    """The table `given`: where it is, and its declaration with the kept columns."""

    storage: Storage
    table: Table


class Warehouse:
    """The tables at one address.

    `Warehouse.existing` opens it to read, `Warehouse.writing` to write, by one process at a time.

    Attributes:
        has_changed: Whether this process has changed `generations` or `rejects`, be it to finish
            the work of a dead run.
        latest: The latest time of an answer that it was opened with, be it in the future.
    """

    def __init__(self, storage: Storage, partition_by: str) -> None:
        self.storage = storage
        self.partition_by = partition_by
        self.generations = Generations(storage, partition_by)
        self._given = Kept(storage, GIVEN)
        self._highest: int | None = None
        self.has_changed = False
        self.latest = Last().fetched_at

    @staticmethod
    def exists(address: Address) -> bool:
        """Whether there is a warehouse at an address."""
        return storage_of(address).exists(MARKER)

    @classmethod
    def existing(cls, address: Address, look_at: Iterable[str] = FOLDERS) -> Warehouse:
        """Open a warehouse to read it; warn of files that do not belong to it, or are missing.

        Args:
            address: A folder's path or a URL.
            look_at: Folders to look at for such files.

        Raises:
            WarehouseError: There is none.
        """
        storage = storage_of(address)
        marker = _read_marker(storage)
        if marker is None:
            raise WarehouseError(
                f"there is no warehouse in {storage.address}: `ingest` creates one"
            )
        if folders := [*look_at]:
            warn_of_foreign(storage, folders)
            if missing := _missing(storage):
                logger.warning(
                    "%s: missing. The next run or `rebuild` makes it again from the log.",
                    _named(storage, missing),
                )
        return cls(storage, marker["partition_by"])

    @classmethod
    def probe(cls, address: Address) -> tuple[Warehouse | None, str]:
        """Check that an address can be written, by writing a draft and removing it.

        Returns:
            The warehouse, to read, or None if there is none yet; and what its storage does not
            promise to writers, in words.

        Raises:
            WarehouseLocked: A run is writing to it.
            WarehouseError: It cannot be used.
            StorageFailed: It cannot be written.
        """
        storage = storage_of(address)
        marker = _read_marker(storage)
        with storage.locked(0):
            with storage.replacing(DRAFT) as file:
                file.write(b"a draft\n")
            storage.remove(DRAFT)
        return cls(storage, marker["partition_by"]) if marker else None, storage.caveat

    @classmethod
    @contextlib.contextmanager
    def writing(
        cls, address: Address, partition_by: str | None = None, lock_timeout: float = 0
    ) -> Iterator[Warehouse]:
        """Open a warehouse as its only writer, create it if missing, and finish earlier work.

        Args:
            address: A folder's path or a URL.
            partition_by: `month` (default of a new one) or `day`; None accepts either.
            lock_timeout: Seconds to wait for another writer to end.

        Raises:
            WarehouseLocked: Another run still writes to it.
            WarehouseError: It cannot be written, or has other partitions.
        """
        storage = storage_of(address)
        with storage.locked(lock_timeout):
            marker = _read_marker(storage) or _write_marker(storage, partition_by or "month")
            if partition_by not in {None, marker["partition_by"]}:
                raise WarehouseError(
                    f"{storage.address} is partitioned by {marker['partition_by']}, not by"
                    f" {partition_by}: leave the setting out, or use another folder"
                )
            storage.sweep()
            warn_of_foreign(storage)
            damaged = rebuild.finish(storage)
            compact.remove_contained(storage)
            if why := _why_rebuild(storage, marker, damaged):
                # Also if this process dies before the tables are rebuilt.
                _write_marker(storage, marker["partition_by"], None)
                rebuild.discard(storage)
            founding.found(storage, marker["partition_by"])
            warehouse = cls(storage, marker["partition_by"])
            warehouse._given = Kept(storage, given.mend(storage))
            warehouse.generations.refuses_unknown = True
            if why:
                # What a dead run left belongs to the log that the tables are rebuilt from.
                warehouse.commit()
                warehouse._upgrade(why)
                _write_marker(storage, marker["partition_by"])
            warehouse._write_dictionary()
            warehouse._check()
            warehouse.commit()
            warehouse._correct_clocks()
            given.apply_prompts(storage, warehouse.generations, warehouse._given.table)
            if left := forgotten.under_way(storage):
                logger.warning("%s to forget: going on with it.", plural(len(left), "task ID"))
                warehouse._forget(left)
            yield warehouse

    def settled(
        self,
        *,
        base_url: str | None = None,
        refresh: bool = False,
        retry_rejected: bool = False,
        give_up_after: timedelta | None = None,
    ) -> pa.ChunkedArray:
        """Task IDs that need no request: finished, finally rejected, or given up.

        Args:
            base_url: Gateway of the run: a reject is final for its own gateway only.
            refresh: Request finished ones again.
            retry_rejected: Request finally rejected and given-up ones again.
            give_up_after: Age at which an unfinished one is given up; None for never.
        """
        known = self.generations.known()
        is_settled = pa.repeat(False, len(known)) if refresh else known["is_terminal"]
        if give_up_after is not None and not retry_rejected:
            is_settled = pc.or_(is_settled, _is_given_up(known, give_up_after))
        rejects = self.rejects()
        is_here = pc.fill_null(pc.equal(rejects["base_url"], base_url), False)
        is_final = pc.if_else(pc.and_(rejects["is_final"], is_here), not retry_rejected, False)
        return pa.chunked_array(
            [
                *_chosen(known["task_id"], is_settled),
                *_chosen(rejects["task_id"], is_final),
            ],
            pa.string(),
        )

    def unfinished(self, give_up_after: timedelta) -> pa.ChunkedArray:
        """Task IDs that are known, not finished, and not given up."""
        known = self.generations.known()
        is_over = pc.or_(known["is_terminal"], _is_given_up(known, give_up_after))
        return known["task_id"].filter(pc.invert(is_over))

    def given_up(self, give_up_after: timedelta) -> pa.ChunkedArray:
        """Task IDs that have been unfinished for too long to be requested again."""
        known = self.generations.known()
        return known["task_id"].filter(_is_given_up(known, give_up_after))

    def fetched_by(self, run_id: str, task_ids: pa.ChunkedArray) -> int:
        """Number of these task IDs whose generation a run was the last to fetch."""
        schema = pa.schema([GENERATIONS[name].field for name in ("task_id", "run_id")])
        count = 0
        for name in self.generations.files().values():
            rows = parquet.read_table(self.storage, name, schema)
            is_of_run = pc.and_kleene(
                pc.equal(rows["run_id"], run_id), pc.is_in(rows["task_id"], task_ids)
            )
            count += pc.sum(is_of_run).as_py() or 0
        return count

    def has_generation_from(self, base_url: str) -> bool:
        """Whether a gateway has given a generation before."""
        return base_url in self.generations.gateways()

    def rejects(self) -> pa.Table:
        """The table `rejects`."""
        if not self.storage.exists(REJECTS_FILE):
            return REJECTS.schema.empty_table()
        schema = REJECTS.schema
        all_of = schema if self.generations.refuses_unknown else None
        return parquet.read_table(self.storage, REJECTS_FILE, schema, all_of=all_of)

    def next_sequence(self) -> int:
        """Give the next place in the log; only the writer may."""
        if self._highest is None:
            runs = (PurePosixPath(name).stem for name in files_of(self.storage, RUNS))
            numbers = (sequence.number_in(run_id) or 0 for run_id in runs)
            self._highest = max(self.last().sequence, *numbers, 0)
        self._highest = sequence.next_after(self._highest)
        return self._highest

    def last(self) -> Last:
        """The last place in the log, and the latest time of an answer, in the tables."""
        return self.generations.last().beyond(last_of(self.rejects()))

    def save(
        self, batch: str, answers: Sequence[Answer], run_id: str, *, is_writer: bool = True
    ) -> None:
        """Make a batch of answers durable in the inbox.

        Args:
            batch: Name of the batch.
            answers: Its answers.
            run_id: The run that received them.
            is_writer: Whether this process is the warehouse's writer. Others, which fetch parts of
                a run, take the run's own place in the log: each asks for other task IDs.
        """
        number = None if is_writer else sequence.number_in(run_id)
        place = self.next_sequence() if number is None else number
        inbox.save_batch(self.storage, batch, answers, run_id, place)

    def keep(self, gathered: given.Gathered) -> None:
        """Update the table `given`, and the prompts that generations have from it."""
        were_applied = given.prompts_are_applied(self.storage)
        table, prompted = given.merge(self.storage, gathered, self.forgotten().mask)
        self._given = Kept(self.storage, table)
        only = prompted if were_applied else None
        given.apply_prompts(self.storage, self.generations, table, only)
        self._write_dictionary()

    def has(self, batch: str) -> bool:
        """Whether a batch waits in the inbox."""
        return inbox.file_of(batch) in inbox.waiting_files(self.storage)

    def saved(self, prefix: str) -> Iterator[Answer]:
        """Answers that wait in the inbox, in batches with this prefix."""
        return inbox.read_batches(self.storage, prefix)

    def commit(self, but: tuple[str, ...] = ()) -> Committed:
        """Merge the inbox into the tables, then move its files to the log.

        Every step gives the same result when repeated, so a crash needs no repair. Damaged tables
        are rebuilt first.

        Args:
            but: Prefixes of batches to leave in the inbox.
        """
        names = inbox.waiting_files(self.storage, but)
        if not names:
            return Committed()
        self.has_changed = True
        forgotten.drop_forgotten(self.storage, names, self.forgotten())
        try:
            committed = self._merge(self.storage, names)
        except DamagedFile as error:
            self._repair(error)
            committed = self._merge(self.storage, names)
        is_late = bool(committed.late) and not inbox.are_logged(self.storage, names)
        if is_late:
            # Also if this process dies before the tables are rebuilt.
            _write_marker(self.storage, self.partition_by, None)
        self._take_census()
        inbox.archive(self.storage, names)
        self._write_dictionary()
        if is_late:
            logger.info("answers older than those in the tables came in: rebuilding from the log")
            self._rebuild_or_keep()
            _write_marker(self.storage, self.partition_by)
        logger.info(
            "answers committed: %s (%s new, %s updated)", *map("{:,}".format, committed[:3])
        )
        return committed

    def _merge(
        self, source: Storage, names: Sequence[str], rejudged_by: Mapping[str, str] | None = None
    ) -> Committed:
        """Merge the answers in these files into `generations` and `rejects`.

        Args:
            source: Storage of the files.
            names: Names of the files.
            rejudged_by: Base URLs by run ID, to judge the answers again; None keeps the verdicts.
        """
        from connector.record.flatten import flatten  # noqa: PLC0415  only for new answers

        if rejudged_by is not None:
            from connector.record.rejudge import rejudge  # noqa: PLC0415  its patterns take 80 ms

        before = rejects = self.rejects()
        proven = dict.fromkeys(self.generations.gateways(), "")
        prompts = given.Prompts(*self._given)
        gone = Forgotten(source)
        moved = clocks.read_moved(source)
        answers = ahead = 0
        is_rebuild = rejudged_by is not None
        order = Procession(None if is_rebuild else self.last().sequence)

        def prepared(whole: pa.Table) -> pa.Table:
            # A file of the log that somebody put back may hold forgotten ones.
            is_gone = gone.mask(whole["task_id"]) if len(gone) else None
            group = whole if is_gone is None else whole.filter(pc.invert(is_gone))
            group = clocks.with_right_times(group, moved)
            return group if rejudged_by is None else rejudge(group, rejudged_by)

        def read(whole: pa.Table) -> tuple[pa.Table, pa.Table]:
            group = prepared(whole)
            return group, flatten(group)

        def groups() -> Iterator[pa.Table]:
            nonlocal rejects, answers, ahead
            wholes = inbox.read_groups(source, names)
            for group, rows in side_by_side(read, wholes, is_large):
                order.note(group)
                answers += len(group)
                rejects = merge_rejects(rejects, group, proven)
                ahead += count_ahead(rows)
                yield prompts.fill(rows)
                del group, rows  # or the last group would be in memory twice

        upserted = self.generations.upsert(groups())
        rejects = rejects if rejects is before else self._without_overtaken(rejects)
        if is_rebuild:
            rejects = give_up(rejects, proven)
            if not order.is_in_order:
                wholes = inbox.read_groups(source, names)
                rejects = latest_rejects(rejects, map(prepared, wholes))
        elif unproven := unproven_gateways(rejects).difference(proven):
            # Its generations may all have been replaced by those of another gateway.
            rejects = give_up(rejects, inbox.first_proofs(source, unproven))
        late = upserted.late + (not order.is_in_order) * (len(rejects) + len(before))
        if rejects is not before or not self.storage.exists(REJECTS_FILE):
            parquet.write_table(self.storage, REJECTS_FILE, REJECTS, [rejects])
        return Committed(answers, upserted.new, upserted.updated, ahead, late)

    def _without_overtaken(self, rejects: pa.Table) -> pa.Table:
        """Drop rejects that were read after a generation that came later, out of order."""
        later = self.generations.sequences(rejects["task_id"])
        found = later["sequence"].take(pc.index_in(rejects["task_id"], later["task_id"]))
        is_overtaken = pc.fill_null(pc.greater(found, sequence_of(rejects)), False)
        return rejects.filter(pc.invert(is_overtaken))

    def rebuild(self, *, may_shrink: bool = False) -> Rebuilt:
        """Rebuild `generations` and `rejects` from the log of answers alone.

        This fills a new column for all of history. A generation whose time of creation became
        known after its first answer moves to its proper partition.
        """
        shadow, committed = self._shadow()
        found = shadow.size()
        known = 0 if may_shrink else self.size()
        if found < known:
            raise WarehouseError(
                f"the log of answers in {self.storage.address} has {found:,} task IDs, the tables"
                f" have {known:,}: the tables stay as they are. Put the missing files of"
                " `answers` back, or accept the loss with `rebuild --may-shrink`."
            )
        return self._adopt(shadow, committed, again=True)

    def _shadow(self) -> tuple[Warehouse, Committed]:
        shadow = Warehouse(rebuild.shadow_of(self.storage), self.partition_by)
        shadow._given = self._given  # no answer has it
        names = inbox.logged_files(self.storage)
        committed = shadow._merge(self.storage, names, self._gateways_of_runs())
        shadow.generations.refile()
        founding.found(shadow.storage, self.partition_by, rebuild.REBUILT)
        return shadow, committed

    def _adopt(self, shadow: Warehouse, committed: Committed, *, again: bool = False) -> Rebuilt:
        self.has_changed = True
        changed = rebuild.adopt(self.storage, shadow.storage)
        self.generations.forget()
        self._take_census()
        self._write_dictionary()
        self.refresh_marts(again=again)
        return Rebuilt(committed.answers, committed.new, changed)

    def _gateways_of_runs(self) -> dict[str, str]:
        """Base URL by run ID; earlier versions kept it only in `runs`."""
        schema = pa.schema([RUNS["run_id"].field, RUNS["base_url"].field])
        rows: list[dict[str, Any]] = []
        for name in files_of(self.storage, RUNS):
            try:
                rows += parquet.read_table(self.storage, name, schema).to_pylist()
            except DamagedFile as error:
                set_aside(self.storage, name, error)
        return {row["run_id"]: as_base_url(row["base_url"]) for row in rows if row["base_url"]}

    def _upgrade(self, why: str) -> None:
        """Rebuild tables of an earlier version, or incomplete ones, from the log."""
        if not inbox.logged_files(self.storage):
            return
        logger.warning("%s: rebuilding them from the log of answers, once.", why)
        if not self._rebuild_or_keep():
            self._add_columns()
        inbox.upgrade_log(self.storage)

    def _rebuild_or_keep(self) -> bool:
        """Rebuild the tables, unless the log has fewer task IDs; return whether it was done."""
        known = self.size()
        shadow, committed = self._shadow()
        found = shadow.size()
        if found >= known:
            self._adopt(shadow, committed)
            return True
        rebuild.discard(self.storage)
        logger.warning(
            "The log has answers for %s task IDs, the tables have %s: the tables stay as they"
            " are. `rebuild` replaces them by what the log has.",
            f"{found:,}",
            f"{known:,}",
        )
        return False

    def _add_columns(self) -> None:
        """Give the tables this version's columns, null: readers expect all files to be alike."""
        for name in self.generations.files().values():
            pieces = parquet.read_pieces(self.storage, name, GENERATIONS.schema)
            parquet.write_table(self.storage, name, GENERATIONS, pieces)
        parquet.write_table(self.storage, REJECTS_FILE, REJECTS, [self.rejects()])
        self.generations.forget()

    def _correct_clocks(self) -> None:
        """Move answers of a clock that was ahead to when they can have come, once."""
        now, latest = datetime.now(UTC), self.last().fetched_at
        self.latest = max(self.latest, latest)
        if latest <= now + TOLERANCE or clocks.is_behind(
            self.storage, self.generations.files().values(), now
        ):
            return
        moved = clocks.read_moved(self.storage)
        names = inbox.logged_files(self.storage)
        if found := clocks.find_ahead(self.storage, names, moved, now):
            logger.warning(
                "Answers in the warehouse have times up to %s UTC, in the future: a clock was wrong"
                " then, or this one is. The tables have them from now on as if they had come by"
                " now; the log keeps them as they came.",
                f"{latest:%Y-%m-%d %H:%M}",
            )
            # Also if this process dies before the tables are rebuilt.
            _write_marker(self.storage, self.partition_by, None)
            clocks.write_moved(self.storage, [*moved, *found])
            self._rebuild_or_keep()
            _write_marker(self.storage, self.partition_by)

    def size(self) -> int:
        """Number of task IDs in the tables, rejects included."""
        known, rejected = self.generations.known()["task_id"], self.rejects()["task_id"]
        # One with a generation may have been refused later.
        both = rejected.filter(pc.is_in(rejected, known)) if len(rejected) else rejected
        return len(known) + len(rejected) - len(both)

    def refresh_marts(self, term_prompts: int | None = None, *, again: bool = False) -> None:
        """Bring the marts up to date; nothing happens if they are.

        Args:
            term_prompts: Distinct prompts that a term needs; as before if None.
            again: Make all of them, also those that seem to be current.
        """
        files = list(self.generations.files().values())
        marts.rebuild(self.storage, files, term_prompts=term_prompts, again=again)

    def forgotten(self) -> Forgotten:
        """The task IDs that were forgotten on request."""
        return Forgotten(self.storage)

    def forget(self, task_ids: Sequence[str]) -> int:
        """Remove task IDs from all files for good; return the number of rows removed.

        Killed at any point, the next process that opens the warehouse to write goes on with it.

        Raises:
            WarehouseError: A file was written by a later release, or is damaged.
        """
        forgotten.begin(self.storage, task_ids)
        return self._forget(task_ids)

    def _forget(self, task_ids: Sequence[str]) -> int:
        self.has_changed = True
        self.forgotten().add(task_ids)
        self.storage.remove(census.CENSUS)  # or the rows would seem to be lost
        try:
            rows = forgotten.scrub_files(self.storage, task_ids)
        except DamagedFile as error:
            self._repair(error)
            rows = forgotten.scrub_files(self.storage, task_ids)
        self.generations.forget()
        self._take_census()
        if self.storage.exists(marts.STATE):
            self.refresh_marts(again=True)
        self._record_forgetting(len(task_ids), rows)
        forgotten.end(self.storage)
        return rows

    def _record_forgetting(self, task_ids: int, rows: int) -> None:
        now = datetime.now(UTC)
        self.record_run(
            {
                "run_id": sequence.run_id_of(self.next_sequence()),
                "started_at": now,
                "finished_at": now,
                "outcome": "done",
                "version": VERSION,
                "note": f"forgot {plural(task_ids, 'task ID')} on request:"
                f" {plural(rows, 'row')} removed",
                **dict.fromkeys(COUNTS, 0),
            }
        )

    def compact(self) -> int:
        """Join small files of the log and of `runs`; return how many were joined."""
        self._gateways_of_runs()  # sets damaged files of `runs` aside
        return compact.compact(self.storage)

    def _check(self) -> None:
        """Rebuild the tables if one of them cannot be read, or lacks rows."""
        try:
            self.generations.known()
            self.rejects()
        except DamagedFile as error:
            self._repair(error)
            return
        if lost := census.shrunken_files(self.storage, self.generations.rows_by_file()):
            logger.warning(
                "%s: fewer rows than before. Rebuilding all tables from the log of answers.",
                _named(self.storage, lost),
            )
            self._rebuild_or_keep()
        if returned := self._returned():
            logger.warning("Forgotten task IDs are back in a table: removing them again.")
            self.forget(returned)
        self._take_census()

    def _returned(self) -> list[str]:
        """Forgotten task IDs that an older copy of a file has brought back."""
        forgotten_ids = self.forgotten()
        if not len(forgotten_ids):
            return []
        schema = pa.schema([GENERATIONS["task_id"].field])
        names = census.grown_files(self.storage, self.generations.rows_by_file())
        rows = [parquet.read_table(self.storage, name, schema)["task_id"] for name in names]
        return [
            task_id
            for task_ids in rows
            for task_id in task_ids.filter(forgotten_ids.mask(task_ids)).to_pylist()
        ]

    def _take_census(self) -> None:
        """Note which files the tables have, to notice when one is removed."""
        rows = {**self.generations.rows_by_file(), REJECTS_FILE: len(self.rejects())}
        census.write_census(self.storage, rows)

    def _repair(self, error: DamagedFile) -> None:
        logger.warning("%s. Rebuilding all tables from the log of answers.", error.what)
        self.rebuild(may_shrink=True)

    def _write_dictionary(self) -> None:
        dictionary = columns_table(self._given.table)
        with contextlib.suppress(DamagedFile):
            if self.storage.exists(COLUMNS_FILE):
                found = parquet.read_table(self.storage, COLUMNS_FILE, COLUMNS.schema)
                if found.equals(dictionary):
                    return
        parquet.write_table(self.storage, COLUMNS_FILE, COLUMNS, [dictionary])

    def last_run(self) -> dict[str, Any] | None:
        """The newest row of `runs`; None if there is none yet."""
        for name in reversed(files_of(self.storage, RUNS)):
            with contextlib.suppress(DamagedFile):
                rows = parquet.read_table(self.storage, name, RUNS.schema)
                if len(rows):
                    last: dict[str, Any] = rows.slice(len(rows) - 1).to_pylist()[0]
                    return last
        return None

    def record_run(self, run: Mapping[str, Any]) -> None:
        """Add a row to `runs`."""
        row = pa.Table.from_pylist([dict(run)], schema=RUNS.schema)
        name = f"{RUNS.name}/{run['run_id']}.parquet"
        parquet.write_table(self.storage, name, RUNS, [row], is_new=True)


def _chosen(
    task_ids: pa.ChunkedArray, mask: pa.ChunkedArray | pa.Array
) -> Iterator[pa.StringArray]:
    """Filter task IDs, without a copy of chunks where all are chosen, as nearly all are."""
    for batch in pa.table([task_ids, mask], ["task_id", "is_chosen"]).to_batches():
        chunk, is_chosen = batch.columns
        yield chunk if pc.all(is_chosen, min_count=0).as_py() else chunk.filter(is_chosen)


def _is_given_up(known: pa.Table, give_up_after: timedelta) -> pa.ChunkedArray:
    deadline = pa.scalar(datetime.now(UTC) - give_up_after, known["started_at"].type)
    is_old = pc.fill_null(pc.less(known["started_at"], deadline), False)
    return pc.and_(pc.invert(known["is_terminal"]), is_old)


def _read_marker(storage: Storage) -> dict[str, Any] | None:
    """Read a warehouse's marker; None if there is no warehouse yet.

    Raises:
        WarehouseError: Something else is there, or a warehouse of another format.
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
    except OSError as error:
        reason = error.strerror or error
        raise WarehouseError(f"{storage.where(MARKER)} cannot be read: {reason}") from error
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


def _why_rebuild(
    storage: Storage, marker: Mapping[str, Any], damaged_note: str | None
) -> str | None:
    """Why the tables must be rebuilt before anything else; None if they need not be."""
    if damaged_note:
        return f"{storage.where(damaged_note)} is damaged, and the tables with it"
    if missing := _missing(storage):
        return f"{_named(storage, missing)}: missing from the tables"
    if marker.get("tables_version") != TABLES_VERSION:
        return f"The tables in {storage.address} were made by an earlier version"
    return None


def _named(storage: Storage, names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(map(storage.where, names[:NAMED])) + more


def _missing(storage: Storage) -> list[str]:
    """Files of the tables that someone has removed."""
    if census.read_census(storage) is not None:
        return census.missing_files(storage)
    # Without a note: all that every warehouse has.
    is_founded = storage.exists(REJECTS_FILE) and bool(files_of(storage, GENERATIONS))
    return [REJECTS_FILE] if inbox.logged_files(storage) and not is_founded else []


def _write_marker(
    storage: Storage, partition_by: str, tables_version: int | None = TABLES_VERSION
) -> dict[str, Any]:
    marker = {
        "format": FORMAT,
        "partition_by": partition_by,
        "tables_version": tables_version,
        "version": VERSION,
    }
    with storage.replacing(MARKER) as file:
        file.write(json.dumps(marker).encode() + b"\n")
    return marker
