"""Writes JSON with Arrow: texts of many values at once, as Python would write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping


# Larger whole numbers are not all floats.
EXACT: Final = 2.0**53

# Smaller numbers, and those beyond `EXACT`, have an exponent in Python.
SMALLEST: Final = 1e-4

# What JSON escapes in a text.
ESCAPED: Final = rb'["\\\x00-\x1f]'

# What Python writes otherwise: it looks for this word.
OTHERWISE: Final = re.compile(ESCAPED + b"|null")


def json_texts(
    array: pa.Array, key: str, bodies: pa.BinaryArray
) -> tuple[pa.Array, pa.Array | None]:
    """Values as JSON, null for null; and which of them Python may write otherwise, if any.

    Args:
        array: The values.
        key: Under which they stand in the bodies.
        bodies: That they come from, since Arrow does not say whether 5.0 came as 5.
    """
    kind = array.type
    if pa.types.is_string(kind):
        # A search in each takes ten times as long.
        is_usual = not OTHERWISE.search(array.buffers()[2] or b"")
        is_unsure = None if is_usual else pc.match_substring_regex(array, OTHERWISE.pattern)
        return pc.binary_join_element_wise('"', array, '"', ""), is_unsure
    if pa.types.is_floating(kind):
        return _numbers(array, key, bodies)
    if pa.types.is_list(kind):
        return _list(array, bodies)
    if not pa.types.is_struct(kind):
        return array.cast(pa.string()), None
    # A null in an object was there, or nothing was.
    is_valid = pc.is_valid(array)
    is_unsure, texts = pa.repeat(False, len(array)), {}
    for name, values in zip(kind.names, array.flatten(), strict=True):
        texts[name], is_other = json_texts(values, name, bodies)
        for condition in (is_other, pc.is_null(values)):
            if condition is not None:
                is_unsure = pc.or_(is_unsure, pc.fill_null(condition, False))
    return object_of(texts), pc.and_(is_valid, is_unsure)


def _list(array: pa.Array, bodies: pa.BinaryArray) -> tuple[pa.Array, pa.Array]:
    """Lists as JSON; those with a null are not written here."""
    texts, is_unsure = json_texts(array.flatten(), "", bodies)
    is_null = pc.is_null(texts)
    is_unsure = is_null if is_unsure is None else pc.or_(pc.fill_null(is_unsure, False), is_null)
    unsure = pc.list_parent_indices(array).filter(is_unsure)
    rows = pa.array(range(len(array)), unsure.type)
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    ends = pc.cumulative_sum(lengths).cast(pa.int32())
    lists = pa.ListArray.from_arrays(pa.concat_arrays([pa.array([0], pa.int32()), ends]), texts)
    joined = pc.binary_join_element_wise("[", pc.binary_join(lists, ","), "]", "")
    return pc.if_else(pc.is_valid(array), joined, None), pc.is_in(rows, unsure)


def _numbers(array: pa.Array, key: str, bodies: pa.BinaryArray) -> tuple[pa.Array, pa.Array]:
    """Numbers as JSON, some of which have a point; whole ones have it as they came."""
    size = pc.abs(array)
    is_usual = pc.and_(pc.greater(size, SMALLEST), pc.less(size, EXACT))
    is_whole = pc.and_(is_usual, pc.equal(array, pc.round(array)))
    # Elsewhere in the body, the same key may have another number.
    came, bodies = rf'"{key}"\s*:\s*-?\d+', bodies.filter(is_whole)
    has_whole = pc.match_substring_regex(bodies, came + r"\s*[,}]")
    has_other = pc.match_substring_regex(bodies, came + r"[.eE]|\\")
    whole = array.filter(is_whole).cast(pa.int64()).cast(pa.string())
    pointed = pc.binary_join_element_wise(whole, ".0", "")
    is_unsure = pc.fill_null(pc.invert(is_usual), False)
    is_whole = pc.fill_null(is_whole, False)
    return (
        pc.replace_with_mask(
            array.cast(pa.string()), is_whole, pc.if_else(has_whole, whole, pointed)
        ),
        pc.replace_with_mask(is_unsure, is_whole, pc.and_(has_whole, has_other)),
    )


def object_of(texts: Mapping[str, pa.Array]) -> pa.Array:
    """JSON objects of values by key; null for an object without any."""
    names = sorted(texts)
    # Commas stand on that side of each value on which one always follows.
    place = next((at for at, name in enumerate(names) if not texts[name].null_count), len(names))
    pieces: list[str | pa.Array] = ["{"]
    for at, name in enumerate(names):
        key, after = (f',"{name}":' if at > place else f'"{name}":'), "," * (at < place)
        is_whole = not texts[name].null_count
        whole = (key, texts[name], after)
        pieces += whole if is_whole else [pc.binary_join_element_wise(*whole, "")]
    if place < len(names):
        return _concatenated(*pieces, "}")
    joined = pc.utf8_rtrim(_concatenated(*pieces), ",")
    return pc.if_else(pc.equal(joined, "{"), None, _concatenated(joined, "}"))


def _concatenated(*pieces: str | pa.Array) -> pa.Array:
    # Not "skip": it skips rows in which all are null.
    return pc.binary_join_element_wise(*pieces, "", null_handling="replace", null_replacement="")
