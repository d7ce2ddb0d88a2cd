"""The mart `prompts`: how often each text was used, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.marts.uses import COUNTS, counts, fold, outcomes
from connector.record.schema import PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.record.marts.uses import Read

TEXTS: Final = ("prompt", "prompt_words", "prompt_characters")
"""Columns that are taken from the row in which a prompt appears first."""

KEY: Final = PROMPTS["prompt_id"].field

FOLDS: Final = {"first_row": "min", "first_used_at": "min", "last_used_at": "max", **COUNTS}
USES: Final = pa.schema(
    [
        KEY,
        ("first_row", pa.int64()),
        *(PROMPTS[name].field for name in ("first_used_at", "last_used_at", *COUNTS)),
    ]
)
REASONS: Final = pa.schema([KEY, ("failure_reason", pa.string()), ("failures", pa.int64())])


def prompts(read: Read) -> Iterator[pa.Table]:
    """Work out `prompts`, in pieces, in the order of first appearance.

    Reads the generations three times. Texts are the bulk of it: they come last, and are held no
    longer than their piece.
    """
    pending = _uses(read)
    reasons = _main_reasons(read)
    end = 0
    for piece in read(TEXTS):
        start, end = end, end + len(piece)
        due = pc.sum(pc.less(pending["first_row"], end)).as_py() or 0
        uses, pending = pending.slice(0, due), pending.slice(due)
        yield _rows(uses, reasons, piece.take(pc.subtract(uses["first_row"], start)))


def _uses(read: Read) -> pa.Table:
    """Count each prompt; `first_row` is the position at which it appears first."""
    return fold(_used(read), USES, KEY.name.split(), FOLDS).sort_by("first_row")


def _used(read: Read) -> Iterator[pa.Table]:
    end = 0
    for piece in read(("prompt_id", "created_at", "status")):
        start, end = end, end + len(piece)
        columns = {
            "prompt_id": piece["prompt_id"],
            "first_row": pa.array(range(start, end), pa.int64()),
            "first_used_at": piece["created_at"],
            "last_used_at": piece["created_at"],
            **counts(piece["status"]),
        }
        used = pa.table(columns, USES)
        yield used.filter(pc.is_valid(used["prompt_id"]))


def _main_reasons(read: Read) -> pa.Table:
    """For each prompt that failed, the most given reason; of equals, the first in the alphabet."""
    keys = ["prompt_id", "failure_reason"]
    given = fold(_failures(read), REASONS, keys, {"failures": "sum"}).sort_by(
        [("prompt_id", "ascending"), ("failures", "descending"), ("failure_reason", "ascending")]
    )
    by_prompt = given.group_by("prompt_id", use_threads=False)
    return by_prompt.aggregate([("failure_reason", "first")])


def _failures(read: Read) -> Iterator[pa.Table]:
    for piece in read(("prompt_id", "failure_reason", "status")):
        failed = piece.filter(pc.equal(piece["status"], "failed")).drop_columns("status")
        failed = failed.drop_null()
        once = pa.repeat(pa.scalar(1, pa.int64()), len(failed))
        yield failed.append_column("failures", once).cast(REASONS)


def _rows(uses: pa.Table, reasons: pa.Table, texts: pa.Table) -> pa.Table:
    reason_rows = pc.index_in(uses["prompt_id"], reasons["prompt_id"])
    columns = {
        "prompt_id": uses["prompt_id"],
        **{name: texts[name] for name in TEXTS},
        **outcomes(uses),
        "main_failure_reason": reasons["failure_reason_first"].take(reason_rows),
        "first_used_at": uses["first_used_at"],
        "last_used_at": uses["last_used_at"],
    }
    return pa.table([columns[name] for name in PROMPTS.schema.names], schema=PROMPTS.schema)
