"""How much is tried: everything that must be, and of the rest what fits into the time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Budget:
    """The time for some tries.

    Attributes:
        seconds: From now on; tries that have begun are ended.
        least: Tries to make however long they take, where no list says which.
    """

    seconds: float
    least: int = 1
    _began: float = field(default_factory=time.monotonic)

    @property
    def is_spent(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() - self._began >= self.seconds

    def rest(self, items: Iterable[T]) -> Iterator[T]:
        """As many items as can be begun in time."""
        for item in items:
            if self.is_spent:
                break
            yield item

    def all_of(self, needed: Iterable[T], more: Iterable[T]) -> Iterator[T]:
        """The needed items, and of the others as many as can be begun in time."""
        return chain(needed, self.rest(more))
