"""Cuts tables into pieces that are bounded in rows and in bytes."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

Piece = TypeVar("Piece", pa.Table, pa.RecordBatch)

# In characters. A gateway may send megabytes for a model or a reason, which nobody tells apart.
LONGEST_TEXT: Final = 10_000

GROUP_BYTES: Final = 32 * 1024 * 1024


def fitting(table: pa.Table, rows: int, size: int) -> int:
    """How many of the first rows make a piece of at most so many rows and bytes; at least one.

    The same rows give the same piece, whatever follows them and however they are chunked.
    """
    rows = min(rows, len(table))
    if table.nbytes <= size:
        return rows
    ends = np.cumsum(_bytes_of_rows(table.slice(0, rows)))
    return max(1, int(np.searchsorted(ends, size, side="right")))


def split(table: pa.Table, rows: int, size: int) -> Iterator[pa.Table]:
    """Yield a table in pieces of at most so many rows and bytes; a larger row comes alone."""
    while len(table):
        count = fitting(table, rows, size)
        yield table.slice(0, count)
        table = table.slice(count)


def grouped(
    pieces: Iterable[pa.Table], *, rows: float = inf, size: int = GROUP_BYTES
) -> Iterator[pa.Table]:
    """Put pieces together until they have so many rows or bytes, where each costs time itself."""
    return map(pa.concat_tables, in_lists(pieces, rows=rows, size=size))


def in_lists(pieces: Iterable[Piece], *, rows: float, size: int) -> Iterator[list[Piece]]:
    """Yield pieces in lists of at least so many rows or bytes; who empties one frees its memory."""
    held: list[Piece] = []
    count = total = 0
    for piece in pieces:
        held.append(piece)
        # Added up, because to ask a piece of many columns for its bytes costs 0.1 ms.
        count, total = count + len(piece), total + piece.nbytes
        del piece  # or it would stay in memory while its list is used
        if count >= rows or total >= size:
            yield held
            held, count, total = [], 0, 0
    if held:
        yield held


def _bytes_of_rows(table: pa.Table) -> NDArray[np.int64]:
    """The bytes of each row's texts: all that can be large."""
    total = np.zeros(len(table), np.int64)
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            total += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    return total


def shortened(table: pa.Table, but: str = "") -> pa.Table:
    """Cut texts to `LONGEST_TEXT` characters: for counting, where each distinct one is held.

    Args:
        table: Its long texts are cut.
        but: Name of a column that stays whole.
    """
    for position, field in enumerate(table.schema):
        if field.type == pa.string() and field.name != but:
            texts = table.column(position)
            if (pc.max(pc.binary_length(texts)).as_py() or 0) > LONGEST_TEXT:
                cut = pc.utf8_slice_codeunits(texts, 0, LONGEST_TEXT)
                table = table.set_column(position, field, cut)
    return table
