"""Reads bodies of the documented shapes with Arrow's JSON reader: many at once, and not in Python.

Nearly all bodies are of these shapes. One is read here only if `connector.record.fields` would come
to the same values, without a note and with nothing left for `extra`; all others are left to it.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from connector.record.column import TIMESTAMP
from connector.record.dialects import FROM_JSON, PLAIN_KEYS
from connector.record.fields import ARRAY_TYPES, PATHS, UNFIT, USUAL_TIME

Shape = dict[str, Any]

# Where the values of each column are, best first.
PLACES: Final = {
    name: [path for path in paths if path.partition(".")[0] in PLAIN_KEYS]
    for name, paths in PATHS.items()
}

# Of bodies that are larger on average, copies take more memory than Python takes time.
LARGE_BODY: Final = 64 * 1024

# Arrow reads lines, and a body around its own line can end neither early nor late.
BEFORE, AFTER, BODY = pa.scalar(b'{"body":'), pa.scalar(b"}\n"), "body"

# Larger whole numbers are not all floats.
EXACT: Final = 2.0**53


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
    explicit_schema=pa.schema([(BODY, _struct(SHAPE))]),
    newlines_in_values=True,
    unexpected_field_behavior="error",
)


def read_documented(bodies: pa.BinaryArray) -> tuple[list[pa.Array], pa.BooleanArray]:
    """Read the bodies that can be read here; none if one is of another shape.

    Args:
        bodies: One or more; a missing one is null.

    Returns:
        The columns of `FROM_JSON` for these bodies, in their order; and for each of all bodies
        whether it is one of them.
    """
    is_for_python = bodies.null_count or bodies.nbytes > LARGE_BODY * len(bodies)
    parsed = None if is_for_python else _parsed(bodies)
    if parsed is None:
        return [], pa.repeat(pa.scalar(False), len(bodies))
    columns, is_sure = _columns(_values(parsed, SHAPE))
    if is_sure.true_count < len(is_sure):
        columns = [column.filter(is_sure) for column in columns]
    return columns, is_sure


def _parsed(bodies: pa.BinaryArray) -> pa.StructArray | None:
    """A struct for each body; None if Arrow refuses one, as it does at the first unknown key."""
    lines = pc.binary_join_element_wise(BEFORE, bodies, AFTER, b"")
    text = lines.buffers()[2]
    reading = pj.ReadOptions(use_threads=False, block_size=len(text) + 1)
    try:
        table = pj.read_json(pa.BufferReader(text), reading, PARSING)
        bodies.cast(pa.string())  # JSON is UTF-8, which Arrow's reader does not check
    except (*UNFIT, UnicodeDecodeError):
        return None
    return table[BODY].combine_chunks() if len(table) == len(bodies) else None


def _values(holders: pa.StructArray, shape: Shape, parent: str = "") -> dict[str, pa.Array]:
    """The values by path; null where the object is missing."""
    values: dict[str, pa.Array] = {}
    for (key, kind), array in zip(shape.items(), holders.flatten(), strict=True):
        is_object = isinstance(kind, dict)
        values |= _values(array, kind, f"{key}.") if is_object else {parent + key: array}
    return values


def _columns(values: dict[str, pa.Array]) -> tuple[list[pa.Array], pa.BooleanArray]:
    """All columns, and for each row whether it is as `fields` would have it."""
    # Without them, it may not be a generation.
    is_sure = pc.or_(pc.is_valid(values["state"]), pc.is_valid(values["id"]))
    columns = []
    for column in FROM_JSON:
        arrays = [values[path] for path in PLACES[column.name]]
        if not arrays:
            columns.append(pa.nulls(len(is_sure), column.type))
            continue
        array = pc.coalesce(*arrays)
        for other in arrays[1:]:
            # `fields` keeps the value that is not chosen.
            differs = pc.fill_null(pc.not_equal(other, array), False)
            is_sure = pc.and_not(is_sure, differs)
        if column.type in CHECKS:
            array, is_usual = CHECKS[column.type](array)
            is_sure = pc.and_(is_sure, pc.fill_null(is_usual, True))
        columns.append(array)
    return columns, is_sure


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
