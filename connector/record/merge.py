"""Upserts as pure functions from tables to tables.

A finished generation stays finished, whatever a later answer says; of others, the last one in the
order of the log counts (`connector.record.order`). Repeating a merge changes nothing: an answer
that is not later than the row has no effect, on counters either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.answer import Concern, Outcome, usual_concern
from connector.record.order import IN_ORDER, distinct, is_later, with_sequence
from connector.record.schema import GENERATIONS, REJECTS, TERMINAL_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Lineage columns, and how the values of several fetches are combined.
FOLDS: Final = {
    "first_seen_at": "min",
    "last_unfinished_at": "last",  # in the order of the log; the highest may be of a wrong clock
    "first_finished_at": "min",
    "fetches": "sum",
    "sequence": "max",
}

# Columns of existing rows that `resolve` needs.
KNOWN_COLUMNS: Final = ("task_id", "fetched_at", "status", *FOLDS)

ROW: Final = "__row"
BODY_START: Final = 1000

# Larger tables are merged in parts.
COPIED_BYTES: Final = 32 * 1024 * 1024


def resolve(known: pa.Table, incoming: pa.Table) -> pa.Table:
    """Compute the new rows of a partition for the incoming task IDs.

    Args:
        known: `KNOWN_COLUMNS` of the partition's rows, one per task ID.
        incoming: Rows of `generations`, in any order; a task ID may occur several times.

    Returns:
        A row for each task ID with an answer that counts beside the known one: the last of these,
        with the lineage of all, sorted by `GENERATIONS.sort`. Empty if there is nothing new.

    Raises:
        ValueError: `known` has a task ID twice.
    """
    known = with_sequence(known.filter(pc.is_in(known["task_id"], incoming["task_id"])))
    if len(pc.unique(known["task_id"])) != len(known):
        raise ValueError("a partition has a task ID twice")
    # The wide columns, which are nearly all of the bytes, are copied once, at the end.
    narrow = incoming.select([*KNOWN_COLUMNS, "created_at"])
    narrow = narrow.append_column(ROW, pa.array(range(len(narrow)), pa.int64()))
    ordered = distinct(with_sequence(narrow).sort_by(IN_ORDER))
    newest = in_order(_folded(known, _counting(known, ordered)))
    rows = incoming.take(newest[ROW])
    for name in FOLDS:
        position = rows.schema.get_field_index(name)
        rows = rows.set_column(position, rows.schema.field(position), newest[name])
    return rows


def _counting(known: pa.Table, ordered: pa.Table) -> pa.Table:
    """The rows that count beside the known ones, of rows `IN_ORDER`.

    What is finished stays so: of a task ID, no unfinished row counts after a finished one.
    """
    is_end = _is_end(ordered)
    ended = known["task_id"].filter(_is_end(known))
    is_over = pc.is_in(ordered["task_id"], ended)
    # One that was read too late, from a file that is out of order, ends a task all the same.
    is_news = pc.or_(is_later(ordered, known), pc.and_not(is_end, is_over))
    counts = pc.and_(is_news, pc.or_(is_end, pc.invert(is_over)))
    if not pc.all(is_end, min_count=0).as_py():
        counts = pc.and_(counts, pc.or_(is_end, pc.invert(_comes_after_an_end(ordered, is_end))))
    return ordered.filter(counts)


def _is_end(rows: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(rows["status"], pa.array(TERMINAL_STATUSES))


def _comes_after_an_end(ordered: pa.Table, is_end: pa.ChunkedArray) -> pa.ChunkedArray:
    rows = pa.table([ordered["task_id"], pa.array(range(len(ordered)))], ["task_id", "row"])
    ends = rows.filter(is_end).group_by("task_id").aggregate([("row", "min")])
    first = ends["row_min"].take(pc.index_in(rows["task_id"], ends["task_id"]))
    return pc.fill_null(pc.greater(rows["row"], first), False)


def _folded(known: pa.Table, fresh: pa.Table) -> pa.Table:
    """The last row of each task ID, of rows `IN_ORDER`, with everyone's lineage."""
    newest = fresh.filter(_last_of_each(fresh["task_id"]))
    known = known.filter(pc.is_in(known["task_id"], fresh["task_id"]))
    if len(newest) == len(fresh) and not len(known):
        return newest
    every = pa.concat_tables([known.select(KNOWN_COLUMNS), fresh.select(KNOWN_COLUMNS)])
    # Without threads, which would lose the order.
    groups = every.group_by("task_id", use_threads=False)
    folded = groups.aggregate(list(FOLDS.items())).sort_by("task_id")
    for name, fold in FOLDS.items():
        position = newest.schema.get_field_index(name)
        field = newest.schema.field(position)
        newest = newest.set_column(position, field, folded[f"{name}_{fold}"].cast(field.type))
    return newest


def _last_of_each(ordered: pa.ChunkedArray) -> pa.ChunkedArray:
    """Mask the last row of each run of equal values."""
    if not len(ordered):
        return pa.chunked_array([pa.array([], pa.bool_())])
    changes = pc.not_equal(ordered[1:], ordered[:-1])
    return pa.chunked_array([*changes.chunks, pa.array([True])])


def splice(existing: Iterable[pa.Table], upserts: pa.Table) -> Iterator[pa.Table]:
    """Replace and insert rows in a sorted stream, holding one piece of it at a time.

    Args:
        existing: Pieces of a table sorted by `GENERATIONS.sort`.
        upserts: Rows of the same schema and order, one per task ID.

    Yields:
        Pieces that together are the upserted table, sorted.
    """
    pending = upserts
    for piece in existing:
        if not len(piece):
            continue
        is_replaced = pc.is_in(piece["task_id"], upserts["task_id"])
        # A copy of all columns costs more than to look whether it is needed.
        is_touched = pc.any(is_replaced, min_count=0).as_py()
        kept = piece.filter(pc.invert(is_replaced)) if is_touched else piece
        due = _rows_up_to(pending, piece.slice(len(piece) - 1))
        yield from _merged(kept, pending.slice(0, due))
        pending = pending.slice(due)
    yield pending


def _merged(one: pa.Table, other: pa.Table) -> Iterator[pa.Table]:
    """Merge two sorted tables, of which little is copied at a time."""
    if not len(one) or not len(other):
        yield other if len(other) else one
    elif one.nbytes + other.nbytes <= COPIED_BYTES:
        yield in_order(pa.concat_tables([one, other]))
    else:
        half = (len(one) + 1) // 2
        start = _rows_up_to(other, one.slice(half - 1, 1))
        if len(one) == 1:
            yield from (other.slice(0, start), one, other.slice(start))
        else:
            yield from _merged(one.slice(0, half), other.slice(0, start))
            yield from _merged(one.slice(half), other.slice(start))


def in_order(table: pa.Table) -> pa.Table:
    """Sort by `GENERATIONS.sort`, unknown times last."""
    keys = [(name, "ascending", "at_end") for name in GENERATIONS.sort]
    return table.take(pc.sort_indices(table, sort_keys=keys))


def _rows_up_to(ordered: pa.Table, last: pa.Table) -> int:
    """Number of ordered rows up to the given row, inclusive."""
    created_at, task_id = last["created_at"][0], last["task_id"][0]
    is_unknown = pc.is_null(ordered["created_at"])
    comes_by_id = pc.less_equal(ordered["task_id"], task_id)
    if not created_at.is_valid:
        due = pc.or_(pc.invert(is_unknown), comes_by_id)
    else:
        due = pc.or_kleene(
            pc.less(ordered["created_at"], created_at),
            pc.and_kleene(pc.equal(ordered["created_at"], created_at), comes_by_id),
        )
    return pc.sum(pc.fill_null(due, False)).as_py() or 0


def merge_rejects(rejects: pa.Table, answers: pa.Table, proven: dict[str, str]) -> pa.Table:
    """Update `rejects`: a task with a generation leaves, a rejected one enters.

    A task is given up only for a refusal that is true of the task, from a gateway that gave a
    generation before or in the same run.

    Args:
        rejects: The current table.
        answers: Answers received, in any order.
        proven: Base URLs that have given a generation, each with the first run that received one
            ("" for any run). Extended by `answers`.

    Returns:
        The updated table; the same object if nothing changed.
    """
    _prove(proven, answers)
    # Nearly all answers are generations of task IDs that were never rejected: skip them.
    is_reject = pc.not_equal(answers["outcome"], Outcome.GENERATION.value)
    concerned = pa.chunked_array(
        [*rejects["task_id"].chunks, *answers["task_id"].filter(is_reject).chunks], pa.string()
    )
    runs = pc.unique(answers["run_id"])
    answers = with_sequence(answers.filter(pc.is_in(answers["task_id"], concerned)))
    answers = distinct(answers.sort_by(IN_ORDER))
    answers = answers.filter(is_later(answers, with_sequence(rejects)))
    merged = rejects
    if len(answers):
        latest = answers.filter(_last_of_each(answers["task_id"]))
        is_reject = pc.not_equal(latest["outcome"], Outcome.GENERATION.value)
        entering = to_rejects(latest.filter(is_reject))
        stays = pc.invert(pc.is_in(rejects["task_id"], latest["task_id"]))
        if len(entering) or not pc.all(stays, min_count=0).as_py():
            merged = pa.concat_tables([rejects.filter(stays), entering]).sort_by("task_id")
    return _given_up(merged, runs, proven)


def give_up(rejects: pa.Table, proven: dict[str, str]) -> pa.Table:
    """Give up tasks of all runs by what is known of their gateways in the end."""
    return _given_up(rejects, pc.unique(rejects["run_id"]), proven)


def unproven_gateways(rejects: pa.Table) -> set[str]:
    """Base URLs whose refusals would give up tasks, had they given a generation before."""
    is_open = pc.and_not(pc.equal(rejects["concerns"], Concern.TASK.value), rejects["is_final"])
    found = rejects["base_url"].filter(is_open)
    return {base_url for base_url in pc.unique(found).to_pylist() if base_url is not None}


def latest_rejects(rejects: pa.Table, groups: Iterable[pa.Table]) -> pa.Table:
    """Drop rejects of tasks whose latest answer is a generation.

    Args:
        rejects: Made of all answers, out of order.
        groups: All answers.
    """
    columns = ["task_id", "sequence", "fetched_at", "outcome"]
    found = [
        group.filter(pc.is_in(group["task_id"], rejects["task_id"])).select(columns)
        for group in groups
    ]
    if not found:
        return rejects
    answers = with_sequence(pa.concat_tables(found)).sort_by(IN_ORDER)
    latest = answers.filter(_last_of_each(answers["task_id"]))
    is_over = pc.equal(latest["outcome"], Outcome.GENERATION.value)
    return rejects.filter(
        pc.invert(pc.is_in(rejects["task_id"], latest["task_id"].filter(is_over)))
    )


def _prove(proven: dict[str, str], answers: pa.Table) -> None:
    """Add the gateways that gave a generation, with the first run. Run IDs sort by time."""
    is_good = pc.equal(answers["outcome"], Outcome.GENERATION.value)
    good = answers.select(["base_url", "run_id"]).filter(is_good)
    pairs = good.group_by(["base_url", "run_id"]).aggregate([])
    for pair in pairs.to_pylist():
        base_url, run_id = pair["base_url"], pair["run_id"]
        if base_url is not None:
            proven[base_url] = min(run_id, proven.get(base_url, run_id))


def _given_up(rejects: pa.Table, runs: pa.Array, proven: dict[str, str]) -> pa.Table:
    """Give up tasks of these runs, refused for what is true of them by a gateway that works."""
    is_open = pc.and_(
        pc.and_not(pc.equal(rejects["concerns"], Concern.TASK.value), rejects["is_final"]),
        pc.is_in(rejects["run_id"], runs),
    )
    if not pc.any(is_open, min_count=0).as_py():
        return rejects
    pairs = zip(rejects["base_url"].to_pylist(), rejects["run_id"].to_pylist(), strict=True)
    is_proven = pa.array([url in proven and proven[url] <= run for url, run in pairs], pa.bool_())
    is_over = pc.and_(is_open, is_proven)
    if not pc.any(is_over, min_count=0).as_py():
        return rejects
    position = rejects.schema.get_field_index("is_final")
    is_final = pc.or_(rejects["is_final"], is_over)
    return rejects.set_column(position, rejects.schema.field(position), is_final)


def to_rejects(answers: pa.Table) -> pa.Table:
    """Convert answers without a generation to rows of `rejects`, none of them final."""
    reasons = answers["outcome"].to_pylist()
    starts = [_start(body) for body in answers["body"].to_pylist()]
    usual = pa.array([usual_concern(reason) for reason in reasons], pa.string())
    derived = {
        "reason": pa.array(reasons, pa.string()),
        "is_final": pa.repeat(pa.scalar(False), len(answers)),
        "concerns": pc.coalesce(answers["concerns"].combine_chunks(), usual),
        "body_start": pa.array(starts, pa.string()),
    }
    columns = [derived[name] if name in derived else answers[name] for name in REJECTS.schema.names]
    return pa.table(columns, schema=REJECTS.schema)


def _start(body: bytes | None) -> str | None:
    # A character has at most four bytes.
    return None if body is None else body[: 4 * BODY_START].decode(errors="replace")[:BODY_START]


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Convert a table of any version to this schema; missing columns are null."""
    # A cast costs time even where nothing is to be done, as in nearly all files.
    if table.schema.equals(schema):
        return pa.table(table.columns, schema=schema)
    names = set(table.schema.names)
    columns = [
        table[field.name].cast(field.type)
        if field.name in names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
