"""Tasks that a gateway refuses for their own sake, whatever the rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from connector.gateway.pace.credit import Credit

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request, Sample

# First attempts after which all that was counted counts half.
REMEMBERED: Final = 512.0

# Second attempts that are refused beyond those that are not, until it is known that some tasks are
# refused for their own sake: a few are at the start, when the rate is not known yet.
DOUBT: Final = 1.0

# Share of the last first attempts, so many, above which refusals say nothing about their tasks.
MANY: Final = 0.4
LAST: Final = 32.0

# Share of such tasks that is credited, at most: with more, a limit could be taken for them.
MOST: Final = 0.2


class Own:
    """Tells refusals of such tasks from those of a limit: they come again while others get through.

    Where a limit is the reason, most that is refused gets through the next time. A task that is
    refused three times is thus one of them, and as many first refusals as their share explains
    teach nothing.
    """

    def __init__(self) -> None:
        self._let_in_at = -math.inf
        # First attempts and those of them that were refused; tasks that were refused a second and a
        # third time, and that got through instead.
        self._firsts = self._refused = self._twice = self._thrice = self._passed = 0.0
        self._lately_refused = 0.5
        self._credit = Credit()
        self._is_known = False
        # When refusals arrived that may have been for their tasks' own sake.
        self._suspects: list[float] = []

    @property
    def share(self) -> float:
        """Of such tasks, among all."""
        are_own = self._thrice / (self._thrice + self._passed + 4.0)
        return are_own * self._refused / max(1.0, self._firsts)

    def answered(self, request: Request, sample: Sample, *, is_let_in: bool) -> None:
        """Note how a request ended, before `look` at a refusal."""
        if is_let_in:
            self._let_in_at = max(self._let_in_at, request.sent_at)
            self._passed += sample.refusals in {1, 2}
        if not sample.refusals:
            self._count_first(is_refused=sample.kind == "refused")
            if self._thrice:
                self._credit.earn(min(MOST, self.share))

    def look(self, now: float, sample: Sample) -> list[float] | None:
        """Look whether a refusal is of such a task.

        Returns:
            None if it is not; else when the refusals arrived that were so too, as is known now.
        """
        if not sample.refusals:
            return [] if self._credit.pay() else None
        if self._let_in_at <= now - sample.refused_for:
            return None
        self._twice += sample.refusals == 1
        if self._lately_refused > MANY:
            return [] if self._is_known and sample.refusals > 1 else None
        self._thrice += sample.refusals == 2  # noqa: PLR2004
        first_refused_at = now - sample.refused_for
        if not self._is_known:
            self._suspects.append(first_refused_at)
            self._is_known = self._twice > self._passed + DOUBT
            return self._suspects if self._is_known else None
        if sample.refusals > 1:
            return []
        return [first_refused_at] if self._twice > self._passed else None

    def _count_first(self, *, is_refused: bool) -> None:
        self._firsts += 1.0
        self._refused += is_refused
        self._lately_refused += (is_refused - self._lately_refused) / LAST
        if self._firsts > REMEMBERED:
            self._firsts, self._refused = self._firsts / 2.0, self._refused / 2.0
            self._twice, self._thrice = self._twice / 2.0, self._thrice / 2.0
            self._passed /= 2.0
