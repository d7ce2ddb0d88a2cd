"""JSON: an array, an object around one, or one value a line. Values are strings or objects."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import orjson

from connector.errors import SourceError
from connector.task_ids.columns import find_column
from connector.task_ids.keys import ENVELOPES, Picker
from connector.task_ids.spelling import is_usual, tidied
from connector.task_ids.validity import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.task_ids.content import Content
    from connector.task_ids.kept import Keep, Rows

_BEGIN = re.compile(r"[^\s,]")


def read_json(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[list[object] | Rows]:
    """The task IDs of an array, all held in memory: JSON Lines suit large lists better.

    Raises:
        SourceError: It is not JSON, or it is not clear where in it the IDs are.
    """
    text = content.text().read()
    if not text.strip():
        return
    picker = Picker(content.name, column, keep)
    for document in _documents(text, content.name):
        if keep and (rows := _records(document, column)) is not None:
            yield picker.pick_all(rows)
            continue
        yield picker.pick_all(_items(document, content.name, column))
    picker.check()


def _documents(text: str, where: str) -> list[object]:
    """The JSON document in `text`, or several that follow one another, as jq prints them.

    All are read before the first counts, because a broken one may hide others.
    """
    try:
        return [orjson.loads(text)]
    except orjson.JSONDecodeError as exc:
        # Python's reader is slower, but it can tell where a document ends.
        decoder, documents, position = json.JSONDecoder(), [], 0
        while following := _BEGIN.search(text, position):
            try:
                document, position = decoder.raw_decode(text, following.start())
            except (ValueError, RecursionError):
                raise SourceError(f"{where} is not JSON: {exc}.") from exc
            documents.append(document)
        return documents


def _items(document: object, where: str, column: str | None) -> list[object]:
    if not isinstance(document, dict):
        return document if isinstance(document, list) else [document]
    values = _values_below(document, column)
    if values is not None:
        return values
    arrays = {key: value for key, value in document.items() if isinstance(value, list)}
    has_id = find_column([key for key in document if key not in arrays], column) is not None
    named = find_column(list(arrays), column)
    if named is not None and not has_id:
        return list(arrays.values())[named]
    if not arrays:
        return [document] if has_id else _items_of_envelope(document, where, column)
    if len(arrays) > 1 or has_id:
        raise SourceError(
            f"{where} does not show where its task IDs are: it is an object with the keys "
            f"{', '.join(document)}. Give an array, or an object that holds one array and no ID."
        )
    return next(iter(arrays.values()))


def _values_below(document: dict[str, object], column: str | None) -> list[object] | None:
    """The keys, if they are the IDs; the column of IDs, if pandas wrote a table by columns."""
    if document and all(is_usual(tidied(key)) for key in document):
        return list(document)
    index = find_column(list(document), column)
    below = None if index is None else list(document.values())[index]
    return list(below.values()) if isinstance(below, dict) else None


def _records(document: object, column: str | None) -> list[object] | None:
    """The rows of a table that pandas wrote by columns, or below their IDs as keys; else None."""
    if not isinstance(document, dict) or not document:
        return None
    name = column or "task_id"
    if all(is_usual(tidied(key)) for key in document):
        rows = document.items()
        return [{**(row if isinstance(row, dict) else {}), name: key} for key, row in rows]
    index = find_column(list(document), column)
    ids = None if index is None else list(document.values())[index]
    if not isinstance(ids, dict):
        return None
    columns = {key: cells for key, cells in document.items() if isinstance(cells, dict)}
    return [{key: cells[row] for key, cells in columns.items() if row in cells} for row in ids]


def _items_of_envelope(document: dict[str, object], where: str, column: str | None) -> list[object]:
    """The items inside an envelope such as `{"code": "success", "data": …}`."""
    inner = [value for key, value in document.items() if key.casefold() in ENVELOPES]
    wraps = len(inner) == 1 and isinstance(inner[0], dict)
    return _items(inner[0], where, column) if wraps else [document]


def read_json_lines(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[list[object] | Rows]:
    """The task IDs of JSON Lines. A broken line becomes an invalid ID that names its number.

    Raises:
        SourceError: The first line is broken, so this is another format; or no object has the key.
    """
    picker = Picker(content.name, column, keep)
    first = 1
    for block in content.line_blocks():
        lines = block.split("\n")
        try:
            yield picker.pick_all([orjson.loads(line) for line in lines])
        except orjson.JSONDecodeError:
            items = [_item(line, number, content.name) for number, line in enumerate(lines, first)]
            yield picker.pick_all(items)
        first += len(lines)
    picker.check()


def _item(line: str, number: int, where: str) -> object:
    if not line.strip():
        return ""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        if number == 1:
            raise SourceError(f"{where} is not JSON Lines: {exc}.") from exc
        return unreadable(f"line {number:,} of {where} is not JSON")
