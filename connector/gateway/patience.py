"""When a run gives up on a gateway: nothing but failures, however many threads and batches ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.errors import GatewayDown
from connector.gateway.retry import FailureStreak
from connector.record.answer import Concern, Outcome

if TYPE_CHECKING:
    from connector.record.answer import Answer

# One task ID that hangs is no sign of a gateway that is down, however long it hangs.
FEWEST_FAILURES: Final = 5


class Patience:
    """Ends when nothing but failures comes.

    Args:
        max_failures: So many task IDs that fail with none that does not in between mean that the
            gateway is down.
        max_seconds: So many seconds of that mean it too, if it is a few IDs at least.
    """

    def __init__(self, max_failures: int, max_seconds: float) -> None:
        self._max_failures = max_failures
        self._max_seconds = max_seconds
        self._streak = FailureStreak()

    def observe(self, answer: Answer, now: float) -> None:
        """Count an answer that came at the moment `now`.

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
                "What was fetched is kept; start again when the gateway answers, and these are "
                "asked for again."
            )
