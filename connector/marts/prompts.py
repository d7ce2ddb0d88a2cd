"""The mart `prompts`: how often each text was used, and what came of it."""

from __future__ import annotations

from string import hexdigits
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.fold import COUNTS, Fold, counts, outcomes
from connector.record.schema import PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connector.marts.fold import Read

# Columns that are taken from the row in which a prompt appears first.
TEXTS: Final = ("prompt", "prompt_words", "prompt_characters")

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
    uses = _with_reasons(_uses(read), read)
    end = 0
    for piece in read(TEXTS):
        start, end = end, end + len(piece)
        due = pc.sum(pc.less(uses["first_row"], end)).as_py() or 0
        yield _rows(uses.slice(0, due), piece, start)
        uses = uses.slice(due)


def _uses(read: Read) -> pa.Table:
    """Count each prompt; `first_row` is the position at which it appears first."""
    return _fold(_used(read), USES, ("prompt_id",), FOLDS).sort_by("first_row")


def _fold(
    pieces: Iterator[pa.Table], schema: pa.Schema, keys: Sequence[str], folds: Mapping[str, str]
) -> pa.Table:
    """Fold in sixteen parts: a hash table of all prompts would be most of the memory."""
    parts = {digit: Fold(schema, keys, folds) for digit in hexdigits[:16]}
    for piece in pieces:
        digits = pc.utf8_slice_codeunits(piece["prompt_id"], 0, 1)
        for digit, part in parts.items():
            part.add(piece.filter(pc.equal(digits, digit)))
    return pa.concat_tables([part.groups() for part in parts.values()])


def _used(read: Read) -> Iterator[pa.Table]:
    end = 0
    for piece in read(("prompt_id", "created_at", "status")):
        start, end = end, end + len(piece)
        columns = {
            "prompt_id": piece["prompt_id"],
            "first_row": pa.arange(start, end),
            "first_used_at": piece["created_at"],
            "last_used_at": piece["created_at"],
            **counts(piece["status"]),
        }
        used = pa.table(columns, USES)
        yield used.filter(pc.is_valid(used["prompt_id"]))


def _with_reasons(uses: pa.Table, read: Read) -> pa.Table:
    """Add the reason that most failures gave; of several, the first in the alphabet."""
    reasons = _fold(_failures(read), REASONS, ("prompt_id", "failure_reason"), {"failures": "sum"})
    order = [("failures", "descending"), ("failure_reason", "ascending")]
    by_prompt = reasons.sort_by(order).group_by("prompt_id", use_threads=False)
    first = by_prompt.aggregate([("failure_reason", "first")])
    rows = pc.index_in(uses["prompt_id"], first["prompt_id"])
    return uses.append_column("main_failure_reason", first["failure_reason_first"].take(rows))


def _failures(read: Read) -> Iterator[pa.Table]:
    for piece in read(("prompt_id", "failure_reason", "status")):
        failed = piece.filter(pc.equal(piece["status"], "failed")).drop_columns("status")
        failed = failed.drop_null()
        once = pa.repeat(pa.scalar(1, pa.int64()), len(failed))
        yield failed.append_column("failures", once).cast(REASONS)


def _rows(uses: pa.Table, piece: pa.Table, start: int) -> pa.Table:
    """Give prompts their texts, from the piece in which all of them appear first."""
    texts = piece.take(pc.subtract(uses["first_row"], start))
    columns = {
        **{name: uses[name] for name in uses.column_names},
        **{name: texts[name] for name in texts.column_names},
        **outcomes(uses),
    }
    return pa.table([columns[name] for name in PROMPTS.schema.names], schema=PROMPTS.schema)
