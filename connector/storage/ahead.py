"""Makes the next piece in another thread while one is written, as Arrow holds no lock."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

# A larger piece is the only one in memory.
LARGE: Final = 32 * 1024 * 1024


def ahead(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same pieces; the one after a small one is made while that is used."""
    source = iter(pieces)
    with ThreadPoolExecutor(1) as thread:
        coming: Future[pa.Table | None] | None = thread.submit(next, source, None)
        while coming is not None and (piece := coming.result()) is not None:
            coming = thread.submit(next, source, None) if piece.nbytes <= LARGE else None
            yield piece
            del piece  # or it would stay in memory while the next one is made
            coming = coming or thread.submit(next, source, None)
