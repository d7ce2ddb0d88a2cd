"""The files of a result, under whichever of a gateway's own keys, in lists or not."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from connector.record.names import URL_KEYS, holds_files, snake

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]

# What `type` says of a file, such as `video/mp4`; of a generation, such as `image_edit`.
KINDS: Final = ("image", "video", "audio")
_TYPE_KEYS: Final = ("type", "media_type", "content_type", "mime_type")

# Kinds by the end of a URL's path.
ENDINGS: Final = {
    "video": re.compile(r"\.(mp4|m4v|mov|webm|mkv)(?:[?#]|$)", re.IGNORECASE),
    "image": re.compile(r"\.(jpe?g|png|webp|avif|gif)(?:[?#]|$)", re.IGNORECASE),
}

# Objects and lists within each other, and items of a list, that are looked at.
DEEPEST: Final = 6
LONGEST: Final = 16


class File(NamedTuple):
    """A file of a result.

    Attributes:
        kind: `video`, `image` or `audio`; None if nothing says it.
        path: Keys and positions that lead to it.
        item: Its URL, or an object that has it.
        url_key: The key of the URL in that object; "" without an object.
    """

    kind: str | None
    path: Path
    item: Any
    url_key: str


def files_in(holder: dict[str, Any], path: Path = (), depth: int = DEEPEST) -> Iterator[File]:
    """The files that an object holds, the likeliest videos first."""
    for name, key in file_keys(tuple(holder)):
        yield from _files(from_text(holder[key]), name, (*path, key), depth)


@lru_cache(maxsize=4096)
def file_keys(keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """Those of files, each after its form in snake case; those that say "video" come first."""
    names = [(snake(key), key) for key in keys if holds_files(snake(key))]
    return sorted(names, key=lambda pair: "video" not in pair[0])


def _files(value: Any, name: str, path: Path, depth: int) -> Iterator[File]:
    if is_address(value):
        yield File(_kind_of(value, {}, name), path, value, "")
    elif isinstance(value, list) and depth:
        for number, item in enumerate(value[:LONGEST]):
            yield from _files(item, name, (*path, number), depth - 1)
    elif isinstance(value, dict) and depth:
        url_key = next((key for key in _url_keys(tuple(value)) if is_address(value[key])), "")
        if url_key:
            yield File(_kind_of(value[url_key], value, name), path, value, url_key)
        else:
            yield from files_in(value, path, depth - 1)


@lru_cache(maxsize=4096)
def _url_keys(keys: tuple[str, ...]) -> list[str]:
    names = {snake(key): key for key in keys}
    return [names[name] for name in URL_KEYS if name in names]


def _kind_of(url: str, item: dict[str, Any], name: str) -> str | None:
    """The kind that a file's type, the end of its URL or else its key says."""
    given = next((item[key] for key in type_keys(tuple(item)) if item[key] is not None), None)
    if isinstance(given, str):
        found = next((kind for kind in KINDS if given.lower().startswith(kind)), None)
        if found:
            return found
    elif given is not None:
        return None
    by_ending = next((kind for kind, ending in ENDINGS.items() if ending.search(url)), None)
    return by_ending or ("video" if "video" in name else None)


@lru_cache(maxsize=4096)
def type_keys(keys: tuple[str, ...]) -> list[str]:
    """Those that say of which type a file is."""
    return [key for key in keys if snake(key) in _TYPE_KEYS]


def holds_video(holder: dict[str, Any]) -> bool:
    """Whether an object holds a video."""
    return any(file.kind == "video" for file in files_in(holder))


def is_address(value: Any) -> bool:
    """Whether a value is a file's URL, which some gateways send in place of an object."""
    return type(value) is str and value.startswith(("http://", "https://"))


def from_text(value: Any) -> Any:
    """The object or list in a text, where a gateway keeps JSON as text; else the value itself."""
    if type(value) is str and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            return orjson.loads(value)
    return value
