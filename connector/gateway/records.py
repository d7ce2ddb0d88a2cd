"""The records in an answer about many tasks, and the task ID that each belongs to.

`{"code": "success", "message": "", "data": [RECORD, …]}`, or a bare array of generations, or an
object with the task IDs as names. Neither the order nor what becomes of unknown IDs is documented.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from connector.record.dialects import find, parse
from connector.record.keys import LISTS, id_keys
from connector.record.names import snake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Where further gateways may keep a list.
PLACES: Final = (*LISTS, "items", "list", "records")
DEEPEST: Final = 3


def records_in(document: Any, depth: int = DEEPEST) -> list[dict[str, Any]] | None:
    """The objects of the list in an answer, empty if it lists none; None if it has no list."""
    if isinstance(document, list):
        return [item for item in document if isinstance(item, dict)]
    if not isinstance(document, dict) or depth == 0:
        return None
    found = (records_in(document[key], depth - 1) for key in PLACES if key in document)
    return next((records for records in found if records is not None), None)


class Record(NamedTuple):
    """What an answer holds of one task.

    Attributes:
        body: As JSON.
        status: Of the generation, in five words; None if there is none in it.
    """

    task_id: str
    body: bytes
    status: str | None


def read_records(body: bytes, task_ids: Sequence[str]) -> Iterator[Record]:
    """Yield the record of each task ID; what an answer does not hold is left out.

    Several records of one task are one list, so that no value is lost.
    """
    document, encode = _parsed(body)
    held: dict[str, list[Any]] = {}
    asked = frozenset(task_ids)
    for key, record in _keyed_records(document, asked):
        task_id = next((name for name in names_of(record) if name in asked), key)
        if task_id is not None and record not in held.setdefault(task_id, []):
            held[task_id].append(record)
    for task_id, items in held.items():
        item = items[0] if len(items) == 1 else items
        found = find(item, task_id)
        yield Record(task_id, encode(item), found and found.status)


def _keyed_records(
    document: Any, asked: frozenset[str]
) -> Iterable[tuple[str | None, dict[str, Any]]]:
    """The records in an answer, each with the task ID that is its name there, if it has one."""
    records = records_in(document)
    if records is not None:
        return ((None, record) for record in records)
    if not isinstance(document, dict):
        return ()
    for held in (document, *(document.get(place) for place in PLACES)):
        if isinstance(held, dict) and not asked.isdisjoint(held):
            return (
                (key, held[key]) for key in held if key in asked and isinstance(held[key], dict)
            )
    return ((None, document),)


def names_of(record: dict[str, Any]) -> Iterator[str]:
    """The task ID that a record gives, then the IDs of the generation in it, the innermost first.

    A whole number for an `id` is the record's own.
    """
    task_id = next((record[key] for key in id_keys(tuple(record)) if snake(key) == "task_id"), None)
    yield str(task_id) if type(task_id) is int else task_id if isinstance(task_id, str) else ""
    found = find(record)
    if found is not None:
        layers = (found.generation, *(wrapper.fields for wrapper in reversed(found.wrappers)))
        yield from _texts(layer[key] for layer in layers for key in id_keys(tuple(layer)))
    yield from _texts(record[key] for key in id_keys(tuple(record)))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))


def _parsed(body: bytes) -> tuple[Any, Any]:
    """The document, and what writes a part of it as it came: with NaN where orjson reads none."""
    try:
        return orjson.loads(body), orjson.dumps
    except orjson.JSONDecodeError:
        return parse(body), lambda item: json.dumps(item).encode()
