"""Reads a body: decompressed as it arrives, within a bound on its size in memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_GZIP_OR_ZLIB = zlib.MAX_WBITS + 32  # zlib recognizes which by the first bytes


class BrokenBody(Exception):
    """A compressed body ends early, or is not compressed data."""


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
        hold: Told how many bytes are held so far; may wait.

    Returns:
        The body, and whether it is complete; if not, the rest is unread.

    Raises:
        BrokenBody: The body cannot be decompressed.
    """
    # Other codings pass: some gateways put a charset in that header.
    coding = headers.get("content-encoding")
    if coding is not None and coding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        pieces = _inflated(pieces, limit + 1)
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        hold(size)
        if size > limit:
            return b"".join(taken)[:limit], False
    return b"".join(taken), True


def _inflated(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Decompress up to `most` bytes at a time: data can grow a thousandfold.

    urllib3 can do this too, but its older releases, which requests also accepts, have no bound.
    """
    inflate = None
    for piece in pieces:
        data = piece
        while data:
            if inflate is None or inflate.eof:
                inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                yield inflate.decompress(data, most)
            except zlib.error as exc:
                raise BrokenBody(str(exc)) from exc
            data = inflate.unconsumed_tail or inflate.unused_data
    if inflate is not None and not inflate.eof:
        raise BrokenBody("it ends early")
