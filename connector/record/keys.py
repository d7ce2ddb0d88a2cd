"""The keys of bodies: which belong to which dialect, and which columns look for which."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from connector.record.column import TIMESTAMP
from connector.record.names import MESSAGE_KEYS, by_words, holds_files, snake
from connector.record.schema import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

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

# Those of an object that says nothing itself: of JSON:API, of AWS Lambda, of lists.
LOOSE: Final = frozenset(
    ["attributes", "body", "payload", "item", "items", "list", "records", "job", "prediction"]
)

OF_WRAPPERS: Final = frozenset({*WRAPPERS, *LISTS, *LOOSE})

STATE_KEYS: Final = GENERATIONS["state"].paths

# Says the state where none of these does.
STATE_NUMBER: Final = "success_flag"

IDS: Final = ("id", "task_id", "generation_id")

# An object with one of these is a task's record: an integer `id` is the record's own.
OF_RECORDS: Final = frozenset(
    {"task_id", "platform", "action", "fail_reason", "submit_time", "properties"}
)

# With these beside it, an `id` belongs to a request, not to a generation.
OF_ERRORS: Final = ("error", "errors", "detail", "message", "msg", "code")

# What is under these is no generation, but what went wrong, or what was asked for.
NO_WRAPPERS: Final = frozenset({*OF_ERRORS, "err", "fault", "request", "input", "params", "user"})

# Without any of these, a lone word such as "error" or "success" is about the request, not a task.
OF_TASKS: Final = frozenset({*IDS, *MEDIA, "prompt", "request", "created_at", "progress"}) | (
    OF_RECORDS
)


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

TIME_NAMES: Final[frozenset[str]] = frozenset(
    column.name for column in FROM_JSON if column.type == TIMESTAMP
)

TEXTS: Final[frozenset[str]] = frozenset(
    column.name for column in FROM_JSON if column.type == pa.string()
) - {"queue_state"}

# Keys whose value is a text, and not an object of values.
TEXT_KEYS: Final = frozenset(
    path for column in FROM_JSON if column.name in TEXTS for path in column.paths if "." not in path
)

FAILURE: Final = frozenset({"failure_reason", "failure_code"})

MAY_BE_NOTHING: Final = FAILURE | TIME_NAMES

OTHER_DIALECTS: Final = (HEADS.keys() - PLAIN_KEYS) | {
    *OF_WRAPPERS,
    *IDS[1:],
    *OF_RECORDS,
    *OF_ERRORS,
    *frozenset(MESSAGE_KEYS) - PLAIN_KEYS,
    "success",
    "type",
    STATE_NUMBER,
}


@lru_cache(maxsize=4096)
def has_plain_shape(keys: tuple[str, ...]) -> bool:
    """Whether an object with these keys is in a documented dialect."""
    return OTHER_DIALECTS.isdisjoint(keys) and all(
        key in PLAIN_KEYS or (key == snake(key) and not by_words(key) and not holds_files(key))
        for key in keys
    )


def folded(document: Json) -> Mapping[str, str]:
    """The keys of an object by their form in snake case."""
    return snakes(tuple(document))


@lru_cache(maxsize=4096)
def snakes(keys: tuple[str, ...]) -> Mapping[str, str]:
    """Keys by their form in snake case."""
    return {snake(key): key for key in keys}


@lru_cache(maxsize=4096)
def inner_keys(keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Those under which wrappers hold others, with their form in snake case."""
    return tuple(item for item in snakes(keys).items() if item[0] in OF_WRAPPERS)


class Want(NamedTuple):
    """What a column looks for under a key of an object.

    Attributes:
        rest: The key within the object under that key; empty if the value itself is wanted.
        is_checked: Whether some values do not count.
        is_guess: Whether the words of the key say it, and no declared path.
    """

    name: str
    rank: int
    rest: str
    is_checked: bool
    is_guess: bool = False


@lru_cache(maxsize=4096)
def wanted(keys: tuple[str, ...]) -> tuple[tuple[str, tuple[Want, ...]], ...]:
    """What columns look for in an object with these keys, by key."""
    return tuple((key, wants) for head, key in snakes(keys).items() if (wants := wants_of(head)))


@lru_cache(maxsize=4096)
def wants_of(head: str) -> tuple[Want, ...]:
    """What columns look for under a key in snake case."""
    declared = HEADS.get(head, [])
    guesses = (
        Want(name, FIRST_GUESS + rank, rest, is_checked=True, is_guess=True)
        for rank, (name, rest) in enumerate(by_words(head))
        if (name, f"{head}.{rest}" if rest else head) not in declared
    )
    return (*(_want(name, path) for name, path in declared), *guesses)


# Declared paths come first.
FIRST_GUESS: Final = 1_000


def _want(name: str, path: str) -> Want:
    is_checked = name in MAY_BE_NOTHING or name in {"id", "state"} or name in TEXTS
    return Want(name, _RANK[name, path], path.partition(".")[2], is_checked)


@lru_cache(maxsize=4096)
def id_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Those under which IDs stand."""
    return tuple(key for name, key in snakes(keys).items() if name in IDS)
