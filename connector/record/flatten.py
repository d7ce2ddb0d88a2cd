"""Flattens nested answers into the columns of `generations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.answer import Outcome
from connector.record.bodies import Bodies
from connector.record.column import TIMESTAMP
from connector.record.derive import derive
from connector.record.dialects import find, parse
from connector.record.fields import Fields
from connector.record.keys import FROM_JSON
from connector.record.order import sequence_of
from connector.record.pieces import split
from connector.record.plain import is_odd, plain
from connector.record.schema import GENERATIONS, TERMINAL_STATUSES, UNFINISHED_STATUSES

if TYPE_CHECKING:
    from connector.record.keys import Json

# Columns read from bodies; the others are derived.
FOUND: Final = pa.schema(
    [
        *(column.field for column in FROM_JSON),
        *(GENERATIONS[n].field for n in ("extra", "coercions")),
    ]
)

# Bodies parsed at once; more do not fit into the processor's cache, and are slower.
CHUNK_ROWS: Final = 2000

# A parsed body takes up to thirty times its bytes, in each of two threads.
CHUNK_BYTES: Final = 2 * 1024 * 1024


def flatten(answers: pa.Table, bodies: Bodies | None = None) -> pa.Table:
    """Turn answers into rows of `generations`, each with the lineage of that one fetch.

    Args:
        answers: Rows of the `answers` table; those that hold no generation are left out.
        bodies: Reads the bodies, and knows their shapes from earlier calls.

    Returns:
        A table of the `generations` schema, one row per answer, in the answers' order. No body
        makes it fail: a value that does not fit its column is null, and noted in `coercions`.
    """
    is_generation = pc.equal(answers["outcome"], Outcome.GENERATION)
    # A filter would copy all bodies, even if it kept each.
    if not pc.all(is_generation, skip_nulls=False, min_count=0).as_py():
        answers = answers.filter(is_generation)
    bodies = bodies or Bodies()
    pieces = split(answers.select(["body", "task_id"]), CHUNK_ROWS, CHUNK_BYTES)
    chunks = [_read(piece, bodies) for piece in pieces]
    found = pa.concat_tables([FOUND.empty_table(), *chunks])
    columns = dict(zip(found.schema.names, found.columns, strict=True))
    columns |= derive(found)
    columns |= _lineage(answers, columns["status"])
    return pa.table([columns[name] for name in GENERATIONS.schema.names], GENERATIONS.schema)


def _read(answers: pa.Table, bodies: Bodies) -> pa.Table:
    columns, is_read = bodies.read(*(column.combine_chunks() for column in answers.columns))
    if not columns:
        return _read_singly(answers)
    if is_read.true_count < len(answers):
        is_other = pc.invert(is_read)
        others = _read_singly(answers.filter(is_other))
        columns = [
            pc.replace_with_mask(column, is_other, other.combine_chunks())
            for column, other in zip(columns, others.columns, strict=True)
        ]
    return pa.table(columns, FOUND)


def _read_singly(answers: pa.Table) -> pa.Table:
    bodies, task_ids = answers["body"].to_pylist(), answers["task_id"].to_pylist()
    documents, left_over = zip(*map(_document, bodies, task_ids), strict=True)
    fields = Fields(list(documents), left_over)
    columns = [*fields.columns(), fields.extra(), fields.coercions()]
    return pa.table(columns, FOUND)


def _document(body: bytes | None, task_id: str) -> tuple[Json, Json | None]:
    """A generation in the documented shape, and the rest of another shape."""
    try:
        found = find(parse(body or b""), task_id)
    except ValueError:
        found = None
    if found is None:
        return {}, None
    if found.is_plain and not is_odd(found.generation):
        return found.generation, None
    return plain(found, task_id)


def _lineage(answers: pa.Table, status: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """The lineage of a single fetch; `merge` adds up several."""
    fetched_at = answers["fetched_at"]
    # An answer was true when the gateway wrote it: after the first request.
    asked_at = pc.subtract(fetched_at, _duration(answers["elapsed_seconds"]))
    finished = pc.is_in(status, pa.array(TERMINAL_STATUSES))
    unfinished = pc.is_in(status, pa.array(UNFINISHED_STATUSES))
    never = pa.scalar(None, TIMESTAMP)
    return {
        "task_id": answers["task_id"],
        "first_seen_at": fetched_at,
        "fetched_at": fetched_at,
        "last_unfinished_at": pc.if_else(unfinished, asked_at, never),
        "first_finished_at": pc.if_else(finished, fetched_at, never),
        "fetches": pa.chunked_array([pa.repeat(pa.scalar(1, pa.int32()), len(answers))]),
        "sequence": sequence_of(answers),
        "run_id": answers["run_id"],
        "base_url": answers["base_url"],
        "api": answers["api"],
    }


def _duration(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert seconds to a duration, rounded up to whole microseconds."""
    return pc.ceil(pc.multiply(seconds, 1e6)).cast(pa.int64()).cast(pa.duration("us"))
