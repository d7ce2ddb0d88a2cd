"""Bodies in, rows out: the nested answer as the flat columns of `generations`.

Works by column rather than by row: a column whose values all have the documented type (nearly
always) becomes an Arrow array at once; only one that has not is gone through value by value.
"""

from __future__ import annotations

from collections import defaultdict
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connector.record import derive
from connector.record.answer import Outcome
from connector.record.coerce import COERCERS, parse_time, to_json
from connector.record.columns import TIMESTAMP, Column
from connector.record.dialects import generation_in, parse
from connector.record.schema import GENERATIONS, TERMINAL_STATUSES, UNFINISHED_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

Json = dict[str, Any]

FROM_JSON: Final = tuple(column for column in GENERATIONS.columns if column.paths)
KEEPS_ANYTHING: Final = "queue_state"
"""No value but null is documented, so whatever comes is kept, as JSON text."""

CHUNK_ROWS: Final = 1000
"""Parsed bodies held at once: more of them fall out of the processor's cache, and it shows."""

LONGEST_NOTE: Final = 200
"""Characters of an unexpected value that `coercions` quotes; the whole is in `answers`."""

NATIVE_TYPES: Final[dict[pa.DataType, frozenset[type]]] = {
    pa.string(): frozenset({str, type(None)}),
    pa.bool_(): frozenset({bool, type(None)}),
    pa.int32(): frozenset({int, type(None)}),
    pa.int64(): frozenset({int, type(None)}),
    pa.float64(): frozenset({float, int, type(None)}),
}


def _known_keys() -> dict[str, frozenset[str]]:
    """Keys that a column reads, by the object that holds them; "" is the generation itself."""
    known: dict[str, set[str]] = defaultdict(set)
    for path in (path for column in FROM_JSON for path in column.paths):
        parent, _, key = path.rpartition(".")
        known[parent].add(key)
        if parent:
            known[""].add(parent)
    return {parent: frozenset(keys) for parent, keys in known.items()}


KNOWN_KEYS: Final = _known_keys()


def flatten(answers: pa.Table) -> pa.Table:
    """Turn answers into rows of `generations`, each with the lineage of that one fetch.

    Args:
        answers: Rows of the `answers` table; those that hold no generation are left out.

    Returns:
        A table of the `generations` schema, a row an answer, in the answers' order. Never fails
        on any body: what does not fit its column is null there and told in `coercions`.
    """
    answers = answers.filter(pc.equal(answers["outcome"], Outcome.GENERATION))
    chunks = [
        _flatten_chunk(answers.slice(start, CHUNK_ROWS))
        for start in range(0, len(answers), CHUNK_ROWS)
    ]
    return pa.concat_tables(chunks) if chunks else GENERATIONS.schema.empty_table()


def _flatten_chunk(answers: pa.Table) -> pa.Table:
    batch = _Batch([_document(body) for body in answers["body"].to_pylist()])
    arrays: dict[str, pa.Array] = {column.name: batch.column(column) for column in FROM_JSON}
    arrays |= _derived(arrays)
    arrays |= _lineage(answers, arrays["status"])
    arrays["extra"] = batch.extra()
    arrays["coercions"] = batch.coercions()
    return pa.table([arrays[name] for name in GENERATIONS.schema.names], GENERATIONS.schema)


def _document(body: bytes | None) -> Json:
    try:
        return generation_in(parse(body or b"")) or {}
    except ValueError:
        return {}


class _Batch:
    """Generations side by side, and the notes on what did not fit."""

    def __init__(self, documents: list[Json]) -> None:
        self._notes: dict[int, list[Json]] = defaultdict(list)
        self._objects = {"": documents}
        for name in KNOWN_KEYS:
            if name:
                self._objects[name] = self._nested(name, documents)

    def _nested(self, name: str, documents: list[Json]) -> list[Json]:
        """The objects under one key; an empty one where there is none."""
        found = [document.get(name) for document in documents]
        if not set(map(type, found)) <= {dict, type(None)}:
            for row, value in enumerate(found):
                if value is not None and not isinstance(value, dict):
                    self._note(row, name, value, None)
                    found[row] = None
        return [value or {} for value in found]

    def column(self, column: Column) -> pa.Array:
        """One column's values, from the first of its paths that has one."""
        values = self._at(column.paths[0])
        for path in column.paths[1:]:
            if None in values:
                fallback = self._at(path)
                values = [
                    other if value is None else value
                    for value, other in zip(values, fallback, strict=True)
                ]
        if column.type == TIMESTAMP:
            return pa.array(self._times(column, values), TIMESTAMP)
        if set(map(type, values)) <= NATIVE_TYPES[column.type]:
            try:
                return pa.array(values, column.type)
            except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
                pass  # a number out of range, or a lone surrogate
        return pa.array(self._coerced(column, values), column.type)

    def _at(self, path: str) -> list[Any]:
        parent, _, key = path.rpartition(".")
        return [holder.get(key) for holder in self._objects[parent]]

    def _times(self, column: Column, values: list[Any]) -> list[datetime | None]:
        moments: list[datetime | None] = []
        for row, value in enumerate(values):
            moment, as_documented = parse_time(value) if type(value) is str else (None, False)
            if not as_documented and value is not None:
                moment = COERCERS[TIMESTAMP](value)
                self._note(row, column.name, value, moment and moment.isoformat())
            moments.append(moment)
        return moments

    def _coerced(self, column: Column, values: list[Any]) -> list[Any]:
        convert = to_json if column.name == KEEPS_ANYTHING else COERCERS[column.type]
        fits = NATIVE_TYPES[column.type]
        result = []
        for row, value in enumerate(values):
            converted = None if value is None else convert(value)
            # A value that fits and came through unchanged was only in bad company.
            if value is not None and (type(value) not in fits or converted != value):
                self._note(row, column.name, value, converted)
            result.append(converted)
        return result

    def _note(self, row: int, name: str, value: Any, converted: Any) -> None:
        is_plain = isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value))
        quoted = value if is_plain else to_json(value)[:LONGEST_NOTE]
        self._notes[row].append({"column": name, "from": quoted, "to": converted})

    def coercions(self) -> pa.Array:
        """The notes, as JSON; null for a row in which all fitted."""
        rows = range(len(self._objects[""]))
        return pa.array(
            [to_json(self._notes[row]) if row in self._notes else None for row in rows], pa.string()
        )

    def extra(self) -> pa.Array:
        """What no column has, as JSON in the shape it came in; null if nothing is left over."""
        surplus: list[Json | None] = [_surplus(document, "") for document in self._objects[""]]
        for parent, holders in self._objects.items():
            if not parent:
                continue
            for row, holder in enumerate(holders):
                if holder and (found := _surplus(holder, parent)):
                    surplus[row] = {**(surplus[row] or {}), parent: found}
        return pa.array([_to_extra(found) for found in surplus], pa.string())


def _surplus(holder: Json, parent: str) -> Json | None:
    known = KNOWN_KEYS[parent]
    if holder.keys() <= known:
        return None
    return {key: holder[key] for key in holder.keys() - known if holder[key] is not None} or None


def _to_extra(found: Json | None) -> str | None:
    if found is None:
        return None
    try:
        return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # a lone surrogate, a huge number, or deeper than orjson writes
        return to_json(found)


def _map(function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [None if value is None else function(value) for value in values]


def _derived(arrays: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The derived columns, from the documented ones."""

    def values(name: str) -> list[Any]:
        return arrays[name].to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped

    prompts, videos = values("prompt"), values("video_url")
    frames = list(map(derive.frame, values("video_width"), values("video_height")))
    if derive.NO_FRAME in frames:
        requested = map(
            derive.requested_frame, values("requested_resolution"), values("requested_aspect_ratio")
        )
        frames = [
            wanted if found is derive.NO_FRAME else found
            for found, wanted in zip(frames, requested, strict=True)
        ]
    signed = [
        derive.signature_times(url) if url else (None, None) for url in values("video_download_url")
    ]
    columns = {
        "status": list(map(derive.status, values("state"))),
        "resolution": [frame.resolution for frame in frames],
        "aspect_ratio": [frame.aspect_ratio for frame in frames],
        "orientation": [frame.orientation for frame in frames],
        "megapixels": [frame.megapixels for frame in frames],
        "prompt_id": _map(derive.prompt_id, prompts),
        "prompt_words": _map(lambda prompt: len(prompt.split()), prompts),
        "prompt_characters": _map(len, prompts),
        "storage_model": _map(derive.storage_model, videos),
        "watermarked": _map(derive.watermarked, videos),
        "download_url_signed_at": [signed_at for signed_at, _ in signed],
        "download_url_expires_at": [expires_at for _, expires_at in signed],
    }
    return {name: pa.array(column, GENERATIONS[name].type) for name, column in columns.items()}


def _lineage(answers: pa.Table, status: pa.Array) -> dict[str, pa.ChunkedArray | pa.Array]:
    """The lineage of a single fetch; `merge` adds up several."""
    fetched_at = answers["fetched_at"].combine_chunks()
    # What an answer tells was true when the gateway wrote it: after it was first asked.
    asked_at = pc.subtract(fetched_at, _duration(answers["elapsed_seconds"].combine_chunks()))
    finished = pc.is_in(status, pa.array(TERMINAL_STATUSES))
    unfinished = pc.is_in(status, pa.array(UNFINISHED_STATUSES))
    never = pa.scalar(None, TIMESTAMP)
    return {
        "task_id": answers["task_id"],
        "first_seen_at": fetched_at,
        "fetched_at": fetched_at,
        "last_unfinished_at": pc.if_else(unfinished, asked_at, never),
        "first_finished_at": pc.if_else(finished, fetched_at, never),
        "fetches": pa.repeat(pa.scalar(1, pa.int32()), len(answers)),
        "run_id": answers["run_id"],
    }


def _duration(seconds: pa.Array) -> pa.Array:
    """To the next whole microsecond."""
    return pc.ceil(pc.multiply(seconds, 1e6)).cast(pa.int64()).cast(pa.duration("us"))
