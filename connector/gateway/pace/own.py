"""Tasks that a gateway refuses for their own sake, whatever the rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request, Sample

# Second attempts after which the first ones count half; likewise first attempts.
OUTCOMES: Final = 32.0

# Share of first attempts that are refused, from which second ones are too for the same reason.
MANY_REFUSED: Final = 0.2

# Second attempts that are refused beyond those that are not, until it is known that some tasks are
# refused for their own sake: a few are at the start, when the rate is not known yet.
DOUBT: Final = 1.0


class Own:
    """Tells refusals of such tasks from those of a limit: they come again while others get through.

    Where a limit is the reason, most that is refused gets through the next time.
    """

    def __init__(self) -> None:
        self._let_in_at = -math.inf
        self._again = self._passed = self._refused_share = 0.0
        self._is_known = False
        # When refusals arrived that may have been for their tasks' own sake.
        self._suspects: list[float] = []

    def answered(self, request: Request, sample: Sample, *, is_let_in: bool) -> None:
        """Note how a request ended, before `look` at a refusal."""
        if is_let_in:
            self._let_in_at = max(self._let_in_at, request.sent_at)
            self._passed += sample.refusals == 1
        if not sample.refusals:
            self._refused_share += ((sample.kind == "refused") - self._refused_share) / OUTCOMES

    def look(self, now: float, sample: Sample) -> list[float] | None:
        """Look whether a refusal is of such a task.

        Returns:
            None if it is not; else when the refusals arrived that were so too, as is known now.
        """
        if not sample.refusals or self._let_in_at <= now - sample.refused_for:
            return None
        is_second = sample.refusals == 1
        self._again += is_second
        if self._again + self._passed > OUTCOMES:
            self._again, self._passed = self._again / 2.0, self._passed / 2.0
        if self._is_known:
            is_likely = self._again > self._passed or not is_second
            self._suspects = [now - sample.refused_for] if is_second else []
        else:
            is_likely = self._again > self._passed + DOUBT
            self._suspects.append(now - sample.refused_for)
        if not is_likely or self._refused_share >= MANY_REFUSED:
            return None
        self._is_known = True
        found, self._suspects = self._suspects, []
        return found
