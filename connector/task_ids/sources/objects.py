"""Files of task IDs in an object store: one, those that a glob matches, or a folder of Parquet."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from connector.errors import SourceError, UsageError
from connector.storage.address import Place, open_place
from connector.storage.store_errors import reason

if TYPE_CHECKING:
    from pyarrow import fs

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in an object store.

    Attributes:
        name: Its URL, without options.
    """

    name: str
    path: str
    filesystem: Any = field(repr=False)  # of pyarrow, which is not imported to name it


def find_objects(address: str) -> list[StoredFile]:
    """The file at this address, or those that a glob or a folder of Parquet files holds, sorted.

    A `*` stops at a slash, `**` does not.

    Raises:
        SourceError: There is none, or the store does not answer.
    """
    try:
        place = open_place(address)
        found = _matches(place) if _WILD.search(place.path) else _below(place)
    except UsageError as error:
        raise SourceError(str(error)) from None
    except OSError as error:
        raise SourceError(f"{address} cannot be read: {reason(error)}.") from error
    start, root = len(place.path), place.address
    if _WILD.search(place.path):
        start, root = len(place.bucket), place.address[: place.address.index(place.bucket)]
        root += place.bucket
    return [StoredFile(f"{root}{path[start:]}", path, place.filesystem) for path in sorted(found)]


def _below(place: Place) -> list[str]:
    from pyarrow import fs  # noqa: PLC0415  it takes time, and few have a bucket

    info = place.filesystem.get_file_info(place.path)
    if info.is_file:
        return [place.path]
    if info.type == fs.FileType.NotFound:
        raise SourceError(f"There is no file {place.address}.")
    below = place.filesystem.get_file_info(fs.FileSelector(place.path, recursive=True))
    found = [one.path for one in below if one.is_file and _is_parquet(one)]
    if not found:
        raise SourceError(f"{place.address} is a folder without Parquet files: name a file in it.")
    return found


def _is_parquet(info: fs.FileInfo) -> bool:
    return info.extension == "parquet" and not info.base_name.startswith((".", "_"))


def _matches(place: Place) -> list[str]:
    from pyarrow import fs  # noqa: PLC0415  as above

    fixed = place.path[: _WILD.search(place.path).start()].rpartition("/")[0]  # type: ignore[union-attr]  # it has one
    if not fixed:
        raise SourceError(
            f"{place.address} has a wildcard in the name of its bucket: name one bucket."
        )
    below = fs.FileSelector(fixed, recursive=True, allow_not_found=True)
    found = place.filesystem.get_file_info(below)
    matching = [one.path for one in found if one.is_file and _fits(one.path, place.path)]
    if not matching:
        raise SourceError(f"No file matches {place.address}.")
    return matching


def _fits(path: str, pattern: str) -> bool:
    if "**" in pattern:
        return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", ""))
    names, patterns = PurePosixPath(path).parts, PurePosixPath(pattern).parts
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))
