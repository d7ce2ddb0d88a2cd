"""When to retry: exponential backoff with full jitter, and Retry-After.

Nothing here waits: time and random numbers are arguments.
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

# Seconds; a longer Retry-After is cut to this, so that it stays a valid date.
LONGEST_RETRY_AFTER = 30 * 86_400.0

_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait before the next attempt.

    Attributes:
        base: Upper bound of the first wait, in seconds; it doubles with each attempt.
        cap: Upper bound of any wait, in seconds, on top of Retry-After.
        max_attempts: Attempts at one task ID, the first included.
        random: Draws from [0, 1).
    """

    base: float = 0.5
    cap: float = 30.0
    max_attempts: int = 5
    random: Callable[[], float] = random.random

    def delay(
        self, attempt: int, retry_after: float | None = None, most: int | None = None
    ) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1); None to give up.

        The jitter comes on top of `retry_after`, or all threads would return at the same moment.
        `most` replaces `max_attempts`.
        """
        if attempt >= (self.max_attempts if most is None else most):
            return None
        # 2 ** 32 is far above any cap, and keeps the power within a float.
        bound = min(self.cap, self.base * 2.0 ** min(attempt - 1, 32))
        return (retry_after or 0.0) + self.random() * bound


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3) as seconds from `now`.

    Accepts seconds, also with a fraction, and the three forms of an HTTP date. A past or negative
    value is 0, an invalid one counts as absent, and `LONGEST_RETRY_AFTER` is the maximum.
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
    """Consecutive failures: their number and duration.

    Not locked: a race between threads may lose a count, which delays a decision by one failure.
    """

    def __init__(self) -> None:
        self.length = 0
        self._since = 0.0

    def add(self, *, failed: bool, now: float) -> None:
        """Count a result at `now`; a success ends the streak."""
        if not failed:
            self.length = 0
            return
        if self.length == 0:
            self._since = now
        self.length += 1

    def seconds(self, now: float) -> float:
        """Seconds since the first failure of the streak."""
        return now - self._since if self.length else 0.0
