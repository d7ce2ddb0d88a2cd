"""A warehouse in an object store: S3, Google Cloud Storage, Azure.

Object stores need no rename: a replaced object keeps its old content until the new one has arrived
whole. So a file is written to the local disk and uploaded when it is complete. A process that dies
in between leaves nothing that a reader could see.
"""

# ruff: noqa: D102 -- `Storage` says what the methods do
from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa
from pyarrow import fs

from connector.errors import RunStopped, StorageFailed, WarehouseError
from connector.storage.address import Place, open_place
from connector.storage.conditional import LARGEST, Changed
from connector.storage.lease import Lease
from connector.storage.local import trying_to
from connector.storage.scratch import new_scratch, sweep_scratch
from connector.storage.store_errors import is_from_store, is_perhaps_gone, is_to_mend, reason
from connector.storage.takeover import shut_out, zero_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connector.storage.conditional import ConditionalStore

DRAFTS: Final = ".tmp"


# Bytes transferred in one request; larger files go in parts, which become visible as one.
SMALL: Final = 5 * 1024 * 1024

# Bytes per read while two files are compared.
PART: Final = 8 * 1024 * 1024


# Bytes that S3 copies in one request.
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
        """Open the storage at an address.

        Raises:
            UsageError: The address is of an unknown kind, or contains a secret.
        """
        return cls(open_place(address))

    @property
    def address(self) -> str:
        return self._place.address

    @property
    def caveat(self) -> str:
        return self._lease.caveat

    @property
    def name(self) -> str:
        return PurePosixPath(self._place.path).name

    @property
    def scratch(self) -> Path:
        """A temporary folder, removed together with this object."""
        if self._temporary is None:
            self._temporary = new_scratch()
        return Path(self._temporary.name, "spill")

    def where(self, name: str) -> str:
        return f"{self.address}/{name}" if name else self.address

    def _path(self, name: str) -> str:
        return f"{self._place.path}/{name}" if name else self._place.path

    def list_all(self, folder: str) -> list[str]:
        return sorted(self._found(folder, is_hidden_wanted=True))

    def list(self, folder: str, suffix: str = ".parquet") -> list[str]:
        return sorted(name for name in self._found(folder) if name.endswith(suffix))

    def _found(
        self, folder: str, *, recursive: bool = True, is_hidden_wanted: bool = False
    ) -> dict[str, fs.FileInfo]:
        below = fs.FileSelector(self._path(folder), recursive=recursive, allow_not_found=True)
        with self._reading(folder):
            found = self._fs.get_file_info(below)
        start = len(self._place.path) + 1
        return {
            one.path[start:]: one
            for one in found
            if (one.is_file or not recursive)
            and (is_hidden_wanted or not one.base_name.startswith("."))
        }

    def exists(self, name: str) -> bool:
        return bool(self._info(name).is_file)

    def _info(self, name: str) -> fs.FileInfo:
        with self._reading(name):
            return self._fs.get_file_info(self._path(name))

    def is_empty(self) -> bool:
        """Whether there are only hidden files.

        Raises:
            WarehouseError: The bucket does not exist.
        """
        # Arrow lists no folders at Google's first level: there, all files must be listed.
        if self._found("", recursive=False) or any(
            not name.startswith(".") for name in self._found("")
        ):
            return False
        with self._reading(""):
            bucket = self._fs.get_file_info(self._place.bucket)
        if bucket.type == fs.FileType.NotFound:
            raise WarehouseError(f"{self.address}: the bucket {self._place.bucket} does not exist")
        return True

    def size(self) -> int:
        return sum(found.size for found in self._found("").values())

    def bytes_of(self, name: str) -> int:
        size: int = self._info(name).size or 0
        return size

    def version(self, name: str) -> str | None:
        """Size and time of the last change; stores keep it to the second."""
        info = self._info(name)
        return _version(info) if info.is_file else None

    def versions(self, folder: str) -> dict[str, str]:
        return {name: _version(info) for name, info in self._found(folder).items()}

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises:
            WarehouseError: Settings or permissions are wrong.
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
        """Open a file to read parts of it; a small one is downloaded at once.

        Parts are requested one by one, so they may belong to two files if another process replaces
        it meanwhile. The object's ETag is compared at the end.
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
    def replacing(
        self, name: str, *, unless_same: bool = False, is_new: bool = False
    ) -> Iterator[IO[bytes]]:
        with (
            trying_to(f"write to {tempfile.gettempdir()}"),
            tempfile.TemporaryFile(prefix="luma-") as draft,
        ):
            yield draft
            draft.flush()
            if unless_same and self._is_same(draft, name):
                return
            store = self._lease.store if self._lease.is_held else None
            if store and draft.seek(0, os.SEEK_END) <= LARGEST:
                self._put(store, draft, name, is_new=is_new)
            else:
                self._upload(draft, name)

    def _put(self, store: ConditionalStore, draft: IO[bytes], name: str, *, is_new: bool) -> None:
        """Upload a finished file under its name, unless another writer has replaced it."""
        path = self._path(name)
        with self._changing(f"write {self.where(name)}", needs_lock=not is_new):
            try:
                # In a hidden folder, each writer has names of its own.
                if is_new or "/." in f"/{name}":
                    store.put(path, draft, None if is_new else store.tag(path))
                else:
                    tag = store.tag(path)
                    with self._lease.replacing(path, tag):
                        store.put(path, draft, tag)
            except Changed as changed:
                # The answer to an earlier attempt may have been lost.
                if not self._is_same(draft, name):
                    raise StorageFailed(
                        f"cannot write {self.where(name)}: another process has written it since."
                        " What was saved before is kept; the next run goes on from here.",
                        may_pass=False,
                    ) from changed

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
        """Upload a finished file under its name.

        When Arrow's stream is closed, what was written becomes visible, even after an exception. So
        one call writes everything, in a thread, where no signal can interrupt it.
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
        """Copy a file within the store, then remove the old one.

        A process that dies in between leaves both; repeating the move gives the same result.
        """
        with self._changing(f"move {self.where(name)} to {self.where(new_name)}"):
            if (self._info(name).size or 0) <= LARGEST_COPY:
                self._fs.copy_file(self._path(name), self._path(new_name))
            else:
                with self.replacing(new_name) as draft, self.open_file(name) as file:
                    file.download(draft)
            self._fs.delete_file(self._path(name))

    def move_all(self, moves: Iterable[tuple[str, str]]) -> None:
        for name, new_name in moves:
            self.move(name, new_name)

    def remove(self, name: str) -> None:
        with self._changing(f"remove {self.where(name)}"), contextlib.suppress(FileNotFoundError):
            self._fs.delete_file(self._path(name))

    def remove_folder(self, folder: str) -> None:
        with contextlib.suppress(OSError):
            below = fs.FileSelector(self._path(folder), recursive=True, allow_not_found=True)
            found = [one.path for one in self._fs.get_file_info(below) if one.is_file]
            if found:
                self._lease.verify()  # after the listing, which thus has nothing of a later writer
            for path in found:
                self._fs.delete_file(path)

    def below(self, folder: str) -> ObjectStorage:
        place = Place(self.where(folder), self._fs, self._path(folder), self._place.url)
        return ObjectStorage(place, self._lease)

    @contextlib.contextmanager
    def locked(self, timeout: float) -> Iterator[None]:
        """Be the only writer, once an earlier one can no longer replace anything."""
        with self._lease.held(timeout) as notes:
            if store := self._lease.store:
                for note in notes:
                    path = note["path"]
                    with self._changing(f"write {path}"):
                        shut_out(store, path, note["tag"], partial(self._zero_rows_like, path))
            self._lease.settle()
            try:
                yield
            except RunStopped:
                raise
            except Exception:
                # Two files of another writer's tables may seem to contradict each other.
                with contextlib.suppress(OSError):
                    self._lease.verify()
                raise

    def _zero_rows_like(self, path: str) -> bytes | None:
        """A Parquet file for a partition that is not there; None for any other object."""
        beside = self.list(path.removeprefix(f"{self._place.path}/").partition("/")[0])
        if not path.endswith(".parquet") or not beside:
            return None
        with self.open_file(beside[0]) as file:
            return zero_rows(file)

    def sweep(self) -> None:
        """Remove half-written files of dead writers, here and on this machine's disk."""
        self.remove_folder(DRAFTS)
        sweep_scratch()

    @contextlib.contextmanager
    def _reading(self, name: str, *, is_ours: bool | None = None) -> Iterator[None]:
        """Translate errors of the store to `StorageFailed`; errors due to a damaged file pass.

        `is_ours`: no other process can have removed the file; None asks whether the lease is held.
        """
        try:
            yield
        except OSError as error:
            is_ours = self._lease.is_held if is_ours is None else is_ours
            if not (is_from_store(error) or (is_ours and is_perhaps_gone(error))):
                raise
            raise _failed(f"read {self.where(name)}", error) from error

    @contextlib.contextmanager
    def _changing(self, do: str, *, needs_lock: bool = True) -> Iterator[None]:
        """Check the lease, and translate errors of a change to `StorageFailed`."""
        if needs_lock:
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
