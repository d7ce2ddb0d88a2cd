"""JSON: an array, an object around one, or one value a line. Values are strings or objects."""

from __future__ import annotations

import json
import re
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from connector.errors import SourceError
from connector.task_ids.columns import find_column
from connector.task_ids.keys import ENVELOPES, Picker
from connector.task_ids.parts import MOST, in_parts
from connector.task_ids.spelling import is_usual, tidied
from connector.task_ids.validity import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connector.task_ids.content import Content
    from connector.task_ids.kept import Keep, Rows

_BEGIN = re.compile(r"[^\s,]")
_NOT_BLANK = re.compile(r"\S")

# In characters. A larger array is read item by item, because values take up to thirty times the
# memory of their text. An object must be read whole, so it is refused if it is too large.
_WHOLE = 1 << 24
_PART = 1 << 20
_LARGEST = 1 << 26
_MOST_MEMORY = 600 << 20

_CUT = object()
_DECODER = json.JSONDecoder()


def read_json(
    content: Content, column: str | None, keep: Keep | None = None
) -> Iterator[list[object] | Rows]:
    """The task IDs of an array, or of an object around one, which is held in memory.

    Raises:
        SourceError: It is not JSON, or it is not clear where in it the IDs are.
    """
    picker, stream = Picker(content.name, column, keep), content.text()
    text = stream.read(_WHOLE)
    while text and not text.strip():
        text = stream.read(_WHOLE)
    if len(text) == _WHOLE and text.lstrip().startswith("["):
        items = _items_one_by_one(stream, text, content.name)
        for pairs in in_parts(items, itemgetter(1), _PART):
            yield picker.pick_all([item for item, _ in pairs])
    elif text:
        text += stream.read(_LARGEST)
        _check_size(text, content.name)
        for document in _documents(text, content.name):
            held = iter(_from_rows(_items(document, content.name, column), column))
            while part := list(islice(held, MOST)):
                yield picker.pick_all(part)
    picker.check()


def _check_size(text: str, where: str) -> None:
    """Refuse what would take too much memory, by the number of values."""
    size = 2 * len(text) + 30 * text.count('"') + 40 * text.count(",")
    size += 250 * text.count("{") + 64 * text.count("[")
    if len(text) > _LARGEST or size > _MOST_MEMORY:
        raise SourceError(
            f"{where} is too large for a JSON object, which is held in memory. Give an array of "
            "task IDs, or JSON Lines."
        )


def _items_one_by_one(stream: TextIO, text: str, where: str) -> Iterator[tuple[object, int]]:
    """The items of an array that is not held in memory, with the characters of each.

    `text` is the start of it, `stream` the rest.
    """
    number = 0
    position, expected = text.index("[") + 1, "item or end"
    while True:
        found = _NOT_BLANK.search(text, position)
        if found is None:
            text, position = stream.read(_PART), 0
            if not text:
                raise SourceError(f"{where} is not JSON: its array has no end. Is it cut off?")
            continue
        position = found.start()
        if text[position] == "]" and expected != "item":
            break
        if expected == "comma or end":
            if text[position] != ",":
                raise SourceError(f"{where} is not JSON: no comma after item {number:,}.")
            position, expected = position + 1, "item"
            continue
        number += 1
        text, position, item, end = _whole_item(stream, text, position)
        if item is _CUT:
            raise SourceError(f"{where}: item {number:,} of its array is not JSON, or too large.")
        yield item, end - position
        position, expected = end, "comma or end"
    if text[position + 1 :].strip() or any(map(str.strip, iter(partial(stream.read, _PART), ""))):
        raise SourceError(
            f"{where} is not JSON: something follows its array. Give one array, or JSON Lines."
        )


def _whole_item(stream: TextIO, text: str, position: int) -> tuple[str, int, object, int]:
    """Read on until the item that begins here is whole: the text, and the item in it."""
    item, end = _decoded(text, position)
    while end == len(text) and end - position <= _WHOLE:
        more = stream.read(max(_PART, end - position))
        text, position = text[position:] + more, 0
        item, end = _decoded(text, position)
        if not more:
            break
    return text, position, item, end


def _decoded(text: str, position: int) -> tuple[object, int]:
    """The value that begins here, and where it ends; the end of the text if that comes first."""
    try:
        return _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):
        return _CUT, len(text)


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


def _items(document: object, where: str, column: str | None) -> Iterable[object]:
    if not isinstance(document, dict):
        return document if isinstance(document, list) else [document]
    records = _records(document, column)
    if records is not None:
        return records
    arrays = {key: value for key, value in document.items() if isinstance(value, list)}
    has_id = find_column([key for key in document if key not in arrays], column) is not None
    named = find_column(list(arrays), column)
    if named is not None and not has_id:
        return list(arrays.values())[named]
    if not arrays:
        return [document] if has_id else _items_of_envelope(document, where, column)
    if {"columns", "data"} <= arrays.keys():  # as pandas splits a table
        return [arrays["columns"], *arrays["data"]]
    if len(arrays) > 1 or has_id:
        raise SourceError(
            f"{where} does not show where its task IDs are: it is an object with the keys "
            f"{', '.join(document)}. Give an array, or an object that holds one array and no ID."
        )
    return next(iter(arrays.values()))


def _from_rows(items: Iterable[object], column: str | None) -> Iterable[object]:
    """Rows below a header, as Google Sheets has them, as objects."""
    if not isinstance(items, list) or not items or {*map(type, items)} != {list}:
        return items
    header, *rows = items
    if find_column(list(map(str, header)), column) is not None:
        return (dict(zip(map(str, header), row, strict=False)) for row in rows)
    return items


def _records(document: dict[str, Any], column: str | None) -> Iterator[object] | None:
    """The rows of a table that pandas wrote by columns, or below their IDs as keys; else None."""
    name = column or "task_id"
    if document and all(is_usual(tidied(key)) for key in document):
        rows = document.items()
        return ({**(row if isinstance(row, dict) else {}), name: key} for key, row in rows)
    index = find_column(list(document), column)
    ids = None if index is None else list(document.values())[index]
    if not isinstance(ids, dict):
        return None
    columns = {key: cells for key, cells in document.items() if isinstance(cells, dict)}
    return ({key: cells[row] for key, cells in columns.items() if row in cells} for row in ids)


def _items_of_envelope(
    document: dict[str, object], where: str, column: str | None
) -> Iterable[object]:
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
