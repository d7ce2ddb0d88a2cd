"""Result of an export."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported table.

    Attributes:
        table: Name of the table.
        rows: Rows in the copy.
        notes: For people: what could not be copied unchanged.
    """

    table: str
    rows: int
    notes: tuple[str, ...] = ()
