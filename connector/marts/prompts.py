"""The marts on prompts: `prompts`, `families` and `terms`, of the distinct texts and their uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.distinct_prompts import UNKNOWN, Prompts, first_uses, gather
from connector.marts.fold import COUNTS, outcomes
from connector.marts.terms import Uses, count_terms
from connector.record.column import TIMESTAMP
from connector.record.mart_schema import TERM_PROMPTS
from connector.record.pieces import shortened
from connector.record.schema import FAMILIES, PROMPTS, TERMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from connector.marts.fold import Read

    Ints = NDArray[np.int64]

# Columns that are taken from the row in which a prompt appears first.
TEXTS: Final = ("prompt_id", "prompt", "prompt_words", "prompt_characters")

# What terms are counted by.
USED: Final = (*COUNTS, "moderated", "first_used_at", "last_used_at")

# Families whose rows are made at once.
PIECE_FAMILIES: Final = 65_536


def prompts(read: Read, gathered: Prompts | None = None) -> Iterator[pa.Table]:
    """Work out `prompts`, in pieces, in the order of first appearance.

    Texts are the bulk of it: they are held no longer than their piece.
    """
    found = gathered or gather(read)
    for due, piece, start in first_uses(read, found.first_row, TEXTS):
        yield _rows(found, due, piece.take(pa.array(found.first_row[due] - start)))


def families(read: Read, gathered: Prompts | None = None) -> Iterator[pa.Table]:
    """Work out `families`, most used first."""
    found = gathered or gather(read)
    sums = _family_sums(found)
    wanted = np.sort(found.first_row[sums["used_most"]])
    texts = _texts(read, wanted)
    places = np.searchsorted(wanted, found.first_row[sums["used_most"]])
    for start in range(0, max(len(places), 1), PIECE_FAMILIES):
        rows = {name: column[start : start + PIECE_FAMILIES] for name, column in sums.items()}
        columns = {
            "family_id": _ids(found.ids[rows["family"]]),
            "prompt": texts.take(pa.array(places[start : start + PIECE_FAMILIES])),
            "prompts": rows["prompts"],
            **_times(rows),
            **_outcomes(rows),
        }
        table = pa.table([columns[name] for name in FAMILIES.schema.names], FAMILIES.schema.names)
        yield table.cast(FAMILIES.schema)


def terms(read: Read, gathered: Prompts | None = None, least: int = TERM_PROMPTS) -> pa.Table:
    """Work out `terms`, those first of which it is surest that failures go with them."""
    found = gathered or gather(read)
    uses = Uses(**{name: found.uses[name] for name in USED}, family=found.family)
    counted = count_terms(found.tokens, uses, least)
    return pa.table([counted[name] for name in TERMS.schema.names], schema=TERMS.schema)


def _ids(numbers: NDArray[np.uint64]) -> pa.Array:
    """The same as digits."""
    digits = numbers.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * 16
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(digits))


def _family_sums(found: Prompts) -> dict[str, NDArray[Any]]:
    """Sums of each family, and its most used wording; the largest first."""
    uses = found.uses
    total = uses["completed"] + uses["failed"] + uses["unfinished"]
    order = np.lexsort((-total, found.family))
    starts = np.flatnonzero(np.diff(found.family[order], prepend=-1))
    folds = {"first_used_at": np.minimum, "last_used_at": np.maximum}
    sums: dict[str, NDArray[Any]] = {
        "family": found.family[order[starts]].astype(np.int32),
        "used_most": order[starts].astype(np.int32),
        "prompts": np.diff(starts, append=len(order)).astype(np.int32),
    }
    if not len(starts):
        return sums | {name: uses[name] for name in (*folds, *COUNTS)}
    for name, fold in folds.items():
        sums[name] = fold.reduceat(uses[name][order], starts)
    for name in COUNTS:
        sums[name] = np.add.reduceat(uses[name][order], starts, dtype=np.int32)
    used = np.sum([sums[name] for name in COUNTS], axis=0)
    ranked = np.lexsort((found.ids[sums["family"]], -used, -sums["prompts"]))
    for name in sums:
        sums[name] = sums[name][ranked]
    return sums


def _texts(read: Read, wanted: Ints) -> pa.Array:
    """The prompts of these generations, in one buffer that grows: chunks would be copied to one."""
    text, ends = bytearray(), [np.zeros(1, np.int64)]
    for due, piece, start in first_uses(read, wanted, ("prompt",)):
        chosen = shortened(piece.take(pa.array(wanted[due] - start)))["prompt"]
        lengths = pc.binary_length(chosen).to_numpy().astype(np.int64)
        ends.append(len(text) + np.cumsum(lengths))
        text += "".join(chosen.to_pylist()).encode()
    buffers = (pa.py_buffer(np.concatenate(ends)), pa.py_buffer(text))
    return pa.LargeStringArray.from_buffers(len(wanted), *buffers)


def _times(uses: Mapping[str, NDArray[Any]]) -> dict[str, pa.Array]:
    return {
        name: pa.array(uses[name], pa.int64(), mask=uses[name] == gap).cast(TIMESTAMP)
        for name, gap in (("first_used_at", UNKNOWN), ("last_used_at", -UNKNOWN))
    }


def _outcomes(uses: Mapping[str, NDArray[Any]]) -> dict[str, pa.ChunkedArray]:
    return outcomes(pa.table({name: uses[name].astype(np.int64) for name in COUNTS}))


def _rows(found: Prompts, due: slice, texts: pa.Table) -> pa.Table:
    """The rows of some prompts, given their texts."""
    uses = {name: column[due] for name, column in found.uses.items()}
    reason, never = found.reason[due], {"completed": uses["completed"], "failed": uses["failed"]}
    columns = {
        **{name: texts[name] for name in texts.column_names},
        **_times(uses),
        **_outcomes(uses),
        "family_id": _ids(found.ids[found.family[due]]),
        "main_failure_reason": found.reasons.take(pa.array(reason, mask=reason < 0)),
        "tries_until_completed": pa.array(
            uses["tries_until_completed"] + 1, pa.int64(), mask=never["completed"] == 0
        ),
        "tries_after_failure": pa.array(
            uses["tries_after_failure"], pa.int64(), mask=never["failed"] == 0
        ),
    }
    return pa.table([columns[name] for name in PROMPTS.schema.names], schema=PROMPTS.schema)
