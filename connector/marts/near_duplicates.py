"""Families of near-duplicate texts: sets of words that share 70% (Jaccard) with a family's first.

MinHash proposes candidates, and each is held against the sets themselves. The first text of a
family stands for it, and a text joins the family whose first one is nearest. So a text that comes
later changes no family that is there, even if it lies between two of them.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np
from rensa import RMinHash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

SIMILAR: Final = 0.7

# Of two sets that share 70%, a band of five agrees in one of 25 with a chance of 99%.
BANDS, BAND_ROWS, SEED = 25, 5, 42
PIECE_TEXTS: Final = 8_192

# Of a signature's 125 numbers, sets that share 70% agree in 88, give or take five.
AGREED: Final = 68

# Templates such as "a person is …" would make everything a candidate for everything.
MOST_IN_BUCKET: Final = 64

MIX: Final = np.uint64(0x9E3779B97F4A7C15)

Set = tuple["NDArray[np.uint64]", "NDArray[np.int64]"]
"""Sets laid end to end: hashes, and where each set begins; one more offset ends the last."""


def hashes_of(vocabulary: Sequence[str]) -> NDArray[np.uint64]:
    """A number for each word that depends on the word alone."""
    digests = b"".join(blake2b(word.encode(), digest_size=8).digest() for word in vocabulary)
    return np.frombuffer(digests, np.uint64)


def sets_of(words: NDArray[np.uint64], texts: NDArray[np.int32], count: int) -> Set:
    """The distinct words of each text, given the words of all texts, text after text."""
    order = np.lexsort((words, texts))
    words, texts = words[order], texts[order]
    is_first = np.ones(len(words), bool)
    is_first[1:] = (words[1:] != words[:-1]) | (texts[1:] != texts[:-1])
    lengths = np.bincount(texts[is_first], minlength=count)
    return words[is_first], np.concatenate([[0], np.cumsum(lengths)])


def families(sets: Set, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each text, the one that its family is named after.

    Args:
        sets: Words of each text. A text without words is a family of its own kind, with its like.
        order: In which the texts came.
    """
    same = _same(sets, order)
    leads = order[same[order] == order]
    of = np.arange(len(order))
    for text, family in _joins(sets, leads):
        of[text] = family
    return of[same]


def _same(sets: Set, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each text, the first one in order that has the very same words."""
    words, offsets = sets
    mixed = words * MIX
    sums = np.concatenate([[np.uint64(0)], np.cumsum(mixed ^ (mixed >> np.uint64(29)))])
    lengths = np.diff(offsets).astype(np.uint64)
    keys = (sums[offsets[1:]] - sums[offsets[:-1]]) * np.uint64(31) + lengths
    _, first, inverse = np.unique(keys[order], return_index=True, return_inverse=True)
    same = np.empty(len(order), np.int64)
    same[order] = order[first[inverse]]
    return same


def _joins(sets: Set, leads: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Texts with the family that is there when they come, in order."""
    words, offsets = sets
    buckets, sketches = _buckets(sets, leads)
    firsts: defaultdict[int, list[int]] = defaultdict(list)

    def set_of(position: int) -> set[int]:
        text = leads[position]
        return set(words[offsets[text] : offsets[text + 1]].tolist())

    for position in np.flatnonzero((buckets >= 0).any(axis=1)).tolist():
        own = buckets[position]
        own = own[own >= 0].tolist()
        found = sorted(set[int]().union(*(firsts[bucket] for bucket in own if bucket in firsts)))
        family, best = None, SIMILAR
        if found:
            candidates = np.array(found)
            agreed = np.count_nonzero(sketches[candidates] == sketches[position], axis=1)
            here = set_of(position)
            for candidate in candidates[agreed >= AGREED].tolist():
                there = set_of(candidate)
                shared = len(here & there)
                likeness = shared / (len(here) + len(there) - shared)
                if likeness > best or (family is None and likeness == best):
                    family, best = candidate, likeness
        if family is not None:
            yield int(leads[position]), int(leads[family])
            continue
        for bucket in own:
            if len(firsts[bucket]) < MOST_IN_BUCKET:
                firsts[bucket].append(position)


def _buckets(sets: Set, texts: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Where texts meet, and a byte of each number of their signatures.

    Returns:
        For each text and band, a number that those share whose band is the same, -1 if none does;
        and the bytes.
    """
    bands = np.empty((len(texts), BANDS), np.uint64)
    sketches = np.empty((len(texts), BANDS * BAND_ROWS), np.uint8)
    for start in range(0, len(texts), PIECE_TEXTS):
        piece = slice(start, start + PIECE_TEXTS)
        signatures = _signatures(sets, texts[piece])
        sketches[piece] = signatures >> np.uint32(24)
        key = np.zeros((len(signatures), BANDS), np.uint64)
        for row in range(BAND_ROWS):
            key = (key ^ signatures[:, row::BAND_ROWS]) * MIX
            key ^= key >> np.uint64(31)
        bands[piece] = key
    found = np.full(bands.shape, -1, np.int32)
    numbered = 0
    for band in range(BANDS):
        _, bucket, counts = np.unique(bands[:, band], return_inverse=True, return_counts=True)
        is_shared = counts[bucket] > 1
        found[is_shared, band] = numbered + bucket[is_shared]
        numbered += len(counts)
    return found, sketches


def _signatures(sets: Set, texts: NDArray[np.int64]) -> NDArray[np.uint32]:
    words, offsets = sets
    starts, lengths = offsets[texts], offsets[texts + 1] - offsets[texts]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        np.ascontiguousarray(words[positions]), ends.astype(np.uint64), BANDS * BAND_ROWS, SEED
    )
    return np.array(matrix.to_rows(), np.uint32).reshape(len(texts), BANDS * BAND_ROWS)
