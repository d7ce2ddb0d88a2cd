"""Removes task IDs from tables: their own rows, and what other rows say of them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connector.record.dialects import UUID, parse
from connector.record.keys import id_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Written in place of an ID where the text around it stays.
GONE: Final = "forgotten"

# A shorter ID may be part of another word, so it counts only as a word of its own.
LONG: Final = 16
WORD: Final = "[0-9A-Za-z_-]"

# How JSON starts; a text may start with a bracket too.
JSON: Final = re.compile(r'\s*(\{\s*"|\[\s*[\[{"])')

# IDs in one pattern; more would be slow to compile.
AT_ONCE: Final = 200


class Scrubber:
    """Removes some task IDs from tables.

    Args:
        task_ids: The IDs.
    """

    def __init__(self, task_ids: Sequence[str]) -> None:
        self._task_ids = pa.array(task_ids, pa.string())
        self._names = frozenset(task_ids)
        self._digits = {_digits(task_id) for task_id in task_ids if UUID.fullmatch(task_id)}
        parts = [task_ids[at : at + AT_ONCE] for at in range(0, len(task_ids), AT_ONCE)]
        self._found = ["|".join(map(_in_text, part)) for part in parts]
        self._replaced = [re.compile("|".join(map(_alone, part))) for part in parts]

    def rows(self, table: pa.Table) -> pa.Table:
        """The table without the rows of the IDs, and without the IDs in any text of the others.

        Of JSON text, an object that is about one of them goes as a whole.

        Returns:
            The same object if nothing changed.
        """
        if "task_id" in table.schema.names:
            is_theirs = pc.is_in(table["task_id"], self._task_ids)
            if pc.any(is_theirs, min_count=0).as_py():
                table = table.filter(pc.invert(is_theirs))
        for position, field in enumerate(table.schema):
            if field.type not in {pa.string(), pa.binary()} or field.name == "task_id":
                continue
            places = list(self._places(table[field.name]))
            if places:
                values = table[field.name].to_pylist()
                for place in places:
                    values[place] = self.text(values[place])
                table = table.set_column(position, field, pa.array(values, field.type))
        return table

    def _places(self, column: pa.ChunkedArray) -> Iterator[int]:
        places: set[int] = set()
        for pattern in self._found:
            mask = pc.fill_null(pc.match_substring_regex(column, pattern), False)
            places |= {*pc.indices_nonzero(mask).to_pylist()}
        yield from sorted(places)

    def text(self, value: Any) -> Any:
        """A text, or the bytes of one, without the IDs."""
        is_bytes = isinstance(value, bytes)
        text = value.decode("utf-8", "surrogateescape") if is_bytes else value
        text = self._scrub_json(text)
        for pattern in self._replaced:
            text, number = pattern.subn(GONE, text)
            if number and JSON.match(text) and not _is_json(text):
                text = GONE  # cut off, or too deep: what else is about the ID cannot be found
        return text.encode("utf-8", "surrogateescape") if is_bytes else text

    def _scrub_json(self, text: str) -> str:
        if text.lstrip()[:1] in {"{", "["}:
            with suppress(ValueError, RecursionError):
                document = parse(text.encode("utf-8", "surrogateescape"))
                if self._is_about(document, alone=True):
                    document = dict.fromkeys(id_keys(tuple(document)), GONE)
                return _dumped(self._without(document))
        return text

    def _without(self, value: Any) -> Any:
        """A JSON value without objects that are about one of the IDs."""
        if isinstance(value, list):
            return [self._without(item) for item in value if not self._is_about(item)]
        if isinstance(value, dict):
            return {
                key: self._without(item)
                for key, item in value.items()
                if not self._is_about(item) and not self._is_theirs(key)
            }
        is_document = isinstance(value, str) and value.lstrip()[:1] in {"{", "["}
        return self.text(value) if is_document else value

    def _is_about(self, value: Any, *, alone: bool = False) -> bool:
        """Whether an object has one of the IDs; `alone`: and no other."""
        if not isinstance(value, dict):
            return False
        found = [self._is_theirs(value[key]) for key in id_keys(tuple(value)) if value[key]]
        return all(found) and bool(found) if alone else any(found)

    def _is_theirs(self, name: Any) -> bool:
        if not isinstance(name, str):
            return False
        return name in self._names or _digits(name) in self._digits


def _dumped(document: Any) -> str:
    try:
        return orjson.dumps(document).decode()
    except orjson.JSONEncodeError:  # a lone surrogate, or deep
        return json.dumps(document)


def _is_json(text: str) -> bool:
    try:
        parse(text.encode("utf-8", "surrogateescape"))
    except ValueError:
        return False
    return True


def _digits(task_id: str) -> str:
    """Of a UUID, however it is spelled, its hexadecimal digits."""
    return task_id.replace("-", "").lower()


def _escaped(task_id: str) -> str:
    """A pattern of an ID; of a UUID in any spelling."""
    if UUID.fullmatch(task_id):
        return f"(?i:{task_id.replace('-', '-?')})"
    return re.escape(task_id)


def _in_text(task_id: str) -> str:
    escaped = _escaped(task_id)
    if len(task_id) >= LONG:
        return escaped
    return f"(^|[^{WORD[1:-1]}]){escaped}($|[^{WORD[1:-1]}])"


def _alone(task_id: str) -> str:
    escaped = _escaped(task_id)
    return escaped if len(task_id) >= LONG else f"(?<!{WORD}){escaped}(?!{WORD})"
