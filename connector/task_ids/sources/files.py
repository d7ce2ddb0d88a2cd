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
    except OSError as exc:
        raise SourceError(f"{source} cannot be read: {exc.strerror}.") from exc
    if any(sign in source for sign in "*?["):
        return _matches(str(path))
    if path.is_symlink():
        raise SourceError(f"{source} is a link to {path.readlink()}, which leads to no file.")
    raise SourceError(f"There is no file {source}.{_suggestion(path)}")


def _parquet_files(folder: Path) -> list[Path]:
    """Those in `folder` and below, without names in `_` or `.`, which Parquet readers skip."""
    found = [
        path
        for path in sorted(folder.rglob("*.parquet"))
        if path.is_file() and not path.name.startswith((".", "_"))
    ]
    if not found:
        raise SourceError(
            f"{folder} is a folder without Parquet files. "
            f"To read what else is in it, give a glob such as {folder / '*.txt'}."
        )
    return found


def _matches(pattern: str) -> list[Path]:
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    found = sorted(path for path in map(Path, names) if path.is_file())
    if not found:
        raise SourceError(f"No file matches {pattern}.")
    return found


def _suggestion(path: Path) -> str:
    try:
        neighbours = os.listdir(path.parent)  # noqa: PTH208 (names are wanted, not paths)
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, neighbours, n=3)
    return f" Did you mean {' or '.join(near)}?" if near else ""
