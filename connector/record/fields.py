"""Turns JSON objects into columns: one Arrow array for each documented field.

Arrow reads all objects in one pass if each value has its documented type, as nearly always. If one
has not, the columns of its object are converted value by value, and `coercions` notes the
conversion. What no column can hold is in `extra`: no value is dropped.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connector.record.coerce import CALENDAR, EPOCH_UNITS, coercer, parse_time, to_json, to_time
from connector.record.column import TIMESTAMP, Column
from connector.record.files import is_address
from connector.record.keys import FROM_JSON, PLAIN_KEYS, Json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime


# Only null is documented for it, so any value is kept as JSON text.
KEEPS_ANYTHING: Final = "queue_state"

# Characters of an unexpected value quoted in `coercions`; `answers` has all of it.
LONGEST_NOTE: Final = 200

NATIVE_TYPES: Final[dict[pa.DataType, frozenset[type]]] = {
    pa.string(): frozenset({str, type(None)}),
    pa.bool_(): frozenset({bool, type(None)}),
    pa.int32(): frozenset({int, type(None)}),
    pa.int64(): frozenset({int, type(None)}),
    pa.float64(): frozenset({float, int, type(None)}),
    TIMESTAMP: frozenset({str, type(None)}),
}
# Types in which Arrow reads the values first.
ARRAY_TYPES: Final = {kind: kind for kind in NATIVE_TYPES} | {TIMESTAMP: pa.string()}

AT_ONCE: Final = frozenset({pa.string(), pa.bool_()})
OPTIONAL_INT: Final = frozenset({int, type(None)})
OBJECT: Final = frozenset({dict, type(None)})

# Times that Arrow and Python read the same way, if the date exists.
USUAL_TIME: Final = (
    r"^[12]\d{3}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$"
)
_FINER_THAN_MICROSECONDS = re.compile(r"\.\d{6}\d*[1-9]")

NOTHING: Final[Json] = {}

# Raised by Arrow for a value of another type, a number out of range, or a lone surrogate.
UNFIT: Final = (pa.ArrowException, OverflowError, UnicodeEncodeError)

# Paths of a column in a document of the documented shape; first match wins.
PATHS: Final = {
    column.name: tuple(
        path
        for number, path in enumerate(column.paths)
        if number == 0 or path.partition(".")[0] in PLAIN_KEYS
    )
    for column in FROM_JSON
}


def _known_keys() -> dict[str, frozenset[str]]:
    """Keys that columns read, by the object that has them; "" is the generation itself."""
    known: dict[str, set[str]] = defaultdict(set)
    for parent, key in (_split(path) for paths in PATHS.values() for path in paths):
        known[parent].add(key)
        if parent:
            known[""].add(parent)
    return {parent: frozenset(keys) for parent, keys in known.items()}


def _shapes() -> dict[str, dict[str, pa.DataType]]:
    """Fields and types that Arrow can read at once, by the object that has them.

    No numbers: Arrow silently reads 1.0 and true as 1.
    """
    shapes: dict[str, dict[str, pa.DataType]] = {}
    for column in FROM_JSON:
        if column.type in AT_ONCE and column.name != KEEPS_ANYTHING:
            for parent, key in map(_split, PATHS[column.name]):
                shapes.setdefault(parent, {})[key] = column.type
    return shapes


def _split(path: str) -> tuple[str, str]:
    parent, _, key = path.rpartition(".")
    return parent, key


# The first keys of each column's paths; without them the column is null.
FIRST_KEYS: Final = {
    name: frozenset(path.partition(".")[0] for path in paths) for name, paths in PATHS.items()
}
KNOWN_KEYS: Final = _known_keys()
SHAPES: Final = _shapes()


class Fields:
    """The fields of generations, with notes on values that do not fit.

    Args:
        documents: Generations in the documented shape.
        left_over: For each, the values that no column takes, if known already.
    """

    def __init__(self, documents: list[Json], left_over: Sequence[Json | None] = ()) -> None:
        self._notes: dict[int, list[Json]] = defaultdict(list)
        self._kept: dict[int, Json] = defaultdict(dict)
        for row, left in enumerate(left_over):
            if left:
                self._kept[row] = left
        self._documents = documents
        self._present = frozenset[str]().union(*set(map(tuple, documents)))
        self._objects = {"": documents}
        for name in KNOWN_KEYS:
            if name:
                self._objects[name] = self._nested(name)

    def _nested(self, name: str) -> list[Json]:
        """The objects under one key; an empty one where it is missing."""
        found = [document.get(name) for document in self._documents]
        if not OBJECT.issuperset(map(type, found)):
            for row, value in enumerate(found):
                if is_address(value) and "url" in KNOWN_KEYS[name]:
                    found[row] = {"url": value}
                elif value is not None and not isinstance(value, dict):
                    self._note(row, name, value, None)
                    self._keep(row, name, value)
                    found[row] = None
        return [value or NOTHING for value in found]

    def columns(self) -> list[pa.Array]:
        """An array for each of `FROM_JSON`."""
        return [self._column(column) for column in FROM_JSON]

    def _column(self, column: Column) -> pa.Array:
        """One column's values, from the first of its paths that has one."""
        paths = PATHS[column.name]
        if self._present.isdisjoint(FIRST_KEYS[column.name]):
            return pa.nulls(len(self._documents), column.type)
        arrays = [self._as_documented.get(path) for path in paths]
        if None not in arrays:
            return arrays[0] if len(arrays) == 1 else self._first_of(paths, arrays)
        values = self._first(paths)
        if NATIVE_TYPES[column.type].issuperset(map(type, values)):
            try:
                array = pa.array(values, ARRAY_TYPES[column.type])
                check = CHECKS.get(column.type)
                return check(array) if check else array
            except UNFIT:
                pass
        if column.is_often_epoch and (seconds := _epoch_seconds(values)) is not None:
            return seconds
        convert = self._times if column.type == TIMESTAMP else self._coerced
        return pa.array(convert(column, values), column.type)

    @cached_property
    def _as_documented(self) -> dict[str, pa.Array]:
        """The values at each path, except for objects in which a value does not fit."""
        found: dict[str, pa.Array] = {}
        for parent, shape in SHAPES.items():
            try:
                holders = pa.array(self._objects[parent], pa.struct(list(shape.items())))
            except UNFIT:
                continue
            paths = [f"{parent}.{key}" if parent else key for key in shape]
            found |= zip(paths, holders.flatten(), strict=True)
        return found

    def _first_of(self, paths: tuple[str, ...], arrays: list[pa.Array]) -> pa.Array:
        """`_first` for whole arrays."""
        texts = [pc.if_else(pc.equal(array, ""), None, array) for array in arrays]
        chosen = pc.coalesce(*texts, *arrays)
        for path, array in zip(paths, arrays, strict=True):
            differs = pc.fill_null(pc.not_equal(array, chosen), False)
            if pc.any(differs, min_count=0).as_py():
                for row in pc.indices_nonzero(differs).to_pylist():
                    self._keep(row, path, array[row].as_py())
        return chosen

    def _first(self, paths: tuple[str, ...]) -> list[Any]:
        """The values at the first path that has one; an empty text gives way to any other."""
        values, *others = map(self._at, paths)
        if not others:
            return values
        for row, found in enumerate(zip(values, *others, strict=True)):
            given = [value for value in found if value is not None]
            if given:
                chosen = next((value for value in given if value != ""), given[0])
                values[row] = chosen
                for path, value in zip(paths, found, strict=True):
                    is_chosen = type(value) is type(chosen) and value == chosen
                    if value is not None and not is_chosen:
                        self._keep(row, path, value)
        return values

    def _at(self, path: str) -> list[Any]:
        parent, key = _split(path)
        return [holder.get(key) for holder in self._objects[parent]]

    def _times(self, column: Column, values: list[Any]) -> list[datetime | None]:
        moments: list[datetime | None] = []
        for row, value in enumerate(values):
            moment, as_documented = parse_time(value) if type(value) is str else (None, False)
            if not as_documented and value is not None:
                moment = to_time(value)
                if not (moment and column.is_often_epoch and type(value) in {int, float}):
                    self._note(row, column.name, value, moment and moment.isoformat())
            is_cut = type(value) is str and _FINER_THAN_MICROSECONDS.search(value)
            if value is not None and (moment is None or is_cut):
                self._keep(row, self._path_of(column, row, value), value)
            moments.append(moment)
        return moments

    def _coerced(self, column: Column, values: list[Any]) -> list[Any]:
        convert = to_json if column.name == KEEPS_ANYTHING else coercer(column.type, column.unit)
        fits = NATIVE_TYPES[column.type]
        result = []
        for row, value in enumerate(values):
            converted = None if value is None else convert(value)
            # A value that is unchanged fits: another one made the column take this way.
            if value is not None and (type(value) not in fits or converted != value):
                self._note(row, column.name, value, converted)
                if converted is None or type(value) is str is type(converted):
                    self._keep(row, self._path_of(column, row, value), value)
            result.append(converted)
        return result

    def _path_of(self, column: Column, row: int, value: Any) -> str:
        """The path of a chosen value."""
        paths = PATHS[column.name]
        for path in paths:
            parent, key = _split(path)
            if self._objects[parent][row].get(key) is value:
                return path
        return paths[0]

    def _keep(self, row: int, path: str, value: Any) -> None:
        """Put a value that its column does not have into `extra`, where it replaces no other."""
        parent, key = _split(path)
        kept = self._kept[row]
        if not parent:
            kept[_free(key, value, kept)] = value
            return
        inner = kept.get(parent)
        if inner is None or isinstance(inner, dict):
            # A copy, because the document belongs to the caller.
            kept[parent] = inner = dict(inner or {})
            inner[_free(key, value, inner)] = value
        else:
            name = f"{parent}_{key}"
            kept[_free(name, value, kept)] = value

    def _note(self, row: int, name: str, value: Any, converted: Any) -> None:
        is_plain = isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value))
        quoted = value if is_plain else to_json(value)[:LONGEST_NOTE]
        self._notes[row].append({"column": name, "from": quoted, "to": converted})

    def coercions(self) -> pa.Array:
        """The notes as JSON; null for a row where everything fits. Complete after `columns`."""
        return self._sparse((row, to_json(notes)) for row, notes in self._notes.items())

    def extra(self) -> pa.Array:
        """The values that no column has, as JSON in their original shape; null if there are none.

        Complete after `columns`.
        """
        for parent, holders in self._objects.items():
            for row, found in _surplus(holders, KNOWN_KEYS[parent]):
                for key, value in found.items():
                    self._keep(row, f"{parent}.{key}" if parent else key, value)
        return self._sparse((row, _to_extra(found)) for row, found in self._kept.items())

    def _sparse(self, texts: Iterable[tuple[int, str]]) -> pa.Array:
        """Build a column with text in few rows."""
        column: list[str | None] = [None] * len(self._documents)
        for row, text in texts:
            column[row] = text
        return pa.array(column, pa.string())


def _free(name: str, value: Any, taken: Json) -> str:
    """The name, with underscores if another value has it."""
    while name in taken and taken[name] is not value:
        name += "_"
    return name


def _epoch_seconds(values: list[Any]) -> pa.Array | None:
    """Times since 1970 in whole seconds, as nearly all of such gateways are; None if one is not."""
    if not OPTIONAL_INT.issuperset(map(type, values)):
        return None
    if not all(value is None or CALENDAR[0][1] < value < EPOCH_UNITS[0][0] for value in values):
        return None
    return pa.array(values, pa.timestamp("s", tz="UTC")).cast(TIMESTAMP)


def _usual_times(texts: pa.Array) -> pa.Array:
    """Parse times if all are as documented.

    Raises:
        pyarrow.ArrowInvalid: One is not.
    """
    if not pc.all(pc.match_substring_regex(texts, USUAL_TIME), min_count=0).as_py():
        raise pa.ArrowInvalid("not as documented, or the zero time")
    return texts.cast(TIMESTAMP)


def _finite(numbers: pa.Array) -> pa.Array:
    """Return the numbers if all are finite; `json` also reads `Infinity` and `NaN`.

    Raises:
        pyarrow.ArrowInvalid: One is not finite.
    """
    if not pc.all(pc.is_finite(numbers), min_count=0).as_py():
        raise pa.ArrowInvalid("a number that is not finite")
    return numbers


# Further checks of values, by type.
CHECKS: Final = {TIMESTAMP: _usual_times, pa.float64(): _finite}


def _surplus(holders: list[Json], known: frozenset[str]) -> Iterator[tuple[int, Json]]:
    # Objects have few shapes, so each shape is searched once.
    shapes = list(map(tuple, holders))
    unknown = {shape: keys for shape in set(shapes) if (keys := set(shape) - known)}
    if not unknown:
        return
    for row, shape in enumerate(shapes):
        if shape in unknown:
            holder = holders[row]
            found = {key: holder[key] for key in unknown[shape] if holder[key] is not None}
            if found:
                yield row, found


def _to_extra(found: Json) -> str:
    try:
        text = orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # a lone surrogate, a huge number, or deeper than orjson writes
        return to_json(_all_finite(found))
    # orjson writes null for a number that is not finite, which some gateways send.
    return text if "null" not in text else to_json(_all_finite(found))


def _all_finite(value: Any) -> Any:
    """The same value with `NaN` and the infinities as text, which JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        if isinstance(value, dict):
            return {key: _all_finite(item) for key, item in value.items()}
        if isinstance(value, list):
            return [_all_finite(item) for item in value]
    except RecursionError:
        pass
    return value
