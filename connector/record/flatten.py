"""Bodies in, rows out: the nested answer as the flat columns of `generations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.answer import Outcome
from connector.record.columns import TIMESTAMP
from connector.record.derived import derived
from connector.record.dialects import generation_in, parse
from connector.record.fields import FROM_JSON, Fields
from connector.record.schema import GENERATIONS, TERMINAL_STATUSES, UNFINISHED_STATUSES

if TYPE_CHECKING:
    from connector.record.fields import Json

__all__ = ["CHUNK_ROWS", "FROM_JSON", "flatten"]

FOUND: Final = pa.schema(
    [
        *(column.field for column in FROM_JSON),
        *(GENERATIONS[n].field for n in ("extra", "coercions")),
    ]
)
"""What is read from bodies, the rest follows from that."""

CHUNK_ROWS: Final = 1000
"""Parsed bodies held at once: more of them fall out of the processor's cache, and it shows."""


def flatten(answers: pa.Table) -> pa.Table:
    """Turn answers into rows of `generations`, each with the lineage of that one fetch.

    Args:
        answers: Rows of the `answers` table; those that hold no generation are left out.

    Returns:
        A table of the `generations` schema, a row an answer, in the answers' order. Never fails
        on any body: what does not fit its column is null there and told in `coercions`.
    """
    answers = answers.filter(pc.equal(answers["outcome"], Outcome.GENERATION))
    bodies = answers["body"]
    chunks = [
        _read(bodies.slice(start, CHUNK_ROWS).to_pylist())
        for start in range(0, len(bodies), CHUNK_ROWS)
    ]
    found = pa.concat_tables([FOUND.empty_table(), *chunks])
    columns = dict(zip(found.schema.names, found.columns, strict=True))
    columns |= derived(found)
    columns |= _lineage(answers, columns["status"])
    return pa.table([columns[name] for name in GENERATIONS.schema.names], GENERATIONS.schema)


def _read(bodies: list[bytes | None]) -> pa.Table:
    fields = Fields(list(map(_document, bodies)))
    columns = [*fields.columns(), fields.extra(), fields.coercions()]
    return pa.table(columns, FOUND)


def _document(body: bytes | None) -> Json:
    try:
        return generation_in(parse(body or b"")) or {}
    except ValueError:
        return {}


def _lineage(answers: pa.Table, status: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """The lineage of a single fetch; `merge` adds up several."""
    fetched_at = answers["fetched_at"]
    # What an answer tells was true when the gateway wrote it: after it was first asked.
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
        "run_id": answers["run_id"],
    }


def _duration(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """To the next whole microsecond."""
    return pc.ceil(pc.multiply(seconds, 1e6)).cast(pa.int64()).cast(pa.duration("us"))
