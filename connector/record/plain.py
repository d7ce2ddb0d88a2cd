"""Converts a generation of any dialect to the documented shape, and keeps the rest."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from connector.record.candidates import (
    Candidate,
    Candidates,
    add_files,
    add_reason,
    gather,
    open_texts,
    settle_success,
    size_in,
)
from connector.record.coerce import is_no_time
from connector.record.dialects import Found, is_plain_shape
from connector.record.files import files_in
from connector.record.keys import (
    FROM_JSON,
    MEDIA,
    TEXT_KEYS,
    Json,
    folded,
    id_keys,
    snakes,
    wants_of,
)
from connector.record.names import holds_files, holds_request, snake

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from connector.record.files import Path

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

_FIRST_PATH: Final = {column.name: column.paths[0].partition(".")[::2] for column in FROM_JSON}


def plain(found: Found, task_id: str) -> tuple[Json, Json]:
    """Convert a generation to the documented shape; return it and the rest, in its original shape.

    Each column's value is at the first of the column's paths. What the generation lacks comes from
    the nearest wrapper that has it. A value that loses to another one is part of the rest.
    """
    is_alone = not found.wrappers and not found.others
    if is_alone and (flat := _flat(found.generation)):
        return flat, {}
    if _is_just_wrapped(found):
        return found.generation, _around(found, found.generation)
    layers = [found.generation, *_artifact(found.generation)]
    layers += [wrapper.fields for wrapper in reversed(found.wrappers)]
    layers = list(map(open_texts, layers))
    values: Candidates = {}
    for number, layer in enumerate(layers):
        gather(number, layer, values)
    if found.status == "completed":
        settle_success(values)
    # Of each layer, the paths whose values are in columns.
    taken: list[set[Path]] = [set() for _ in layers]
    # An inner object is a layer of its own; a list there also has other generations.
    inner = (None,) * (len(layers) - len(found.wrappers))
    keys = (*inner, *(wrapper.key for wrapper in reversed(found.wrappers)))
    has_result = found.status in {"completed", "unknown"}
    add_files(list(map(_but, layers, keys)), values, taken, has_result=has_result)
    if found.status == "failed" and "failure_reason" not in values:
        add_reason(layers[0], values)
    fields = _fields(values, found.state, taken)
    if found.state is not None:
        fields.setdefault("state", found.state)  # that of a number, which is left over
    # The requested task ID has its own column.
    for layer, of_layer in zip(layers, taken, strict=True):
        of_layer.update((key,) for key in id_keys(tuple(layer)) if layer[key] == task_id)
    return fields, _left_over(found, layers, taken)


def is_odd(generation: Json) -> bool:
    """Whether a value of a documented key is of a form that only `plain` reads."""
    return any(
        type(value) in _ODD_TYPES and _is_odd_value(key, value) for key, value in generation.items()
    )


_ODD_TYPES: Final = frozenset({dict, list, str})


def _is_odd_value(key: str, value: Any) -> bool:
    if type(value) is str:
        return key == "request"
    if type(value) is list:
        is_one_text = len(value) == 1 and isinstance(value[0], str) and key in TEXT_KEYS
        return is_one_text or (key in MEDIA and any(files_in({key: value})))
    if key == "request" and size_in(value.get("resolution")):
        return True
    if any(type(value.get(rest)) in _HOLDERS for rest in _MAY_HOLD.get(key, ())):
        return any(files_in({key: value}))
    return _has_other_names(key, tuple(value))


_HOLDERS: Final = frozenset({dict, list})

# Where an object or a list may be in place of an address.
_MAY_HOLD: Final = {"video": ("url",), "assets": ("video", "image")}


@lru_cache(maxsize=4096)
def _has_other_names(key: str, inner: tuple[str, ...]) -> bool:
    """Whether an object has values for columns under other names than the documented ones."""
    names = snakes(inner)
    rests = {want.rest: want.is_guess for want in wants_of(key) if want.rest}
    return (
        any(rest in names and (rests[rest] or names[rest] != rest) for rest in rests)
        or (holds_files(key) and any(map(holds_files, names.keys() - rests.keys())))
        or (holds_request(key) and any(map(holds_request, names)))
    )


def _fields(values: Candidates, state: Any, taken: list[set[Path]]) -> Json:
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
    if found.others or not is_plain_shape(found.generation):
        return False
    return not is_odd(found.generation) and not any(
        wants_of(name) or (holds_files(name) and key != wrapper.key)
        for wrapper in found.wrappers
        for name, key in folded(wrapper.fields).items()
    )


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


def _chosen(name: str, candidates: list[Candidate], state: Any) -> Any:
    if name == "state":
        return state if state is not None else candidates[0][-1]
    candidates.sort(key=_place)
    # An empty text gives way to any other value.
    return next((value for *_, value in candidates if value != ""), candidates[0][-1])


def _place(candidate: Candidate) -> tuple[int, int]:
    return candidate[:2]


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _put(fields: Json, name: str, value: Any) -> None:
    head, rest = _FIRST_PATH[name]
    if rest:
        fields.setdefault(head, {})[rest] = value
    else:
        fields[head] = value


def _left_over(found: Found, layers: list[Json], taken: list[set[Path]]) -> Json:
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


def _without(layer: Json, taken: AbstractSet[Path]) -> Json:
    """An object without the values of columns, without nulls, and without emptied objects."""
    rest: Json = {}
    below = _below(taken)
    for key, value in layer.items():
        paths = below.get(key, _NONE)
        if value is None or () in paths:
            continue
        left = value
        if isinstance(value, dict) and (paths or wants_of(snake(key))):
            left = _pruned({name: one for name, one in value.items() if one is not None}, paths)
        elif paths:
            left = _pruned(value, paths)
        if left is value or left:
            rest[key] = left
    return rest


def _pruned(value: Any, taken: AbstractSet[Path]) -> Any:
    """A value without what is at these paths, and there without nulls and what is empty then."""
    if not taken or not isinstance(value, dict | list):
        return value
    is_list = isinstance(value, list)
    below = _below(taken)
    kept: dict[Any, Any] = {}
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        paths = below.get(key, _NONE)
        if () in paths or (item is None and not is_list):
            continue
        left = _pruned(item, paths)
        if left or not paths:
            kept[key] = left
    return list(kept.values()) if is_list else kept


_NONE: Final[frozenset[Path]] = frozenset()


def _below(paths: AbstractSet[Path]) -> dict[Any, set[Path]]:
    """For each first key of paths, the rest of those that start with it."""
    below: dict[Any, set[Path]] = {}
    for path in paths:
        if path:
            below.setdefault(path[0], set()).add(path[1:])
    return below


def _but(fields: Json, key: str | None) -> Json:
    return fields if key is None else {name: value for name, value in fields.items() if name != key}
