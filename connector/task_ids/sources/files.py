"""Finding the files that a name, a glob or a folder stands for."""

from __future__ import annotations

import difflib
import glob
import os
from pathlib import Path

from connector.errors import SourceError
from connector.storage.file_url import expanded


def find_files(source: str) -> list[Path]:
    """The file of this name, or those that a glob or a folder of Parquet files holds, sorted.

    Raises:
        SourceError: There is none.
    """
    path = expanded(source) if source.startswith("~/") else Path(source)
    if not source.strip():
        raise SourceError("The name of a source is empty: name a file, a glob or a task ID.")
    try:
        if path.is_dir():
            return _parquet_files(path)
        # Before the glob: a file may be called `ids[1].txt`.
        if path.exists():
            return [path]
        if any(sign in source for sign in "*?["):
            return _matches(str(path))
    except OSError as exc:
        raise SourceError(f"{exc.filename or source} cannot be read: {exc.strerror}.") from exc
    if path.is_symlink():
        raise SourceError(f"{source} is a link to {path.readlink()}, which leads to no file.")
    raise SourceError(f"There is no file {source}.{_suggestion(path)}")


def _parquet_files(folder: Path) -> list[Path]:
    """Those in `folder` and below, without names in `_` or `.`, which Parquet readers skip.

    Raises:
        OSError: A folder in it cannot be read: what is there must not be missed.
    """
    names = [
        Path(parent, name)
        for parent, _, files in os.walk(folder, onerror=_stop)
        for name in files
        if name.endswith(".parquet") and not name.startswith((".", "_"))
    ]
    found = sorted(path for path in names if path.is_file())
    if not found:
        raise SourceError(
            f"{folder} is a folder without Parquet files. "
            f"To read what else is in it, give a glob such as {folder / '*.txt'}."
        )
    return found


def _stop(error: OSError) -> None:
    raise error


def _matches(pattern: str) -> list[Path]:
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    # Once each: a link to a folder above leads to the same files forty times.
    found = {os.path.realpath(name): Path(name) for name in sorted(names, reverse=True)}
    files = sorted(path for path in found.values() if path.is_file())
    if not files:
        raise SourceError(f"No file matches {pattern}.")
    return files


def _suggestion(path: Path) -> str:
    try:
        neighbours = os.listdir(path.parent)  # noqa: PTH208 (names are wanted, not paths)
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, neighbours, n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""
