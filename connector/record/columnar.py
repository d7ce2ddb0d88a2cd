"""Makes columns of bodies of one shape, with Arrow: many at once, and not in Python.

Nearly all bodies are of few shapes. A body is read here only if `connector.record.dialects` and
`connector.record.fields` would come to the same values and the same `extra`, without a note; all
others are left to them.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.arrow_json import EXACT, OTHERWISE, json_texts, object_of
from connector.record.candidates import SAYS_WHY
from connector.record.coerce import CALENDAR, EPOCH_UNITS
from connector.record.column import TIMESTAMP
from connector.record.dialects import agreed
from connector.record.fields import ARRAY_TYPES, USUAL_TIME
from connector.record.keys import (
    FAILURE,
    FROM_JSON,
    HEADS,
    IDS,
    MAY_BE_NOTHING,
    PLAIN_KEYS,
    STATE_KEYS,
    wanted,
)
from connector.record.shape import ARTIFACT
from connector.record.states import status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.record.column import Column
    from connector.record.shape import Shape

# They say nothing but the state, and why a generation failed.
SAY_ONE_THING: Final = {("state",), ("failure_reason",)}

NOTED: Final = "%Y-%m-%dT%H:%M:%S+00:00"

NO_TIME: Final = r"^\s*0?\s*$|^0001-01-01"

NO_FAILURE: Final = pa.array(["", "0"])

BETWEEN, MISSING = "\x1f", "\x00"

Path = tuple[str, ...]

_Left = dict[Path, pa.Array]

_Texts = dict[str, pa.Array]


class _Value(NamedTuple):
    """Values that one object has for a column.

    Attributes:
        layer: Number of the object: 0 is the generation.
        path: Keys within it.
        array: Null where there is none, or one that means "none".
    """

    layer: int
    path: Path
    array: pa.Array


class Columns:
    """The columns of bodies of one shape.

    Args:
        parsed: A struct for each body.
        shape: Their shape.
        bodies: As they came.
        task_ids: That were asked for.

    Attributes:
        is_sure: For each body, whether Python would read it so; complete after `arrays`.
    """

    def __init__(
        self, parsed: pa.StructArray, shape: Shape, bodies: pa.BinaryArray, task_ids: pa.Array
    ) -> None:
        self._bodies = bodies
        self._task_ids = task_ids
        self._shape = shape
        self._gathers = shape.gathers
        self._layers = _layers(parsed, shape.chain)
        # Whether there is none in the innermost object, so that the next one is the generation.
        self._is_bare = pc.invert(_inmost(parsed, shape.chain).is_valid()) if shape.chain else None
        self._artifact = self._layers[0].pop((ARTIFACT,), None)
        self._has_artifact = self._artifact is not None and pa.types.is_struct(self._artifact.type)
        if self._has_artifact:
            self._layers.insert(1, _layer(self._artifact))
        self._left = [dict(layer) for layer in self._layers]
        self._notes = pa.nulls(len(bodies), pa.string())
        self.is_sure = pa.repeat(pa.scalar(True), len(bodies))
        self._values = self._gathered()

    def arrays(self) -> list[pa.Array]:
        """An array for each of `FROM_JSON`, then `extra` and `coercions`."""
        arrays = {column.name: self._column(column) for column in FROM_JSON}
        self._check_generation()
        self._check_reasons(arrays["state"], arrays["failure_reason"])
        return [*arrays.values(), self._extra(), self._notes]

    def _gathered(self) -> dict[str, list[_Value]]:
        """What the objects have for which column, best first."""
        found: dict[str, list[tuple[int, int, Path]]] = {}
        for number, layer in enumerate(self._layers[: None if self._gathers else 1]):
            for key, wants in wanted(tuple(dict.fromkeys(path[0] for path in layer))):
                for want in wants:
                    path = (key, want.rest) if want.rest else (key,)
                    if path in layer:
                        found.setdefault(want.name, []).append((number, want.rank, path))
        values: dict[str, list[_Value]] = {}
        for name, places in found.items():
            every = [_Value(at, path, self._layers[at][path]) for at, _, path in sorted(places)]
            values[name] = [value for value in every if not pa.types.is_null(value.array.type)]
        return values

    def _column(self, column: Column) -> pa.Array:
        values = self._usable(column)
        if column.name == "state":
            return self._state(values)
        if not values:
            return pa.nulls(len(self.is_sure), column.type)
        kind = self._kind_of(column, values)
        fitting = [value for value in values if value.array.type == kind]
        others = self._chosen_others(values, kind) if len(fitting) < len(values) else []
        arrays = [value.array for value in fitting] or [pa.nulls(len(self.is_sure), kind)]
        if len(arrays) == 1:
            chosen = arrays[0]
        else:
            filled = map(_filled, arrays) if kind == pa.string() else ()
            chosen = pc.coalesce(*filled, *arrays)
        if column.name == "failure_reason":  # of a completed one it is the video's
            self._refuse(pc.match_substring_regex(chosen, "^https?://"))
        for value in fitting:
            self._take(value, None if len(arrays) == 1 else chosen)
        converted = self._converted(column, chosen, arrays)
        if column.name == "created_at":
            return self._from_numbers(converted, values, others)
        for other in others:
            self._refuse(pc.is_valid(other))
        return converted

    def _usable(self, column: Column) -> list[_Value]:
        """The values that count for a column."""
        values = self._values.get(column.name, [])
        if column.name == "id":  # a whole number is the record's own
            values = [value for value in values if pa.types.is_string(value.array.type)]
        if self._gathers and column.name in MAY_BE_NOTHING:
            values = [one._replace(array=_without_none(column, one.array)) for one in values]
        return values

    def _kind_of(self, column: Column, values: list[_Value]) -> pa.DataType:
        """The type of values that can be chosen."""
        kinds = [value.array.type for value in values]
        if column.is_often_epoch and kinds[0] == pa.int64():
            return pa.int64()
        return ARRAY_TYPES[column.type]

    def _chosen_others(self, values: list[_Value], kind: pa.DataType) -> list[pa.Array]:
        """Values of another type where they are the chosen ones."""
        is_open = pa.repeat(pa.scalar(True), len(self.is_sure))
        others = []
        for value in values:
            array = value.array
            if array.type != kind:
                others.append(pc.if_else(is_open, array, None))
                is_open = pc.and_(is_open, pc.is_null(array))
            else:
                is_open = pc.and_(
                    is_open, pc.is_null(_filled(array) if kind == pa.string() else array)
                )
        return others

    def _from_numbers(
        self, times: pa.Array, values: list[_Value], others: list[pa.Array]
    ) -> pa.Array:
        """The times, and those of numbers where they are chosen, which is noted."""
        others = [other for other in others if other.type == pa.int64()]
        if not others or all(other.null_count == len(other) for other in others):
            return times
        numbers = pc.coalesce(*others)
        # A text that comes after the number is not the one chosen.
        self._refuse(pc.and_(pc.is_valid(numbers), pc.is_valid(times)))
        for value in values:
            if value.array.type == pa.int64():
                self._take(value, numbers)
        self._require(pc.and_(_is_epoch(numbers), pc.less(numbers, int(EPOCH_UNITS[0][0]))))
        found = _from_epoch(numbers)
        note = '[{"column":"created_at","from":'
        text = pc.strftime(found.cast(pa.timestamp("s", "UTC"), safe=False), NOTED)
        self._notes = pc.binary_join_element_wise(
            note, numbers.cast(pa.string()), ',"to":"', text, '"}]', ""
        )
        return pc.coalesce(times, found)

    def _take(self, value: _Value, chosen: pa.Array | None) -> None:
        """Leave nothing for `extra` where a value is the chosen one; the only one if None."""
        left = self._left[value.layer]
        if value.path not in left:
            return
        if chosen is None and value.array is self._layers[value.layer][value.path]:
            del left[value.path]
            return
        is_taken = pc.is_valid(value.array) if chosen is None else pc.equal(value.array, chosen)
        is_left = pc.and_not(pc.is_valid(left[value.path]), pc.fill_null(is_taken, False))
        if is_left.true_count:
            left[value.path] = _where_not(is_taken, left[value.path])
        else:
            del left[value.path]

    def _converted(self, column: Column, chosen: pa.Array, arrays: list[pa.Array]) -> pa.Array:
        """The column of the values chosen, from these."""
        if column.type == TIMESTAMP and chosen.type == pa.int64():
            for array in arrays:
                self._require(_is_epoch(array))
            return _from_epoch(chosen)
        if column.type == TIMESTAMP:
            for array in arrays:
                self._require(pc.match_substring_regex(array, USUAL_TIME))
            return self._times(chosen)
        if column.type == pa.float64():
            # Python reads some otherwise: a whole number may be no float, and -0 is 0.
            for array in arrays:
                is_exact = pc.and_(pc.less(pc.abs(array), EXACT), pc.not_equal(array, 0.0))
                self._require(is_exact)
            if len(arrays) > 1:
                # Of two, one may be 5 and the other 5.0.
                self._refuse(reduce(pc.and_, map(pc.is_valid, arrays)))
        return chosen

    def _times(self, texts: pa.Array) -> pa.Array:
        try:
            return pc.if_else(self.is_sure, texts, None).cast(TIMESTAMP)
        except pa.ArrowInvalid:  # a date that does not exist
            self._require(pc.is_null(texts))
            return pa.nulls(len(texts), TIMESTAMP)

    def _state(self, values: list[_Value]) -> pa.Array:
        """The state of all objects together, by the words that there are."""
        texts = [value for value in values if pa.types.is_string(value.array.type)]
        if not self._gathers or not texts:
            for value in texts:
                self._take(value, None)
            return texts[0].array if texts else pa.nulls(len(self.is_sure), pa.string())
        for value in texts:
            if OTHERWISE.search(value.array.buffers()[2] or b""):
                self._refuse(pc.match_substring_regex(value.array, OTHERWISE.pattern))
        texts.sort(key=lambda value: (value.layer, STATE_KEYS.index(value.path[0])))
        joined = pc.binary_join_element_wise(
            *(value.array for value in texts),
            BETWEEN,
            null_handling="replace",
            null_replacement=MISSING,
        ).dictionary_encode()
        layers = [value.layer for value in texts]
        words = [
            _agreed_word(text.split(BETWEEN), layers) for text in joined.dictionary.to_pylist()
        ]
        state = pa.array([word for word, _ in words], pa.string()).take(joined.indices)
        self._require(pa.array([is_sure for _, is_sure in words], pa.bool_()).take(joined.indices))
        for value in texts:
            self._take(value, state)
        return state

    def _check_generation(self) -> None:
        """A row is sure only if there is a generation where the chain leads to."""
        own = self._layers[0]
        if self._shape.is_plain and not self._shape.chain and not self._has_artifact:
            self._require(pc.or_(pc.is_valid(own["state",]), pc.is_valid(own["id",])))
            return
        is_there = self._has_state(0)
        if not self._shape.is_plain:
            is_there = pc.and_(is_there, self._any_valid(own, [(name,) for name in IDS[:2]]))
        is_there = pc.or_(is_there, self._any_valid(own, [("video", "url")]))
        if self._has_artifact:
            within = self._layers[1]
            is_there = pc.or_(is_there, self._any_valid(within, [("video", "url")]))
            known = [path for path in within if path[0] in HEADS]
            self._require(pc.or_(pc.is_null(self._artifact), self._any_valid(within, known)))
        if self._is_bare is not None:
            is_there = pc.or_(is_there, self._is_record())
        self._require(is_there)
        if self._gathers:
            self._check_nothing(own)

    def _check_reasons(self, states: pa.Array, reasons: pa.Array) -> None:
        """A failure without a reason may have one under a key that says other things too."""
        if SAYS_WHY.isdisjoint(path[0] for path in self._layers[0] if path not in SAY_ONE_THING):
            return
        states = states.dictionary_encode()
        failed = [status(state) == "failed" for state in states.dictionary.to_pylist()]
        if any(failed):
            has_failed = pa.array(failed, pa.bool_()).take(states.indices)
            self._refuse(pc.and_(has_failed, pc.is_null(reasons)))

    def _check_nothing(self, own: _Left) -> None:
        """What means "none" is kept, where no key but those of the generation is of a column."""
        has_nothing = pc.or_(
            pc.is_in(own["failure_reason",], NO_FAILURE),
            pc.fill_null(pc.match_substring_regex(own["created_at",], NO_TIME), False),
        )
        if has_nothing.true_count:
            signs = pc.and_not(has_nothing, has_nothing)
            for number, layer in enumerate(self._layers):
                paths = [path for path in layer if path[0] in HEADS]
                others = [path for path in paths if number or path[0] not in PLAIN_KEYS]
                signs = pc.or_(signs, self._any_valid(layer, others))
            self._refuse(pc.and_not(has_nothing, signs))

    def _any_valid(self, layer: _Left, paths: Iterable[Path]) -> pa.Array:
        """Whether an object has a value at any of the paths."""
        found = (pc.is_valid(layer[path]) for path in paths if path in layer)
        return reduce(pc.or_, found, pa.repeat(False, len(self.is_sure)))

    def _has_state(self, number: int) -> pa.Array:
        """Whether an object says a state."""
        states = [self._layers[number].get((name,)) for name in STATE_KEYS]
        texts = [one for one in states if one is not None and pa.types.is_string(one.type)]
        return reduce(pc.or_, map(_is_filled, texts), pa.repeat(False, len(self.is_sure)))

    def _is_record(self) -> pa.Array:
        """Whether there is no generation, but a task's record with a state of its own."""
        record = self._layers[-len(self._shape.chain)]
        if ("task_id",) not in record or ("type",) in record:
            return pa.repeat(False, len(self.is_sure))
        is_task = pc.and_(pc.is_valid(record["task_id",]), self._has_state(-len(self._shape.chain)))
        return pc.and_(self._is_bare, is_task)

    def _extra(self) -> pa.Array:
        """The values that no column has, as JSON."""
        if self._gathers:
            for layer, left in zip(self._layers, self._left, strict=True):
                for name in IDS:
                    if (name,) in left and pa.types.is_string(layer[name,].type):
                        is_asked = pc.equal(layer[name,], self._task_ids)
                        left[name,] = _where_not(is_asked, left[name,])
        texts = [self._texts(left) for left in self._left]
        if self._has_artifact and (within := texts.pop(1)):
            texts[0][ARTIFACT] = object_of(within)
        extra = self._nested(texts)
        if self._is_bare is not None and pc.any(self._is_bare).as_py():
            around = [{k: one.filter(self._is_bare) for k, one in own.items()} for own in texts[1:]]
            extra = pc.replace_with_mask(extra, self._is_bare, self._nested(around))
        return extra

    def _nested(self, layers: list[_Texts]) -> pa.Array:
        """What is left of a generation and of the objects around it, the nearest first."""
        own, *around = layers
        outer: _Texts = {}
        # The keys of the outermost objects come first in the chain.
        keys = ("wrapper", *self._shape.chain)
        for number, texts in zip(range(len(around) - 1, -1, -1), around, strict=True):
            every = texts | outer
            outer = {keys[number]: object_of(every)} if every else {}
        texts = own | outer
        return object_of(texts) if texts else pa.nulls(len(self.is_sure), pa.string())

    def _texts(self, left: _Left) -> _Texts:
        """What is left of objects, as JSON by key."""
        texts: _Texts = {}
        nested: dict[str, _Texts] = {}
        for path, array in left.items():
            if array.null_count < len(array):
                text, is_unsure = json_texts(array, path[-1], self._bodies)
                if is_unsure is not None:
                    self._refuse(is_unsure)
                holder = texts if len(path) == 1 else nested.setdefault(path[0], {})
                holder[path[-1]] = text
        return texts | {key: object_of(parts) for key, parts in nested.items()}

    def _require(self, condition: pa.Array) -> None:
        """Be sure only of rows for which a condition holds, or is null."""
        self.is_sure = pc.and_(self.is_sure, pc.fill_null(condition, True))

    def _refuse(self, condition: pa.Array) -> None:
        """Be sure of no row for which a condition holds."""
        self.is_sure = pc.and_not(self.is_sure, pc.fill_null(condition, False))


def _layers(parsed: pa.StructArray, chain: Path) -> list[_Left]:
    """The values of the generation and of the objects around it, the nearest first, by path."""
    layers: list[_Left] = []
    for key in chain:
        layers.insert(0, _layer(parsed, key))
        parsed = _inmost(parsed, (key,))
    return [_layer(parsed), *layers]


def _inmost(parsed: pa.StructArray, chain: Path) -> pa.StructArray:
    for key in chain:
        parsed = parsed.flatten()[parsed.type.get_field_index(key)]
    return parsed


def _layer(objects: pa.StructArray, but: str = "") -> _Left:
    """The values of objects by path; those of further objects too, where columns take any."""
    layer: _Left = {}
    for name, array in zip(objects.type.names, objects.flatten(), strict=True):
        if pa.types.is_struct(array.type) and name in HEADS:
            values = zip(array.type.names, array.flatten(), strict=True)
            layer |= {(name, rest): value for rest, value in values}
        elif name != but:
            layer[name,] = array
    return layer


def _without_none(column: Column, array: pa.Array) -> pa.Array:
    """The values of a column, without those that mean "none"."""
    if not pa.types.is_string(array.type):
        return _where_not(pc.equal(array, 0), array)
    if column.name in FAILURE:
        return _where_not(pc.is_in(array, NO_FAILURE), array)
    return _where_not(pc.match_substring_regex(array, NO_TIME), array)


def _where_not(condition: pa.Array, array: pa.Array) -> pa.Array:
    """The values, without those for which a condition holds; the same object if there are none."""
    holds = pc.fill_null(condition, False)
    return pc.if_else(holds, None, array) if holds.true_count else array


def _filled(texts: pa.Array) -> pa.Array:
    """The texts, without empty ones, which give way to any other value."""
    return _where_not(pc.equal(texts, ""), texts)


def _is_filled(texts: pa.Array) -> pa.Array:
    return pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(texts), ""), False)


def _is_epoch(numbers: pa.Array) -> pa.Array:
    """Whether numbers are times of a usual unit, and not the digits of a date."""
    (_, first), (start, end) = CALENDAR
    is_calendar = pc.and_(pc.greater_equal(numbers, start), pc.less_equal(numbers, end))
    is_in_range = pc.and_(pc.greater(numbers, first), pc.less(numbers, int(EPOCH_UNITS[-1][0])))
    return pc.and_not(is_in_range, is_calendar)


def _from_epoch(numbers: pa.Array) -> pa.Array:
    """Times of numbers since 1970, whose size gives their unit."""
    micros = pc.if_else(_is_epoch(numbers), numbers, None)
    for end, unit in EPOCH_UNITS[:-1]:
        is_of_unit = pc.fill_null(pc.less(numbers, int(end)), False)
        scaled = pc.multiply(pc.if_else(is_of_unit, micros, 0), unit)
        micros = pc.if_else(is_of_unit, scaled, micros) if is_of_unit.true_count else micros
        numbers = _where_not(is_of_unit, numbers)
    return micros.cast(TIMESTAMP)


def _agreed_word(words: list[str], layers: list[int]) -> tuple[str | None, bool]:
    """The state of all objects together, and whether it is theirs for sure.

    Args:
        words: Of all objects, the innermost first.
        layers: The object of each.
    """
    state = None
    for layer in dict.fromkeys(layers):
        own = (word for word, of in zip(words, layers, strict=True) if of == layer)
        state = agreed(state, next((w for w in own if w != MISSING and w.strip()), None))
    return state, state is not None or set(words) == {MISSING}
