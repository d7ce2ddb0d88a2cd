"""Files of a warehouse: what every kind of storage promises, and which one an address names."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Protocol

from connector.storage.address import is_url
from connector.storage.local import LocalStorage

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

# Where a warehouse is.
Address = str | os.PathLike[str]


class Storage(Protocol):
    """Files below one address. Names are relative to it, with forward slashes.

    A file appears, or is replaced, whole and durable or not at all. What a dead writer leaves is
    never seen as a file of the warehouse.
    """

    @property
    def address(self) -> str:
        """Where it is, as `storage_of` takes it and as people and readers write it."""

    @property
    def name(self) -> str:
        """What people call it: the last part of the address."""

    @property
    def scratch(self) -> Path:
        """A local folder, perhaps not there yet, for what does not fit into memory."""

    def where(self, name: str) -> str:
        """Where a file is, for people."""

    def list(self, folder: str, suffix: str = ".parquet") -> list[str]:
        """Names of all files below a folder, sorted; none if it does not exist."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""

    def is_empty(self) -> bool:
        """Whether nothing is there but hidden files."""

    def size(self) -> int:
        """Bytes of all files."""

    def bytes_of(self, name: str) -> int:
        """Size of a file, as the storage gives it without reading the file."""

    def version(self, name: str) -> str | None:
        """A text that changes when the file is replaced; None if there is no such file."""

    def versions(self, folder: str) -> dict[str, str]:
        """The same for all files below a folder, by name."""

    def read(self, name: str) -> bytes:
        """A small file, whole.

        Raises:
            FileNotFoundError: There is none.
        """

    def open_file(self, name: str) -> AbstractContextManager[pa.NativeFile]:
        """Open a file to read parts of it.

        Raises:
            OSError: It is not there, cannot be read, or was replaced before the block's end.
        """

    def replacing(
        self, name: str, *, unless_same: bool = False
    ) -> AbstractContextManager[IO[bytes]]:
        """Open a file to write; it takes the name's place when the block ends without an error.

        Args:
            name: Its name.
            unless_same: Leave a file alone that has the same bytes already.

        Raises:
            StorageFailed: It cannot be written.
        """

    def move(self, name: str, new_name: str) -> None:
        """Give a file another name, over another file if there is one; durable on return.

        A storage that cannot rename shows it under both names for a moment, and for longer if the
        process dies in between. A move repeated finishes it.

        Raises:
            StorageFailed: It cannot be moved.
        """

    def remove(self, name: str) -> None:
        """Remove a file, if it is there; durable on return.

        Raises:
            StorageFailed: It cannot be removed.
        """

    def remove_folder(self, folder: str) -> None:
        """Remove a hidden folder and what is in it, as far as that is possible."""

    def below(self, folder: str) -> Storage:
        """A storage of what is in a folder."""

    def locked(self, timeout: float) -> AbstractContextManager[None]:
        """Be the only writer, making the storage if need be.

        Args:
            timeout: Seconds to wait for another writer to end.

        Raises:
            WarehouseLocked: Another writer still has it; the message names who.
            WarehouseError: It cannot be written.
        """

    def sweep(self) -> None:
        """Remove what writers that died have left half written."""


def storage_of(address: Address) -> Storage:
    """The storage that an address names: a folder's path, or a URL such as `s3://bucket/prefix`.

    Raises:
        UsageError: It is a URL of no kind that is known, or holds a secret.
    """
    text = os.fspath(address)
    if is_url(text):
        # Here because the clouds' libraries take a tenth of a second to load.
        from connector.storage.objects import ObjectStorage  # noqa: PLC0415

        return ObjectStorage.at(text)
    return LocalStorage(text.removeprefix("file://"))
