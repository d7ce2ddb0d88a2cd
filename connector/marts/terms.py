"""Words and phrases of up to three words, and how surely failures go with them.

Uses of one prompt are not independent, nor are those of its near-duplicates. How alike they end is
estimated once from all families (the intraclass correlation, by analysis of variance), and each
term counts for fewer uses by Kish's design effect, 1 + (m − 1) × correlation.

- The interval of a difference is Newcombe's (1998, method 10), made of Wilson's intervals.
- What is sure is decided by Fisher's exact test, times the number of terms (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from connector.marts.shares import ALPHA, Z, correlation, fisher, newcombe
from connector.marts.tokens import phrases, spans
from connector.record.column import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from connector.marts.tokens import Tokens

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

LONGEST: Final = 3

# Words that are sorted at once, by what follows them: about 50 MB.
SORTED: Final = 500_000
PIECE_TEXTS, PIECE_CODES = 1 << 16, 1 << 20

# Below this many standard errors no test can be sure, so none is made.
WORTH_A_TEST: Final = 3.0


@dataclass(frozen=True, slots=True)
class Uses:
    """Of each prompt: counts, times in microseconds, and its family."""

    completed: NDArray[np.int32]
    failed: NDArray[np.int32]
    unfinished: NDArray[np.int32]
    moderated: NDArray[np.int32]
    first_used_at: Ints
    last_used_at: Ints
    family: Ints


class _Sample(NamedTuple):
    """Finished uses, failed ones, and the sum of the squares of each family's finished ones."""

    finished: Floats
    failed: Floats
    squares: Floats


def count_terms(tokens: Tokens, uses: Uses, least: int) -> dict[str, Any]:
    """The columns of `terms`, surest first.

    Args:
        tokens: Words of the prompts.
        uses: Of the same prompts.
        least: Distinct prompts that a term needs.
    """
    found = [group for group in _groups(tokens, uses, least) if len(group["prompts"])]
    names = tuple(found[0]) if found else ()
    columns: dict[str, Any] = {name: np.concatenate([g[name] for g in found]) for name in names}
    if not found:
        columns = _nothing()
    columns |= _compared(columns, uses)
    codes = columns.pop("codes")
    order = np.lexsort(
        (
            *codes.T[::-1],  # by their first uses
            -columns["words"],
            -columns["prompts"],
            -columns.pop("sureness"),
            ~columns["is_sure"],
        )
    )
    ordered: dict[str, Any] = {
        name: pa.array(column[order], from_pandas=True) for name, column in columns.items()
    }
    for name, gap in (("first_used_at", 2**63 - 1), ("last_used_at", -(2**63 - 1))):
        moments = columns[name][order]
        ordered[name] = pa.array(moments, pa.int64(), mask=moments == gap).cast(TIMESTAMP)
    ordered["term"] = phrases(list(tokens.vocabulary), codes[order])
    ordered["words"] = pa.array(columns["words"][order].astype(np.int32))
    return ordered


def _nothing() -> dict[str, Any]:
    counted = ("words", "prompts", "uses", "completed", "failed", "moderated", "squares", "mixed")
    none: dict[str, Any] = {name: np.empty(0, np.int64) for name in counted}
    times = {name: np.empty(0, np.int64) for name in ("first_used_at", "last_used_at")}
    return none | times | {"codes": np.empty((0, LONGEST), np.int32)}


def _groups(tokens: Tokens, uses: Uses, least: int) -> Iterator[dict[str, Any]]:
    """Terms and their sums, by their first words; a phrase is no more frequent than its parts."""
    order = np.argsort(uses.family, kind="stable")  # families side by side, prompts within them
    of_family = np.bincount(uses.family, uses.completed + uses.failed).astype(np.int64)[uses.family]
    words, codes, texts = _laid_out(tokens, order, least)
    for starts in _starts(codes, len(words)):
        at, number, terms = starts, np.zeros(len(starts), np.int64), np.zeros((1, 0), np.int64)
        for length in range(1, LONGEST + 1):
            following = codes[at + (length - 1)]
            goes_on = following > 0
            key = number[goes_on] * len(words) + following[goes_on]
            place = _sorted(key)
            key, at = key[place], at[goes_on][place]
            enough, is_frequent, number, group = _counted(key, texts[at], uses, of_family, least)
            at = at[is_frequent]
            terms = np.column_stack([terms[enough // len(words)], enough % len(words)])
            if len(terms):
                found = np.zeros((len(terms), LONGEST), np.int32)
                found[:, :length] = words[terms]
                yield {**group, "codes": found, "words": np.full(len(terms), length)}


def _laid_out(
    tokens: Tokens, order: Ints, least: int
) -> tuple[Ints, NDArray[np.int32], NDArray[np.int32]]:
    """The words of all texts in this order, and a 0 wherever a phrase ends.

    Returns:
        Which words occur often enough, after a 0; the words as positions in these; and the text of
        each.
    """
    codes, offsets = tokens.codes(), tokens.offsets()
    is_frequent = _occurrences(codes, len(tokens.vocabulary)) >= least
    is_frequent[0] = False
    words = np.concatenate([[0], np.flatnonzero(is_frequent)])
    number = np.zeros(len(is_frequent), np.int32)
    number[words] = np.arange(len(words))
    laid = np.empty(len(codes) + len(order), np.int32)
    texts, size = np.empty_like(laid), 0
    for start in range(0, len(order), PIECE_TEXTS):
        piece = order[start : start + PIECE_TEXTS]
        lengths = offsets[piece + 1] - offsets[piece] + 1  # and one for the end of the text
        found = number[codes.take(spans(offsets[piece], lengths), mode="clip")]
        found[np.cumsum(lengths) - 1] = 0
        is_kept = found > 0
        is_kept[1:] |= is_kept[:-1].copy()
        of = np.repeat(piece, lengths)
        end = size + int(np.count_nonzero(is_kept))
        laid[size:end], texts[size:end], size = found[is_kept], of[is_kept], end
    return words, laid[:size], texts[:size]


def _occurrences(codes: NDArray[np.int32], words: int) -> Ints:
    found = np.zeros(words, np.int64)
    for start in range(0, len(codes), PIECE_CODES):  # `bincount` copies what it counts
        found += np.bincount(codes[start : start + PIECE_CODES], minlength=words)
    return found


def _starts(codes: NDArray[np.int32], words: int) -> Iterator[Ints]:
    """Where words occur, about `SORTED` of them at a time: all places of some words."""
    counts = _occurrences(codes, words)
    counts[0] = 0
    part = (np.cumsum(counts) - counts) // SORTED + 1
    part[0] = 0
    part = np.unique(part, return_inverse=True)[1]
    parts = part.astype(np.min_scalar_type(int(part.max())))[codes]  # one byte each, if it will do
    for number in range(1, int(parts.max(initial=0)) + 1):
        yield np.flatnonzero(parts == number)


def _sorted(key: Ints) -> Ints:
    """The order of keys; of the same key, the order in which they are."""
    bits = len(key).bit_length()
    if int(key.max(initial=0)) >> (63 - bits):
        return np.argsort(key, kind="stable")
    # Ten times as quick: plain numbers are sorted by vector instructions.
    both = key << bits | np.arange(len(key))
    both.sort()
    return both & ((1 << bits) - 1)


def _counted(
    keys: Ints, prompts: NDArray[np.int32], uses: Uses, of_family: Ints, least: int
) -> tuple[Ints, NDArray[np.bool_], Ints, dict[str, Any]]:
    """Count sorted keys.

    Returns:
        The keys of terms with enough prompts; which rows have one; its number, of these rows; and
        the sums of these terms.
    """
    is_term = np.ones(len(keys), bool)
    is_term[1:] = keys[1:] != keys[:-1]
    is_prompt = is_term.copy()
    is_prompt[1:] |= prompts[1:] != prompts[:-1]
    term = np.cumsum(is_term) - 1
    count = np.bincount(term[is_prompt])
    enough = count >= least
    is_frequent = enough[term]
    number = (np.cumsum(enough) - 1)[term[is_frequent]]
    once = is_prompt[is_frequent]
    group = _summed(number[once], prompts[is_frequent][once], uses, of_family)
    return keys[is_term][enough], is_frequent, number, {"prompts": count[enough], **group}


def _summed(term: Ints, prompt: NDArray[np.int32], uses: Uses, of_family: Ints) -> dict[str, Any]:
    """Sums over the prompts of each term, which stand side by side."""
    starts = np.flatnonzero(np.diff(term, prepend=-1))
    if not len(starts):
        return {n: c for n, c in _nothing().items() if n not in {"words", "prompts", "codes"}}
    sums = {
        name: _sums(getattr(uses, name)[prompt], starts)
        for name in ("completed", "failed", "moderated")
    }
    finished = (uses.completed + uses.failed)[prompt]
    family = uses.family[prompt]
    is_new = np.ones(len(term), bool)
    is_new[1:] = (term[1:] != term[:-1]) | (family[1:] != family[:-1])
    in_family = np.flatnonzero(is_new)
    with_it = _sums(finished, in_family)
    total = of_family[prompt[in_family]]
    mixed = total**2 - (total - with_it) ** 2
    of_term = np.flatnonzero(np.diff(term[in_family], prepend=-1))
    return {
        **sums,
        "uses": _sums(uses.unfinished[prompt], starts) + sums["completed"] + sums["failed"],
        "squares": _sums(with_it**2, of_term),
        "mixed": _sums(mixed, of_term),
        "first_used_at": np.minimum.reduceat(uses.first_used_at[prompt], starts),
        "last_used_at": np.maximum.reduceat(uses.last_used_at[prompt], starts),
    }


def _sums(values: NDArray[np.integer], starts: Ints) -> Ints:
    found: Ints = np.add.reduceat(values, starts, dtype=np.int64)
    return found


def _compared(columns: dict[str, Any], uses: Uses) -> dict[str, Any]:
    """How terms do against all prompts without them."""
    failed, squares = columns["failed"], columns.pop("squares").astype(float)
    finished, moderated = columns["completed"] + failed, columns.pop("moderated")
    of_family = np.bincount(uses.family, uses.completed + uses.failed).astype(float)
    failed_of_family = np.bincount(uses.family, uses.failed).astype(float)
    all_squares = float((of_family**2).sum()) - columns.pop("mixed")
    held = _Sample(finished.astype(float), failed.astype(float), squares)
    others = of_family.sum() - finished, failed_of_family.sum() - failed
    rest = _Sample(others[0].astype(float), others[1].astype(float), all_squares)
    alike = correlation(of_family, failed_of_family)
    n1, n2 = _effective(held, alike), _effective(rest, alike)
    with np.errstate(divide="ignore", invalid="ignore"):
        p1, p2 = held.failed / held.finished, rest.failed / rest.finished
        difference, lower, upper = newcombe(p1, n1, p2, n2, Z)
        tests = max(int(np.isfinite(difference).sum()), 1)
        widest = NormalDist().inv_cdf(1 - ALPHA / 2 / tests)
        _, wide_lower, wide_upper = newcombe(p1, n1, p2, n2, widest)
        pooled = (p1 * n1 + p2 * n2) / (n1 + n2)
        errors = np.abs(difference) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    is_sure = np.nan_to_num(errors) >= min(WORTH_A_TEST, widest)
    tried = np.flatnonzero(is_sure)
    is_sure[tried] = fisher(p1[tried], n1[tried], p2[tried], n2[tried]) * tests <= ALPHA
    return {
        "failure_share": p1,
        "failure_share_without": p2,
        "failure_difference": difference,
        "failure_difference_lower": lower,
        "failure_difference_upper": upper,
        "moderation_share": np.where(finished > 0, moderated / np.maximum(finished, 1), np.nan),
        "is_sure": is_sure,
        "sureness": np.nan_to_num(np.maximum(wide_lower, -wide_upper), nan=-np.inf),
    }


def _effective(sample: _Sample, alike: float) -> Floats:
    """How many independent uses a sample is worth."""
    size = sample.squares / np.maximum(sample.finished, 1)
    return sample.finished / (1 + np.maximum(size - 1, 0) * alike)
