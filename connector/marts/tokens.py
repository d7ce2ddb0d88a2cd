"""Words of texts in any script, by the Unicode properties that Arrow's RE2 knows.

Texts are normalized (NFKC) and in lower case. A word is a run of letters, marks and digits; an
apostrophe within stays. Scripts without blanks between words (Chinese, Japanese, Thai and some
neighbours) give a word for each character, so their phrases are runs of characters.
Everything but a blank, a hyphen, an underscore or a slash ends a phrase.
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.record.pieces import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BREAK: Final = "."
APOSTROPHE: Final = "\u02bc"  # a letter to Unicode, which the other two are not
UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"

STEPS: Final = (
    (r"(\p{L})['’](\p{L})", rf"\1{APOSTROPHE}\2"),
    (r"[-‐‑–_/'’]+", " "),
    (r"[^\p{L}\p{M}\p{N}\s]+|[\n\r]+", f" {BREAK} "),
    (rf"([{UNSPACED}]\p{{M}}*)", r" \1 "),
)


def words(texts: pa.Array | pa.ChunkedArray) -> pa.ListArray:
    """Words of each text in order; `BREAK` stands where a phrase ends."""
    flat = pa.chunked_array([texts]) if isinstance(texts, pa.Array) else texts
    plain, is_ascii = flat.combine_chunks(), pc.all(pc.string_is_ascii(flat)).as_py()
    plain = pc.utf8_lower(plain if is_ascii else pc.utf8_normalize(plain, form="NFKC"))
    for pattern, replacement in STEPS[: -1 if is_ascii else None]:
        plain = pc.replace_substring_regex(plain, pattern=pattern, replacement=replacement)
    split = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(plain))
    return split if isinstance(split, pa.ListArray) else split.combine_chunks()


class Tokens:
    """Words of many texts as numbers, text after text.

    Attributes:
        vocabulary: Number of each word; 0 is `BREAK`.
    """

    def __init__(self) -> None:
        self.vocabulary = {BREAK: 0}
        # Arrays that grow in place: pieces would be in memory twice while they are joined.
        self._codes, self._lengths = array("i"), array("i")

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, texts: pa.ChunkedArray) -> None:
        """Take texts in, before any are read; of long ones, the first `LONGEST_TEXT` characters."""
        found = words(shortened(pa.table([texts], ["text"]))["text"].fill_null(""))
        lengths = np.asarray(pc.list_value_length(found)).astype(np.int32)
        encoded = found.flatten().dictionary_encode()
        known = self.vocabulary
        own = [known.setdefault(word, len(known)) for word in encoded.dictionary.to_pylist()]
        codes = np.array(own, np.int32)[np.asarray(encoded.indices)]
        if "" in known:  # of a blank text
            is_word = codes != known[""]
            texts_of = np.repeat(np.arange(len(lengths)), lengths)
            lengths = np.bincount(texts_of[is_word], minlength=len(lengths)).astype(np.int32)
            codes = codes[is_word]
        self._codes.frombytes(codes.tobytes())
        self._lengths.frombytes(lengths.tobytes())

    def codes(self) -> NDArray[np.int32]:
        """Words of all texts."""
        return np.frombuffer(self._codes, np.int32)

    def offsets(self) -> NDArray[np.int64]:
        """Where each text begins in `codes`; one more ends the last."""
        return np.concatenate(
            [[0], np.cumsum(np.frombuffer(self._lengths, np.int32), dtype=np.int64)]
        )


def spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """All positions of spans, one span after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    found: NDArray[np.int64] = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return found


def phrases(vocabulary: Sequence[str], codes: NDArray[np.int32]) -> pa.Array:
    """Words as they are written; none but those of a script without blanks stand without one.

    Args:
        vocabulary: The words by number; 0 is none.
        codes: The words of each phrase in order, and zeros behind them.
    """
    known = pa.array(["", *vocabulary[1:]], pa.string())
    is_unspaced = pc.match_substring_regex(known, pattern=f"^[{UNSPACED}]").to_numpy(False)
    text = known.take(pa.array(codes[:, 0]))
    for one, other in pairwise(codes.T):
        has_blank = (other > 0) & ~(is_unspaced[one] & is_unspaced[other])
        blank = pa.array(["", " "]).take(pa.array(has_blank.astype(np.int8)))
        text = pc.binary_join_element_wise(text, blank, known.take(pa.array(other)), "")
    return pc.replace_substring(text, APOSTROPHE, "'")
