"""When to ask again: exponential backoff with full jitter, and what Retry-After says.

Nothing here waits: the clock is an argument and the random numbers are handed in.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds; beyond it a Retry-After is taken for this much, so that it stays a date that exists.
LONGEST_RETRY_AFTER = 30 * 86_400.0

_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next attempt.

    Attributes:
        base: Upper bound of the first wait, in seconds; it doubles with each attempt.
        cap: Upper bound of any wait, in seconds, that the gateway did not ask for.
        max_attempts: Attempts at one task ID, the first included.
        random: Draws from [0, 1).
    """

    base: float = 0.5
    cap: float = 30.0
    max_attempts: int = 5
    random: Callable[[], float] = random.random

    def delay(self, attempt: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1) failed; None to give up.

        The jitter comes on top of `retry_after`: else all would be back at the same moment.
        """
        if attempt >= self.max_attempts:
            return None
        # 2 ** 32 is far above any cap, and keeps the power from growing out of a float.
        bound = min(self.cap, self.base * 2.0 ** min(attempt - 1, 32))
        return (retry_after or 0.0) + self.random() * bound


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3) as seconds from `now`.

    Takes seconds, with a fraction too, and the three forms of an HTTP date. What is past or
    negative is 0; garbage counts as absent; nothing is longer than `LONGEST_RETRY_AFTER`.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        # The asctime form names no zone; HTTP dates are UTC by definition.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


class FailureStreak:
    """How many failures there were in a row, and for how long.

    Not locked: threads that race may lose a count, which delays a decision by one failure.
    """

    def __init__(self) -> None:
        self.length = 0
        self._since = 0.0

    def add(self, *, failed: bool, now: float) -> None:
        """Count an end at the moment `now`; a good one breaks the streak."""
        if not failed:
            self.length = 0
            return
        if self.length == 0:
            self._since = now
        self.length += 1

    def seconds(self, now: float) -> float:
        """Seconds since the first failure of the streak."""
        return now - self._since if self.length else 0.0
