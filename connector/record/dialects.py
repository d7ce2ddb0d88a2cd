"""Finds the generation in a body, in any dialect and any wrapper.

The gateways behind one path answer in two dialects (the gateway's own, and the official one with
`assets` and `request`), and Luma's newer API in a third, with a list of files. They come
bare or wrapped: in an envelope `{"code", "message", "data"}`, in a record of the task with a status
and times of its own, in a list. All are told apart by shape alone, never by a setting.

::

    parse -> find -> Found   the generation, its wrappers, and the state of both together
                     plain   its columns' values in the documented shape, and the rest
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from connector.record.files import from_text, holds_video, is_address
from connector.record.keys import (
    HEADS,
    IDS,
    LISTS,
    LOOSE,
    MEDIA,
    NO_WRAPPERS,
    OF_ERRORS,
    OF_TASKS,
    STATE_KEYS,
    STATE_NUMBER,
    WRAPPERS,
    folded,
    has_plain_shape,
    id_keys,
    inner_keys,
)
from connector.record.names import STATE_WORDS
from connector.record.schema import TERMINAL_STATUSES, UNFINISHED_STATUSES
from connector.record.states import status

if TYPE_CHECKING:
    from collections.abc import Container

    from connector.record.keys import Json

DEEPEST: Final = 6

# Of the one family of gateways that has numbers for states: the words that it has elsewhere.
WORDS_OF_NUMBERS: Final = {
    "0": "GENERATING",
    "1": "SUCCESS",
    "2": "CREATE_TASK_FAILED",
    "3": "GENERATE_FAILED",
    "4": "CALLBACK_FAILED",
}


DONE: Final = ("done", "completed", "finished")


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


def find(document: Any, task_id: str = "") -> Found | None:
    """Find the generation in a document; None if there is none.

    Args:
        document: Parsed JSON.
        task_id: The requested ID, which selects one of a list.
    """
    if type(document) is str:
        document = from_text(document)
    if type(document) is dict and is_plain_shape(document):
        state = document.get("state")
        if type(state) is dict:
            state = _state_in(document)
        if state is not None or document.get("id") is not None or media_of(document) is not None:
            return Found(document, state=state, is_plain=True)
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
    if not is_sure or not has_plain_shape(tuple(inner)):
        return None
    return Found(inner, (Wrapper(document, "data"),), state=agreed(state, _state_in(document)))


@lru_cache(maxsize=4096)
def _holds_data(keys: tuple[str, ...]) -> bool:
    """Whether an object with these keys is no refusal, and wraps nothing but `data`."""
    return "success" not in keys and [name for name, _ in inner_keys(keys)] == ["data"]


def is_plain_shape(document: Json) -> bool:
    """Whether an object is in a documented dialect, without keys of others."""
    if not has_plain_shape(tuple(document)):
        return False
    artifact = document.get("artifact")
    return artifact is None or _lacks_columns(artifact)


def _lacks_columns(artifact: Any) -> bool:
    """Whether an `artifact` has no value for any column: then it is just an extra field."""
    return not isinstance(artifact, dict) or HEADS.keys().isdisjoint(folded(artifact))


def _unwrap(document: Any, task_id: str, depth: int) -> Found | None:
    if isinstance(document, list):
        return _in_list(document, task_id, depth)
    if not isinstance(document, dict) or depth == 0:
        return None
    found = _in_object(document, task_id, depth)
    if found is None or not is_refusal(document):
        return found
    # "success" may be of the request, or of the task.
    return found if found.status == "failed" and says_all(found, task_id) else None


def _in_object(document: Json, task_id: str, depth: int) -> Found | None:
    inner = _inside(document, task_id, depth)
    if inner is not None:
        return inner
    bare = _bare(document)
    if bare is not None and _says_much(bare):
        return bare
    return (
        _inside(document, task_id, depth, lists=LOOSE, objects=LOOSE)
        or bare
        or _elsewhere(document, task_id, depth)
    )


def _elsewhere(document: Json, task_id: str, depth: int) -> Found | None:
    """Find the generation under a key that no wrapper is known for, in an object without one.

    It counts if it says a state, and has media or the requested ID, or that ID is the key.
    """
    for name, key in folded(document).items():
        value = document[key]
        if not isinstance(value, dict | list) or name in NO_WRAPPERS:
            continue
        found = _unwrap(value, task_id, depth - 1)
        if found is None or found.state is None:
            continue
        is_asked = key == task_id or task_id in _ids_of(found)
        if is_asked or media_of(found.generation) is not None or holds_video(found.generation):
            return _wrapped(found, Wrapper(document, key))
    return None


def _inside(
    document: Json,
    task_id: str,
    depth: int,
    *,
    lists: Container[str] = LISTS,
    objects: Container[str] = WRAPPERS,
) -> Found | None:
    """Find the generation under one of the keys that wrappers use."""
    for name, key in inner_keys(tuple(document)):
        value = from_text(document[key])
        if name not in (lists if isinstance(value, list) else objects) or not value:
            continue
        found = _unwrap(value, task_id, depth - 1)
        if found is not None and (_says_much(found) or not _says_itself(document)):
            return _wrapped(found, Wrapper(document, key))
    return None


def _says_much(found: Found) -> bool:
    return found.state is not None or media_of(found.generation) is not None


def _says_itself(document: Json) -> bool:
    """Whether an object is itself a generation, so that an inner `id` is not its own."""
    return _state_in(document) is not None or any(document[key] for key in id_keys(tuple(document)))


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


def says_all(found: Found, task_id: str) -> bool:
    """Whether it is beyond doubt a generation of this task that is final: by ID, state and more."""
    is_asked = bool(task_id) and task_id in map(str, _ids_of(found))
    says_more = not OF_TASKS.difference(IDS, ["progress"]).isdisjoint(folded(found.generation))
    return is_asked and found.status in TERMINAL_STATUSES and says_more


def other_ids(found: Found, task_id: str) -> tuple[str, ...]:
    """The IDs that a generation and its wrappers give, innermost first; none if one is `task_id`.

    A whole number is the ID of a record, not of a task. A UUID is the same in either letter case;
    of other IDs, two may differ by nothing else.
    """
    if found.generation.get("id") == task_id:
        return ()
    names = _ids_of(found)
    given = set(map(str, names))
    if task_id in given or (UUID.fullmatch(task_id) and task_id.lower() in map(str.lower, given)):
        return ()
    return tuple(dict.fromkeys(name for name in names if name and isinstance(name, str)))


UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _ids_of(found: Found) -> list[Any]:
    layers = [found.generation, *(wrapper.fields for wrapper in found.wrappers)]
    return [layer[key] for layer in layers for key in id_keys(tuple(layer))]


def _bare(document: Json) -> Found | None:
    """Take an object as a generation itself, or as a task's record without one inside."""
    state = _state_in(document)
    if media_of(document) is not None:
        return Found(document, state=state)
    if state is not None:
        is_of_task = not OF_TASKS.isdisjoint(folded(document)) or holds_video(document)
        if is_of_task or status(state) in UNFINISHED_STATUSES:
            return Found(document, state=state)
        # `{"state": "completed"}` is little, but `state` is the key of a generation's own state.
        is_error = any(document.get(name) for name in OF_ERRORS)
        return Found(document, state=state) if "state" in document and not is_error else None
    is_error = any(document.get(name) for name in OF_ERRORS)
    if is_error or not (document.get("id") is not None or holds_video(document)):
        return None
    return Found(document)


ANY_MEDIUM: Final = frozenset(MEDIA)


def is_refusal(document: Json) -> bool:
    """Whether a document reports failure by `{"success": false}`."""
    return document.get("success") in (False, "false", "False") and "success" in document


def media_of(document: Json) -> Any:
    """The first medium in an object; empty ones do not count."""
    if ANY_MEDIUM.isdisjoint(document):
        return None
    return next((document[name] for name in MEDIA if _is_media(name, document.get(name))), None)


def _is_media(name: str, value: Any) -> bool:
    if name in ("output", "artifact"):
        return isinstance(value, dict) and media_of(value) is not None
    return is_address(value) or (isinstance(value, dict) and bool(value))


def _state_in(document: Json) -> Any:
    keys = folded(document)
    for name in STATE_KEYS:
        if name in keys:
            state = document[keys[name]]
            word = state if type(state) is str and state.strip() else _word_in(state)
            if word is not None:
                return word
    if STATE_NUMBER in keys:
        number = document[keys[STATE_NUMBER]]
        return WORDS_OF_NUMBERS.get(str(number)) or _word_in(number)
    # `{"done": true}` with a video is also how an operation says it.
    flags = (name for name in DONE if name in keys and str(document[keys[name]]).lower() == "true")
    flag = next(flags, None)
    has_result = flag and (media_of(document) is not None or holds_video(document))
    return flag if has_result else None


def _word_in(state: Any) -> str | None:
    """The word of a state, which some gateways put into an object."""
    if isinstance(state, dict):
        keys = folded(state)
        words = [state[keys[name]] for name in STATE_WORDS if name in keys]
        words = [word for word in words if isinstance(word, str) and word.strip()]
        known = (word for word in words if status(word) != "unknown")
        return next(known, words[0] if words else None)
    return state if isinstance(state, str) and state.strip() else None
