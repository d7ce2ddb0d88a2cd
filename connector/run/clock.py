"""Clocks that are wrong: nothing depends on them, but people should know."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connector.record.order import TOLERANCE
from connector.words import at_least, plural

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """The time since a run began, which no change of the clock alters.

    Args:
        latest: The latest time of an answer in the warehouse.
    """

    def __init__(self, latest: datetime) -> None:
        self.started_at = datetime.now(UTC)
        self._latest = latest
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._begun

    def notes(self, created_ahead: int) -> Iterator[str]:
        """Say what is wrong with clocks.

        Args:
            created_ahead: Generations that were created in the future, by the gateway's clock.
        """
        ahead = self._latest - self.started_at
        by = at_least(abs(ahead.total_seconds()))
        if ahead > TOLERANCE:
            yield (
                f"answers in the warehouse have times up to {self._latest:%Y-%m-%d %H:%M} UTC,"
                f" {by} ahead of this machine's clock: a clock was wrong"
                " then, or this one is. The order of answers does not depend on clocks; set this"
                " one if it is wrong"
            )
        moved = (datetime.now(UTC) - self.started_at).total_seconds() - self.seconds
        if abs(moved) > TOLERANCE.total_seconds():
            by, where = at_least(abs(moved)), "forwards" if moved > 0 else "back"
            yield (
                f"the clock moved {where} by {by} during the run: it was set, or the machine slept"
            )
        if created_ahead:
            yield (
                f"{plural(created_ahead, 'answer')} with a `created_at` in the future: the"
                " gateway's clock is wrong, or this machine's. It is kept as it came, and counts"
                " for no age"
            )
