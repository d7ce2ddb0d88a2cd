"""The marts on prompts: `prompts`, `families` and `terms`, of the distinct texts and their uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts import near_duplicates
from connector.marts.fold import COUNTS, counts, outcomes
from connector.marts.terms import Uses, count_terms
from connector.marts.tokens import Tokens
from connector.record.column import TIMESTAMP
from connector.record.mart_schema import TERM_PROMPTS
from connector.record.pieces import shortened
from connector.record.schema import FAMILIES, PROMPTS, TERMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from connector.marts.fold import Read

    Ints = NDArray[np.int64]

# Columns that are taken from the row in which a prompt appears first.
TEXTS: Final = ("prompt_id", "prompt", "prompt_words", "prompt_characters")

# A use whose time is not known comes after all others.
UNKNOWN: Final = 2**63 - 1

# What is the least of all uses, what is the greatest, and what is counted.
FIRST: Final = ("first_seen_at", "first_used_at", "first_completed", "first_failed")
LAST: Final = ("last_used_at",)
COUNTED: Final = (*COUNTS, "moderated", "tries_until_completed", "tries_after_failure")

# What terms are counted by.
USED: Final = (*COUNTS, "moderated", "first_used_at", "last_used_at")

# A prompt and a reason in one number, which sorts by the first.
BITS: Final = 32

# Families whose rows are made at once.
PIECE_FAMILIES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Prompts:
    """The distinct prompts of a warehouse, in the order of first appearance.

    Attributes:
        ids: `prompt_id` of each, as a number.
        first_row: Position of the generation in which it appears first.
        uses: Counts, and times in microseconds; `UNKNOWN`, and its opposite, where there is none.
        reason: Which of the reasons most failures gave; -1 where none did.
        reasons: Reasons of failures.
        tokens: Their words.
        family: For each, the position of the prompt that its family is named after.
    """

    ids: NDArray[np.uint64]
    first_row: Ints
    uses: Mapping[str, NDArray[Any]]
    reason: NDArray[np.int32]
    reasons: pa.Array
    tokens: Tokens
    family: Ints


def gather(read: Read) -> Prompts:
    """Count the prompts, and find their families; holds numbers, and no texts.

    Reads the generations four times.
    """
    number, ids, first_row = _numbered(read)
    uses = _uses(read, number, len(ids))
    reason, reasons = _main_reasons(read, number, len(ids))
    del number
    tokens = Tokens()
    for due, piece, start in _first_uses(read, first_row, ("prompt",)):
        tokens.add(piece["prompt"].take(pa.array(first_row[due] - start)))
    # Families are named in the order of fetching, to which nothing comes in between later.
    order = np.lexsort((ids, uses.pop("first_seen_at")))
    family = near_duplicates.families(near_duplicates.Sets.of(tokens), order)
    return Prompts(ids, first_row, uses, reason, reasons, tokens, family)


def prompts(read: Read, gathered: Prompts | None = None) -> Iterator[pa.Table]:
    """Work out `prompts`, in pieces, in the order of first appearance.

    Texts are the bulk of it: they are held no longer than their piece.
    """
    found = gathered or gather(read)
    for due, piece, start in _first_uses(read, found.first_row, TEXTS):
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


def _first_uses(
    read: Read, first_row: Ints, columns: Sequence[str]
) -> Iterator[tuple[slice, pa.Table, int]]:
    """Which of these rows, in order, are in each piece of generations, and where it starts."""
    done = end = 0
    for piece in read(columns):
        start, end = end, end + len(piece)
        due = slice(done, int(np.searchsorted(first_row, end)))
        if due.start < due.stop:
            yield due, piece, start
        done = due.stop


def _numbered(read: Read) -> tuple[NDArray[np.int32], NDArray[np.uint64], Ints]:
    """Number the prompts as they appear.

    Returns:
        The number of each generation's prompt, -1 if it has none; and of each prompt its ID, and
        the position of its first generation.
    """
    given, has_one = [np.empty(0, np.uint64)], [np.empty(0, bool)]
    for piece in read(("prompt_id",)):
        has_one.append(pc.is_valid(piece["prompt_id"]).to_numpy())
        given.append(_as_numbers(piece["prompt_id"].drop_null()))
    rows = np.flatnonzero(np.concatenate(has_one))
    number = np.full(sum(map(len, has_one)), -1, np.int32)
    ids = np.concatenate(given)
    given.clear()
    order = np.argsort(ids)
    ids = ids[order]
    is_new = np.ones(len(ids), bool)
    is_new[1:] = ids[1:] != ids[:-1]
    ids, starts = ids[is_new], np.flatnonzero(is_new)
    first = np.minimum.reduceat(order, starts) if len(ids) else order
    appeared = np.argsort(first)
    as_they_appear = np.empty(len(ids), np.int32)
    as_they_appear[appeared] = np.arange(len(ids), dtype=np.int32)
    number[rows[order]] = np.repeat(as_they_appear, np.diff(starts, append=len(order)))
    return number, ids[appeared], rows[first[appeared]]


def _as_numbers(ids: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Prompt IDs, which are 16 hexadecimal digits, as numbers."""
    digits = "".join(ids.to_pylist())
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


def _ids(numbers: NDArray[np.uint64]) -> pa.Array:
    """The same as digits."""
    digits = numbers.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * 16
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(digits))


def _uses(read: Read, number: NDArray[np.int32], count: int) -> dict[str, NDArray[Any]]:
    """Count the uses of each prompt, and its tries."""
    uses: dict[str, NDArray[Any]] = {
        **{name: np.full(count, UNKNOWN) for name in FIRST},
        **{name: np.full(count, -UNKNOWN) for name in LAST},
        **{name: np.zeros(count, np.int32) for name in COUNTED},
    }
    for piece, of in _numbered_pieces(
        read, number, ("created_at", "first_seen_at", "status", "failure_category")
    ):
        created, seen = _micros(piece["created_at"], UNKNOWN), piece["first_seen_at"]
        np.minimum.at(uses["first_seen_at"], of, _micros(seen, UNKNOWN))
        np.minimum.at(uses["first_used_at"], of, created)
        np.maximum.at(uses["last_used_at"], of, _micros(piece["created_at"], -UNKNOWN))
        is_moderated = pc.fill_null(pc.equal(piece["failure_category"], "moderation"), False)
        masks = {name: mask.to_numpy() > 0 for name, mask in counts(piece["status"]).items()}
        masks["moderated"] = masks["failed"] & is_moderated.to_numpy()
        for name, mask in masks.items():
            np.add.at(uses[name], of[mask], np.int32(1))
        for status in ("completed", "failed"):
            np.minimum.at(uses[f"first_{status}"], of[masks[status]], created[masks[status]])
    completed, failed = uses.pop("first_completed"), uses.pop("first_failed")
    for piece, of in _numbered_pieces(read, number, ("created_at",)):
        created = _micros(piece["created_at"], UNKNOWN)
        np.add.at(uses["tries_until_completed"], of[created < completed[of]], np.int32(1))
        np.add.at(uses["tries_after_failure"], of[created > failed[of]], np.int32(1))
    return uses


def _numbered_pieces(
    read: Read, number: NDArray[np.int32], columns: Sequence[str]
) -> Iterator[tuple[pa.Table, NDArray[np.int32]]]:
    """Generations that have a prompt, and its number."""
    end = 0
    for piece in read(columns):
        start, end = end, end + len(piece)
        of = number[start:end]
        has_one = of >= 0
        yield (piece, of) if has_one.all() else (piece.filter(pa.array(has_one)), of[has_one])


def _micros(times: pa.ChunkedArray, gap: int) -> Ints:
    found: Ints = times.cast(pa.int64()).fill_null(gap).to_numpy()
    return found


def _main_reasons(
    read: Read, number: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int32], pa.Array]:
    """The reason that most failures gave; of several, the first in the alphabet."""
    known: dict[str, int] = {}
    found = [np.empty(0, np.int64)]
    for piece, of in _numbered_pieces(read, number, ("failure_reason", "status")):
        is_failed = pc.and_(
            pc.equal(piece["status"], "failed"), pc.is_valid(piece["failure_reason"])
        )
        given = piece["failure_reason"].filter(is_failed).combine_chunks().dictionary_encode()
        own = [known.setdefault(reason, len(known)) for reason in given.dictionary.to_pylist()]
        reasons = np.array(own, np.int64)[given.indices.to_numpy()]
        failed = of[pc.fill_null(is_failed, False).to_numpy()]
        found.append(failed.astype(np.int64) << BITS | reasons)
    both, failures = np.unique(np.concatenate(found), return_counts=True)
    names = pa.array(known, pa.string())
    rank = np.argsort(pc.sort_indices(names).to_numpy())
    of, reasons = both >> BITS, both & ((1 << BITS) - 1)
    order = np.lexsort((rank[reasons], -failures, of))
    is_first = np.diff(of[order], prepend=-1) > 0
    main = np.full(count, -1, np.int32)
    main[of[order][is_first]] = reasons[order][is_first]
    return main, names


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
    for due, piece, start in _first_uses(read, wanted, ("prompt",)):
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
