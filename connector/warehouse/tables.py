"""The tables `generations` and `rejects`: what they know, and how answers get into them."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.merge import give_up, latest_rejects, merge_rejects, unproven_gateways
from connector.record.order import Procession, count_ahead, sequence_of
from connector.record.schema import GENERATIONS, GIVEN, REJECTS
from connector.storage import parquet
from connector.storage.ahead import share_of, side_by_side
from connector.warehouse import census, clocks, given_prompts, inbox
from connector.warehouse.files import REJECTS_FILE
from connector.warehouse.forgotten import Forgotten
from connector.warehouse.generations import Generations, Last, last_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from connector.record.bodies import Bodies
    from connector.record.column import Table
    from connector.storage.storage import Storage


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


class Kept(NamedTuple):
    """The table `given`: where it is, and its declaration with the kept columns."""

    storage: Storage
    table: Table


class Tables:
    """The tables at one place: a warehouse's own, or those that a rebuild makes beside them.

    Attributes:
        given: The table of kept columns, whose prompts stand in for those that no gateway gave.
    """

    def __init__(self, storage: Storage, partition_by: str) -> None:
        self.storage = storage
        self.partition_by = partition_by
        self.generations = Generations(storage, partition_by)
        self.given = Kept(storage, GIVEN)
        # Knows the shapes of bodies from one commit to the next.
        self._bodies: Bodies | None = None

    def rejects(self) -> pa.Table:
        """The table `rejects`."""
        if not self.storage.exists(REJECTS_FILE):
            return REJECTS.schema.empty_table()
        schema = REJECTS.schema
        all_of = schema if self.generations.refuses_unknown else None
        return parquet.read_table(self.storage, REJECTS_FILE, schema, all_of=all_of)

    def last(self) -> Last:
        """The last place in the log, and the latest time of an answer, in the tables."""
        return self.generations.last().beyond(last_of(self.rejects()))

    def size(self) -> int:
        """Number of task IDs in the tables, rejects included."""
        known, rejected = self.generations.task_ids(), self.rejects()["task_id"]
        # One with a generation may have been refused later.
        both = rejected.filter(pc.is_in(rejected, known)) if len(rejected) else rejected
        distinct: int = pc.count_distinct(known).as_py()
        return distinct + len(rejected) - len(both)

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

    def merge(
        self, source: Storage, names: Sequence[str], rejudged_by: Mapping[str, str] | None = None
    ) -> Committed:
        """Merge the answers in these files into `generations` and `rejects`.

        Args:
            source: Storage of the files.
            names: Names of the files.
            rejudged_by: Base URLs by run ID, to judge the answers again; None keeps the verdicts.
        """
        # Only for new answers.
        from connector.record.bodies import Bodies  # noqa: PLC0415
        from connector.record.flatten import flatten  # noqa: PLC0415

        if rejudged_by is not None:
            from connector.record.rejudge import rejudge  # noqa: PLC0415  its patterns take 80 ms

        before = rejects = self.rejects()
        proven = dict.fromkeys(self.generations.gateways(), "")
        prompts = given_prompts.Prompts(*self.given)
        bodies = self._bodies = self._bodies or Bodies()
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
            return group, flatten(group, bodies)

        def groups() -> Iterator[pa.Table]:
            nonlocal rejects, answers, ahead
            wholes = inbox.read_groups(source, names)
            for group, rows in side_by_side(read, wholes, share_of):
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

    def add_columns(self) -> None:
        """Give the tables this version's columns, null: readers expect all files to be alike."""
        for name in self.generations.files().values():
            pieces = parquet.read_pieces(self.storage, name, GENERATIONS.schema)
            parquet.write_table(self.storage, name, GENERATIONS, pieces)
        parquet.write_table(self.storage, REJECTS_FILE, REJECTS, [self.rejects()])
        self.generations.forget()

    def rows_by_file(self) -> dict[str, int]:
        """Number of rows of each file."""
        return {**self.generations.rows_by_file(), REJECTS_FILE: len(self.rejects())}

    def take_census(self) -> None:
        """Note which files the tables have, to notice when one is removed."""
        census.write_census(self.storage, self.rows_by_file())


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
