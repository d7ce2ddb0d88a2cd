"""Reads a body: decompressed as it arrives, within a bound on its size in memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import BaseHTTPResponse

PIECE_BYTES = 64 * 1024
_GZIP_OR_ZLIB = zlib.MAX_WBITS + 32  # zlib recognizes which by the first bytes


class BrokenBody(Exception):
    """A compressed body ends early, or is not compressed data."""


def read_body(raw: BaseHTTPResponse, limit: int) -> tuple[bytes, bool]:
    """Read a body up to `limit` bytes, counted after decompression.

    Returns:
        The body, and whether it is complete; if not, the rest is unread.

    Raises:
        BrokenBody: The body cannot be decompressed.
        urllib3.exceptions.HTTPError: The connection breaks, or the body is shorter than announced.
    """
    pieces, size = [], 0
    for piece in _decoded(raw, limit + 1):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return b"".join(pieces)[:limit], False
    return b"".join(pieces), True


def _decoded(raw: BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """Decode gzip and deflate. Other codings pass: some gateways put a charset in that header."""
    coding = raw.headers.get("content-encoding", "").strip().lower()
    if coding in ("gzip", "x-gzip", "deflate"):
        return _inflated(_pieces(raw), most)
    return _pieces(raw)


def _pieces(raw: BaseHTTPResponse) -> Iterator[bytes]:
    while piece := raw.read(PIECE_BYTES, decode_content=False):
        yield piece


def _inflated(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
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
