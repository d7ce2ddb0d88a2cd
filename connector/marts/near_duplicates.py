"""Families of near-duplicate texts: a text joins one if it is like at least half of it.

Two texts are alike if their sets of words share 70% (Jaccard). Texts are taken in order: each joins
the family with the clearest majority of texts like it, or starts one. So a text that comes later
changes no family that is there, even if it lies between two of them.

MinHash proposes families to a text, and the sets themselves decide.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from rensa import RMinHash

from connector.marts.tokens import spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from connector.marts.tokens import Tokens

    Ints = NDArray[np.int64]

SIMILAR: Final = 0.7
WORDLESS: Final = -1

# A text is compared with the first wordings of a family, each of which counts for all texts of it.
COMPARED: Final = 8

# Of two sets that share 70%, a band of four agrees in one of 20 with a chance of 99.6%.
BANDS, BAND_ROWS, SEED = 20, 4, 42
PIECE_TEXTS: Final = 8_192
# Their signatures come as Python's numbers: more would not fit into the processor's cache.
PIECE_SIGNATURES: Final = 512

# Of a signature's 80 numbers, sets that share 70% agree in 56, give or take four; of 32 in 22.
AGREED: Final = 42
FIRST, FIRST_AGREED = 32, 13

# Templates such as "a person is …" would make everything a candidate for everything: of those that
# agree in a band, each is proposed to this many that follow, and a text keeps the nearest ones.
PROPOSED, KEPT = 4, 8
PIECE_PAIRS, MOST_PAIRS = 1 << 14, 1 << 21

# A proposal is one number, by which proposals sort: of the later text, disagreement, the earlier.
LATER, DISAGREED = 1 << 35, 1 << 28

# Two numbers in one, which sorts by the first.
BITS, MASK = 32, 0xFFFFFFFF

MIX: Final = np.uint64(0x9E3779B97F4A7C15)

Proposals = tuple["Ints", "Ints"]
"""For one text after another, earlier ones; where those of each begin, and an offset at the end."""


class Sets(NamedTuple):
    """Texts as sets of words.

    Attributes:
        codes: Numbers of the words of all texts, text after text; 0 is no word.
        offsets: Where each text begins; one more ends the last.
        hashes: Of each word, a number that depends on the word alone.
    """

    codes: NDArray[np.int32]
    offsets: Ints
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, tokens: Tokens) -> Sets:
        """The words of these texts."""
        digests = (blake2b(word.encode(), digest_size=8).digest() for word in tokens.vocabulary)
        return cls(tokens.codes(), tokens.offsets(), np.frombuffer(b"".join(digests), np.uint64))

    def distinct(self, texts: Ints) -> tuple[Ints, Ints]:
        """The different words of some texts, and how many each has."""
        lengths = self.offsets[texts + 1] - self.offsets[texts]
        words = self.codes[spans(self.offsets[texts], lengths)].astype(np.int64)
        words |= np.repeat(np.arange(len(texts)) << BITS, lengths)
        words = words[(words & MASK) > 0]
        words.sort()
        words = _distinct(words)
        return words & MASK, np.bincount(words >> BITS, minlength=len(texts))


def families(
    sets: Sets, order: Ints, propose: Callable[[Sets, Ints], Proposals] | None = None
) -> Ints:
    """For each text, the one that its family is named after: its first.

    Args:
        sets: Words of each text. A text without words is like no other.
        order: In which the texts came.
        propose: Finds those that may be alike among some of the texts, by their places there;
            MinHash if not given.
    """
    found = np.arange(len(order))
    same = _same(sets, order)
    order = order[same[order] != WORDLESS]
    wordings = order[same[order] == order]
    place = np.empty(len(found), np.int32)
    place[wordings] = np.arange(len(wordings))
    proposals = (propose or _proposals)(sets, wordings)
    arrivals = place[same[order]]
    found[order] = wordings[_joined(sets, wordings, arrivals, proposals)[arrivals]]
    return found


def _same(sets: Sets, order: Ints) -> Ints:
    """For each text, the first one in order that has the very same words; else `WORDLESS`."""
    mixed = sets.hashes * MIX
    mixed ^= mixed >> np.uint64(29)
    keys = np.empty(len(order), np.uint64)
    has_words = np.empty(len(order), bool)
    for start in range(0, len(order), PIECE_TEXTS):
        words, lengths = sets.distinct(order[start : start + PIECE_TEXTS])
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed[words])])
        ends = np.cumsum(lengths)
        summed = sums[ends] - sums[ends - lengths]
        has_words[start : start + len(ends)] = lengths > 0
        keys[start : start + len(ends)] = summed * np.uint64(31) + lengths.astype(np.uint64)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    same = np.empty(len(order), np.int64)
    same[order] = np.where(has_words, order[first[inverse]], WORDLESS)
    return same


def _joined(sets: Sets, wordings: Ints, arrivals: NDArray[np.int32], proposals: Proposals) -> Ints:
    """For each wording, the first one of its family.

    Args:
        sets: Words of each text.
        wordings: Texts with different words, in order.
        arrivals: Of each text, in order: the place of its wording in `wordings`.
        proposals: Those that may be alike, by their places in `wordings`.
    """
    # Only those count that a text is compared with; lists of all would take much memory.
    is_compared = np.diff(proposals[1]) > 0
    is_compared[proposals[0]] = True
    compared = np.flatnonzero(is_compared)
    number = np.cumsum(is_compared) - 1
    earlier = array("i", number[proposals[0]].astype(np.int32).tobytes())
    starts = proposals[1][np.append(compared, len(wordings))].tolist()
    set_of = _words_of(sets, wordings[compared])
    of = list(range(len(compared)))
    texts_of = [0] * len(compared)
    members: dict[int, list[int]] = {}
    for here in array("i", number[arrivals[is_compared[arrivals]]].astype(np.int32).tobytes()):
        texts_of[here] += 1
        if texts_of[here] > 1 or starts[here] == starts[here + 1]:
            continue
        best, words = 0, set_of(here)
        size = len(words)
        for family in sorted({of[one] for one in earlier[starts[here] : starts[here + 1]]}):
            majority = alike = 0
            for one in members.get(family, (family,)):
                others = set_of(one)
                shared = len(words & others)
                is_alike = shared / (size + len(others) - shared) >= SIMILAR
                alike += is_alike
                majority += texts_of[one] if is_alike else -texts_of[one]
            if alike and (majority > best or (majority == best and of[here] == here)):
                of[here], best = family, majority
        if of[here] != here:
            known = members.setdefault(of[here], [of[here]])
            if len(known) < COMPARED:
                known.append(here)
    found = np.arange(len(wordings))
    found[compared] = compared[of]
    return found


def _words_of(sets: Sets, wordings: Ints) -> Callable[[int], set[int]]:
    """The words of a wording, given its place."""

    @lru_cache(maxsize=10_000)
    def set_of(place: int) -> set[int]:
        text = wordings[place]
        words = set(sets.codes[sets.offsets[text] : sets.offsets[text + 1]].tolist())
        words.discard(0)
        return words

    return set_of


def _proposals(sets: Sets, texts: Ints) -> Proposals:
    """Texts that are probably alike."""
    bands, sketches = _bands(sets, texts)
    found, pairs, count = np.empty(0, np.int64), [], 0
    for band in bands:
        # Sorted by band and place: plain numbers, ten times as quick as an order of bands.
        both = band.astype(np.uint64) << BITS
        both |= np.arange(len(texts), dtype=np.uint64)
        both.sort()
        keys = (both >> BITS).astype(np.uint32)
        for step in range(1, PROPOSED + 1):
            is_same = keys[step:] == keys[:-step]
            later, earlier = both[step:][is_same] & MASK, both[:-step][is_same] & MASK
            pairs.append((later << BITS | earlier).astype(np.int64))
            count += len(pairs[-1])
            if count > MOST_PAIRS:
                found = _nearest([found, *_agreeing(sketches, pairs)])
                pairs, count = [], 0
    found = _nearest([found, *_agreeing(sketches, pairs)])
    return found % DISAGREED, np.searchsorted(found, np.arange(len(texts) + 1) * LATER)


def _agreeing(sketches: NDArray[np.uint8], pairs: list[Ints]) -> list[Ints]:
    """Proposals from those pairs whose signatures agree; most come from several bands."""
    different = _distinct(_merged([np.empty(0, np.int64), *pairs]))
    found, first = [], np.ascontiguousarray(sketches[:, :FIRST])
    for start in range(0, len(different), PIECE_PAIRS):
        piece = different[start : start + PIECE_PAIRS]
        one, other = piece & MASK, piece >> BITS
        is_near = _agreed(first, one, other) >= FIRST_AGREED
        one, other = one[is_near], other[is_near]
        agreed = _agreed(sketches, one, other).astype(np.int64)
        proposals = other * LATER + (BANDS * BAND_ROWS - agreed) * DISAGREED + one
        found.append(proposals[agreed >= AGREED])
    return found


def _agreed(sketches: NDArray[np.uint8], one: Ints, other: Ints) -> NDArray[np.uint8]:
    is_same = sketches.take(one, axis=0) == sketches.take(other, axis=0)
    # At most 80: bytes hold the sums, which NumPy's other functions take four times as long for.
    agreed: NDArray[np.uint8] = np.einsum("ij->i", is_same.view(np.uint8))
    return agreed


def _nearest(proposals: list[Ints]) -> Ints:
    """The best proposals to each text."""
    ranked = _distinct(_merged(proposals))
    starts = np.flatnonzero(np.diff(ranked // LATER, prepend=-1))
    places = np.arange(len(ranked)) - np.repeat(starts, np.diff(starts, append=len(ranked)))
    return ranked[places < KEPT]


def _merged(numbers: list[Ints]) -> Ints:
    # The stable sort merges numbers that are in order already, as these are for the most part.
    return np.sort(np.concatenate(numbers), kind="stable")


def _distinct(ordered: Ints) -> Ints:
    is_new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    return ordered[is_new]


def _bands(sets: Sets, texts: Ints) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """A number for each band and text, and a byte of each number of their signatures."""
    bands = np.empty((BANDS, len(texts)), np.uint32)
    sketches = np.empty((len(texts), BANDS * BAND_ROWS), np.uint8)
    for start in range(0, len(texts), PIECE_SIGNATURES):
        piece = slice(start, start + PIECE_SIGNATURES)
        signatures = _signatures(sets, texts[piece])
        sketches[piece] = signatures >> np.uint32(24)
        key = np.zeros((len(signatures), BANDS), np.uint64)
        for row in range(BAND_ROWS):
            key = (key ^ signatures[:, row::BAND_ROWS]) * MIX
            key ^= key >> np.uint64(31)
        bands[:, piece] = key.T
    return bands, sketches


def _signatures(sets: Sets, texts: Ints) -> NDArray[np.uint32]:
    words, lengths = sets.distinct(texts)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        sets.hashes[words], ends, BANDS * BAND_ROWS, SEED
    )
    numbers = array("I")
    for row in matrix.to_rows():
        numbers.fromlist(row)  # quicker than NumPy, which looks at each for its type
    return np.frombuffer(numbers, np.uint32).reshape(len(texts), BANDS * BAND_ROWS)
