"""Families of near-duplicate texts: a text joins one if it is like at least half of it.

Two texts are alike if their sets of words share 70% (Jaccard). Texts are taken in order: each joins
the family with the clearest majority of texts like it, or starts one. So a text that comes later
changes no family that is there, even if it lies between two of them.

MinHash proposes families to a text, and the sets themselves decide.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np
from rensa import RMinHash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SIMILAR: Final = 0.7

# A text is compared with the first wordings of a family, each of which counts for all texts of it.
COMPARED: Final = 8

# Of two sets that share 70%, a band of four agrees in one of 20 with a chance of 99.6%.
BANDS, BAND_ROWS, SEED = 20, 4, 42
PIECE_TEXTS: Final = 8_192

# Of a signature's 80 numbers, sets that share 70% agree in 56, give or take four; of 32 in 22.
AGREED: Final = 42
FIRST, FIRST_AGREED = 32, 13

# Templates such as "a person is …" would make everything a candidate for everything: of those that
# agree in a band, each is proposed to this many that follow, and a text keeps the nearest ones.
PROPOSED, KEPT = 4, 8
PIECE_PAIRS, MOST_PAIRS = 1 << 18, 1 << 22

# A proposal is one number, by which proposals sort: of the later text, disagreement, the earlier.
LATER, DISAGREED = 1 << 35, 1 << 28

MIX: Final = np.uint64(0x9E3779B97F4A7C15)

Set = tuple["NDArray[np.uint64]", "NDArray[np.int64]"]
"""Sets laid end to end: hashes, and where each set begins; one more offset ends the last."""

Proposals = tuple[list[int], list[int]]
"""For one text after another, earlier ones; where those of each begin, and an offset at the end."""


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


def families(
    sets: Set,
    order: NDArray[np.int64],
    propose: Callable[[Set, NDArray[np.int64]], Proposals] | None = None,
) -> NDArray[np.int64]:
    """For each text, the one that its family is named after: its first.

    Args:
        sets: Words of each text. A text without words is a family of its own kind, with its like.
        order: In which the texts came.
        propose: Finds those that may be alike among some of the texts, by their places there;
            MinHash if not given.
    """
    same = _same(sets, order)
    wordings = order[same[order] == order]
    place = np.empty(len(order), np.int64)
    place[wordings] = np.arange(len(wordings))
    proposals = (propose or _proposals)(sets, wordings)
    of = np.array(_joined(sets, wordings, place[same[order]].tolist(), proposals), np.int64)
    found: NDArray[np.int64] = wordings[of[place[same]]]
    return found


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


def _joined(
    sets: Set, wordings: NDArray[np.int64], arrivals: list[int], proposals: Proposals
) -> list[int]:
    """For each wording, the first one of its family.

    Args:
        sets: Words of each text.
        wordings: Texts with different words, in order.
        arrivals: Of each text, in order: the place of its wording in `wordings`.
        proposals: Those that may be alike, by their places in `wordings`.
    """
    earlier, starts = proposals
    likeness = _likeness(sets, wordings)
    of = list(range(len(wordings)))
    texts_of = [0] * len(wordings)
    members: dict[int, list[int]] = {}
    for here in arrivals:
        texts_of[here] += 1
        if texts_of[here] > 1 or starts[here] == starts[here + 1]:
            continue
        best = 0
        for family in sorted({of[one] for one in earlier[starts[here] : starts[here + 1]]}):
            majority = alike = 0
            for one in members.get(family, (family,)):
                is_alike = likeness(here, one) >= SIMILAR
                alike += is_alike
                majority += texts_of[one] if is_alike else -texts_of[one]
            if alike and (majority > best or (majority == best and of[here] == here)):
                of[here], best = family, majority
        if of[here] != here:
            known = members.setdefault(of[here], [of[here]])
            if len(known) < COMPARED:
                known.append(here)
    return of


def _likeness(sets: Set, wordings: NDArray[np.int64]) -> Callable[[int, int], float]:
    """Jaccard's measure of two wordings, given their places."""
    words, offsets = sets

    @lru_cache(maxsize=10_000)
    def set_of(place: int) -> set[int]:
        text = wordings[place]
        return set(words[offsets[text] : offsets[text + 1]].tolist())

    def likeness(one: int, other: int) -> float:
        here, there = set_of(one), set_of(other)
        shared = len(here & there)
        return shared / (len(here) + len(there) - shared)

    return likeness


def _proposals(sets: Set, texts: NDArray[np.int64]) -> Proposals:
    """Texts that are probably alike."""
    bands, sketches = _bands(sets, texts)
    found, count = [np.empty(0, np.int64)], 0
    for band in bands.T:
        places = np.argsort(band, kind="stable")
        keys = band[places]
        for step in range(1, PROPOSED + 1):
            is_same = keys[step:] == keys[:-step]
            pairs = _agreeing(sketches, places[:-step][is_same], places[step:][is_same])
            found += pairs
            count += sum(map(len, pairs))
        if count > MOST_PAIRS:
            found = [_nearest(found)]
            count = len(found[0])
    nearest = _nearest(found)
    starts = np.searchsorted(nearest, np.arange(len(texts) + 1) * LATER)
    return (nearest % DISAGREED).tolist(), starts.tolist()


def _agreeing(
    sketches: NDArray[np.uint8], earlier: NDArray[np.int64], later: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """Proposals from those pairs whose signatures agree."""
    found = []
    for start in range(0, len(earlier), PIECE_PAIRS):
        one, other = earlier[start : start + PIECE_PAIRS], later[start : start + PIECE_PAIRS]
        is_near = _agreed(sketches[:, :FIRST], one, other) >= FIRST_AGREED
        one, other = one[is_near], other[is_near]
        agreed = _agreed(sketches, one, other)
        proposals = other * LATER + (BANDS * BAND_ROWS - agreed) * DISAGREED + one
        found.append(proposals[agreed >= AGREED])
    return found


def _agreed(
    sketches: NDArray[np.uint8], one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.int64]:
    agreed: NDArray[np.int64] = np.count_nonzero(sketches[one] == sketches[other], axis=1)
    return agreed


def _nearest(proposals: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The best proposals to each text."""
    ranked = np.sort(np.concatenate(proposals))
    ranked = ranked[np.diff(ranked, prepend=-1) > 0]
    of = ranked // LATER
    return ranked[np.arange(len(ranked)) - np.searchsorted(of, of) < KEPT]


def _bands(sets: Set, texts: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """A number for each text and band, and a byte of each number of their signatures."""
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
    return bands, sketches


def _signatures(sets: Set, texts: NDArray[np.int64]) -> NDArray[np.uint32]:
    words, offsets = sets
    starts, lengths = offsets[texts], offsets[texts + 1] - offsets[texts]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        np.ascontiguousarray(words[positions]), ends.astype(np.uint64), BANDS * BAND_ROWS, SEED
    )
    return np.array(matrix.to_rows(), np.uint32).reshape(len(texts), BANDS * BAND_ROWS)
