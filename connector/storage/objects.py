"""A warehouse in an object store: S3, Google Cloud Storage, Azure.

There is no rename there, and none is needed: an object that is replaced shows its old content until
the new one has come in whole. So a file grows on the local disk, and goes up when it is finished. A
process that dies in between leaves nothing that a reader could see.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa
from pyarrow import fs

from connector.errors import StorageFailed, WarehouseError
from connector.storage.address import (
    Place,
    is_from_store,
    is_perhaps_gone,
    is_to_mend,
    open_place,
    reason,
)
from connector.storage.lease import Lease
from connector.storage.local import trying_to

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAFTS: Final = ".tmp"

# How local folders of spilled rows begin; the process follows.
SCRATCH: Final = "luma-to-parquet-"

# Bytes that go up or come down in one request; more of them do so in parts. Parts that went up
# become visible as one.
SMALL: Final = 5 * 1024 * 1024

# Bytes that come down in one request.
PART: Final = 8 * 1024 * 1024

# Bytes that S3 copies by itself.
LARGEST_COPY: Final = 5 * 1024**3


class ObjectStorage:
    """A prefix of a bucket; see `storage.Storage` for what each method promises."""

    def __init__(self, place: Place, lease: Lease | None = None) -> None:
        self._place = place
        self._fs = place.filesystem
        self._lease = lease or Lease(place)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def at(cls, address: str) -> ObjectStorage:
        """Open what an address names.

        Raises:
            UsageError: It names nothing that is known, or holds a secret.
        """
        return cls(open_place(address))

    @property
    def address(self) -> str:
        """The URL, without options."""
        return self._place.address

    @property
    def name(self) -> str:
        """The last part of the prefix, or the bucket."""
        return PurePosixPath(self._place.path).name

    @property
    def scratch(self) -> Path:
        """A folder among the temporary files, which goes with this object."""
        if self._temporary is None:
            prefix = f"{SCRATCH}{os.getpid()}-"
            self._temporary = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
        return Path(self._temporary.name, "spill")

    def where(self, name: str) -> str:
        """URL of a file."""
        return f"{self.address}/{name}" if name else self.address

    def _path(self, name: str) -> str:
        return f"{self._place.path}/{name}" if name else self._place.path

    def list(self, folder: str, suffix: str = ".parquet") -> list[str]:
        """Names of all files below a folder, sorted; none if it does not exist."""
        return sorted(name for name in self._found(folder) if name.endswith(suffix))

    def _found(self, folder: str, *, recursive: bool = True) -> dict[str, fs.FileInfo]:
        below = fs.FileSelector(self._path(folder), recursive=recursive, allow_not_found=True)
        with self._reading(folder):
            found = self._fs.get_file_info(below)
        start = len(self._place.path) + 1
        return {
            one.path[start:]: one
            for one in found
            if (one.is_file or not recursive) and not one.base_name.startswith(".")
        }

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return bool(self._info(name).is_file)

    def _info(self, name: str) -> fs.FileInfo:
        with self._reading(name):
            return self._fs.get_file_info(self._path(name))

    def is_empty(self) -> bool:
        """Whether nothing is there but hidden files.

        Raises:
            WarehouseError: There is not even a bucket.
        """
        # Google's first level shows no folders (in Arrow): there, all has to be looked at.
        if self._found("", recursive=False) or any(
            not name.startswith(".") for name in self._found("")
        ):
            return False
        with self._reading(""):
            bucket = self._fs.get_file_info(self._place.bucket)
        if bucket.type == fs.FileType.NotFound:
            raise WarehouseError(f"{self.address}: there is no bucket {self._place.bucket}")
        return True

    def size(self) -> int:
        """Bytes of all files."""
        return sum(found.size for found in self._found("").values())

    def bytes_of(self, name: str) -> int:
        """Size of a file."""
        size: int = self._info(name).size or 0
        return size

    def version(self, name: str) -> str | None:
        """Size and time of the last change; to the second, as stores have it."""
        info = self._info(name)
        return _version(info) if info.is_file else None

    def versions(self, folder: str) -> dict[str, str]:
        """The same for all files below a folder, by name."""
        return {name: _version(info) for name, info in self._found(folder).items()}

    def read(self, name: str) -> bytes:
        """A small file, whole.

        Raises:
            WarehouseError: Settings or rights must be mended first.
        """
        try:
            with (
                self._reading(name, is_ours=True),
                self._fs.open_input_stream(self._path(name)) as file,
            ):
                content: bytes = file.read()
                return content
        except StorageFailed as failed:
            if failed.__cause__ and is_to_mend(failed.__cause__):
                raise WarehouseError(f"{self.address}: {reason(failed.__cause__)}") from failed
            raise

    @contextlib.contextmanager
    def open_file(self, name: str) -> Iterator[pa.NativeFile]:
        """Open a file to read parts of it; a small one comes down at once.

        Each part is asked for by itself, so the parts may be of two files if it is replaced
        meanwhile, by another process. At the end the object's tag tells.
        """
        with self._reading(name), self._fs.open_input_file(self._path(name)) as file:
            if file.size() <= SMALL:
                yield pa.BufferReader(file.read_buffer())
                return
            yield file
            if not self._lease.is_held:
                self._check_tag(name, file.metadata().get("ETag"))

    def _check_tag(self, name: str, tag: bytes | None) -> None:
        with self._fs.open_input_file(self._path(name)) as again:
            if again.metadata().get("ETag") != tag:
                raise OSError("it was replaced while it was read")

    @contextlib.contextmanager
    def replacing(self, name: str, *, unless_same: bool = False) -> Iterator[IO[bytes]]:
        """Open a file to write; it goes up when the block ends without an error."""
        with (
            trying_to(f"write to {tempfile.gettempdir()}"),
            tempfile.TemporaryFile(prefix="luma-") as draft,
        ):
            yield draft
            draft.flush()
            if not (unless_same and self._is_same(draft, name)):
                self._upload(draft, name)

    def _is_same(self, draft: IO[bytes], name: str) -> bool:
        info = self._info(name)
        if not info.is_file or info.size != draft.seek(0, os.SEEK_END):
            return False
        draft.seek(0)
        with self._reading(name), self._fs.open_input_stream(self._path(name)) as file:
            while content := file.read(PART):
                if draft.read(len(content)) != content:
                    return False
        return True

    def _upload(self, draft: IO[bytes], name: str) -> None:
        """Let a finished file take the name's place.

        Arrow's stream makes visible what it has when it is closed, even after an exception. So all
        goes into it by a single call, in a thread, where no signal can come between.
        """
        content = _content(draft)
        is_direct = self._place.replaces_whole
        path = self._path(name if is_direct else f"{DRAFTS}/{name.replace('/', '+')}")
        store = self._place.single_put() if len(content) <= SMALL else self._fs

        def put() -> None:
            with store.open_output_stream(path, compression=None) as stream:
                stream.write(content)

        with self._changing(f"write {self.where(name)}"), ThreadPoolExecutor(1) as thread:
            thread.submit(put).result()
            if not is_direct:
                self._fs.copy_file(path, self._path(name))
                self._fs.delete_file(path)

    def move(self, name: str, new_name: str) -> None:
        """Copy a file within the store, then remove it under its old name.

        Who dies in between leaves both. What was to be moved is moved again then, with the same
        result.
        """
        with self._changing(f"move {self.where(name)} to {self.where(new_name)}"):
            if (self._info(name).size or 0) <= LARGEST_COPY:
                self._fs.copy_file(self._path(name), self._path(new_name))
            else:
                with self.replacing(new_name) as draft, self.open_file(name) as file:
                    file.download(draft)
            self._fs.delete_file(self._path(name))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there; durable on return."""
        with self._changing(f"remove {self.where(name)}"), contextlib.suppress(FileNotFoundError):
            self._fs.delete_file(self._path(name))

    def remove_folder(self, folder: str) -> None:
        """Remove a hidden folder and what is in it, as far as that is possible."""
        with contextlib.suppress(OSError):
            self._lease.check()
            self._fs.delete_dir_contents(self._path(folder), missing_dir_ok=True)

    def below(self, folder: str) -> ObjectStorage:
        """A storage of what is in a folder, under the same lock."""
        place = Place(self.where(folder), self._fs, self._path(folder), self._place.url)
        return ObjectStorage(place, self._lease)

    def locked(self, timeout: float) -> contextlib.AbstractContextManager[None]:
        """Be the only writer."""
        return self._lease.held(timeout)

    def sweep(self) -> None:
        """Remove what writers that died have left half written, here and on this machine's disk."""
        self.remove_folder(DRAFTS)
        for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
            if not _lives(folder.name.removeprefix(SCRATCH).partition("-")[0]):
                shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _reading(self, name: str, *, is_ours: bool | None = None) -> Iterator[None]:
        """Tell an error of the store from damage in a file, which is another's to tell.

        Args:
            name: Of the file.
            is_ours: Whether nobody else can have removed it; if None, whether the lease is held.
        """
        try:
            yield
        except OSError as error:
            is_ours = self._lease.is_held if is_ours is None else is_ours
            if not (is_from_store(error) or (is_ours and is_perhaps_gone(error))):
                raise
            raise _failed(f"read {self.where(name)}", error) from error

    @contextlib.contextmanager
    def _changing(self, do: str) -> Iterator[None]:
        """Change something as the one who may, if anybody has to be."""
        self._lease.check()
        try:
            yield
        except OSError as error:
            raise _failed(do, error) from error


def _failed(do: str, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"cannot {do}: {reason(error)}. What was saved before is kept; the next run goes on from"
        " here.",
        may_pass=not is_to_mend(error),
    )


def _version(info: fs.FileInfo) -> str:
    return f"{info.size} bytes, {info.mtime_ns}"


def _content(draft: IO[bytes]) -> memoryview:
    """All of a file, without a copy in memory."""
    if not draft.seek(0, os.SEEK_END):
        return memoryview(b"")
    return memoryview(mmap.mmap(draft.fileno(), 0, access=mmap.ACCESS_READ))


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True
