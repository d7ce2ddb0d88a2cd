"""The distinct prompts of a warehouse, gathered as numbers: uses, reasons, words and families."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts import near_duplicates
from connector.marts.fold import COUNTS, counts
from connector.marts.tokens import Tokens
from connector.record.order import of_possible_year

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from connector.marts.fold import Read

    Ints = NDArray[np.int64]

# A use whose time is not known comes after all others.
UNKNOWN: Final = 2**63 - 1

# What is the least of all uses, what is the greatest, and what is counted.
FIRST: Final = ("first_seen_at", "first_used_at", "first_completed", "first_failed")
LAST: Final = ("last_used_at",)
COUNTED: Final = (*COUNTS, "moderated", "tries_until_completed", "tries_after_failure")

# A prompt and a reason in one number, which sorts by the first.
BITS: Final = 32


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
    for due, piece, start in first_uses(read, first_row, ("prompt",)):
        tokens.add(piece["prompt"].take(pa.array(first_row[due] - start)))
    # Families are named in the order of fetching, to which nothing comes in between later.
    order = np.lexsort((ids, uses.pop("first_seen_at")))
    family = near_duplicates.families(near_duplicates.Sets.of(tokens), order)
    return Prompts(ids, first_row, uses, reason, reasons, tokens, family)


def first_uses(
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
        created_at = of_possible_year(piece["created_at"])
        created = _micros(created_at, UNKNOWN)
        np.minimum.at(uses["first_seen_at"], of, _micros(piece["first_seen_at"], UNKNOWN))
        np.minimum.at(uses["first_used_at"], of, created)
        np.maximum.at(uses["last_used_at"], of, _micros(created_at, -UNKNOWN))
        is_moderated = pc.fill_null(pc.equal(piece["failure_category"], "moderation"), False)
        masks = {name: mask.to_numpy() > 0 for name, mask in counts(piece["status"]).items()}
        masks["moderated"] = masks["failed"] & is_moderated.to_numpy()
        for name, mask in masks.items():
            np.add.at(uses[name], of[mask], np.int32(1))
        for status in ("completed", "failed"):
            np.minimum.at(uses[f"first_{status}"], of[masks[status]], created[masks[status]])
    completed, failed = uses.pop("first_completed"), uses.pop("first_failed")
    for piece, of in _numbered_pieces(read, number, ("created_at",)):
        created = _micros(of_possible_year(piece["created_at"]), UNKNOWN)
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
