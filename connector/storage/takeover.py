"""Takes objects over from a writer that may be frozen: none of its requests can replace them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from connector.storage.conditional import Changed

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.storage.conditional import ConditionalStore, Tag

# At the start and the end of each Parquet file.
PARQUET: Final = b"PAR1"


def shut_out(
    store: ConditionalStore, path: str, tag: Tag | None, new: Callable[[], bytes | None]
) -> None:
    """Change an object's tag, if it has this one: a request that expects it then fails.

    The object keeps its rows. If there is none, as its former owner expects by a tag of None, it
    gets what `new` makes, if that is anything.

    Raises:
        OSError: The store failed or refused.
    """
    found = store.get(path)
    if (found[1] if found else None) != tag:
        return
    content = _with_other_bytes(found[0]) if found else new()
    if content:
        with contextlib.suppress(Changed):  # the request has arrived
            store.put(path, content, tag)


def zero_rows(like: pa.NativeFile) -> bytes:
    """A Parquet file without rows, with the columns of another one."""
    from pyarrow import parquet  # noqa: PLC0415  only after a crash

    schema = parquet.read_schema(like).remove_metadata()  # which is the other file's
    buffer = pa.BufferOutputStream()
    parquet.write_table(schema.empty_table(), buffer)
    return bytes(buffer.getvalue())


def _with_other_bytes(content: bytes) -> bytes:
    """The same rows or JSON in other bytes: some stores give the same bytes the same tag."""
    if not (content.startswith(PARQUET) and content.endswith(PARQUET)):
        return content + b"\n"
    # Readers find the footer from the end, and all else by the positions that it gives.
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    return content[:footer] + bytes(8) + content[footer:]
