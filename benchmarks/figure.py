"""A measured value and its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        group: Heading above it.
        name: What was measured.
        shown: The value, with its unit.
        target: As text; empty for a reference value.
        is_met: Whether the target is met; None for a reference value.
    """

    group: str
    name: str
    shown: str
    target: str = ""
    is_met: bool | None = None


def at_least(group: str, name: str, value: float, target: float, unit: str = "×") -> Figure:
    """A value that should reach its target."""
    return Figure(group, name, _shown(value, unit), f"≥ {_shown(target, unit)}", value >= target)


def at_most(group: str, name: str, value: float, target: float, unit: str = "×") -> Figure:
    """A value that should not exceed its target."""
    return Figure(group, name, _shown(value, unit), f"≤ {_shown(target, unit)}", value <= target)


def reference(group: str, name: str, value: float, unit: str) -> Figure:
    """A value for comparison."""
    return Figure(group, name, _shown(value, unit))


def _shown(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.1%}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004  three figures
    return f"{value:,.{digits}f} {unit}"
