"""JSON: an array, an object around one, or one value a line. Values are strings or objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from connector.errors import SourceError
from connector.source.task_ids.columns import choose_column, find_column
from connector.source.task_ids.text import line_blocks
from connector.source.task_ids.validity import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.source.task_ids.content import Content


class _Picker:
    """Takes the task ID out of an item; the first object decides under which key it is."""

    def __init__(self, where: str, column: str | None) -> None:
        self._where = where
        self._column = column
        self._key: str | None = None

    def pick(self, item: object) -> object:
        if not isinstance(item, dict):
            return item
        if self._key is None:
            keys = list(item)
            self._key = keys[choose_column(keys, self._column, self._where)]
        return item.get(self._key)


def read(content: Content, column: str | None) -> Iterator[list[object]]:
    """The task IDs of an array. It is held in memory whole: JSON Lines are for large lists.

    Raises:
        SourceError: This is no JSON, or it is not clear where in it the IDs are.
    """
    text = content.text().read()
    if not text.strip():
        return
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise SourceError(
            f"{content.name} is not JSON: {exc}. If it has one value a line, name it .jsonl."
        ) from exc
    pick = _Picker(content.name, column).pick
    yield [pick(item) for item in _items(document, content.name, column)]


def _items(document: object, where: str, column: str | None) -> list[object]:
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        return [document]
    arrays = [value for value in document.values() if isinstance(value, list)]
    if not arrays:
        return [document]
    if len(arrays) > 1 or find_column(list(document), column) is not None:
        raise SourceError(
            f"{where} does not tell where its task IDs are: it is an object with the keys "
            f"{', '.join(document)}. Give an array, or an object that holds one array and no ID."
        )
    return arrays[0]


def read_lines(content: Content, column: str | None) -> Iterator[list[object]]:
    """The task IDs of JSON Lines. A broken line becomes an invalid ID that tells its number.

    Raises:
        SourceError: The first line is broken, so this is another format; or it lacks the column.
    """
    pick = _Picker(content.name, column).pick
    first = 1
    for block in line_blocks(content):
        lines = block.split("\n")
        try:
            yield [pick(orjson.loads(line)) for line in lines]
        except orjson.JSONDecodeError:
            yield [
                _value(line, number, content.name, pick) for number, line in enumerate(lines, first)
            ]
        first += len(lines)


def _value(line: str, number: int, where: str, pick: Callable[[object], object]) -> object:
    if not line.strip():
        return ""
    try:
        return pick(orjson.loads(line))
    except orjson.JSONDecodeError as exc:
        if number == 1:
            raise SourceError(f"{where} is not JSON Lines: {exc}.") from exc
        return unreadable(f"line {number:,} of {where} is not JSON")
