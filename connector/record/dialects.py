"""Finds the generation in a body, in any dialect and any wrapper.

The gateways behind one path answer in two dialects (the gateway's own, and the official one with
`assets` and `request`), and Luma's newer API in a third (`connector.record.outputs`). They come
bare or wrapped: in an envelope `{"code", "message", "data"}`, in a record of the task with a status
and times of its own, in a list. All are told apart by shape alone, never by a setting.

::

    parse -> unwrap -> Found   the generation, its wrappers, and the state of both together
                  plain        its columns' values in the documented shape, and the rest
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from connector.record.coerce import is_no_time
from connector.record.column import TIMESTAMP
from connector.record.outputs import has_outputs, with_media
from connector.record.schema import GENERATIONS, TERMINAL_STATUSES, UNFINISHED_STATUSES
from connector.record.states import status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

Json = dict[str, Any]

FROM_JSON: Final = tuple(column for column in GENERATIONS.columns if column.paths)

# Keys of the documented and the official dialect: an object with these, and none of other dialects,
# needs no conversion.
PLAIN_KEYS: Final = frozenset(
    [
        "id",
        "liked",
        "state",
        "video",
        "prompt",
        "thumbnail",
        "video_raw",
        "created_at",
        "last_frame",
        "queue_state",
        "estimate_wait_seconds",
        "generation_type",
        "failure_reason",
        "assets",
        "model",
        "version",
        "request",
    ]
)
MEDIA: Final = ("video", "assets", "artifact", "output", "video_raw", "video_url")
WRAPPERS: Final = ("generation", "data", "output", "result", "response", "task")
# Not `output`: a list there holds files.
LISTS: Final = (
    "generation",
    "data",
    "result",
    "response",
    "task",
    "generations",
    "results",
    "tasks",
)
OF_WRAPPERS: Final = frozenset({*WRAPPERS, *LISTS})
STATES: Final = GENERATIONS["state"].paths
IDS: Final = ("id", "task_id", "generation_id")

# An object with one of these is a task's record: an integer `id` is the record's own.
OF_RECORDS: Final = frozenset(
    {"task_id", "platform", "action", "fail_reason", "submit_time", "properties"}
)
# With these beside it, an `id` belongs to a request, not to a generation.
OF_ERRORS: Final = ("error", "errors", "detail", "message", "msg", "code")
# Without any of these, a lone word such as "error" or "success" is about the request, not a task.
OF_TASKS: Final = frozenset({*IDS, *MEDIA, "prompt", "request", "created_at", "progress"}) | (
    OF_RECORDS
)
DEEPEST: Final = 6
_MEDIA_KEYS: Final = {
    "video": frozenset({"url", "width", "height", "download_url"}),
    **dict.fromkeys(
        ("video_raw", "thumbnail", "last_frame"), frozenset({"url", "width", "height"})
    ),
}
_FLAT: Final = frozenset({"id", "liked", "state", "prompt", "created_at", "artifact"}) | {
    "queue_state",
    "estimate_wait_seconds",
    *_MEDIA_KEYS,
}

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _heads() -> dict[str, list[tuple[str, str]]]:
    """Return columns and paths by the first key of the path."""
    heads: dict[str, list[tuple[str, str]]] = {}
    for column in FROM_JSON:
        for path in column.paths:
            heads.setdefault(path.partition(".")[0], []).append((column.name, path))
    return heads


HEADS: Final = _heads()
_RANK: Final = {
    (column.name, path): rank for column in FROM_JSON for rank, path in enumerate(column.paths)
}
_FIRST_PATH: Final = {column.name: column.paths[0].partition(".")[::2] for column in FROM_JSON}
_TIMES: Final = frozenset(column.name for column in FROM_JSON if column.type == TIMESTAMP)
FAILURE: Final = frozenset({"failure_reason", "failure_code"})
MAY_BE_NOTHING: Final = FAILURE | _TIMES
OTHER_DIALECTS: Final = (HEADS.keys() - PLAIN_KEYS) | {
    *WRAPPERS,
    *LISTS,
    *IDS[1:],
    *OF_RECORDS,
    *OF_ERRORS,
    "success",
    "type",
}


def parse(body: bytes) -> Any:
    """Parse JSON as leniently as is safe.

    orjson rejects input that some gateways send and `json` reads: lone surrogates, NaN, a byte
    order mark.

    Raises:
        ValueError: The body is not JSON, is not UTF-8, or is nested deeper than can be read.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json.loads(body.decode("utf-8-sig"))
        except RecursionError:
            raise ValueError("nested too deeply") from None


class Wrapper(NamedTuple):
    """An object around the generation, and the key of its inner object."""

    fields: Json
    key: str


class Found(NamedTuple):
    """A generation in a document.

    Attributes:
        generation: The innermost object that has a state or media.
        wrappers: The objects around it, outermost first.
        others: Further generations of the same answer, as received.
        state: The gateway's word; None if it gives none.
        is_plain: Whether it is in a documented dialect, without a wrapper.
    """

    generation: Json
    wrappers: tuple[Wrapper, ...] = ()
    others: tuple[Any, ...] = ()
    state: Any = None
    is_plain: bool = False

    @property
    def status(self) -> str:
        """The state as one of five statuses."""
        return status(self.state if isinstance(self.state, str) else None)


@lru_cache(maxsize=4096)
def _has_plain_shape(keys: tuple[str, ...]) -> bool:
    return OTHER_DIALECTS.isdisjoint(keys) and all(map(str.islower, keys))


def find(document: Any, task_id: str = "") -> Found | None:
    """Find the generation in a document; None if there is none.

    Args:
        document: Parsed JSON.
        task_id: The requested ID, which selects one of a list.
    """
    if type(document) is dict and _is_plain(document):
        state = document.get("state")
        is_bare = state is None and document.get("id") is None and _media_of(document) is None
        return None if is_bare else Found(document, state=state, is_plain=True)
    if type(document) is dict and (found := _under_data(document)) is not None:
        return found
    return _unwrap(document, task_id, DEEPEST)


def _under_data(document: Json) -> Found | None:
    """The documented generation in an envelope or record, as `_unwrap` finds it, but faster."""
    inner = document.get("data")
    if type(inner) is not dict or not _holds_data(tuple(document)):
        return None
    state = inner.get("state")
    is_sure = type(state) is str and state.strip() and "artifact" not in inner
    if not is_sure or not _has_plain_shape(tuple(inner)):
        return None
    return Found(inner, (Wrapper(document, "data"),), state=agreed(state, _state_in(document)))


@lru_cache(maxsize=4096)
def _holds_data(keys: tuple[str, ...]) -> bool:
    """Whether an object with these keys is no refusal, and wraps nothing but `data`."""
    return "success" not in keys and [name for name, _ in _inner_keys(keys)] == ["data"]


def _is_plain(document: Json) -> bool:
    """Whether an object is in a documented dialect, without keys of others."""
    if not _has_plain_shape(tuple(document)):
        return False
    artifact = document.get("artifact")
    return artifact is None or _lacks_columns(artifact)


def _lacks_columns(artifact: Any) -> bool:
    """Whether an `artifact` has no value for any column: then it is just an extra field."""
    return not isinstance(artifact, dict) or HEADS.keys().isdisjoint(_folded(artifact))


def _unwrap(document: Any, task_id: str, depth: int) -> Found | None:
    if isinstance(document, list):
        return _in_list(document, task_id, depth)
    if not isinstance(document, dict) or is_refusal(document) or depth == 0:
        return None
    inner = _inside(document, task_id, depth)
    if inner is not None:
        return inner
    return _bare(document)


def _inside(document: Json, task_id: str, depth: int) -> Found | None:
    """Find the generation under one of the keys that wrappers use."""
    for name, key in _inner_keys(tuple(document)):
        value = document[key]
        if name not in (LISTS if isinstance(value, list) else WRAPPERS) or not value:
            continue
        found = _unwrap(value, task_id, depth - 1)
        if found is not None and (_says_much(found) or not _says_itself(document)):
            return _wrapped(found, Wrapper(document, key))
    return None


def _says_much(found: Found) -> bool:
    return found.state is not None or _media_of(found.generation) is not None


def _says_itself(document: Json) -> bool:
    """Whether an object is itself a generation, so that an inner `id` is not its own."""
    return _state_in(document) is not None or any(document.get(name) for name in IDS)


def _wrapped(found: Found, wrapper: Wrapper) -> Found:
    state = agreed(found.state, _state_in(wrapper.fields))
    return Found(found.generation, (wrapper, *found.wrappers), found.others, state)


def agreed(inner: Any, outer: Any) -> Any:
    """The state of a generation and its wrapper together.

    An unfinished wrapper makes it unfinished; a failed wrapper makes an unfinished one failed.
    """
    if inner is None:
        return outer
    if outer is None:
        return inner
    within, around = (status(word if isinstance(word, str) else None) for word in (inner, outer))
    if around in UNFINISHED_STATUSES and within not in UNFINISHED_STATUSES:
        return outer
    if around == "failed" and within not in TERMINAL_STATUSES:
        return outer
    return inner


def _in_list(items: list[Any], task_id: str, depth: int) -> Found | None:
    """Find the requested generation, else the first; it is completed only when all are."""
    found = [(item, one) for item in items if (one := _unwrap(item, task_id, depth - 1))]
    if not found:
        return None
    chosen = next((pair for pair in found if task_id in _ids_of(pair[1])), found[0])
    states = [chosen[1].state, *(one.state for _, one in found)]
    others = tuple(item for item in items if item is not chosen[0])
    return Found(
        chosen[1].generation,
        chosen[1].wrappers,
        (*chosen[1].others, *others),
        _least(states),
    )


def _least(states: list[Any]) -> Any:
    """The state furthest from completed; of several, the first."""
    order = {"completed": 2, "failed": 1}
    return min(states, key=lambda word: order.get(status(word) if isinstance(word, str) else "", 0))


def other_ids(found: Found, task_id: str) -> tuple[str, ...]:
    """The IDs that a generation and its wrappers give, innermost first; none if one is `task_id`.

    A whole number is the ID of a record, not of a task. A UUID is the same in either letter case;
    of other IDs, two may differ by nothing else.
    """
    if found.generation.get("id") == task_id:
        return ()
    names = _ids_of(found)
    given = set(map(str, names))
    if task_id in given or (_UUID.fullmatch(task_id) and task_id.lower() in map(str.lower, given)):
        return ()
    return tuple(dict.fromkeys(name for name in names if name and isinstance(name, str)))


_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _ids_of(found: Found) -> list[Any]:
    layers = [found.generation, *(wrapper.fields for wrapper in found.wrappers)]
    return [layer.get(name) for layer in layers for name in IDS]


def _bare(document: Json) -> Found | None:
    """Take an object as a generation itself, or as a task's record without one inside."""
    folded = _folded(document)
    state = _state_in(document)
    if _media_of(document) is not None:
        return Found(document, state=state)
    if state is not None:
        if not OF_TASKS.isdisjoint(folded) or status(state) in UNFINISHED_STATUSES:
            return Found(document, state=state)
        # `{"state": "completed"}` is little, but `state` is the key of a generation's own state.
        is_error = any(document.get(name) for name in OF_ERRORS)
        return Found(document, state=state) if "state" in document and not is_error else None
    is_error = any(document.get(name) for name in OF_ERRORS)
    return Found(document) if document.get("id") is not None and not is_error else None


def is_refusal(document: Json) -> bool:
    """Whether a document reports failure by `{"success": false}`."""
    return document.get("success") in (False, "false", "False") and "success" in document


def _media_of(document: Json) -> Any:
    """The first medium in an object; empty ones do not count."""
    return next((document[name] for name in MEDIA if _is_media(name, document.get(name))), None)


def _is_media(name: str, value: Any) -> bool:
    if name in ("output", "artifact"):
        return isinstance(value, dict) and _media_of(value) is not None
    return is_address(value) or (isinstance(value, dict) and bool(value))


def is_address(value: Any) -> bool:
    """Whether a value is a file's URL, which some gateways send in place of an object."""
    return type(value) is str and value.startswith(("http://", "https://"))


def _state_in(document: Json) -> Any:
    folded = _folded(document)
    words = [document[folded[name]] for name in STATES if name in folded]
    return next((word for word in words if isinstance(word, str) and word.strip()), None)


def _folded(document: Json) -> Mapping[str, str]:
    """The keys of an object by their form in snake case."""
    return _folded_keys(tuple(document))


@lru_cache(maxsize=4096)
def _folded_keys(keys: tuple[str, ...]) -> Mapping[str, str]:
    return {_snake(key): key for key in keys}


@lru_cache(maxsize=4096)
def _inner_keys(keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Those under which wrappers hold others, with their form in snake case."""
    return tuple(item for item in _folded_keys(keys).items() if item[0] in OF_WRAPPERS)


@lru_cache(maxsize=4096)
def _snake(key: str) -> str:
    return key if key.islower() else _HUMP.sub("_", key).lower()


_Value = tuple[int, int, tuple[str, ...], Any]
"""A candidate for a column's value: its layer, the rank of its path, its keys, and itself."""


class _Want(NamedTuple):
    """What a column looks for under a key of an object.

    Attributes:
        rest: The key within the object under that key; empty if the value itself is wanted.
        is_checked: Whether some values do not count.
    """

    name: str
    rank: int
    rest: str
    is_checked: bool


def plain(found: Found, task_id: str) -> tuple[Json, Json]:
    """Convert a generation to the documented shape; return it and the rest, in its original shape.

    Each column's value is at the first of the column's paths. What the generation lacks comes from
    the nearest wrapper that has it. A value that loses to another one is part of the rest.
    """
    if has_outputs(found.generation):
        found = found._replace(generation=with_media(found.generation))
    is_alone = not found.wrappers and not found.others
    if is_alone and (flat := _flat(found.generation)):
        return flat, {}
    if _is_just_wrapped(found):
        return found.generation, _around(found, found.generation)
    layers = [found.generation, *_artifact(found.generation)]
    layers += [wrapper.fields for wrapper in reversed(found.wrappers)]
    values: dict[str, list[_Value]] = {}
    for number, layer in enumerate(layers):
        _gather(number, layer, values)
    # Of each layer, the keys whose values are in columns.
    taken: list[set[tuple[str, ...]]] = [set() for _ in layers]
    fields = _fields(values, found.state, taken)
    # The requested task ID has its own column.
    for layer, of_layer in zip(layers, taken, strict=True):
        of_layer.update((key,) for key in _id_keys(tuple(layer)) if layer[key] == task_id)
    return fields, _left_over(found, layers, taken)


def _fields(values: dict[str, list[_Value]], state: Any, taken: list[set[tuple[str, ...]]]) -> Json:
    """The value of each column at its first path; the keys that have it are added to `taken`."""
    fields: Json = {}
    for name, candidates in values.items():
        if len(candidates) == 1 and name != "state":
            layer, _, keys, value = candidates[0]
            _put(fields, name, value)
            taken[layer].add(keys)
            continue
        chosen = _chosen(name, candidates, state)
        if chosen is not None:
            _put(fields, name, chosen)
            for layer, _, keys, value in candidates:
                if _is_same(value, chosen):
                    taken[layer].add(keys)
    return fields


def _flat(generation: Json) -> Json | None:
    """A documented generation with its `artifact` laid into it, where nothing is to be decided.

    It is what the rest of `plain` comes to, in a tenth of the time. None if there is a key that no
    column has, a value in both, or one of another form.
    """
    artifact = generation.get("artifact")
    if type(artifact) is not dict or not _FLAT.issuperset(generation):
        return None
    media = {name: value for name, value in artifact.items() if value is not None}
    if not _MEDIA_KEYS.keys() >= media.keys() or any(
        generation.get(name) is not None for name in media
    ):
        return None
    flat = {**generation, **media}
    del flat["artifact"]
    for name, keys in _MEDIA_KEYS.items():
        value = flat.get(name)
        if value is not None and (type(value) is not dict or not keys.issuperset(value)):
            return None
    state, created = flat.get("state"), flat.get("created_at")
    is_usual = type(state) is str and state.strip() and type(created) is str
    return flat if is_usual and not is_no_time(created) else None


def _is_just_wrapped(found: Found) -> bool:
    """Whether a documented generation has only wrappers without a value for any column."""
    if found.others or not _is_plain(found.generation):
        return False
    return all(HEADS.keys().isdisjoint(_folded(wrapper.fields)) for wrapper in found.wrappers)


def _around(found: Found, taken: Json) -> Json:
    """The wrappers as in `extra`, each without its inner object."""
    around: Json = {}
    for wrapper in reversed(found.wrappers):
        inner = {wrapper.key: around} if around else {}
        around = _but(_without(wrapper.fields, frozenset()), wrapper.key) | inner
    return {_free_name("wrapper", taken): around} if around else {}


def _artifact(generation: Json) -> list[Json]:
    artifact = generation.get("artifact")
    return [artifact] if isinstance(artifact, dict) else []


def _gather(number: int, layer: Json, values: dict[str, list[_Value]]) -> None:
    """Add what one object has for which column."""
    is_record = number > 0 or not OF_RECORDS.isdisjoint(_folded(layer))
    for key, wants in wanted(tuple(layer)):
        outer = layer[key]
        if outer is None:
            continue
        inner = _folded(outer) if isinstance(outer, dict) else None
        for name, rank, rest, is_checked in wants:
            keys: tuple[str, ...] = (key,)
            value = outer
            if rest and inner is not None:
                if rest not in inner:
                    continue
                keys = (key, inner[rest])
                value = outer[keys[1]]
                if value is None:
                    continue
            elif rest and (rest != "url" or not is_address(outer)):
                continue
            if is_checked and not _counts(name, key, value, number, is_record=is_record, rest=rest):
                continue
            values.setdefault(name, []).append((number, rank, keys, value))


def _counts(name: str, key: str, value: Any, number: int, *, is_record: bool, rest: str) -> bool:
    """Whether a value is one of the column, rather than another's or a spelling of "none"."""
    if name in MAY_BE_NOTHING and _is_nothing(name, value):
        return False
    if isinstance(value, str):
        return True
    if name == "id":
        return not is_record
    if name == "state":
        return number == 0
    # Text is a value, otherwise it is an object of values.
    return bool(rest) or _snake(key) != "error"


@lru_cache(maxsize=4096)
def wanted(keys: tuple[str, ...]) -> tuple[tuple[str, tuple[_Want, ...]], ...]:
    """What columns look for in an object with these keys, by key."""
    return tuple(
        (key, tuple(_want(name, path) for name, path in HEADS[head]))
        for head, key in _folded_keys(keys).items()
        if head in HEADS
    )


def _want(name: str, path: str) -> _Want:
    is_checked = name in MAY_BE_NOTHING or name in {"id", "state"} or path == "error"
    return _Want(name, _RANK[name, path], path.partition(".")[2], is_checked)


@lru_cache(maxsize=4096)
def _id_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for name, key in _folded_keys(keys).items() if name in IDS)


def _is_nothing(name: str, value: Any) -> bool:
    """Whether a value is a gateway's spelling of "none"."""
    if name in FAILURE:
        return value in ("", 0, "0", False)
    return name in _TIMES and is_no_time(value)


def _chosen(name: str, candidates: list[_Value], state: Any) -> Any:
    if name == "state":
        return state if state is not None else candidates[0][-1]
    candidates.sort(key=_place)
    # An empty text gives way to any other value.
    return next((value for *_, value in candidates if value != ""), candidates[0][-1])


def _place(candidate: _Value) -> tuple[int, int]:
    return candidate[:2]


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _put(fields: Json, name: str, value: Any) -> None:
    head, rest = _FIRST_PATH[name]
    if rest:
        fields.setdefault(head, {})[rest] = value
    else:
        fields[head] = value


def _left_over(found: Found, layers: list[Json], taken: list[set[tuple[str, ...]]]) -> Json:
    rests = list(map(_without, layers, taken))
    left = rests[0]
    own = 1
    if _artifact(found.generation):
        own = 2
        left = {**left, "artifact": rests[1]} if rests[1] else _but(left, "artifact")
    around: Json = {}
    # From the nearest wrapper outwards, each inside the next.
    inner: Json = {}
    for wrapper, rest in zip(reversed(found.wrappers), rests[own:], strict=True):
        around = _but(rest, wrapper.key) | ({wrapper.key: inner} if inner else {})
        inner = around
    if around:
        left = left | {_free_name("wrapper", left): around}
    if found.others:
        left = left | {_free_name("others", left): list(found.others)}
    return left


def _free_name(name: str, taken: Json) -> str:
    while name in taken:
        name += "_"
    return name


def _without(layer: Json, taken: AbstractSet[tuple[str, ...]]) -> Json:
    """An object without the values of columns, without nulls, and without emptied objects."""
    rest: Json = {}
    for key, value in layer.items():
        if value is None or (key,) in taken:
            continue
        if isinstance(value, dict) and _snake(key) in HEADS:
            left = {
                name: item
                for name, item in value.items()
                if item is not None and (key, name) not in taken
            }
            if left:
                rest[key] = left
            continue
        rest[key] = value
    return rest


def _but(fields: Json, key: str) -> Json:
    return {name: value for name, value in fields.items() if name != key}
