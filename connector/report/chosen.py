"""The terms, families and prompts that the report shows one by one, and who uses them."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.tokens import APOSTROPHE, BREAK, words
from connector.record.schema import FAMILIES, PROMPTS, TERMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from connector.report.prompts import Prompts
    from connector.warehouse.refresh import Marts

TERMS_SHOWN, FAMILIES_SHOWN, PROMPTS_SHOWN = 10, 10, 8
TERMS_READ: Final = 200


class Chosen:
    """Rows of `terms`, `families` and `prompts`, and a number for each of their uses.

    Attributes:
        terms: Surest first; of terms that name the same prompts only the longest.
        families: Largest first, of two prompts or more.
        prompts: Most used and most failing.
    """

    def __init__(self, marts: Marts, top: Prompts) -> None:
        first = next(marts.read(TERMS), TERMS.schema.empty_table()).slice(0, TERMS_READ)
        self.terms = _different(first.to_pylist())
        # Once: to compile what finds words takes longer than to find those of a text.
        split = words(pa.array([row["term"] for row in self.terms], pa.string()))
        self._words: list[list[str]] = split.to_pylist()
        rows = next(marts.read(FAMILIES), FAMILIES.schema.empty_table()).slice(0, FAMILIES_SHOWN)
        self.families = [row for row in rows.to_pylist() if row["prompts"] > 1]
        both = (*top.most_used[:PROMPTS_SHOWN], *top.most_failing[:PROMPTS_SHOWN])
        self.prompts = list({row["prompt_id"]: row for row in both}.values())
        self._ids, self._numbers = self._members(marts)

    def codes(self, piece: pa.Table) -> dict[str, NDArray[Any]]:
        """For each generation: its prompt, its family, and its terms as bits."""
        at = pc.index_in(piece["prompt_id"], self._ids).fill_null(len(self._ids)).to_numpy()
        return {name: numbers[at] for name, numbers in self._numbers.items()}

    def values(self) -> dict[str, list[Any]]:
        """The names of the numbers."""
        return {
            "prompt": [row["prompt"] for row in self.prompts],
            "family": [row["prompt"] for row in self.families],
            "term": [row["term"] for row in self.terms],
        }

    def _members(self, marts: Marts) -> tuple[pa.Array, dict[str, NDArray[np.int64]]]:
        """IDs of all prompts that matter; the numbers end with those of all other prompts."""
        families = pa.array([row["family_id"] for row in self.families], pa.string())
        prompts = pa.array([row["prompt_id"] for row in self.prompts], pa.string())
        ids: list[pa.Array] = [pa.array([], pa.string())]
        family, bits = [], []
        for piece in marts.read(PROMPTS, ("prompt_id", "prompt", "family_id")):
            of = pc.index_in(piece["family_id"], families).fill_null(-1).to_numpy()
            held = self._held(piece["prompt"])
            matters = (of >= 0) | (held > 0)
            matters |= pc.is_in(piece["prompt_id"], prompts).to_numpy()
            ids.append(piece["prompt_id"].filter(pa.array(matters)).combine_chunks())
            family.append(of[matters])
            bits.append(held[matters])
        joined = pa.concat_arrays(ids)
        prompt = pc.index_in(joined, prompts).fill_null(-1).to_numpy(zero_copy_only=False)
        ends = {"prompt": ([prompt], -1), "family": (family, -1), "term": (bits, 0)}
        return joined, {
            name: np.concatenate([*parts, [end]]).astype(np.int64)
            for name, (parts, end) in ends.items()
        }

    def _held(self, texts: pa.ChunkedArray) -> NDArray[np.int64]:
        """Which terms each text holds, as bits."""
        found = np.zeros(len(texts), np.int64)
        if not self.terms:
            return found
        plain = pc.utf8_lower(pc.utf8_normalize(pc.fill_null(texts, ""), form="NFKC"))
        # To find all words takes long: only of texts that have the letters of a term.
        may_hold = reduce(pc.or_, (pc.match_substring(plain, _letters(own)) for own in self._words))
        rows = np.flatnonzero(may_hold.to_numpy())
        joined = pc.binary_join(words(texts.take(pa.array(rows))), " ")
        padded = pc.binary_join_element_wise("", joined, "", " ")
        for bit, own in enumerate(self._words):
            text = " ".join(word for word in own if word != BREAK)
            held = pc.match_substring(padded, f" {text} ").to_numpy(zero_copy_only=False)
            found[rows] |= held.astype(np.int64) << bit
        return found


def _letters(split: Sequence[str]) -> str:
    """The longest letters in a row; apostrophes have several forms."""
    return max((part for word in split for part in word.split(APOSTROPHE)), key=len)


def _different(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Terms whose counts differ: parts of a phrase that is always whole say the same."""
    same = ("prompts", "uses", "failed")
    found: dict[tuple[int, ...], Mapping[str, Any]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in same), row)
    return list(found.values())[:TERMS_SHOWN]
