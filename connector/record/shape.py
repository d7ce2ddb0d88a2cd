"""The shape of bodies, learned from a few of them: which keys they have, and of which types.

Gateways send many bodies of few shapes, so that Arrow can read them at once
(`connector.record.columnar`). A shape is that of whole bodies: a generation and the objects around
it. What decides how a body is read are its keys and not only their values, so a shape has no key
whose mere presence changes anything.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from connector.record.column import TIMESTAMP
from connector.record.dialects import find
from connector.record.fields import ARRAY_TYPES
from connector.record.keys import (
    FROM_JSON,
    HEADS,
    OF_WRAPPERS,
    PLAIN_KEYS,
    STATE_KEYS,
    STATE_NUMBER,
    has_plain_shape,
    wants_of,
)
from connector.record.names import holds_files, holds_request

if TYPE_CHECKING:
    from collections.abc import Iterable

# Keys that Arrow's text and Python's have alike, and whose case does not matter.
KEY: Final = re.compile(r"(?!.*null)[a-z0-9_]*[a-z][a-z0-9_]*", re.ASCII)

# An object of a generation, with values for its columns.
ARTIFACT: Final = "artifact"

# With one of these, a body is read otherwise; `extra` has names like the last two.
DECISIVE: Final = OF_WRAPPERS | {"success", STATE_NUMBER, ARTIFACT, "wrapper", "others"}

# Objects and lists within each other.
DEEPEST: Final = 9

COLUMNS: Final = {column.name: column for column in FROM_JSON}
INT64_END: Final = 1 << 63


class Misfit(ValueError):
    """A body, or two together, have no shape that Arrow can read.

    Args:
        key: The key whose value does not fit.
    """

    def __init__(self, key: str = "") -> None:
        super().__init__(key)
        self.key = key


def _documented() -> pa.StructType:
    """The documented types of a generation's keys."""
    kinds: dict[str, Any] = {}
    for column in FROM_JSON:
        for path in column.paths:
            parent, _, key = path.rpartition(".")
            if path.partition(".")[0] in PLAIN_KEYS:
                holder = kinds.setdefault(parent, {}) if parent else kinds
                holder[key] = ARRAY_TYPES[column.type]
    return pa.struct(
        [
            (key, pa.struct(list(kind.items())) if isinstance(kind, dict) else kind)
            for key, kind in kinds.items()
        ]
    )


DOCUMENTED: Final = _documented()


class Shape(NamedTuple):
    """What bodies have in common.

    Attributes:
        chain: Keys that lead to the generation.
        is_plain: Whether the generation has no keys but those of the documented dialects.
        type: Of whole bodies.
    """

    chain: tuple[str, ...]
    is_plain: bool
    type: pa.StructType

    @property
    def gathers(self) -> bool:
        """Whether columns take values from all objects, and not only from the generation."""
        own, *around = layers_of(self.type, self.chain)
        has_artifact = ARTIFACT in own.names and pa.types.is_struct(own.field(ARTIFACT).type)
        is_around = any(
            wants_of(name) or (name != key and holds_files(name))
            for key, one in zip(reversed(self.chain), around, strict=True)
            for name in one.names
        )
        return has_artifact or is_around or not self.is_plain

    def merged(self, other: Shape) -> Shape:
        """The shape of bodies of either, if both have the same chain.

        Raises:
            Misfit: Their types differ.
        """
        return self._replace(type=_merged(self.type, other.type))


PLAIN: Final = Shape((), is_plain=True, type=DOCUMENTED)


def layers_of(kind: pa.StructType, chain: tuple[str, ...]) -> list[pa.StructType]:
    """Types of the generation and of the objects around it, the nearest first."""
    layers = [kind]
    for key in chain:
        layers.insert(0, layers[0].field(key).type)
    return layers


def shape_of(document: Any) -> Shape:
    """The shape of a parsed body.

    Raises:
        Misfit: It has none that can be read at once.
    """
    found = find(document)
    if found is None or found.others or type(document) is not dict:
        raise Misfit
    chain = tuple(wrapper.key for wrapper in found.wrappers)
    if any(type(wrapper.fields[wrapper.key]) is not dict for wrapper in found.wrappers):
        raise Misfit
    if not OF_WRAPPERS.issuperset(chain):
        raise Misfit
    kind = _with_documented(_kind(document), chain)
    layers = layers_of(kind, chain)
    for key, layer in zip((*chain, ARTIFACT), reversed(layers), strict=True):
        for name in DECISIVE.intersection(layer.names) - {key}:
            raise Misfit(name)
        _check(field for field in layer if field.name != key)
    if ARTIFACT in layers[0].names:
        _check_artifact(layers[0].field(ARTIFACT).type)
    return Shape(chain, has_plain_shape(tuple(layers[0].names)), kind)


def form_of(value: Any, depth: int = DEEPEST) -> Any:
    """What tells apart the shapes of two values: their keys, and the types of values."""
    if depth == 0:
        return None
    if type(value) is dict:
        return (*value, *(form_of(item, depth - 1) for item in value.values()))
    if type(value) is list:
        return frozenset(form_of(item, depth - 1) for item in value)
    return type(value)


def names_in(kind: pa.DataType) -> frozenset[str]:
    """All keys in a type."""
    fields = [kind.field(number) for number in range(kind.num_fields)]
    own = frozenset(field.name for field in fields)
    return own.union(*(names_in(field.type) for field in fields))


def _kind(value: Any, depth: int = DEEPEST) -> pa.DataType:
    """The type of a value."""
    if depth == 0 or (type(value) is int and not -INT64_END <= value < INT64_END):
        raise Misfit
    if isinstance(value, dict):
        kinds = [(_name(key), _kind_under(key, item, depth - 1)) for key, item in value.items()]
        return pa.struct(kinds)
    if isinstance(value, list):
        return pa.list_(reduce(_merged, (_kind(item, depth - 1) for item in value), pa.null()))
    return OF_SCALARS[type(value)]


def _kind_under(key: str, value: Any, depth: int) -> pa.DataType:
    try:
        return _kind(value, depth)
    except Misfit as misfit:
        raise Misfit(misfit.key or key) from None


def _name(key: str) -> str:
    if not KEY.fullmatch(key):
        raise Misfit
    return key


OF_SCALARS: Final = {
    type(None): pa.null(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}
# Documented types are narrower than those of values; of two others, the wider one counts.
NARROWER: Final = {
    (pa.int32(), pa.int64()): pa.int32(),
    (pa.float64(), pa.int64()): pa.float64(),
    (pa.int64(), pa.float64()): pa.float64(),
}


def _merged(one: pa.DataType, other: pa.DataType, key: str = "") -> pa.DataType:
    """The type of values of either, of which the first may be a documented one.

    Raises:
        Misfit: There is none.
    """
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        kinds = {field.name: field.type for field in one}
        for field in other:
            known = kinds.get(field.name, pa.null())
            kinds[field.name] = _merged(known, field.type, field.name)
        return pa.struct(list(kinds.items()))
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(_merged(one.value_type, other.value_type, key))
    if (one, other) not in NARROWER:
        raise Misfit(key)
    return NARROWER[one, other]


def _with_documented(kind: pa.StructType, chain: tuple[str, ...]) -> pa.StructType:
    """The type of whole bodies, with the documented types of the generation's keys."""
    fields = {field.name: field.type for field in kind}
    if chain:
        fields[chain[0]] = _with_documented(fields[chain[0]], chain[1:])
        return pa.struct(list(fields.items()))
    artifact = fields.get(ARTIFACT)
    if artifact is not None and pa.types.is_struct(artifact):
        known = [field for field in DOCUMENTED if field.name in artifact.names]
        fields[ARTIFACT] = _merged(pa.struct(known), artifact)
    return _merged(DOCUMENTED, pa.struct(list(fields.items())))


def _check(layer: Iterable[pa.Field]) -> None:
    """Refuse types of which a column cannot be made, or a text not written, as Python does.

    Raises:
        Misfit: There is one.
    """
    for field in layer:
        if _needs_words(field):
            raise Misfit(field.name)
        wants = HEADS.get(field.name, [])
        if not wants or not pa.types.is_struct(field.type):
            _check_value(field, [name for name, path in wants if path == field.name])
            if pa.types.is_string(field.type) and any(path.endswith(".url") for _, path in wants):
                raise Misfit  # a file's address in place of an object
        elif any("." not in path for _, path in wants) and field.name != "error":
            raise Misfit
        else:
            for inner in field.type:
                path = f"{field.name}.{inner.name}"
                _check_value(inner, [name for name, one in wants if one == path])


def _needs_words(field: pa.Field) -> bool:
    """Whether a field may have a value that is found by the words of keys, or by its kind."""
    if pa.types.is_null(field.type):
        return False
    guesses = {want.rest for want in wants_of(field.name) if want.is_guess}
    is_file = holds_files(field.name)
    if "" in guesses or (is_file and field.name not in HEADS):
        return True
    if not pa.types.is_struct(field.type):
        return holds_request(field.name) and field.type == pa.string()
    declared = {path.partition(".")[2] for _, path in HEADS.get(field.name, [])}
    return any(
        inner.name in guesses
        or (is_file and holds_files(inner.name) and inner.name not in declared)
        or (holds_request(inner.name) and holds_request(field.name))
        for inner in field.type
    )


def _check_artifact(kind: pa.DataType) -> None:
    if not pa.types.is_null(kind):
        if not pa.types.is_struct(kind) or not frozenset(STATE_KEYS).isdisjoint(kind.names):
            raise Misfit(ARTIFACT)
        _check(kind)


def _check_value(field: pa.Field, columns: list[str]) -> None:
    kind = field.type
    for name in columns:
        allowed = ALLOWED.get(COLUMNS[name].type, frozenset())
        if kind not in allowed and kind != ARRAY_TYPES[COLUMNS[name].type]:
            raise Misfit
        if name == "state" and kind not in TEXTS:
            raise Misfit
    if not columns and _is_unwritable(kind):
        raise Misfit(field.name)


def _is_unwritable(kind: pa.DataType, *, in_list: bool = False) -> bool:
    """Whether a text of such values is not written here."""
    inner = [kind.field(number).type for number in range(kind.num_fields)]
    in_list |= pa.types.is_list(kind)
    is_other = kind == pa.struct([]) or (in_list and pa.types.is_floating(kind))
    return is_other or any(_is_unwritable(one, in_list=in_list) for one in inner)


TEXTS: Final = frozenset({pa.string(), pa.null()})
_NUMBERS_TOO: Final = frozenset({pa.string(), pa.int64(), pa.null()})
ALLOWED: Final = {
    pa.string(): _NUMBERS_TOO,
    TIMESTAMP: _NUMBERS_TOO,
    pa.int32(): frozenset({pa.int64(), pa.null()}),
    pa.float64(): frozenset({pa.int64(), pa.null()}),
    pa.bool_(): frozenset({pa.null()}),
}
