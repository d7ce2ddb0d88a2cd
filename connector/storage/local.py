"""A warehouse in a folder on a local disk."""

# ruff: noqa: D102 -- `Storage` says what the methods do
from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import shutil
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa

from connector.errors import StorageFailed
from connector.storage.file_url import expanded
from connector.storage.lock import writer_lock
from connector.storage.replace import put_in_place, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

# Folder of files being written; not beside the tables' files, as Polars reads hidden files too.
DRAFTS: Final = ".tmp"

SPILL: Final = ".spill"

_FREE: Final = "free some space"
_ALLOW: Final = "make it writable"
_REMOVE: Final = "remove or rename what is in its place"

# What corrects errors that last until someone does.
REMEDIES: Final = {
    errno.ENOSPC: _FREE,
    errno.EDQUOT: _FREE,
    errno.EFBIG: "allow larger files (`ulimit -f`)",
    errno.EROFS: _ALLOW,
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.EISDIR: _REMOVE,
    errno.ENOTDIR: _REMOVE,
    errno.EEXIST: _REMOVE,
    errno.ENOTEMPTY: _REMOVE,
    errno.ELOOP: _REMOVE,
    errno.ENAMETOOLONG: "choose a shorter path",
}


def _stop_unless_gone(error: OSError) -> None:
    """A folder that cannot be listed is not one without files."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise StorageFailed.reading(error.filename, error.strerror) from error


class LocalStorage:
    """A folder; see `storage.Storage` for what each method promises.

    A file is written to a hidden folder, synced, renamed to its final name, and the folder synced.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = expanded(root)

    @property
    def address(self) -> str:
        return str(self.root)

    @property
    def name(self) -> str:
        return self.root.resolve().name

    @property
    def caveat(self) -> str:
        """Nothing: the kernel keeps the lock for a writer that is frozen."""
        return ""

    @property
    def scratch(self) -> Path:
        """A hidden folder on the warehouse's own disk."""
        return self.root / SPILL

    def path(self, name: str) -> Path:
        """The path of a file."""
        return self.root / name

    def where(self, name: str) -> str:
        return str(self.path(name))

    def list_all(self, folder: str) -> list[str]:
        return self._listed(folder, "", is_hidden_wanted=True)

    def _listed(
        self,
        folder: str,
        suffix: str,
        *,
        is_hidden_wanted: bool,
        on_error: Callable[[OSError], None] | None = _stop_unless_gone,
    ) -> list[str]:
        # Not `rglob`, which fails over a folder that a run removes meanwhile; and in text, since
        # a table may have a thousand files.
        above = len(os.path.join(self.root.absolute(), ""))  # noqa: PTH118
        return sorted(
            os.path.join(parent, name)[above:]  # noqa: PTH118
            for parent, _, names in os.walk(self.path(folder).absolute(), onerror=on_error)
            for name in names
            if name.endswith(suffix) and (is_hidden_wanted or not name.startswith("."))
        )

    def list(self, folder: str, suffix: str = ".parquet") -> list[str]:
        return self._listed(folder, suffix, is_hidden_wanted=False)

    def exists(self, name: str) -> bool:
        return self.path(name).is_file()

    def is_empty(self) -> bool:
        if not self.root.is_dir():
            return True
        return all(found.name.startswith(".") for found in self.root.iterdir())

    def size(self) -> int:
        total = 0
        # Of what can be read: at the root of a disk there are folders of others.
        for name in self._listed("", "", is_hidden_wanted=False, on_error=None):
            with contextlib.suppress(FileNotFoundError):  # a run has moved it since
                total += self.path(name).stat().st_size
        return total

    def bytes_of(self, name: str) -> int:
        return self.path(name).stat().st_size

    def version(self, name: str) -> str | None:
        """Size and time of the last change, to the nanosecond."""
        try:
            stat = self.path(name).stat()
        except FileNotFoundError:
            return None
        return f"{stat.st_size} bytes, {stat.st_mtime_ns}"

    def versions(self, folder: str) -> dict[str, str]:
        found = {name: self.version(name) for name in self.list(folder, "")}
        return {name: version for name, version in found.items() if version}

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def open_file(self, name: str) -> AbstractContextManager[pa.NativeFile]:
        """Open a file to read parts of it; a replacement does not affect an open file."""
        file: AbstractContextManager[pa.NativeFile] = pa.OSFile(os.fsencode(self.path(name)), "rb")
        return file

    def _draft_of(self, name: str) -> Path:
        return self.path(f"{DRAFTS}/{name.replace('/', '+')}.{os.getpid()}")

    @contextlib.contextmanager
    def replacing(
        self,
        name: str,
        *,
        unless_same: bool = False,
        is_new: bool = False,  # noqa: ARG002  a lock of the kernel is never taken over
    ) -> Iterator[IO[bytes]]:
        draft, target = self._draft_of(name), self.path(name)
        try:
            with trying_to(f"write {target}"):
                _make_folder(draft.parent)
                _make_folder(target.parent)
                with draft.open("wb") as file:
                    yield file
                if unless_same and _is_same(draft, target):
                    draft.unlink()
                    return
                put_in_place(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def move(self, name: str, new_name: str) -> None:
        self.move_all([(name, new_name)])

    def move_all(self, moves: Iterable[tuple[str, str]]) -> None:
        # Renames are kept in their order, so one sync of each folder is as good as one for each
        # file. New places first: a power cut may leave a file in both places, but in one at least.
        sources: dict[Path, None] = {}
        targets: dict[Path, None] = {}
        try:
            for name, new_name in moves:
                source, target = self.path(name), self.path(new_name)
                with trying_to(f"move {source} to {target}"):
                    _make_folder(target.parent)
                    os.replace(source, target)  # noqa: PTH105  one system call, visible in a trace
                    targets[target.parent] = sources[source.parent] = None
        finally:
            for folder in (*targets, *sources):
                with trying_to(f"keep what was moved in {folder}"):
                    sync_folder(folder)

    def remove(self, name: str) -> None:
        path = self.path(name)
        with trying_to(f"remove {path}"):
            path.unlink(missing_ok=True)
            if path.parent.exists():
                sync_folder(path.parent)

    def remove_folder(self, folder: str) -> None:
        shutil.rmtree(self.path(folder), ignore_errors=True)

    def below(self, folder: str) -> LocalStorage:
        return LocalStorage(self.path(folder))

    def locked(self, timeout: float) -> AbstractContextManager[None]:
        return writer_lock(self.root, timeout)

    def sweep(self) -> None:
        self.remove_folder(DRAFTS)
        self.remove_folder(SPILL)


@contextlib.contextmanager
def trying_to(do: str) -> Iterator[None]:
    """Translate errors of the operating system; `do` is what is tried, as an infinitive.

    Raises:
        StorageFailed: The operating system refused.
    """
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"cannot {do}: {error.strerror or error}. What was saved before is kept:"
            f" {REMEDIES.get(error.errno or 0, 'repair the disk')}, and the next run goes on from"
            " here.",
            may_pass=error.errno not in REMEDIES,
        ) from error


def _is_same(draft: Path, target: Path) -> bool:
    return target.exists() and filecmp.cmp(draft, target, shallow=False)


def _make_folder(folder: Path) -> None:
    """Create a folder and its parents, each durably."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
