"""A warehouse: the tables at one address, and the only way to change them."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile, WarehouseError
from connector.record.schema import GENERATIONS
from connector.storage import parquet
from connector.storage.storage import storage_of
from connector.warehouse import (
    census,
    compact,
    forgotten,
    founding,
    given,
    given_prompts,
    given_upsert,
    inbox,
    runs,
    sequence,
    shadow,
)
from connector.warehouse import refresh as marts
from connector.warehouse.dictionary import write_dictionary
from connector.warehouse.files import FOLDERS, named, warn_of_foreign
from connector.warehouse.forgotten import Forgotten
from connector.warehouse.marker import MARKER, TABLES_VERSION, read_marker, write_marker
from connector.warehouse.rebuild import RebuildableTables
from connector.warehouse.tables import Committed, Kept
from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from connector.record.answer import Answer
    from connector.storage.storage import Address, Storage
    from connector.warehouse.gathered import Gathered

logger = logging.getLogger(__name__)

DRAFT: Final = ".draft"


class Warehouse(RebuildableTables):
    """The tables at one address.

    `Warehouse.existing` opens it to read, `Warehouse.writing` to write, by one process at a time.
    """

    def __init__(self, storage: Storage, partition_by: str) -> None:
        super().__init__(storage, partition_by)
        self._highest: int | None = None

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
        marker = read_marker(storage)
        if marker is None:
            raise WarehouseError(
                f"there is no warehouse in {storage.address}: `ingest` creates one"
            )
        if folders := [*look_at]:
            warn_of_foreign(storage, folders)
            if missing := census.missing_files(storage):
                logger.warning(
                    "%s: missing. The next run or `rebuild` makes it again from the log.",
                    named(storage, missing),
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
        marker = read_marker(storage)
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
            marker = read_marker(storage) or write_marker(storage, partition_by or "month")
            if partition_by not in {None, marker["partition_by"]}:
                raise WarehouseError(
                    f"{storage.address} is partitioned by {marker['partition_by']}, not by"
                    f" {partition_by}: leave the setting out, or use another folder"
                )
            storage.sweep()
            warn_of_foreign(storage)
            damaged = shadow.finish(storage)
            compact.remove_contained(storage)
            if why := _why_rebuild(storage, marker, damaged):
                # Also if this process dies before the tables are rebuilt.
                write_marker(storage, marker["partition_by"], None)
                shadow.discard(storage)
            founding.found(storage, marker["partition_by"])
            warehouse = cls(storage, marker["partition_by"])
            warehouse.given = Kept(storage, given.mend(storage))
            warehouse.generations.refuses_unknown = True
            if why:
                # What a dead run left belongs to the log that the tables are rebuilt from.
                warehouse.commit()
                warehouse._upgrade(why)
                write_marker(storage, marker["partition_by"])
            write_dictionary(storage, warehouse.given.table)
            warehouse._check()
            warehouse.commit()
            warehouse._correct_clocks()
            given_prompts.apply_prompts(storage, warehouse.generations, warehouse.given.table)
            if left := forgotten.under_way(storage):
                logger.warning("%s to forget: going on with it.", plural(len(left), "task ID"))
                warehouse._forget(left)
            yield warehouse

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

    def next_sequence(self, moment: datetime | None = None) -> int:
        """Give the next place in the log, that of a moment if it can be; only the writer may."""
        if self._highest is None:
            self._highest = max(self.last().sequence, runs.highest_number(self.storage))
        self._highest = sequence.next_after(self._highest, moment)
        return self._highest

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
        # Not the moment of saving: a writer that slept may save after another one fetched again.
        latest = max((answer.fetched_at for answer in answers), default=None)
        place = self.next_sequence(latest) if number is None else number
        inbox.save_batch(self.storage, batch, answers, run_id, place)

    def keep(self, gathered: Gathered) -> None:
        """Update the table `given`, and the prompts that generations have from it."""
        were_applied = given_prompts.prompts_are_applied(self.storage)
        table, prompted = given_upsert.merge(self.storage, gathered, self.forgotten().mask)
        self.given = Kept(self.storage, table)
        only = prompted if were_applied else None
        given_prompts.apply_prompts(self.storage, self.generations, table, only)
        write_dictionary(self.storage, self.given.table)

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
            committed = self.merge(self.storage, names)
        except DamagedFile as error:
            self._repair(error)
            committed = self.merge(self.storage, names)
        is_late = bool(committed.late) and not inbox.are_logged(self.storage, names)
        if is_late:
            # Also if this process dies before the tables are rebuilt.
            write_marker(self.storage, self.partition_by, None)
        self.take_census()
        inbox.archive(self.storage, names)
        write_dictionary(self.storage, self.given.table)
        if is_late:
            logger.info("answers older than those in the tables came in: rebuilding from the log")
            self._rebuild_or_keep()
            write_marker(self.storage, self.partition_by)
        logger.info(
            "answers committed: %s (%s new, %s updated)", *map("{:,}".format, committed[:3])
        )
        return committed

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
        self.take_census()
        if marts.were_begun(self.storage):
            self.refresh_marts(again=True)
        run_id = sequence.run_id_of(self.next_sequence())
        runs.record_forgetting(self.storage, run_id, len(task_ids), rows)
        forgotten.end(self.storage)
        return rows

    def compact(self) -> int:
        """Join small files of the log and of `runs`; return how many were joined."""
        runs.gateways_by_run(self.storage)  # sets damaged files of `runs` aside
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
                named(self.storage, lost),
            )
            self._rebuild_or_keep()
        elif twice := self._found_twice():
            logger.warning(
                "%s: has rows that were there before, so task IDs are in the tables twice."
                " Rebuilding all tables from the log of answers.",
                named(self.storage, twice),
            )
            self._rebuild_or_keep()
        if returned := self._returned():
            logger.warning("Forgotten task IDs are back in a table: removing them again.")
            self.forget(returned)
        self.take_census()

    def _found_twice(self) -> list[str]:
        """Files that bring task IDs which the tables have already, such as a copied folder."""
        grown = census.grown_files(self.storage, self.generations.rows_by_file())
        task_ids = self.generations.known()["task_id"]
        return grown if grown and pc.count_distinct(task_ids).as_py() < len(task_ids) else []

    def _returned(self) -> list[str]:
        """Forgotten task IDs that an older copy of a file has brought back.

        None during a forgetting, which has not reached all files yet and goes on soon.
        """
        forgotten_ids = self.forgotten()
        if not len(forgotten_ids) or forgotten.under_way(self.storage):
            return []
        schema = pa.schema([GENERATIONS["task_id"].field])
        names = census.grown_files(self.storage, self.generations.rows_by_file())
        rows = [parquet.read_table(self.storage, name, schema)["task_id"] for name in names]
        found = {
            task_id
            for task_ids in (*rows, self.rejects()["task_id"])
            for task_id in task_ids.filter(forgotten_ids.mask(task_ids)).to_pylist()
        }
        return sorted(found)


def _why_rebuild(
    storage: Storage, marker: Mapping[str, Any], damaged_note: str | None
) -> str | None:
    """Why the tables must be rebuilt before anything else; None if they need not be."""
    if damaged_note:
        return f"{storage.where(damaged_note)} is damaged, and the tables with it"
    if missing := census.missing_files(storage):
        return f"{named(storage, missing)}: missing from the tables"
    if marker.get("tables_version") != TABLES_VERSION:
        return f"The tables in {storage.address} were made by an earlier version"
    return None
