"""Further columns of a source, kept with its task IDs: which ones, and their values as text.

A column keeps the name that it has in its source, with these exceptions, so that no two names in a
table differ by letter case alone: a blank name becomes `column_3`, by its position; `task_id`, if
it is not the column of the IDs, becomes `given_task_id`; and a name that is taken gets `_2`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import SourceError
from connector.record.kept import (
    BLANK,
    DATE,
    FLAG,
    KEY,
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
from connector.task_ids.columns import find_column
from connector.task_ids.spelling import BLANKS
from connector.task_ids.spelling import NOTHING as WORDS_FOR_NOTHING
from connector.words import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL: Final = "all"

# In bytes, of one value.
LONGEST_KEPT: Final = 16 << 20

_BETWEEN_WORDS = re.compile(r"\s+")
_SHOWN = 20
_SHAPES = 1_000
_TOO_LARGE = 2**63
_MICROSECONDS = len("2025-10-15T08:56:19.325000")


class Take(Protocol):
    """Receives kept columns."""

    def __call__(
        self, where: str, task_ids: pa.Array, columns: Mapping[str, Values], *, has_types: bool
    ) -> None:
        """Take the columns of some valid task IDs of a source."""


class Rows(NamedTuple):
    """Values of the column of task IDs, and those of kept columns in the same order.

    Attributes:
        has_types: Whether the values of `columns` are more than the texts of a CSV file.
    """

    values: Any
    columns: Mapping[str, Any]
    has_types: bool = True


# In the rows of a JSON object that has no such key: not a blank, which would replace a value.
NOT_GIVEN: Final = object()


@dataclass(slots=True)
class Keep:
    """Which columns to keep.

    Attributes:
        names: Their names in the sources, in any spelling; `all` for all.
        unnamed: Names that stand for a blank one, so far.
    """

    names: Sequence[str]
    unnamed: set[str] = field(default_factory=set)

    @property
    def is_all(self) -> bool:
        """Whether all columns are kept."""
        return ALL in self.names

    def choose(self, header: Sequence[object], id_index: int, where: str) -> dict[str, int]:
        """The position of each column to keep, by the name that it gets.

        Args:
            header: The names in the source.
            id_index: Position of the column of task IDs.
            where: The source, for messages.

        Raises:
            SourceError: It lacks a column that is asked for, or has it more than once.
        """
        texts = list(map(as_name, header))
        places = list(range(len(texts)))
        if not self.is_all:
            places = list(dict.fromkeys(self._find(name, texts, where) for name in self.names))
        chosen: dict[str, int] = {}
        taken = {KEY}
        for place in places:
            if place == id_index:  # it is `task_id` already
                continue
            name = texts[place] or f"column_{place + 1}"
            name = f"given_{KEY}" if name.casefold() == KEY else name
            number, free = 1, name
            while free.casefold() in taken:
                number += 1
                free = f"{name}_{number}"
            taken.add(free.casefold())
            chosen[free] = place
            if not texts[place]:
                self.unnamed.add(free)
        return chosen

    def choose_below(
        self, rows: Sequence[Sequence[object]], header: int, id_index: int, where: str
    ) -> dict[str, int]:
        """As `choose`, of rows of which one is the header; none is if its position is -1.

        Raises:
            SourceError: As `choose`, and if there is no header.
        """
        if header < 0:
            raise without_columns(where, "no header names them")
        return self.choose(rows[min(header, len(rows) - 1)], id_index, where)

    def _find(self, name: str, texts: Sequence[str], where: str) -> int:
        index = find_column(texts, name)
        if index is None:
            unnamed = re.fullmatch(r"column_(\d+)", name.strip(BLANKS), re.IGNORECASE)
            place = int(unnamed[1]) - 1 if unnamed else -1
            if 0 <= place < len(texts) and not texts[place]:
                return place
            raise missing(name, texts, where)
        if texts.count(texts[index]) > 1:
            raise SourceError(
                f"{where} has more than one column {texts[index]}: rename the one to keep, or keep"
                " all."
            )
        return index


class KeptKeys:
    """The columns to keep of JSON objects, each of which may have keys of its own."""

    def __init__(
        self,
        keep: Keep,
        where: str,
        holder: Callable[[dict[object, object]], tuple[dict[object, object], object]],
    ) -> None:
        self._keep = keep
        self._where = where
        self._holder = holder
        self._chosen: dict[tuple[object, ...], dict[str, object]] = {}
        self._names: dict[str, str] = {}
        self._seen: dict[str, None] = {}
        self._has_objects = self._has_items = False

    def columns(self, items: Sequence[object]) -> dict[str, list[object]]:
        """The values of each column; `NOT_GIVEN` where an object does not have its key."""
        rows = []
        for item in items:
            row = {}
            if isinstance(item, dict):
                whole, id_key = self._holder(item)
                row = {name: whole[key] for name, key in self._keys_of(whole, id_key).items()}
                self._has_objects = True
            self._has_items = self._has_items or item != ""
            rows.append(row)
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name, NOT_GIVEN) for row in rows] for name in names}

    def check(self) -> None:
        """Raise an error if no object had one of the columns.

        Raises:
            SourceError: The text names it, or says that there were no objects.
        """
        if not self._has_objects and self._has_items:
            raise without_columns(self._where, "it is a plain list of task IDs")
        for name in () if self._keep.is_all or not self._has_objects else self._keep.names:
            if find_column(list(self._seen), name) is None:
                raise missing(name, list(self._seen), self._where)

    def _keys_of(self, item: dict[object, object], id_key: object) -> dict[str, object]:
        """Which key of an object each column has; looked up once for objects alike."""
        keys = tuple(item)
        if keys not in self._chosen:
            if len(self._chosen) >= _SHAPES:
                self._chosen.clear()
            self._seen.update(dict.fromkeys(map(as_name, keys)))
            texts = list(map(as_name, keys))
            here = [name for name in self._keep.names if find_column(texts, name) is not None]
            keep = self._keep if self._keep.is_all else Keep(here)
            id_index = keys.index(id_key) if id_key in item else -1
            chosen = keep.choose(keys, id_index, self._where)
            # Objects may spell one name in several letter cases.
            names = {
                self._names.setdefault(name.casefold(), name): at for name, at in chosen.items()
            }
            self._chosen[keys] = {name: keys[at] for name, at in names.items()}
        return self._chosen[keys]


def as_name(name: object) -> str:
    """The name of a column as text on one line; "" if it is blank."""
    if isinstance(name, float):
        name = int(name) if name.is_integer() else name
        return "" if name != name else str(name)  # noqa: PLR0124  NaN, of a spreadsheet
    text = "" if name is None else str(name)
    text = text.encode("utf-8", "replace").decode().replace("\0", "")
    return _BETWEEN_WORDS.sub(" ", text).strip(BLANKS)


def missing(name: str, names: Sequence[str], where: str) -> SourceError:
    """The error for a column that is asked for and is not there."""
    known = list(dict.fromkeys(filter(None, names)))
    shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    return SourceError(
        f"{where} has no column {name} to keep{did_you_mean(name, known)}. Its columns: {shown}."
    )


def without_columns(where: str, why: str) -> SourceError:
    """The error for a source that cannot have columns."""
    return SourceError(
        f"{where} has no columns to keep: {why}. Leave out --keep and LUMA_KEEP, or give a table"
        " such as CSV."
    )


def kept_values(values: Any, *, has_types: bool) -> Values:
    """Values of a column, of whichever kind, as text with their types."""
    if not has_types:
        return _of_cells(pa.array(values, TEXT))
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return _of_arrow(values) if isinstance(values, pa.Array) else _of_objects(values)


def is_blank(values: Values) -> bool:
    """Whether there is no value, so that a column without a name is none."""
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
