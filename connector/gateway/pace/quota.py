"""How many requests are left until a window ends, as announced, and how far that proves true."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.gateway.pace.request import Request, Sample

# Seconds to a reset, up to which it is a matter of the rate: a bucket is often empty for a moment.
SHORT: Final = 2.0

# Most seconds to pause for a reset, before one request tries again.
LONGEST: Final = 60.0

# Seconds to wait for an answer to the first request of a window, which says what is left in it.
NEWS_SECONDS: Final = 1.0

# Seconds between two requests that try whether nothing is left; so many accepted prove a lie.
TRIAL_SECONDS: Final = 0.2
TRIALS: Final = 3


class Quota:
    """Requests left in a window of more than `SHORT` seconds, as announced and as it proved.

    That none is left is tried out first, by one request at a time: a refusal proves it, and from
    then on nothing is sent in vain: a window begins with one request, whose answer says how many
    may follow. If requests are accepted nonetheless, the announcements are never believed again.
    """

    def __init__(self) -> None:
        self._lies = False
        self._is_proven = False
        self._empty_until = -math.inf
        self._known_at = 0
        self._trial_at = 0.0
        self._accepted = 0
        self._sent = 0
        self._newest = 0
        self._allowed = 0
        self._allowed_until = -math.inf

    def wait(self, now: float) -> float:
        """Seconds until a request may start, or try whether nothing is left; 0 or less for now."""
        if now < self._empty_until:
            return self._trial_at - now
        is_all_sent = self._is_proven and self._sent >= self._allowed
        return self._allowed_until - now if is_all_sent else 0.0

    def sent(self, now: float) -> None:
        """Note that a request starts."""
        self._sent += 1
        if now >= self._allowed_until:
            self._allowed, self._allowed_until = self._sent, now + NEWS_SECONDS
        if now < self._empty_until:
            self._trial_at = now + NEWS_SECONDS

    def answered(self, now: float, request: Request, sample: Sample, sent: int) -> float | None:
        """Note an answer; return when requests may start again, if nothing is left until then.

        Args:
            now: When the answer arrived.
            request: The request.
            sample: How it ended.
            sent: Requests sent so far.
        """
        said = sample.announced
        if self._lies or said is None or said.left is None or said.reset is None:
            self._allowed_until = -math.inf
            return None
        if request.number > self._newest:
            self._newest, self._allowed = request.number, request.number + int(said.left)
            is_long = said.reset > SHORT
            self._allowed_until = now + min(said.reset, LONGEST) if is_long else -math.inf
        # Answers that overtook this one are counted twice, which leaves a few requests unsent.
        is_empty = said.reset > SHORT and said.left <= sent - request.number
        if now < self._empty_until and request.number > self._known_at:
            self._tried(now, is_accepted=sample.kind == "good", is_empty=is_empty)
        if not is_empty or self._lies:
            return None
        until = now + min(said.reset, LONGEST)
        self._is_proven |= sample.kind == "refused"
        if self._is_proven:
            self._empty_until = -math.inf
            return until
        if now >= self._empty_until:
            self._empty_until, self._known_at, self._accepted = until, sent, 0
            self._trial_at = now + TRIAL_SECONDS
        return None

    def _tried(self, now: float, *, is_accepted: bool, is_empty: bool) -> None:
        """Note the answer to a trial, which may also say that there is more left than it seemed."""
        self._trial_at = now
        self._accepted = self._accepted + 1 if is_accepted and is_empty else 0
        self._lies = self._accepted >= TRIALS
        if self._lies or not is_empty:
            self._empty_until = -math.inf
