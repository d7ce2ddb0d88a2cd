"""What every meter measures, whichever way it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.summary import Summary

# Upper bounds of the latency histogram's buckets.
SECONDS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Meter(Protocol):
    """Measures a run and reports the figures somewhere."""

    def count_attempt(self, outcome: str, seconds: float) -> None:
        """Count a request, retries included, by its outcome and latency."""

    def watch_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Remember how to ask for the number of requests in flight."""

    def count_rows(self, new: int, updated: int) -> None:
        """Count the rows of `generations` that a commit added and updated."""

    def count_run(self, summary: Summary) -> None:
        """Report a run when it ends."""
