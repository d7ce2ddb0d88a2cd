"""Reads bodies of the documented shapes with Arrow's JSON reader: many at once, and not in Python.

Nearly all bodies are of these shapes. One is read here only if `connector.record.fields` would come
to the same values, without a note and with nothing left for `extra`; all others are left to it.
"""

from __future__ import annotations

import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from connector.record.column import TIMESTAMP
from connector.record.dialects import FROM_JSON, OTHER_DIALECTS, PLAIN_KEYS
from connector.record.fields import ARRAY_TYPES, PATHS, UNFIT, USUAL_TIME

Shape = dict[str, Any]

# Where the values of each column are, best first.
PLACES: Final = {
    name: [path for path in paths if path.partition(".")[0] in PLAIN_KEYS]
    for name, paths in PATHS.items()
}

# Arrow reads lines, and a body around its own line can end neither early nor late.
BEFORE, AFTER, BODY = pa.scalar(b'{"body":'), pa.scalar(b"}\n"), "body"

# Larger whole numbers are not all floats.
EXACT: Final = 2.0**53

# Bodies read first, to see whether it pays to read the others.
SAMPLE: Final = 16


def _shape() -> Shape:
    """The type of each key; of an object, its own shape."""
    shape: Shape = {}
    for column in FROM_JSON:
        for path in PLACES[column.name]:
            parent, _, key = path.rpartition(".")
            holder = shape.setdefault(parent, {}) if parent else shape
            holder[key] = ARRAY_TYPES[column.type]
    return shape


def _struct(shape: Shape) -> pa.StructType:
    kinds = {key: _struct(kind) if isinstance(kind, dict) else kind for key, kind in shape.items()}
    return pa.struct(list(kinds.items()))


SHAPE: Final = _shape()
PARSING: Final = pj.ParseOptions(
    explicit_schema=pa.schema([(BODY, _struct(SHAPE))]), newlines_in_values=True
)


def read_documented(bodies: pa.BinaryArray) -> tuple[list[pa.Array], pa.BooleanArray]:
    """Read the bodies that can be read here.

    Args:
        bodies: One or more; a missing one is null.

    Returns:
        The columns of `FROM_JSON` for these bodies, in their order; and for each of all bodies
        whether it is one of them.
    """
    step = len(bodies) // SAMPLE + 1
    if step == 1 or _are_of_the_shapes(bodies[::step]):
        columns, is_read = _read(bodies)
        if is_read.true_count == len(is_read):
            return columns, is_read
        if is_read.true_count:
            return [column.filter(is_read) for column in columns], is_read
    return [], pa.repeat(pa.scalar(False), len(bodies))


def _are_of_the_shapes(sample: pa.BinaryArray) -> bool:
    """Whether all can be read here; of a mixture, the rest would cost more than it saves."""
    parsed = None if sample.null_count else _parsed(sample)
    if parsed is None:
        return False
    return all(array.null_count == len(array) for array in _take_apart(parsed, SHAPE, "", {}))


def _read(bodies: pa.BinaryArray) -> tuple[list[pa.Array], pa.BooleanArray]:
    """All columns, and for each row whether it is as `fields` would have it."""
    parsed = None if bodies.null_count else _parsed(bodies)
    if parsed is None:
        return [], pa.repeat(pa.scalar(False), len(bodies))
    values: dict[str, pa.Array] = {}
    surplus = _take_apart(parsed, SHAPE, "", values)
    # Without them, it may not be a generation.
    is_sure = pc.or_(pc.is_valid(values["state"]), pc.is_valid(values["id"]))
    if others := [re.escape(key) for key in parsed.type.names if not _is_plain(key)]:
        # Null or missing, which Arrow cannot tell apart, and one would be of another dialect.
        has_other = pc.match_substring_regex(bodies, rf'"(?:{"|".join(others)})"|\\u00')
        is_sure = pc.and_not(is_sure, has_other)
    for array in surplus:
        is_sure = pc.and_not(is_sure, pc.is_valid(array))
    columns = []
    for column in FROM_JSON:
        arrays = [values[path] for path in PLACES[column.name]]
        array = pc.coalesce(*arrays) if arrays else pa.nulls(len(bodies), column.type)
        for other in arrays[1:]:
            # `fields` keeps the value that is not chosen.
            differs = pc.fill_null(pc.not_equal(other, array), False)
            is_sure = pc.and_not(is_sure, differs)
        check = CHECKS.get(column.type) if arrays else None
        if check and array.null_count < len(array):
            array, is_usual = check(array)
            is_sure = pc.and_(is_sure, pc.fill_null(is_usual, True))
        columns.append(array.cast(column.type))
    return columns, is_sure


def _parsed(bodies: pa.BinaryArray) -> pa.StructArray | None:
    """A struct for each body; None if Arrow refuses one, or sees a key with values of two types."""
    lines = pc.binary_join_element_wise(BEFORE, bodies, AFTER, b"")
    text = lines.buffers()[2]
    reading = pj.ReadOptions(use_threads=False, block_size=len(text) + 1)
    try:
        table = pj.read_json(pa.BufferReader(text), reading, PARSING)
        bodies.cast(pa.string())  # JSON is UTF-8, which Arrow's reader does not check
    except (*UNFIT, UnicodeDecodeError):
        return None
    is_whole = table.column_names == [BODY] and len(table) == len(bodies)
    return table[BODY].combine_chunks() if is_whole else None


def _is_plain(key: str) -> bool:
    """Whether a document of the documented shapes may have this key."""
    return key in SHAPE or (key.islower() and key not in OTHER_DIALECTS)


def _take_apart(
    holders: pa.StructArray, shape: Shape, parent: str, values: dict[str, pa.Array]
) -> list[pa.Array]:
    """Put the values of known keys into `values`, by path; return those of other keys."""
    surplus = []
    for key, array in zip(holders.type.names, holders.flatten(), strict=True):
        if isinstance(shape.get(key), dict):
            surplus += _take_apart(array, shape[key], f"{key}.", values)
        elif key in shape:
            values[parent + key] = array
        else:
            surplus.append(array)
    return surplus


def _times(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    is_usual = pc.match_substring_regex(texts, USUAL_TIME)
    try:
        return pc.if_else(is_usual, texts, None).cast(TIMESTAMP), is_usual
    except pa.ArrowInvalid:  # a date that does not exist
        return pa.nulls(len(texts), TIMESTAMP), pc.is_null(texts)


def _numbers(numbers: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Python reads some otherwise: a whole number may be no float, and -0 is 0."""
    return numbers, pc.and_(pc.less(pc.abs(numbers), EXACT), pc.not_equal(numbers, 0.0))


# What makes a column of values, and says which of them are read as `fields` does, by type.
CHECKS: Final = {TIMESTAMP: _times, pa.float64(): _numbers}
