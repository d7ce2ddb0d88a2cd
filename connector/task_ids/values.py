"""From values of any type to task IDs as text, in bulk."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from numbers import Integral
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connector.task_ids.spelling import (
    AROUND,
    NOTHING,
    QUOTES,
    UNSEEN,
    UUID,
    tidied,
    usual_parts,
)
from connector.task_ids.validity import UNREADABLE, unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

# From here on a float is not exact, so an ID that went through one may be that of another task.
_INEXACT = 2**53

_USUAL_CHARACTERS = b"0123456789abcdefghijklmnopqrstuvwxyz_-."
_UPPER_CASE = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LONGEST_WORD = max(len(word.encode()) for word in NOTHING)
_PADDING = 64  # Arrow rounds the size of a buffer up

# All that `tidied` may change.
_DRESSED = (
    rf"^(?:[{re.escape(''.join(QUOTES))}=<{{(\[]|(?i:urn:uuid:|https?://))|(?i:/generations/)"
    rf"|^[0-9a-fA-F]{{1,8}}[-0-9a-fA-F]{{0,27}}[{UNSEEN}]"
    r"|^[0-9a-fA-F]{8}[\x{2010}-\x{2015}\x{2212}]|^[0-9]+([.,][0-9]+)?[eE]\+[0-9]+$"
)

_SEVERAL = r"^[\w-]{36,37}[\s,;]+[\w-]{36,37}"

_UUID_BYTES = 16
_UUID_LENGTH = 36


def clean(task_ids: pa.StringArray) -> pa.StringArray:
    """`task_ids` as `spelling.tidied` has each; null becomes ""."""
    task_ids = pc.fill_null(task_ids, "")
    odd = _odd_characters(task_ids)
    if odd:
        task_ids = trim(task_ids)
    if odd - _UPPER_CASE:
        task_ids = _tidied_where_dressed(task_ids)
    if odd & _UPPER_CASE:
        task_ids = _with_uuids_in_lower_case(task_ids)
    return _without_words_for_nothing(task_ids)


def split_several(task_ids: pa.StringArray) -> pa.StringArray:
    """`task_ids`, and where a value is several usual ones and nothing else, each for itself."""
    if (pc.max(pc.binary_length(task_ids)).as_py() or 0) <= 2 * _UUID_LENGTH:
        return task_ids
    if not pc.any(pc.match_substring_regex(task_ids, _SEVERAL)).as_py():
        return task_ids
    texts = task_ids.to_pylist()
    return pa.array([one for text in texts for one in usual_parts(text) or [text]], pa.string())


def split_rows(task_ids: pa.StringArray) -> tuple[pa.StringArray, pa.Array]:
    """As `split_several`, with the position of the value that each comes from."""
    whole = split_several(task_ids)
    if len(whole) == len(task_ids):
        return whole, pa.array(range(len(whole)), pa.int64())
    counts = [len(usual_parts(text) or [text]) for text in task_ids.to_pylist()]
    origins = [place for place, count in enumerate(counts) for _ in range(count)]
    return whole, pa.array(origins, pa.int64())


def _with_uuids_in_lower_case(task_ids: pa.StringArray) -> pa.StringArray:
    long_enough = pc.equal(pc.binary_length(task_ids), _UUID_LENGTH)
    if not pc.any(long_enough).as_py():
        return task_ids
    uuids = pc.match_substring_regex(task_ids, f"^{UUID}$")
    return pc.if_else(uuids, pc.ascii_lower(task_ids), task_ids)


def trim(texts: pa.StringArray) -> pa.StringArray:
    """`texts` without blanks, and what is not seen, around them."""
    return pc.utf8_trim(texts, characters=AROUND)


def _odd_characters(task_ids: pa.StringArray) -> set[int]:
    """Bytes in `task_ids` other than those that all usual IDs consist of.

    Most lists have none, and one look at all bytes saves a look at each ID.
    """
    data = task_ids.buffers()[2]
    size = pc.sum(pc.binary_length(task_ids)).as_py() or 0
    if not size:
        return set()
    if data.size > size + _PADDING:
        data = trim(task_ids).buffers()[2]  # a slice of a larger column: look at its part only
    return set(data.to_pybytes().translate(None, _USUAL_CHARACTERS))


def _tidied_where_dressed(task_ids: pa.StringArray) -> pa.StringArray:
    dressed = pc.match_substring_regex(task_ids, _DRESSED)
    if not pc.any(dressed).as_py():
        return task_ids
    texts = pa.array(map(tidied, task_ids.filter(dressed).to_pylist()), pa.string())
    return pc.replace_with_mask(task_ids, dressed, texts)


def _without_words_for_nothing(task_ids: pa.StringArray) -> pa.StringArray:
    shortest = pc.min(pc.binary_length(task_ids)).as_py()
    if shortest is None or shortest > _LONGEST_WORD:
        return task_ids
    nothing = pc.is_in(pc.utf8_lower(task_ids), value_set=pa.array(NOTHING))
    return pc.if_else(nothing, "", task_ids) if pc.any(nothing).as_py() else task_ids


def as_text(values: pa.Array | Sequence[object]) -> pa.StringArray:
    """`values` as text: null for what is missing, an invalid ID for what cannot be one."""
    if not isinstance(values, pa.Array):
        return _from_objects(values)
    if pa.types.is_integer(values.type):
        return values.cast(pa.string())
    if not _holds_uuids(values):
        try:
            # By way of bytes, to check the encoding: "strings" in files may not be UTF-8.
            return values.cast(pa.binary()).cast(pa.string())
        except pa.ArrowException:
            pass
    return _from_objects(values.to_pylist())


def _holds_uuids(values: pa.Array) -> bool:
    """Whether the bytes below some of `values` may be those of UUIDs, not of their text."""
    if isinstance(values, pa.ExtensionArray):
        return True
    kind = values.type
    if pa.types.is_fixed_size_binary(kind):
        return bool(kind.byte_width == _UUID_BYTES)
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return False
    return bool(pc.any(pc.equal(pc.binary_length(values), _UUID_BYTES)).as_py())


def _from_objects(values: Sequence[object]) -> pa.StringArray:
    try:
        return pa.array(values, pa.string(), from_pandas=True)
    except (TypeError, ValueError, pa.ArrowException):
        return pa.array(map(_text, values), pa.string())


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case str():
            return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        case bytes() | bytearray() | memoryview():
            return _bytes_as_text(bytes(value))
        case bool():
            pass
        case Integral() | uuid.UUID():
            return str(value)
        case float() | Decimal():
            return _number_as_text(value)
    # pandas' own signs for a missing value, by name so that pandas need not be imported.
    kind = type(value).__name__
    return None if kind in {"NAType", "NaTType"} else unreadable(f"a {kind} is not a task ID")


def _bytes_as_text(value: bytes) -> str:
    """Sixteen bytes are a UUID, unless they can be read as text: then the text is the ID."""
    text = value.decode("utf-8", "replace")
    if len(value) == _UUID_BYTES and (UNREADABLE in text or not text.isprintable()):
        return str(uuid.UUID(bytes=value))
    return text


def _number_as_text(value: float | Decimal) -> str | None:
    """A column of integers with a gap comes as floats from pandas, as decimals from databases."""
    if value != value:  # noqa: PLR0124 (only NaN differs from itself)
        return None
    exact = isinstance(value, Decimal) or abs(value) < _INEXACT
    if exact and value % 1 == 0:
        return str(int(value))
    return unreadable(f"the number {value} is not a task ID")
