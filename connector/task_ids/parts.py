"""Values in parts of a bounded size, so that a file takes little memory whatever it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

MOST: Final = 1 << 13
CHARACTERS: Final = 1 << 22
CELL: Final = 32  # what an empty cell counts for


def in_parts(
    values: Iterable[T], size_of: Callable[[T], int], largest: int = CHARACTERS
) -> Iterator[list[T]]:
    """Lists of at most `MOST` values, each no longer than needed to be larger than `largest`."""
    part, size = list[T](), 0
    for value in values:
        part.append(value)
        size += size_of(value)
        if len(part) == MOST or size > largest:
            yield part
            part, size = [], 0
    if part:
        yield part
