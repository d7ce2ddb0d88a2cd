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
    name: [path.split(".") for path in paths if path.partition(".")[0] in PLAIN_KEYS]
    for name, paths in PATHS.items()
}

# Arrow reads lines, and a body around its own line can end neither early nor late.
BEFORE, AFTER, BODY = pa.scalar(b'{"body":'), pa.scalar(b"}\n"), "body"

# Larger whole numbers are not all floats.
EXACT: Final = 2.0**53


def _shape() -> Shape:
    """The type of each key; of an object, its own shape."""
    shape: Shape = {}
    for column in FROM_JSON:
        for *parents, key in PLACES[column.name]:
            holder = shape
            for parent in parents:
                holder = holder.setdefault(parent, {})
            holder[key] = ARRAY_TYPES[column.type]
    return shape


def _struct(shape: Shape) -> pa.StructType:
    return pa.struct(
        [(key, _struct(kind) if isinstance(kind, dict) else kind) for key, kind in shape.items()]
    )


# Each matches fewer texts than JSON has of the type, and none that Arrow and Python read otherwise.
_TEXT = (
    r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}'
    r'|[dD][0-7][0-9a-fA-F]{2}|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})))*"'
)
_PATTERNS: Final = {
    pa.string(): _TEXT,
    pa.bool_(): "true|false",
    pa.int32(): r"-?(?:0|[1-9]\d{0,8})",
    pa.float64(): r"-?(?:0|[1-9]\d{0,14})(?:\.\d+)?",
}


def _pattern(shape: Shape) -> str:
    blank = r"[ \t\r\n]*"
    values = {
        key: _pattern(kind) if isinstance(kind, dict) else _PATTERNS[kind]
        for key, kind in shape.items()
    }
    pairs = "|".join(f'"{key}"{blank}:{blank}(?:null|{value})' for key, value in values.items())
    pair = f"{blank}(?:{pairs}){blank}"
    return rf"\{{(?:{blank}|{pair}(?:,{pair})*)\}}"


SHAPE: Final = _shape()
SCHEMA: Final = pa.schema([(BODY, _struct(SHAPE))])
OF_THE_SHAPE: Final = rf"\A\s*{_pattern(SHAPE)}\s*\z"
PARSING: Final = pj.ParseOptions(
    explicit_schema=SCHEMA, unexpected_field_behavior="error", newlines_in_values=True
)


def read_documented(bodies: pa.BinaryArray) -> tuple[list[pa.Array], pa.BooleanArray]:
    """Read the bodies that can be read here.

    Args:
        bodies: One or more; a missing one is null.

    Returns:
        The columns of `FROM_JSON` for these bodies, in their order; and for each of all bodies
        whether it is one of them.
    """
    is_read = pc.is_valid(bodies)
    parsed = None if bodies.null_count else _parsed(bodies)
    if parsed is None:
        is_read = pc.fill_null(pc.match_substring_regex(bodies, OF_THE_SHAPE), False)
        parsed = _parsed(bodies.filter(is_read))
        if parsed is None:  # such as a key that comes twice
            return [], pa.repeat(pa.scalar(False), len(bodies))
    columns, is_sure = _columns(parsed)
    if not pc.all(is_sure, min_count=0).as_py():
        columns = [column.filter(is_sure) for column in columns]
        is_read = pc.replace_with_mask(is_read, is_read, is_sure)
    return columns, is_read


def _parsed(bodies: pa.BinaryArray) -> pa.StructArray | None:
    """A struct for each body; None if one is not of the shape."""
    if not len(bodies):
        return None
    lines = pc.binary_join_element_wise(BEFORE, bodies, AFTER, b"")
    text = lines.buffers()[2]
    reading = pj.ReadOptions(use_threads=False, block_size=len(text) + 1)
    try:
        bodies.cast(pa.string())  # JSON is UTF-8, which Arrow's reader does not check
        table = pj.read_json(pa.BufferReader(text), reading, PARSING)
    except (*UNFIT, UnicodeDecodeError):
        return None
    return table[BODY].combine_chunks() if len(table) == len(bodies) else None


def _columns(parsed: pa.StructArray) -> tuple[list[pa.Array], pa.BooleanArray]:
    """The columns, and for each row whether all are as `fields` would have them."""
    values = _values(SCHEMA.field(BODY).type, parsed)
    # Without them, it may not be a generation.
    is_sure = pc.or_(pc.is_valid(values["state"]), pc.is_valid(values["id"]))
    columns = []
    for column in FROM_JSON:
        found = [values[".".join(place)] for place in PLACES[column.name]]
        if not found:
            columns.append(pa.nulls(len(parsed), column.type))
            continue
        array = found[0] if len(found) == 1 else pc.coalesce(*found)
        for number, one in enumerate(found):
            for other in found[:number]:
                is_sure = pc.and_not(is_sure, pc.and_(pc.is_valid(one), pc.is_valid(other)))
        if column.type == TIMESTAMP:
            is_usual = pc.fill_null(pc.match_substring_regex(array, USUAL_TIME), True)
            array = pc.if_else(is_usual, array, None)
            is_sure = pc.and_(is_sure, is_usual)
            try:
                array = array.cast(TIMESTAMP)
            except pa.ArrowInvalid:  # a date that does not exist
                is_sure = pc.and_(is_sure, pc.is_null(array))
                array = pa.nulls(len(array), TIMESTAMP)
        elif column.type == pa.float64():
            is_sure = pc.and_(is_sure, _are_exact(array))
        columns.append(array)
    return columns, is_sure


def _values(kind: pa.StructType, holders: pa.StructArray, path: str = "") -> dict[str, pa.Array]:
    """The values of all keys, by path; null where the object is missing."""
    found: dict[str, pa.Array] = {}
    for field, array in zip(kind, holders.flatten(), strict=True):
        name = f"{path}.{field.name}" if path else field.name
        found |= (
            _values(field.type, array, name)
            if isinstance(field.type, pa.StructType)
            else {name: array}
        )
    return found


def _are_exact(numbers: pa.DoubleArray) -> pa.BooleanArray:
    """Whether Python reads the same: a whole number may be no float, and -0 is 0."""
    if numbers.null_count == len(numbers):
        return pa.repeat(pa.scalar(True), len(numbers))
    is_exact = pc.and_(pc.less(pc.abs(numbers), EXACT), pc.not_equal(numbers, 0.0))
    return pc.fill_null(is_exact, True)
