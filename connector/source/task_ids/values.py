"""From values of any type to task IDs as text, in bulk."""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral
from typing import TYPE_CHECKING
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from connector.source.task_ids.validity import unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

# All that Python calls a blank, the byte order mark, and the zero-width space that web pages add.
BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\ufeff\u200b"

# From here on a float is no longer exact, so an ID that went through one may be another's.
_INEXACT = 2**53


def clean(task_ids: pa.StringArray) -> pa.StringArray:
    """`task_ids` without blanks and without one pair of quotes around them; null becomes ""."""
    task_ids = trim(pc.fill_null(task_ids, ""))
    quoted = _quoted(task_ids)
    if not pc.any(quoted).as_py():
        return task_ids
    return pc.if_else(quoted, trim(pc.utf8_slice_codeunits(task_ids, 1, -1)), task_ids)


def trim(texts: pa.StringArray) -> pa.StringArray:
    """`texts` without blanks around them."""
    return pc.utf8_trim(texts, characters=BLANKS)


def _quoted(texts: pa.StringArray) -> pa.BooleanArray:
    double, single = (
        pc.and_(pc.starts_with(texts, quote), pc.ends_with(texts, quote)) for quote in ('"', "'")
    )
    return pc.and_(pc.or_(double, single), pc.greater(pc.binary_length(texts), 1))


def as_text(values: pa.Array | Sequence[object]) -> pa.StringArray:
    """`values` as text, with null for what is missing, and invalid IDs for what is no text."""
    if not isinstance(values, pa.Array):
        return _from_objects(values)
    if pa.types.is_integer(values.type):
        return values.cast(pa.string())
    # UUIDs are such: the bytes below them are not their text.
    if not isinstance(values, pa.ExtensionArray):
        try:
            # By way of bytes, because that checks the encoding: files hold "strings" that are none.
            values = values.cast(pa.binary())
            return values.cast(pa.string())
        except pa.ArrowException:
            pass
    return _from_objects(values.to_pylist())


def _from_objects(values: Sequence[object]) -> pa.StringArray:
    try:
        return pa.array(values, pa.string(), from_pandas=True)
    except (TypeError, ValueError, pa.ArrowException):
        return pa.array(map(_text, values), pa.string())


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case str():
            return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        case bytes():
            return value.decode("utf-8", "replace")
        case bool():
            pass
        case Integral() | UUID():
            return str(value)
        case float() | Decimal():
            return _number_as_text(value)
    # pandas' own signs for a missing value, told by name so that pandas need not be imported.
    kind = type(value).__name__
    return None if kind in {"NAType", "NaTType"} else unreadable(f"a {kind} is no task ID")


def _number_as_text(value: float | Decimal) -> str | None:
    """A column of integers with a gap comes as floats from pandas, as decimals from databases."""
    if value != value:  # noqa: PLR0124 (only NaN differs from itself)
        return None
    exact = isinstance(value, Decimal) or abs(value) < _INEXACT
    if exact and value % 1 == 0:
        return str(int(value))
    return unreadable(f"the number {value} is no task ID")
