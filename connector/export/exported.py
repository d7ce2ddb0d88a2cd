"""What an export has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exported:
    """A table that was exported.

    Attributes:
        table: Its name.
        rows: How many there are now.
        notes: For people: what could not be taken over as it was.
    """

    table: str
    rows: int
    notes: tuple[str, ...] = ()
