"""When a run gives up on a gateway: only failures, across all threads and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.errors import GatewayDown
from connector.gateway.retry import FailureStreak
from connector.record.answer import Concern, Outcome

if TYPE_CHECKING:
    from connector.record.answer import Answer

# One task ID that hangs, however long, does not mean that the gateway is down.
FEWEST_FAILURES: Final = 5


class Patience:
    """Ends when only failures come.

    Args:
        max_failures: Consecutive failed task IDs that mean the gateway is down.
        max_seconds: Seconds of consecutive failures that mean it too, from `FEWEST_FAILURES` on.
    """

    def __init__(self, max_failures: int, max_seconds: float) -> None:
        self._max_failures = max_failures
        self._max_seconds = max_seconds
        self._streak = FailureStreak()

    def observe(self, answer: Answer, now: float) -> None:
        """Count an answer that came at `now`, in seconds of a monotonic clock.

        Raises:
            GatewayDown: It was one failure too many.
        """
        is_good = answer.concerns in (None, Concern.TASK) or answer.outcome is Outcome.NOT_READY
        self._streak.add(failed=not is_good, now=now)
        failures, seconds = self._streak.length, self._streak.seconds(now)
        if failures >= self._max_failures or (
            failures >= FEWEST_FAILURES and seconds >= self._max_seconds
        ):
            raise GatewayDown(
                f"{failures} task IDs in a row failed; the last error: {answer.message}. "
                "What was fetched is kept; start again when the gateway answers, and these IDs are "
                "requested again."
            )
