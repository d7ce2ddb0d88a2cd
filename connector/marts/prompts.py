"""The marts on prompts: `prompts`, `families` and `terms`, of the distinct texts and their uses."""

from __future__ import annotations

from dataclasses import dataclass
from string import hexdigits
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts import near_duplicates
from connector.marts.fold import COUNTS, Fold, counts, outcomes
from connector.marts.terms import Uses, count_terms
from connector.marts.tokens import Tokens
from connector.record.column import TIMESTAMP
from connector.record.mart_schema import TERM_PROMPTS
from connector.record.pieces import shortened
from connector.record.schema import FAMILIES, PROMPTS, TERMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from connector.marts.fold import Read

# Columns that are taken from the row in which a prompt appears first.
TEXTS: Final = ("prompt", "prompt_words", "prompt_characters")

KEY: Final = PROMPTS["prompt_id"].field

FOLDS: Final = {
    "first_row": "min",
    "first_seen_at": "min",
    "first_used_at": "min",
    "last_used_at": "max",
    "first_completed": "min",
    "first_failed": "min",
    "moderated": "sum",
    **COUNTS,
}
USES: Final = pa.schema(
    [
        KEY,
        ("first_row", pa.int64()),
        *((name, TIMESTAMP) for name in ("first_seen_at", "first_used_at", "last_used_at")),
        *((name, pa.int64()) for name in ("first_completed", "first_failed", "moderated", *COUNTS)),
    ]
)
REASONS: Final = pa.schema([KEY, ("failure_reason", pa.string()), ("failures", pa.int64())])

# A use whose time is not known comes after all others.
UNKNOWN: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Prompts:
    """The distinct prompts of a warehouse, in the order of first appearance.

    Attributes:
        uses: Counts and times of each.
        tokens: Their words.
        family: For each, the position of the prompt that its family is named after.
    """

    uses: pa.Table
    tokens: Tokens
    family: NDArray[np.int64]


def gather(read: Read) -> Prompts:
    """Count the prompts, and find their families; holds numbers, and no texts.

    Reads the generations four times.
    """
    uses = _with_tries(_with_reasons(_uses(read), read), read)
    tokens = Tokens()
    for due, piece, start in _first_uses(read, uses, ("prompt",)):
        tokens.add(piece["prompt"].take(pc.subtract(due["first_row"], start)))
    return Prompts(uses, tokens, _families_of(uses, tokens))


def prompts(read: Read, gathered: Prompts | None = None) -> Iterator[pa.Table]:
    """Work out `prompts`, in pieces, in the order of first appearance.

    Texts are the bulk of it: they are held no longer than their piece.
    """
    found = gathered or gather(read)
    ids = found.uses["prompt_id"].combine_chunks()
    uses = found.uses.append_column("family_id", ids.take(pa.array(found.family)))
    for due, piece, start in _first_uses(read, uses, TEXTS):
        yield _rows(due, piece, start)


def families(read: Read, gathered: Prompts | None = None) -> Iterator[pa.Table]:
    """Work out `families`, most used first."""
    found = gathered or gather(read)
    sums = _family_sums(found)
    texts: dict[int, str] = {}
    wanted = pa.array(np.sort(found.uses["first_row"].to_numpy()[sums["used_most"].to_numpy()]))
    for rows, piece, start in _first_uses(read, pa.table({"first_row": wanted}), ("prompt",)):
        chosen = piece.take(pc.subtract(rows["first_row"], start))
        taken = shortened(chosen)["prompt"].to_pylist()
        texts.update(zip(rows["first_row"].to_pylist(), taken, strict=True))
    firsts = found.uses["first_row"].take(sums["used_most"]).to_pylist()
    prompt = pa.array([texts[row] for row in firsts], pa.string())
    columns = {name: sums[name] for name in sums.column_names}
    columns |= {"prompt": prompt, **outcomes(sums)}
    yield pa.table([columns[name] for name in FAMILIES.schema.names], schema=FAMILIES.schema)


def terms(read: Read, gathered: Prompts | None = None, least: int = TERM_PROMPTS) -> pa.Table:
    """Work out `terms`, those first of which it is surest that failures go with them."""
    found = gathered or gather(read)
    columns = {
        name: found.uses[name].cast(pa.int64()).fill_null(gap).to_numpy()
        for name, gap in {
            **dict.fromkeys(("completed", "failed", "unfinished", "moderated"), 0),
            "first_used_at": UNKNOWN,
            "last_used_at": -UNKNOWN,
        }.items()
    }
    counted = count_terms(found.tokens, Uses(**columns, family=found.family), least)
    return pa.table([counted[name] for name in TERMS.schema.names], schema=TERMS.schema)


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often people try again.

    Attributes:
        failed: Prompts that ever failed.
        tried_again: Those that were used again after their first failure.
        completed: Those that are completed, before or after.
    """

    failed: int = 0
    tried_again: int = 0
    completed: int = 0


def repeats(pieces: Iterable[pa.Table]) -> Repeats:
    """Count how often a failed prompt was tried again.

    Args:
        pieces: Of the table `prompts`, with `failed`, `completed`, `tries_after_failure`.
    """
    found = [0, 0, 0]
    for piece in pieces:
        failed = piece.filter(pc.greater(piece["failed"], 0))
        found[0] += len(failed)
        for position, name in enumerate(("tries_after_failure", "completed"), 1):
            found[position] += pc.sum(pc.greater(failed[name], 0)).as_py() or 0
    return Repeats(*found)


def _first_uses(
    read: Read, uses: pa.Table, columns: Sequence[str]
) -> Iterator[tuple[pa.Table, pa.Table, int]]:
    """Prompts, the piece of generations in which they appear first, and where it starts."""
    end = 0
    for piece in read(columns):
        start, end = end, end + len(piece)
        due = pc.sum(pc.less(uses["first_row"], end)).as_py() or 0
        yield uses.slice(0, due), piece, start
        uses = uses.slice(due)


def _families_of(uses: pa.Table, tokens: Tokens) -> NDArray[np.int64]:
    """Families are named in the order of fetching, to which nothing comes in between later."""
    codes, texts = tokens.codes(), tokens.texts()
    is_word = codes != 0
    hashes = near_duplicates.hashes_of(list(tokens.vocabulary))[codes[is_word]]
    sets = near_duplicates.sets_of(hashes, texts[is_word], len(uses))
    keys = [("first_seen_at", "ascending"), ("prompt_id", "ascending")]
    return near_duplicates.families(sets, pc.sort_indices(uses, sort_keys=keys).to_numpy())


def _family_sums(found: Prompts) -> pa.Table:
    uses, ids = found.uses, found.uses["prompt_id"].combine_chunks()
    total = pc.add(pc.add(uses["completed"], uses["failed"]), uses["unfinished"])
    rows = uses.select(["first_used_at", "last_used_at", *COUNTS])
    rows = rows.append_column("family", pa.array(found.family))
    rows = rows.append_column("used_most", pa.arange(0, len(rows)))
    rows = rows.take(np.argsort(-total.to_numpy(), kind="stable"))
    folds = [("first_used_at", "min"), ("last_used_at", "max"), ("used_most", "first")]
    folds += [("family", "count"), *COUNTS.items()]
    sums = rows.group_by("family", use_threads=False).aggregate(folds)
    names = [name.rpartition("_")[0] for name in sums.column_names[1:]]
    names[names.index("family")] = "prompts"
    sums = sums.rename_columns(["family", *names])
    sums = sums.append_column("family_id", ids.take(sums["family"]))
    uses_of = pc.add(pc.add(sums["completed"], sums["failed"]), sums["unfinished"])
    ranked = sums.append_column("uses", uses_of)
    keys = [("prompts", "descending"), ("uses", "descending"), ("family_id", "ascending")]
    return sums.take(pc.sort_indices(ranked, sort_keys=keys))


def _numbers(ids: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Prompt IDs, which are 16 hexadecimal digits, as numbers."""
    digits = "".join(ids.to_pylist())
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


def _with_tries(uses: pa.Table, read: Read) -> pa.Table:
    """Add how many uses it took until one was completed, and how many came after a failure."""
    numbers = _numbers(uses["prompt_id"])
    order = np.argsort(numbers)
    firsts = ("first_completed", "first_failed")
    completed, failed = (uses[name].fill_null(-1).to_numpy() for name in firsts)
    before, after = np.zeros(len(uses), np.int64), np.zeros(len(uses), np.int64)
    for piece in read(("prompt_id", "created_at")):
        used = piece.filter(pc.is_valid(piece["prompt_id"]))
        created = used["created_at"].cast(pa.int64()).fill_null(UNKNOWN).to_numpy()
        found = order[np.searchsorted(numbers, _numbers(used["prompt_id"]), sorter=order)]
        np.add.at(before, found[created < completed[found]], 1)
        np.add.at(after, found[created > failed[found]], 1)
    is_completed, is_failed = pc.greater(uses["completed"], 0), pc.greater(uses["failed"], 0)
    nothing = pa.scalar(None, pa.int64())
    tries = pc.if_else(is_completed, pa.array(before + 1), nothing)
    uses = uses.append_column("tries_until_completed", tries)
    return uses.append_column(
        "tries_after_failure", pc.if_else(is_failed, pa.array(after), nothing)
    )


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
    for piece in read(("prompt_id", "created_at", "first_seen_at", "status", "failure_category")):
        start, end = end, end + len(piece)
        created = piece["created_at"].cast(pa.int64()).fill_null(UNKNOWN)
        is_moderated = pc.fill_null(pc.equal(piece["failure_category"], "moderation"), False)
        is_failed = pc.equal(piece["status"], "failed")
        columns = {
            "prompt_id": piece["prompt_id"],
            "first_row": pa.arange(start, end),
            "first_seen_at": piece["first_seen_at"],
            "first_used_at": piece["created_at"],
            "last_used_at": piece["created_at"],
            "first_completed": _where(pc.equal(piece["status"], "completed"), created),
            "first_failed": _where(is_failed, created),
            "moderated": pc.and_(is_failed, is_moderated).cast(pa.int64()),
            **counts(piece["status"]),
        }
        used = pa.table(columns, USES)
        yield used.filter(pc.is_valid(used["prompt_id"]))


def _where(mask: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(mask, values, pa.scalar(None, pa.int64()))


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
