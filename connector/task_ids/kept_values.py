"""Values of kept columns as text, each column with the type of its values or cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connector.record.kept import (
    BLANK,
    DATE,
    FLAG,
    NOTHING,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    Values,
    is_readable,
    to_texts,
    type_of_cells,
)
from connector.task_ids.kept import NOT_GIVEN
from connector.task_ids.spelling import NOTHING as WORDS_FOR_NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOO_LARGE = 2**63
_MICROSECONDS = len("2025-10-15T08:56:19.325000")


def kept_values(values: Any, *, has_types: bool) -> Values:
    """Values of a column, of whichever kind, as text with their types."""
    if not has_types:
        return _of_cells(pa.array(values, TEXT))
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return _of_arrow(values) if isinstance(values, pa.Array) else _of_objects(values)


def is_blank(values: Values) -> bool:
    """Whether all values are blank: such a column is left out if it has no name."""
    return bool(pc.all(pc.equal(values.texts, BLANK)).as_py())


def _of_cells(cells: pa.Array) -> Values:
    """Cells of CSV: they have the type that all of them can be read as.

    Words for nothing, such as `NULL`, count for nothing if no other cell is text.
    """
    bare = pc.utf8_trim_whitespace(cells)
    is_blank = pc.equal(bare, "")
    telling = bare.filter(pc.invert(is_blank))
    type_ = type_of_cells(telling)
    if type_ == TEXT:
        is_word = pc.is_in(pc.utf8_lower(telling), pa.array(sorted(WORDS_FOR_NOTHING)))
        if pc.any(is_word).as_py():
            type_ = type_of_cells(telling.filter(pc.invert(is_word)))
    return Values(pc.if_else(is_blank, BLANK, cells), frozenset([type_]))


def _of_arrow(values: pa.Array) -> Values:
    if isinstance(values, pa.DictionaryArray):
        return _of_arrow(values.dictionary_decode())
    type_ = next((type_ for is_kind, type_ in _TYPES.items() if is_kind(values.type)), None)
    if type_ is None or isinstance(values, pa.ExtensionArray):
        return _of_objects(values.to_pylist())
    try:
        texts = to_texts(_cast(values, type_))
    except pa.ArrowInvalid:  # beyond the type, such as a number of 64 bits without a sign
        return _of_objects(values.to_pylist())
    return _of_texts(texts, type_)


def _of_texts(texts: pa.Array, type_: pa.DataType) -> Values:
    if texts.null_count == len(texts):
        type_ = NOTHING
    elif type_ in {DATE, TIME} and not is_readable(texts, type_):
        type_ = TEXT  # a year with five digits
    return Values(pc.fill_null(texts, BLANK), frozenset([type_]))


def _cast(values: pa.Array, type_: pa.DataType) -> pa.Array:
    if type_ == TIME:
        if values.type.tz is None:
            values = pc.assume_timezone(values, "UTC")
        return values.cast(TIME, safe=False)
    if type_ == TEXT:
        return values.cast(pa.binary()).cast(TEXT)  # as bytes, to check the encoding
    return values.cast(type_)


_TYPES: Final = {
    pa.types.is_string: TEXT,
    pa.types.is_large_string: TEXT,
    pa.types.is_integer: WHOLE,
    pa.types.is_floating: NUMBER,
    pa.types.is_boolean: FLAG,
    pa.types.is_date: DATE,
    pa.types.is_timestamp: TIME,
}

# What Arrow reads at once, if all values of a list are of that type.
_ALIKE: Final = {str: TEXT, bool: FLAG, float: NUMBER, int: WHOLE}


def _of_objects(values: Sequence[object]) -> Values:
    kinds = set(map(type, values)) - {type(None)}
    type_ = _ALIKE.get(next(iter(kinds))) if len(kinds) == 1 else None
    if type_ is not None:
        try:
            return _of_texts(to_texts(pa.array(values, type_)), type_)
        except (pa.ArrowException, UnicodeError, OverflowError):
            pass
    pairs = [_text(value) for value in values]
    texts = pa.array([text for text, _ in pairs], TEXT)
    return Values(texts, frozenset(type_ for _, type_ in pairs) or frozenset([NOTHING]))


def _text(value: Any) -> tuple[str | None, pa.DataType]:
    """A value as text, and its type."""
    if value is NOT_GIVEN:
        return None, NOTHING
    if _is_nothing(value):
        return BLANK, NOTHING
    writers = (write for kind, write in _WRITERS.items() if isinstance(value, kind))
    return next(writers, _other)(value)


def _is_nothing(value: Any) -> bool:
    # Pandas' own signs for a missing value, by name so that pandas need not be imported.
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, Real | Decimal) and bool(value != value)  # noqa: PLR0124  NaN


def _text_as_text(value: str) -> tuple[str, pa.DataType]:
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace"), TEXT


def _flag_as_text(value: object) -> tuple[str, pa.DataType]:
    return str(bool(value)).lower(), FLAG


def _time_as_text(value: datetime) -> tuple[str, pa.DataType]:
    moment = value.astimezone(UTC) if value.tzinfo else value
    return f"{moment.replace(tzinfo=None).isoformat()[:_MICROSECONDS]}Z", TIME


def _day_as_text(value: date) -> tuple[str, pa.DataType]:
    return value.isoformat(), DATE


def _whole_as_text(value: Any) -> tuple[str, pa.DataType]:
    whole = int(value)
    return str(whole), WHOLE if abs(whole) < _TOO_LARGE else TEXT


def _number_as_text(value: Any) -> tuple[str, pa.DataType]:
    return repr(float(value)), NUMBER


def _decimal_as_text(value: Decimal) -> tuple[str, pa.DataType]:
    if not value.is_finite():
        return _number_as_text(value)
    # As declared in its database, `numeric(9, 0)` holds whole numbers and `numeric(9, 2)` does not.
    is_whole = value.as_tuple().exponent == 0 and abs(value) < _TOO_LARGE
    return format(value, "f"), WHOLE if is_whole else NUMBER


def _bytes_as_text(value: bytes) -> tuple[str, pa.DataType]:
    try:
        return bytes(value).decode(), TEXT
    except UnicodeDecodeError:
        return bytes(value).hex(), TEXT


def _other(value: Any) -> tuple[str, pa.DataType]:
    """A list or an object as JSON; any other value as Python writes it."""
    if type(value).__name__ in {"bool", "bool_"}:  # NumPy's
        return _flag_as_text(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset) or hasattr(value, "tolist"):
        plain = value.tolist() if hasattr(value, "tolist") else value
        plain = list(plain) if isinstance(plain, set | frozenset) else plain
        text = _json(plain)
    else:
        text = str(value)
    return _text_as_text(text)


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, str, orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # whole numbers of any size, halves of surrogate pairs
        return json.dumps(value, separators=(",", ":"), default=str)


# The first that fits writes a value: a boolean is an integer too, and a time is a date.
_WRITERS: Final[dict[Any, Callable[[Any], tuple[str, pa.DataType]]]] = {
    str: _text_as_text,
    bool: _flag_as_text,
    bytes | bytearray | memoryview: _bytes_as_text,
    datetime: _time_as_text,
    date: _day_as_text,
    Integral: _whole_as_text,
    Decimal: _decimal_as_text,
    Real: _number_as_text,
}
