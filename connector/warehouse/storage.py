"""Files of a warehouse: where they are, and how one is replaced in a single step."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from connector.errors import StorageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAFTS: Final = ".tmp"
"""Folder of files being written. Not beside the tables' own files: Polars lists hidden ones too."""


class LocalStorage:
    """A folder on a local disk. Paths are relative to it, with forward slashes.

    A file appears, or is replaced, whole and durable or not at all: it is written elsewhere,
    synced, and renamed to its final name, and then the folder is synced.
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

    def draft_of(self, name: str) -> str:
        """A hidden name for a draft of a file; what a dead writer leaves there is swept."""
        return f"{DRAFTS}/{name.replace('/', '+')}.{os.getpid()}"

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file to write; it takes the name's place when the block ends without an error.

        Raises:
            StorageFailed: The disk is full, or not writable.
        """
        draft, target = self.path(self.draft_of(name)), self.path(name)
        try:
            with trying_to(f"write {target}"):
                _make_folder(draft.parent)
                _make_folder(target.parent)
                with draft.open("wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(draft, target)  # noqa: PTH105  one call, to be seen in a trace
                _sync_folder(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def move(self, name: str, new_name: str) -> None:
        """Rename a file, over another if there is one; durable on return.

        Raises:
            StorageFailed: The disk is full, or not writable.
        """
        source, target = self.path(name), self.path(new_name)
        with trying_to(f"move {source} to {target}"):
            _make_folder(target.parent)
            os.replace(source, target)  # noqa: PTH105  as above
            _sync_folder(target.parent)
            _sync_folder(source.parent)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there; durable on return.

        Raises:
            StorageFailed: It cannot be removed.
        """
        path = self.path(name)
        with trying_to(f"remove {path}"):
            path.unlink(missing_ok=True)
            _sync_folder(path.parent)

    def sweep(self) -> None:
        """Remove what writers that died have left half written."""
        shutil.rmtree(self.path(DRAFTS), ignore_errors=True)


@contextlib.contextmanager
def trying_to(do: str) -> Iterator[None]:
    """Say what could not be done where the operating system refuses it.

    Raises:
        StorageFailed: It did.
    """
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"cannot {do}: {error.strerror or error}. What was saved before is kept: free some"
            " space or mend the disk, and the next run goes on from here."
        ) from error


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
