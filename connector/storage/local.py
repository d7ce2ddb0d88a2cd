"""A warehouse in a folder on a local disk."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa

from connector.errors import StorageFailed
from connector.storage.lock import writer_lock
from connector.storage.replace import put_in_place, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

# Folder of files being written. Not beside the tables' own files: Polars lists hidden ones too.
DRAFTS: Final = ".tmp"

SPILL: Final = ".spill"

# What a disk goes on to say until somebody mends it.
LASTING: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
)


class LocalStorage:
    """A folder; see `storage.Storage` for what each method promises.

    A file is written elsewhere, synced, and renamed to its final name, and then the folder is
    synced.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()

    @property
    def address(self) -> str:
        """The folder's path, as it was given."""
        return str(self.root)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.root.resolve().name

    @property
    def scratch(self) -> Path:
        """A hidden folder on the same disk, which is large enough if the tables fit."""
        return self.root / SPILL

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self.root / name

    def where(self, name: str) -> str:
        """Where a file is, for people."""
        return str(self.path(name))

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

    def is_empty(self) -> bool:
        """Whether nothing is there but hidden files."""
        if not self.root.is_dir():
            return True
        return all(found.name.startswith(".") for found in self.root.iterdir())

    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.path(name).stat().st_size for name in self.list("", ""))

    def bytes_of(self, name: str) -> int:
        """Size of a file."""
        return self.path(name).stat().st_size

    def version(self, name: str) -> str | None:
        """Size and time of the last change, to the nanosecond."""
        try:
            stat = self.path(name).stat()
        except FileNotFoundError:
            return None
        return f"{stat.st_size} bytes, {stat.st_mtime_ns}"

    def versions(self, folder: str) -> dict[str, str]:
        """The same for all files below a folder, by name."""
        found = {name: self.version(name) for name in self.list(folder, "")}
        return {name: version for name, version in found.items() if version}

    def read(self, name: str) -> bytes:
        """A small file, whole."""
        return self.path(name).read_bytes()

    def open_file(self, name: str) -> AbstractContextManager[pa.NativeFile]:
        """Open a file to read parts of it; who has it open never notices a replacement."""
        file: AbstractContextManager[pa.NativeFile] = pa.OSFile(str(self.path(name)), "rb")
        return file

    def _draft_of(self, name: str) -> Path:
        return self.path(f"{DRAFTS}/{name.replace('/', '+')}.{os.getpid()}")

    @contextlib.contextmanager
    def replacing(self, name: str, *, unless_same: bool = False) -> Iterator[IO[bytes]]:
        """Open a file to write; it takes the name's place when the block ends without an error."""
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
        """Rename a file, over another if there is one; durable on return."""
        source, target = self.path(name), self.path(new_name)
        with trying_to(f"move {source} to {target}"):
            _make_folder(target.parent)
            os.replace(source, target)  # noqa: PTH105  one call, to be seen in a trace
            sync_folder(target.parent)
            sync_folder(source.parent)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there; durable on return."""
        path = self.path(name)
        with trying_to(f"remove {path}"):
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def remove_folder(self, folder: str) -> None:
        """Remove a hidden folder and what is in it, as far as that is possible."""
        shutil.rmtree(self.path(folder), ignore_errors=True)

    def below(self, folder: str) -> LocalStorage:
        """A storage of what is in a folder."""
        return LocalStorage(self.path(folder))

    def locked(self, timeout: float) -> AbstractContextManager[None]:
        """Be the only writer, making the folder if need be."""
        return writer_lock(self.root, timeout)

    def sweep(self) -> None:
        """Remove what writers that died have left half written."""
        self.remove_folder(DRAFTS)
        self.remove_folder(SPILL)


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
            " space or mend the disk, and the next run goes on from here.",
            may_pass=error.errno not in LASTING,
        ) from error


def _is_same(draft: Path, target: Path) -> bool:
    return target.exists() and filecmp.cmp(draft, target, shallow=False)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each of them durable."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
