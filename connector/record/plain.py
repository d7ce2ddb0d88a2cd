"""Converts a generation of any dialect to the documented shape, and keeps the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connector.record.coerce import is_no_time
from connector.record.dialects import Found, from_text, is_address, is_plain_shape
from connector.record.keys import (
    FAILURE,
    FROM_JSON,
    HEADS,
    MAY_BE_NOTHING,
    OF_RECORDS,
    REQUEST_TEXTS,
    TIME_NAMES,
    Json,
    folded,
    id_keys,
    snake,
    wanted,
)
from connector.record.outputs import has_outputs, with_media, with_video

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

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

_Value = tuple[int, int, tuple[str, ...], Any]

"""A candidate for a column's value: its layer, the rank of its path, its keys, and itself."""


def plain(found: Found, task_id: str) -> tuple[Json, Json]:
    """Convert a generation to the documented shape; return it and the rest, in its original shape.

    Each column's value is at the first of the column's paths. What the generation lacks comes from
    the nearest wrapper that has it. A value that loses to another one is part of the rest.
    """
    if has_outputs(found.generation):
        found = found._replace(generation=with_media(found.generation))
    else:
        found = found._replace(generation=with_video(found.generation))
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
    if found.status == "completed":
        _move_urls(values)
    if "prompt" not in values and (prompt := _prompt_in_text(found.generation)):
        values["prompt"] = [(0, 0, (), prompt)]  # the text stays, as it says more
    # Of each layer, the keys whose values are in columns.
    taken: list[set[tuple[str, ...]]] = [set() for _ in layers]
    fields = _fields(values, found.state, taken)
    if found.state is not None:
        fields.setdefault("state", found.state)  # that of a number, which is left over
    # The requested task ID has its own column.
    for layer, of_layer in zip(layers, taken, strict=True):
        of_layer.update((key,) for key in id_keys(tuple(layer)) if layer[key] == task_id)
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
    if found.others or not is_plain_shape(found.generation):
        return False
    return all(HEADS.keys().isdisjoint(folded(wrapper.fields)) for wrapper in found.wrappers)


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
    is_record = number > 0 or not OF_RECORDS.isdisjoint(folded(layer))
    for key, wants in wanted(tuple(layer)):
        outer = layer[key]
        if outer is None:
            continue
        inner = folded(outer) if isinstance(outer, dict) else None
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


def _prompt_in_text(generation: Json) -> str | None:
    """The prompt in a request that is kept as text."""
    keys = folded(generation)
    for name in REQUEST_TEXTS:
        request = from_text(generation.get(keys.get(name, "")))
        for holder in (request, request.get("input")) if isinstance(request, dict) else ():
            prompt = holder.get("prompt") if isinstance(holder, dict) else None
            if isinstance(prompt, str) and prompt:
                return prompt
    return None


def _move_urls(values: dict[str, list[_Value]]) -> None:
    """Take a URL for the video's: some gateways reuse `fail_reason` for it on success."""
    reasons = values.pop("failure_reason", [])
    for layer, rank, keys, value in reasons:
        name, offset = ("video_url", len(FROM_JSON)) if is_address(value) else ("failure_reason", 0)
        values.setdefault(name, []).append((layer, rank + offset, keys, value))


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
    return bool(rest) or snake(key) != "error"


def _is_nothing(name: str, value: Any) -> bool:
    """Whether a value is a gateway's spelling of "none"."""
    if name in FAILURE:
        return value in ("", 0, "0", False)
    return name in TIME_NAMES and is_no_time(value)


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
        if isinstance(value, dict) and snake(key) in HEADS:
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
