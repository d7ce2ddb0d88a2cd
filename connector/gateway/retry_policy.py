"""What follows an attempt without a generation: another one, none, or the end of the run."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from connector.errors import AccountRefused, KeyRefused, WaitTooLong
from connector.gateway.apis import key_hint
from connector.gateway.attempt import DOWN
from connector.gateway.retry import Backoff, FailureStreak
from connector.gateway.whose import MOST_ASKED
from connector.record.answer import Concern, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connector.gateway.attempt import Attempt
    from connector.gateway.client_settings import ClientSettings
    from connector.gateway.inquiry import Inquiry


class RetryPolicy:
    """Decides whether and when to ask again; safe to share between threads.

    `now` gives the time of day, `draw` random numbers from [0, 1) for jitter.
    """

    def __init__(
        self, settings: ClientSettings, now: Callable[[], datetime], draw: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._now = now
        self._backoff = Backoff(
            settings.backoff_base, settings.backoff_cap, settings.max_attempts, draw
        )
        self._outage = FailureStreak()

    def observe(self, outcome: Outcome, now: float) -> None:
        """Learn from an attempt whether the gateway is down; `now` is in seconds of any clock."""
        self._outage.add(failed=outcome in DOWN, now=now)

    def delay(
        self, inquiry: Inquiry, attempt: Attempt, now: float, most: int | None = None
    ) -> float | None:
        """Seconds until the next attempt; None if there is none.

        What may be another task's, or was not seen by the gateway, is asked for again at once,
        however few attempts there may be. `inquiry` counts this attempt already. `most` replaces
        the number of attempts in the settings.

        Raises:
            RunStopped: As `Client.fetch`.
        """
        if attempt.is_stale:
            return 0.0
        self._stop_if_hopeless(attempt)
        if not attempt.is_worth_retrying or self._is_down(now):
            return None
        others = len(inquiry.others)
        if attempt.outcome is Outcome.OTHER_TASK and others <= MOST_ASKED:
            return 0.0
        number = inquiry.attempts - inquiry.stale - min(others, MOST_ASKED)
        return self._backoff.delay(max(1, number), attempt.retry_after, most)

    def _is_down(self, now: float) -> bool:
        """Whether no good answer has come for too long to retry."""
        return (
            self._outage.length >= self._settings.max_attempts
            and self._outage.seconds(now) > self._settings.max_outage
        )

    def _stop_if_hopeless(self, attempt: Attempt) -> None:
        """Stop the run at an answer that every task would get."""
        settings, concerns = self._settings, attempt.verdict.concerns
        base_url = settings.base_url
        if concerns is Concern.KEY:
            hint = key_hint(settings.key.get_secret_value(), settings.api)
            raise KeyRefused(
                f"{base_url} refused the key ({attempt.message}). Set {settings.key_place} to a"
                f" valid one and start again; what was fetched is kept.{hint}"
            )
        if concerns is Concern.ACCOUNT:
            raise AccountRefused(
                f"{base_url} refuses the account for every task ({attempt.message}). Top up or"
                " unblock the account, or ask the gateway's operator to let this program in, and"
                " start again; no task is given up, and what was fetched is kept."
            )
        if (seconds := attempt.retry_after) is not None and seconds > settings.max_wait:
            resume = self._now() + timedelta(seconds=seconds)
            raise WaitTooLong(
                f"{base_url} asks to wait {seconds:,.0f} s ({attempt.message}); a run waits at most"
                f" {settings.max_wait:,.0f} s (`max_wait`). Start again after"
                f" {resume.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC; what was fetched is kept."
            )
