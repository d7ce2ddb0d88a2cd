"""Computes the derived columns, with Arrow's functions or once per distinct value."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.coerce import length_in_seconds, parse_time
from connector.record.column import TIMESTAMP
from connector.record.frames import NO_FRAME, Frame, frame, requested_frame
from connector.record.schema import GENERATIONS, STRING
from connector.record.states import failure_category, status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Columns with the video's size, best first.
SIZES: Final = tuple(
    (f"{name}_width", f"{name}_height")
    for name in ("video", "video_raw", "last_frame", "thumbnail")
)
FRAMED_BY: Final = (
    *(side for size in SIZES for side in size),
    "requested_resolution",
    "requested_aspect_ratio",
)
FAILED_BY: Final = ("state", "failure_code", "failure_reason")

MADE_FROM: Final = (
    *FAILED_BY,
    "prompt",
    "video_url",
    "video_download_url",
    "requested_duration",
    "requested_model",
    *FRAMED_BY,
)
FRAME: Final = pa.schema([GENERATIONS[name].field for name in Frame._fields])

# First path segment of official URLs: the service, not a model.
NOT_A_MODEL: Final = r"(?i)^dream[-_ ]?machine$"

# The first path segment of a URL, if it is not the file itself.
STORAGE_MODEL: Final = r"^[^/]*/[^/]*/[^/]*/(?P<model>[^/]+)/"

# A URL whose file name, which ends where the query begins, has the mark as a separate word.
WATERMARKED: Final = (
    r"(?i)^(?:[^?#]*/)?(?:[^/?#]*[^a-z/?#])?watermark(?:ed)?(?:[^a-z/?#][^/?#]*)?(?:[?#]|$)"
)
NOT_WATERMARKED: Final = (
    r"(?i)(?:^|[^a-z])(?:no|non|not|without|un|remove)[-_. ]?watermark"
    r"|watermark[-_. ]?(?:free|less|removed)"
)

# Source: AWS Signature Version 4. Limited to the years 1000 to 2999 and to nine digits of seconds
# (AWS itself allows a week), so that the times are valid.
SIGNED_AT: Final = r"X-Amz-Date=(?P<at>[12]\d{7}T\d{6}Z)(?:&|$)"
VALID_FOR: Final = r"X-Amz-Expires=(?P<seconds>\d{1,9})(?:&|$)"


def derive(found: pa.Table) -> dict[str, pa.Array]:
    """Compute the derived columns from the documented ones."""
    # In one chunk: a call per chunk costs as much as hundreds of rows.
    columns = {name: found[name].combine_chunks() for name in MADE_FROM}
    signed_at, expires_at = signature_times(columns["video_download_url"])
    statuses = _of_each(status, columns["state"].dictionary_encode())
    statuses = pc.fill_null(statuses, status(None))
    return {
        "status": statuses,
        "failure_category": _failures(columns, statuses),
        "duration_seconds": _of_each(
            length_in_seconds, columns["requested_duration"].dictionary_encode(), pa.float64()
        ),
        **_frames(columns),
        "prompt_source": pc.if_else(pc.is_valid(columns["prompt"]), "gateway", None),
        **of_prompts(columns["prompt"]),
        **_models(columns),
        "watermarked": watermarked(columns["video_url"]),
        "download_url_signed_at": signed_at,
        "download_url_expires_at": expires_at,
    }


def of_prompts(prompts: pa.Array) -> dict[str, pa.Array]:
    """Compute the columns that follow from the prompt."""
    distinct = prompts.dictionary_encode()
    return {
        "prompt_id": _of_each(prompt_id, distinct),
        "prompt_words": _of_each(prompt_words, distinct, pa.int32()),
        "prompt_characters": pc.utf8_length(prompts),
    }


def _of_each(
    function: Callable[[str], Any], texts: pa.DictionaryArray, kind: pa.DataType = STRING
) -> pa.Array:
    """Apply a function to each distinct text once; null stays null."""
    values = list(map(function, texts.dictionary.to_pylist()))
    return pa.array(values, kind).take(texts.indices)


def _failures(columns: Mapping[str, pa.Array], status: pa.Array) -> pa.Array:
    """The category of each failed generation; null for others."""
    has_failed = pc.equal(status, "failed")
    failed = zip(*(columns[name].filter(has_failed).to_pylist() for name in FAILED_BY), strict=True)
    categories = pa.array((failure_category(*failure) for failure in failed), STRING)
    return pc.replace_with_mask(pa.nulls(len(status), STRING), has_failed, categories)


def _frames(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Resolution, aspect ratio, orientation and megapixels: by size, else as requested."""
    known = (*_size(columns), columns["requested_resolution"], columns["requested_aspect_ratio"])
    rows = list(zip(*(values.to_pylist() for values in known), strict=True))
    numbers = {row: number for number, row in enumerate(dict.fromkeys(rows))}
    frames = pa.Table.from_pylist([_frame(*row)._asdict() for row in numbers], FRAME)
    found = frames.take(pa.array(map(numbers.get, rows), pa.int32()))
    return dict(zip(FRAME.names, found.columns, strict=True))


def _size(columns: Mapping[str, pa.Array]) -> tuple[pa.Array, pa.Array]:
    """Width and height from the first columns of `SIZES` with both; zero is not a size."""
    widths, heights = [], []
    for names in SIZES:
        width, height = (columns[name] for name in names)
        is_size = pc.and_(pc.greater(width, 0), pc.greater(height, 0))
        widths.append(pc.if_else(is_size, width, None))
        heights.append(pc.if_else(is_size, height, None))
    return pc.coalesce(*widths), pc.coalesce(*heights)


def _frame(
    width: int | None, height: int | None, resolution: str | None, aspect_ratio: str | None
) -> Frame:
    found = frame(width, height)
    return requested_frame(resolution, aspect_ratio) if found is NO_FRAME else found


def _models(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """The model, where it is known from, and the one of the storage path."""
    requested, stored = columns["requested_model"], storage_model(columns["video_url"])
    from_storage = pc.if_else(pc.is_valid(stored), pa.scalar("storage"), pa.scalar(None, STRING))
    return {
        "model": pc.coalesce(requested, stored),
        "model_source": pc.if_else(pc.is_valid(requested), pa.scalar("requested"), from_storage),
        "storage_model": stored,
    }


def storage_model(urls: pa.Array) -> pa.Array:
    """The first path segment of storage URLs, unless it is the file itself or the service."""
    models = pc.struct_field(pc.extract_regex(urls, STORAGE_MODEL), "model")
    return pc.if_else(pc.match_substring_regex(models, NOT_A_MODEL), None, models)


def watermarked(urls: pa.Array) -> pa.Array:
    """Whether the file's name says `watermarked`; null without a URL."""
    is_marked = pc.match_substring_regex(urls, WATERMARKED)
    return pc.and_not(is_marked, pc.match_substring_regex(urls, NOT_WATERMARKED))


def signature_times(urls: pa.Array) -> tuple[pa.Array, pa.Array]:
    """When presigned URLs were signed and when they expire; null if unknown."""
    signed_at = _basic_times(pc.struct_field(pc.extract_regex(urls, SIGNED_AT), "at"))
    seconds = pc.struct_field(pc.extract_regex(urls, VALID_FOR), "seconds")
    valid_for = seconds.cast(pa.int64()).cast(pa.duration("s"))
    return signed_at, pc.add(signed_at, valid_for).cast(TIMESTAMP)


def _basic_times(texts: pa.Array) -> pa.Array:
    """Parse ISO 8601 basic format, which Arrow does not read; null for an impossible date."""
    return _of_each(lambda text: parse_time(text)[0], texts.dictionary_encode(), TIMESTAMP)


def prompt_id(prompt: str) -> str:
    """Return the ID of a prompt's text, without surrounding blanks."""
    return blake2b(prompt.strip().encode(), digest_size=8).hexdigest()


def prompt_words(prompt: str) -> int:
    """Count the words, separated by white space."""
    return len(prompt.split())
