"""Files of a warehouse: where they are, and how one is replaced in a single step."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

from connector.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = ".tmp"
"""Suffix of files being written; a leading dot hides them from Parquet readers as well."""


class LocalStorage:
    """A folder on a local disk. Paths are relative to it, with forward slashes.

    A file appears, or is replaced, whole and durable or not at all: it is written beside its final
    name, synced, and renamed over it, and then the folder is synced.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self.root / name

    def list(self, folder: str, suffix: str = ".parquet") -> list[str]:
        """Names of all files below a folder, sorted; none if it does not exist."""
        return sorted(
            found.relative_to(self.root).as_posix()
            for found in (self.root / folder).rglob(f"*{suffix}")
            if not found.name.startswith(".")
        )

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return self.path(name).exists()

    def size(self, folder: str) -> int:
        """Bytes of all files below a folder."""
        return sum(self.path(name).stat().st_size for name in self.list(folder, ""))

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to write; it takes the name's place when the block ends without an error.

        Raises:
            WarehouseError: The disk is full, or not writable.
        """
        target = self.path(name)
        temporary = target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY}")
        try:
            _make_folder(target.parent)
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)  # noqa: PTH105  one call, to be seen in a trace
            _sync_folder(target.parent)
        except OSError as error:
            raise WarehouseError(f"cannot write {target}: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def move(self, name: str, new_name: str) -> None:
        """Rename a file, over another if there is one; durable on return."""
        source, target = self.path(name), self.path(new_name)
        try:
            _make_folder(target.parent)
            os.replace(source, target)  # noqa: PTH105  as above
            _sync_folder(target.parent)
            _sync_folder(source.parent)
        except OSError as error:
            raise WarehouseError(f"cannot move {source} to {target}: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Remove a file, if it is there; durable on return."""
        self.path(name).unlink(missing_ok=True)
        _sync_folder(self.path(name).parent)

    def sweep(self) -> None:
        """Remove what writers that died have left half written."""
        for found in self.root.rglob(f".*{TEMPORARY}"):
            found.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each of them durable."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
