"""Reads a body: decompressed as it arrives, within a bound on its size in memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

# zlib recognizes which by the first bytes.
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS + 32
_GZIP: Final = b"\x1f\x8b"
CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
# Compressed in ways that were not asked for.
_UNASKED: Final = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})


class BrokenBody(Exception):
    """A compressed body ends early, or is not compressed data."""


def tokens(text: str) -> list[str]:
    """The items of a header, in lower case and without parameters."""
    return [item.partition(";")[0].strip().lower() for item in text.split(",")]


def read_body(
    pieces: Iterable[bytes],
    headers: Mapping[str, str],
    limit: int,
    hold: Callable[[int], None] = lambda _: None,
) -> tuple[bytes, bool]:
    """Join the pieces of a body up to `limit` bytes, counted after decompression.

    Args:
        pieces: As they arrive; no more are taken than are needed.
        headers: By name in lower case.
        limit: Bytes.
        hold: Called with the bytes that are held so far; may wait.

    Returns:
        The body, and whether it is complete; if not, the rest is unread.

    Raises:
        BrokenBody: The body cannot be decompressed.
    """
    # Other codings pass: some gateways put a charset in that header.
    said = headers.get("content-encoding")
    codings = tokens(said) if said else ()
    for coding in reversed(codings):
        if coding in CODINGS:
            pieces = _inflated(pieces, limit + 1, coding)
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        hold(size)
        if size > limit:
            return b"".join(taken)[:limit], False
    body = b"".join(taken)
    if codings and not _UNASKED.isdisjoint(codings) and body.lstrip()[:1] not in (b"{", b"["):
        raise BrokenBody(f"it is compressed by {said}, which was not asked for")
    return body, True


def _inflated(pieces: Iterable[bytes], most: int, coding: str) -> Iterator[bytes]:
    """Decompress up to `most` bytes, and not many more at a time: data can grow a thousandfold.

    urllib3 can do this too, but its older releases, which requests also accepts, have no bound.
    """
    inflate, rest, size, is_over = None, b"", 0, False
    for piece in pieces:
        data, rest = rest + piece, b""
        while data and not is_over:
            if inflate is None or inflate.eof:
                if len(data) < len(_GZIP):
                    rest = data
                    break
                if inflate is not None and not data.startswith(_GZIP):
                    is_over = True  # no other member: what follows the last one means nothing
                    break
                inflate = zlib.decompressobj(_form(data, coding))
            try:
                found = inflate.decompress(data, most)
            except zlib.error as exc:
                raise BrokenBody(str(exc)) from exc
            yield found
            size += len(found)
            if size > most:
                raise BrokenBody("it is too large before it is decompressed again")
            data = inflate.unconsumed_tail or inflate.unused_data
    if (inflate is None and rest) or (inflate is not None and not inflate.eof):
        raise BrokenBody("it ends early")


def _form(data: bytes, coding: str) -> int:
    """How it was compressed: some send deflate without the two bytes that tell."""
    is_zlib = data[0] & 15 == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
    is_raw = coding == "deflate" and not is_zlib and not data.startswith(_GZIP)
    return -zlib.MAX_WBITS if is_raw else _GZIP_OR_ZLIB
