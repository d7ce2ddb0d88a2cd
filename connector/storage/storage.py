"""The interface of all storages, and the storage that an address names."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Protocol

from connector.storage.address import check_slashes, is_url
from connector.storage.file_url import path_of
from connector.storage.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

# A folder's path or a URL.
Address = str | os.PathLike[str]


class Storage(Protocol):
    """Files below one address. Names are relative to it, with forward slashes.

    A file appears or is replaced as a whole, durably, or not at all. Leftovers of a dead writer
    never look like files of the warehouse.
    """

    @property
    def address(self) -> str:
        """The address, as `storage_of`, people and readers write it."""

    @property
    def name(self) -> str:
        """The last part of the address."""

    @property
    def caveat(self) -> str:
        """What is not promised to its writers, in words; known once the lock was held."""

    @property
    def scratch(self) -> Path:
        """A local folder, perhaps not created yet, for data that does not fit into memory."""

    def where(self, name: str) -> str:
        """The full path or URL of a file, for messages."""

    def list_all(self, folder: str) -> list[str]:
        """Like `list`, whatever the suffix, and with hidden files."""

    def list(self, folder: str, suffix: str = ".parquet") -> list[str]:
        """Names of all files below a folder, sorted; empty if it does not exist."""

    def exists(self, name: str) -> bool:
        """Whether the file exists."""

    def is_empty(self) -> bool:
        """Whether there are only hidden files."""

    def size(self) -> int:
        """Bytes of all files together."""

    def bytes_of(self, name: str) -> int:
        """Size of a file, as the storage gives it without reading the file."""

    def version(self, name: str) -> str | None:
        """A text that changes when the file is replaced; None if it does not exist."""

    def versions(self, folder: str) -> dict[str, str]:
        """The `version` of each file below a folder, by name."""

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises:
            FileNotFoundError: It does not exist.
        """

    def open_file(self, name: str) -> AbstractContextManager[pa.NativeFile]:
        """Open a file to read parts of it.

        Raises:
            OSError: It does not exist, cannot be read, or was replaced before the block ended.
        """

    def replacing(
        self, name: str, *, unless_same: bool = False, is_new: bool = False
    ) -> AbstractContextManager[IO[bytes]]:
        """Open a file to write; it takes its place when the block ends without an error.

        Args:
            name: Name of the file.
            unless_same: Leave an existing file with the same bytes untouched.
            is_new: The name is this writer's own, and the file is worth keeping even if the lock
                was lost meanwhile: another file of this name is not replaced in a bucket.

        Raises:
            StorageFailed: It cannot be written.
        """

    def move(self, name: str, new_name: str) -> None:
        """Rename a file, replacing an existing one; durable on return.

        A storage without a rename shows the file under both names for a moment, or until the move
        is repeated if the process dies in between.

        Raises:
            StorageFailed: It cannot be moved.
        """

    def move_all(self, moves: Iterable[tuple[str, str]]) -> None:
        """Move files, each a name and a new name, in this order; durable on return.

        Raises:
            StorageFailed: As `move`; those before are moved.
        """

    def remove(self, name: str) -> None:
        """Remove a file, if it exists; durable on return.

        Raises:
            StorageFailed: It cannot be removed.
        """

    def remove_folder(self, folder: str) -> None:
        """Remove a hidden folder and its content, as far as possible; errors are ignored."""

    def below(self, folder: str) -> Storage:
        """The storage of one folder's content."""

    def locked(self, timeout: float) -> AbstractContextManager[None]:
        """Be the only writer for the block, creating the storage if missing.

        Waits `timeout` seconds for another writer to end.

        Raises:
            WarehouseLocked: Another writer still has it; the message names it.
            WarehouseError: The storage cannot be written.
        """

    def sweep(self) -> None:
        """Remove half-written files of dead writers."""


def storage_of(address: Address) -> Storage:
    """The storage that an address names: a folder's path, or a URL such as `s3://bucket/prefix`.

    Raises:
        UsageError: The URL is of an unknown kind, contains a secret, or has an unknown option.
    """
    text = os.fspath(address)
    if is_url(text):
        # Here, because the cloud libraries take a tenth of a second to load.
        from connector.storage.objects import ObjectStorage  # noqa: PLC0415

        return ObjectStorage.at(text)
    check_slashes(text)
    return LocalStorage(path_of(text))
