"""Finds the candidates for each column's value in a generation and the objects around it."""

from __future__ import annotations

import re
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from connector.record.coerce import coercer, is_no_time, to_int
from connector.record.column import TIMESTAMP
from connector.record.files import (
    KINDS,
    File,
    Path,
    file_keys,
    files_in,
    from_text,
    is_address,
    type_keys,
)
from connector.record.keys import (
    FAILURE,
    FIRST_GUESS,
    FROM_JSON,
    MAY_BE_NOTHING,
    OF_RECORDS,
    TEXTS,
    TIME_NAMES,
    Json,
    folded,
    wanted,
    wants_of,
)
from connector.record.names import MESSAGE_KEYS, SIDES, holds_request, snake
from connector.record.refusal import message_in
from connector.record.states import status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.record.keys import Want

_COLUMNS: Final = {column.name: column for column in FROM_JSON}

# Of a file that is found by its kind, where no path leads to it.
_OF_FILES: Final = FIRST_GUESS // 2
_IN_VIDEOS: Final = {
    "width": "video_width",
    "height": "video_height",
    "duration": "video_duration_seconds",
    "duration_seconds": "video_duration_seconds",
    "download_url": "video_download_url",
    "thumbnail_url": "thumbnail_url",
    "cover_url": "thumbnail_url",
    "cover_image_url": "thumbnail_url",
}

_SIZE: Final = re.compile(r"\s*(\d{2,5})\s*[x*×]\s*(\d{2,5})\s*", re.ASCII | re.IGNORECASE)
_RESOLUTION: Final = re.compile(rf"\d{{3,4}}p|\d{{1,2}}k|{_SIZE.pattern}", re.IGNORECASE)

# Where a failed generation may say why, besides itself.
_SAYING: Final = ("status", "state", "output", "result", "response", "base_resp", "moderation")
SAYS_WHY: Final = frozenset({*MESSAGE_KEYS, *_SAYING, "code"})
_FINE: Final = (0, "0", 200, "200", "", "success")

# No service of this kind is older: a number that means an earlier time is none.
_FIRST_YEAR: Final = 2015

Candidate = tuple[int, int, Path, Any]
"""A value for a column: the number of its object, the rank of its path, that path, and itself.

The path is empty if the value cannot be taken out of where it is.
"""

Candidates = dict[str, list[Candidate]]
"""Those of each column, by its name."""


def gather(number: int, layer: Json, values: Candidates) -> None:
    """Add what one object has for which column."""
    is_record = number > 0 or not OF_RECORDS.isdisjoint(folded(layer))
    for key, wants in wanted(tuple(layer)):
        outer = layer[key]
        path: Path | None = (key,)
        if isinstance(outer, list) and len(outer) == 1:
            path, outer = (key, 0), outer[0]
        if outer is None:
            continue
        if holds_request(snake(key)):
            # A text stays, as it says more.
            opened = from_text(outer)
            path, outer = (path if opened is outer else None), opened
            _gather_inner_requests(number, path, outer, values)
        inner = folded(outer) if isinstance(outer, dict) else None
        for want in wants:
            if want.rest and (want.rest != "url" if inner is None else want.rest not in inner):
                continue
            found = _at(path, outer, inner, want)
            if found is None:
                continue
            keys, value = found
            if want.is_guess or (want.name == "requested_resolution" and isinstance(value, dict)):
                guessed = _guess(want.name, want.rest or key, value, inner)
                keys, value = (keys if guessed is value else ()), guessed
            is_checked = want.is_checked and value is not None
            if value is not None and (
                not is_checked or _counts(want.name, value, number, is_record=is_record)
            ):
                values.setdefault(want.name, []).append((number, want.rank, keys, value))


def _at(
    path: Path | None, outer: Any, inner: Mapping[str, str] | None, want: Want
) -> tuple[Path, Any] | None:
    """What a column looks for under a key, and its path; None if it is not there."""
    if want.rest and inner is not None:
        key = inner[want.rest]
        return (() if path is None else (*path, key)), outer[key]
    return None if want.rest and not is_address(outer) else (path or (), outer)


def _gather_inner_requests(
    number: int, path: Path | None, request: Any, values: Candidates
) -> None:
    """Add what a request within a request has, such as `request.input`."""
    for name, held in folded(request).items() if isinstance(request, dict) else ():
        if not holds_request(name) or not isinstance(request[held], dict):
            continue
        keys = folded(request[held])
        for want in wants_of("params"):
            if want.rest not in keys:
                continue
            value = _guess(want.name, want.rest, request[held][keys[want.rest]])
            if value is not None:
                own: Path = () if path is None else (*path, held, keys[want.rest])
                values.setdefault(want.name, []).append((number, want.rank, own, value))


def _guess(name: str, key: str, value: Any, beside: Mapping[str, str] | None = None) -> Any:
    """The value of a column, if it can be what the words of its key say; else None.

    `beside` are the keys of the object that it is in, if that may be no file.
    """
    column = _COLUMNS[name]
    if name in TEXTS:
        return _guess_text(name, value)
    # A duration beside no size may be how long the work took.
    if key == "duration" and beside and "width" not in beside:
        return None
    if name in SIDES and (size := size_in(value)):
        return size[SIDES.index(name)]
    converted = coercer(column.type, column.unit)(value)
    if converted is None or (column.type == TIMESTAMP and converted.year < _FIRST_YEAR):
        return None
    return converted / 1000 if key.endswith("_ms") and column.unit == "seconds" else value


def _guess_text(name: str, value: Any) -> Any:
    if name == "requested_resolution":
        if isinstance(value, dict) and (size := size_in(value)):
            return f"{size[0]}x{size[1]}"
        return value if isinstance(value, str) and _RESOLUTION.fullmatch(value.strip()) else None
    if name == "generation_type":
        return value if isinstance(value, str) and value.startswith(KINDS) else None
    if name.endswith("_url"):
        return value if is_address(value) else None
    is_number = type(value) is int and name in {"failure_code", "requested_duration"}
    return value if isinstance(value, str) or is_number else None


def size_in(value: Any) -> tuple[int, int] | None:
    """Width and height, of an object or of a text such as `1920x1080`."""
    if isinstance(value, dict):
        sides = [to_int(value.get(side), 32) for side in ("width", "height")]
        return (sides[0], sides[1]) if sides[0] and sides[1] else None
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2])) if match else None


def add_files(
    layers: list[Json], values: Candidates, taken: list[set[Path]], *, has_result: bool
) -> None:
    """Add the first video, and the first image of a list of files, where no path has led to one.

    Without a result, a file may be what was asked to be worked on, unless its key says "video".
    """
    own = _results_in(layers[0], has_result)
    if "video_url" not in values:
        others = (
            (n, file) for n in range(1, len(layers)) for file in _results_in(layers[n], has_result)
        )
        files = chain(((0, file) for file in own), others)
        for number, video in islice((pair for pair in files if pair[1].kind == "video"), 1):
            _add_file("video_url", number, video, values, taken)
    if "video_url" not in values:  # a size without a video is that of another file
        for name in (*SIDES, "video_duration_seconds"):
            declared = [one for one in values.pop(name, []) if one[1] < FIRST_GUESS]
            values |= {name: declared} if declared else {}
    if "image_url" not in values:
        images = (file for file in own if file.kind == "image" and isinstance(file.path[-1], int))
        for image in islice(images, 1):
            _add_file("image_url", 0, image, values, taken)


def _results_in(layer: Json, has_result: bool) -> list[File]:
    files = files_in(layer)
    return [file for file in files if has_result or "video" in snake(str(file.path[0]))]


def _add_file(
    name: str,
    number: int,
    file: File,
    values: Candidates,
    taken: list[set[Path]],
) -> None:
    """Add a file's URL, and what a video says of itself besides."""
    if not file.url_key:
        values.setdefault(name, []).append((number, _OF_FILES, file.path, file.item))
        return
    left = {key for key, value in file.item.items() if value is not None}
    for inner, key in folded(file.item).items():
        column = name if key == file.url_key else _IN_VIDEOS.get(inner, "")
        is_of_video = name in {"video_url", column}
        value = _guess(column, inner, file.item[key]) if column and is_of_video else None
        if value is not None:
            values.setdefault(column, []).append((number, _OF_FILES, (*file.path, key), value))
            left.discard(key)
    # Where nothing else is left of it, the column says the type too.
    if left <= {key for key in type_keys(tuple(file.item)) if file.item[key] == file.kind}:
        taken[number].update((*file.path, key) for key in left)


def add_reason(generation: Json, values: Candidates) -> None:
    """Add why a generation failed, of keys that say other things of one that did not fail."""
    keys = folded(generation)
    for path in ((), *((keys[name],) for name in _SAYING if name in keys)):
        holder = generation[path[0]] if path else generation
        said = message_in(holder) if isinstance(holder, dict) else None
        if said and status(said) in {"failed", "unknown"} and not is_address(said):
            own = next(((*path, key) for key, value in holder.items() if value == said), ())
            values["failure_reason"] = [(0, 0, own, said)]
            break
    code = generation.get(keys.get("code", ""))
    if "failure_code" not in values and type(code) in {str, int} and code not in _FINE:
        values["failure_code"] = [(0, 0, (keys["code"],), code)]


def settle_success(values: Candidates) -> None:
    """Of a completed generation, only declared paths say a failure, and a URL there is the video's.

    Some gateways reuse `fail_reason` for it.
    """
    for name in FAILURE:
        for layer, rank, path, value in values.pop(name, []):
            if is_address(value):
                moved = (layer, rank + len(FROM_JSON), path, value)
                values.setdefault("video_url", []).append(moved)
            elif rank < FIRST_GUESS:
                values.setdefault(name, []).append((layer, rank, path, value))


def _counts(name: str, value: Any, number: int, *, is_record: bool) -> bool:
    """Whether a value is one of the column, rather than another's or a spelling of "none"."""
    if name in MAY_BE_NOTHING and _is_nothing(name, value):
        return False
    if isinstance(value, str):
        return True
    if name == "id":
        return not is_record
    if name == "state":
        return number == 0 and not isinstance(value, dict)
    # Text is a value, otherwise it is an object or a list of values.
    return name not in TEXTS or not isinstance(value, dict | list)


def _is_nothing(name: str, value: Any) -> bool:
    """Whether a value is a gateway's spelling of "none"."""
    if name in FAILURE:
        return value in ("", 0, "0", False)
    return name in TIME_NAMES and is_no_time(value)


def open_texts(layer: Json) -> Json:
    """The same object with its files, kept as JSON in a text, as objects."""
    texts = {
        key: opened
        for _, key in file_keys(tuple(layer))
        if (opened := from_text(layer[key])) is not layer[key]
    }
    return {**layer, **texts} if texts else layer
