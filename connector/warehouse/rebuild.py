"""Rebuilds the tables from the log: on request, and when they are old, incomplete or damaged."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import DamagedFile, WarehouseError
from connector.record.order import TOLERANCE
from connector.record.schema import GENERATIONS, REJECTS
from connector.storage import parquet
from connector.warehouse import census, clocks, founding, inbox, runs, shadow
from connector.warehouse import refresh as marts
from connector.warehouse.damage import set_aside
from connector.warehouse.dictionary import write_dictionary
from connector.warehouse.files import files_of
from connector.warehouse.forgotten import Forgotten, drop_forgotten
from connector.warehouse.generations import Last
from connector.warehouse.marker import write_marker
from connector.warehouse.tables import Committed, Tables

if TYPE_CHECKING:
    from connector.storage.storage import Storage

logger = logging.getLogger(__name__)


class Rebuilt(NamedTuple):
    """What a rebuild did."""

    answers: int
    generations: int
    changed_files: int


class RebuildableTables(Tables):
    """Tables that can be made again from the log of answers beside them.

    Attributes:
        has_changed: Whether this process has changed `generations` or `rejects`, be it to finish
            the work of a dead run.
        latest: The latest time of an answer that it was opened with, be it in the future.
    """

    def __init__(self, storage: Storage, partition_by: str) -> None:
        super().__init__(storage, partition_by)
        self.has_changed = False
        self.latest = Last().fetched_at

    def refresh_marts(self, term_prompts: int | None = None, *, again: bool = False) -> None:
        """Bring the marts up to date; nothing happens if they are.

        Args:
            term_prompts: Distinct prompts that a term needs; as before if None.
            again: Make all of them, also those that seem to be current.
        """
        try:
            self._refresh_marts(term_prompts, again=again)
        except DamagedFile as error:
            if again:  # the tables were made a moment ago
                raise
            self._repair(error)
            self._refresh_marts(term_prompts, again=False)

    def _refresh_marts(self, term_prompts: int | None, *, again: bool) -> None:
        files = list(self.generations.files().values())
        marts.rebuild(self.storage, files, term_prompts=term_prompts, again=again)

    def rebuild(self, *, may_shrink: bool = False) -> Rebuilt:
        """Rebuild `generations` and `rejects` from the log of answers alone.

        This fills a new column for all of history. A generation whose time of creation became
        known after its first answer moves to its proper partition.
        """
        made, committed = self._make_again()
        found = made.size()
        known = 0 if may_shrink else self.size()
        if found < known:
            raise WarehouseError(
                f"the log of answers in {self.storage.address} has {found:,} task IDs, the tables"
                f" have {known:,}: the tables stay as they are. Put the missing files of"
                " `answers` back, or accept the loss with `rebuild --may-shrink`."
            )
        return self._adopt(made, committed, again=True)

    def _make_again(self) -> tuple[Tables, Committed]:
        made = Tables(shadow.shadow_of(self.storage), self.partition_by)
        made.given = self.given  # no answer has it
        names = inbox.logged_files(self.storage)
        # A backup that somebody put back may hold them.
        drop_forgotten(self.storage, names, Forgotten(self.storage))
        committed = made.merge(self.storage, names, runs.gateways_by_run(self.storage))
        made.generations.refile()
        founding.found(made.storage, self.partition_by, shadow.REBUILT)
        return made, committed

    def _adopt(self, made: Tables, committed: Committed, *, again: bool = False) -> Rebuilt:
        self.has_changed = True
        rows = made.rows_by_file()
        changed = shadow.adopt(self.storage, made.storage)
        self.generations.forget()
        # Of a partition that is gone, a file without rows is left.
        left = dict.fromkeys(self.generations.files().values(), 0)
        census.write_census(self.storage, left | rows)
        write_dictionary(self.storage, self.given.table)
        self.refresh_marts(again=again)
        return Rebuilt(committed.answers, committed.new, changed)

    def _upgrade(self, why: str) -> None:
        """Rebuild tables of an earlier version, or incomplete ones, from the log."""
        if not inbox.logged_files(self.storage):
            return
        logger.warning("%s: rebuilding them from the log of answers, once.", why)
        if not self._rebuild_or_keep():
            self.add_columns()
        inbox.upgrade_log(self.storage)

    def _rebuild_or_keep(self) -> bool:
        """Rebuild the tables, unless the log has fewer task IDs; return whether it was done."""
        known = self.size()
        made, committed = self._make_again()
        found = made.size()
        if found >= known:
            self._adopt(made, committed)
            return True
        shadow.discard(self.storage)
        logger.warning(
            "The log has answers for %s task IDs, the tables have %s: the tables stay as they"
            " are. `rebuild` replaces them by what the log has.",
            f"{found:,}",
            f"{known:,}",
        )
        return False

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
            write_marker(self.storage, self.partition_by, None)
            clocks.write_moved(self.storage, [*moved, *found])
            self._rebuild_or_keep()
            write_marker(self.storage, self.partition_by)

    def _repair(self, error: DamagedFile) -> None:
        """Rebuild the tables; where the log has less than their sound files, keep those."""
        logger.warning("%s. Rebuilding all tables from the log of answers.", error.what)
        made, committed = self._make_again()
        sound, damaged = self._examine()
        if made.size() >= sound:
            self._adopt(made, committed, again=True)
            return
        shadow.discard(self.storage)
        for name, why in damaged.items():
            set_aside(self.storage, name, why)
        self.generations.forget()
        self.merge(self.storage, inbox.logged_files(self.storage))
        self.take_census()
        logger.warning(
            "The log of answers lacks files: what the tables' other files have stays as it is."
            " Task IDs that neither has are requested again."
        )

    def _examine(self) -> tuple[int, dict[str, DamagedFile]]:
        """Number of task IDs in the tables' sound files, and what is wrong with the others."""
        task_ids, damaged = [], {}
        for table in (GENERATIONS, REJECTS):
            for name in files_of(self.storage, table):
                try:
                    pieces = parquet.read_pieces(self.storage, name, table.schema)
                    found = [piece["task_id"].drop_null() for piece in pieces]
                    task_ids += [chunk for column in found for chunk in column.chunks]
                except DamagedFile as error:
                    damaged[name] = error
        return pc.count_distinct(pa.chunked_array(task_ids, pa.string())).as_py(), damaged
