"""Refusals that teach nothing about the rate."""

from __future__ import annotations

from typing import Final

# How much more than the known share may be refused, and how many at once.
MORE: Final = 1.3
MOST: Final = 4.0


class Credit:
    """Counts how many refusals a known share explains; what goes beyond it comes from the rate."""

    def __init__(self) -> None:
        self._left = 0.0

    def earn(self, share: float) -> None:
        """Note a request, of which this share is refused at any rate."""
        self._left = min(MOST, self._left + MORE * share)

    def pay(self) -> bool:
        """Whether a refusal is explained; it then counts."""
        is_explained = self._left >= 1.0
        self._left -= is_explained
        return is_explained
