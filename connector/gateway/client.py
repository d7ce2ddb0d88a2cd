"""Asks a gateway, with retries: for one task ID, for many at once, or for a page of its list."""

from __future__ import annotations

import logging
import random
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit
from uuid import uuid4

from connector.errors import WrongGateway
from connector.gateway.apis import PATHS
from connector.gateway.batch import Batches
from connector.gateway.client_settings import open_transports
from connector.gateway.credentials import checked_base_url, checked_key
from connector.gateway.doubt import Doubt, describe
from connector.gateway.exchange import Exchange
from connector.gateway.failure import AttemptFailed
from connector.gateway.inquiry import Inquiry
from connector.gateway.pace.throttle import Sample
from connector.gateway.patience import Patience
from connector.gateway.question import BatchQuestion, Question
from connector.gateway.redact import Redactor
from connector.gateway.retry_policy import RetryPolicy
from connector.gateway.room import Room
from connector.gateway.transport import as_target
from connector.gateway.whose import Owners
from connector.gateway.witness import Witness
from connector.record.answer import Answer, Concern, Outcome

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

    from connector.gateway.attempt import Attempt
    from connector.gateway.client_settings import ClientSettings
    from connector.gateway.connection import Connection
    from connector.gateway.pace.throttle import Throttle

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]+")

logger = logging.getLogger(__name__)


class Client:
    """One gateway, one key; safe to share between threads.

    Args:
        settings: How to ask.
        throttle: When to ask.
        clock: Monotonic clock, in seconds.
        now: The time of day, for answers.
        draw: Random numbers from [0, 1), for jitter.
        on_attempt: Called after each attempt with its outcome and its duration in seconds.

    Attributes:
        batches: How many task IDs to ask for at once.
        room: Memory for large answers; a thread leaves it once it has handed its answer on.

    Raises:
        SettingsError: The base URL, the key, the proxy or the CA certificates cannot be used.
    """

    def __init__(
        self,
        settings: ClientSettings,
        throttle: Throttle,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        draw: Callable[[], float] = random.random,
        on_attempt: Callable[[str, float], None] | None = None,
    ) -> None:
        key = checked_key(settings.key, settings.key_place)
        self._base_url = checked_base_url(settings.base_url)
        settings = replace(settings, base_url=self._base_url)
        self._api = settings.api
        self._base_path = as_target(urlsplit(self._base_url).path)
        self._path = self._base_path + PATHS[settings.api]
        self.room = Room()
        self.batches = Batches(self._base_url, settings.ids_per_request)
        self._transport, self._batch_transport = open_transports(settings, key, self.room)
        self._owners = Owners()
        self._exchange = Exchange(Redactor(key), self._owners, self.room, now)
        self._policy = RetryPolicy(settings, now, draw)
        self._patience = Patience(settings.max_failures_in_row, settings.max_downtime)
        self._doubt = Doubt()
        self._witness = Witness(settings.max_attempts, self._base_url, self._ask_witness)
        self._throttle = throttle
        self._clock = clock
        self._now = now
        self._on_attempt = on_attempt

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def trust(self, task_id: str) -> None:
        """Trust the base URL: it has given a generation for this task before."""
        self._doubt.dispel()
        self._witness.remember(task_id)

    def expect(self, task_ids: Iterable[str]) -> None:
        """Say which tasks will be asked for: an answer with the ID of one is about that one."""
        self._owners.expect(task_ids)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()
        if self._batch_transport:
            self._batch_transport.close()

    def fetch(self, task_id: str, stop: threading.Event) -> Answer | None:
        """Request a task ID until there is an answer to keep, or attempts run out.

        Returns:
            The answer; None if `stop` was set first: the ID counts as not reached.

        Raises:
            KeyRefused: The gateway refuses the key.
            AccountRefused: The gateway refuses the account, or serves a page meant for people.
            WaitTooLong: The gateway asks to wait for longer than `max_wait`.
        """
        self._owners.expect((task_id,))
        return self._fetch(Inquiry(self._question(task_id)), stop)

    def fetch_batch(self, task_ids: Sequence[str], stop: threading.Event) -> Answer | None:
        """Ask for many task IDs in one request, with the retries and the errors of `fetch`.

        Returns:
            The whole answer, for `connector.gateway.batch` to read; a generation if it holds a
            list of them. None as from `fetch`.
        """
        if self._batch_transport is None:
            raise ValueError("the client was not made to ask for many at once")
        question = BatchQuestion.of(task_ids, self._batch_transport, self._base_path)
        return self._fetch(Inquiry(question), stop)

    def fetch_listing(self, limit: int, offset: int, stop: threading.Event) -> Answer | None:
        """Request a page of the gateway's list: at most `limit` generations, after `offset` others.

        With the retries, the result and the errors of `fetch`; the body is the page if all is well.
        """
        path = f"{self._path}?limit={limit}&offset={offset}"
        name = f"the list from {offset:,} on"
        question = Question(self._transport, path, name, is_list=True)
        with self.room.visit():
            return self._fetch(Inquiry(question), stop)

    def _question(self, task_id: str) -> Question:
        # Nearly all are as they go into a path, and to find that out takes a fifth of the time.
        place = task_id if _UNRESERVED.fullmatch(task_id) else quote(task_id, safe="")
        return Question(self._transport, f"{self._path}/{place}", task_id)

    def inquire(self, task_id: str) -> Inquiry:
        """Begin an inquiry about a task ID, which `start` and `step` continue."""
        self._owners.expect((task_id,))
        return Inquiry(self._question(task_id))

    def start(self, inquiry: Inquiry) -> float:
        """Start an attempt, without waiting for anything.

        Once `look` of the inquiry's connection says that all has arrived, `step` returns at once.
        Without a connection, `connect` may open one; or `step` does, and waits for the answer.

        Returns:
            0 if it has started, else the seconds after which to try again.
        """
        if inquiry.unclear is not None:
            return 0.0  # `step` asks for another task, and waits for it
        request = self._throttle.begin()
        if isinstance(request, float):
            return request
        inquiry.sent = self._clock()
        inquiry.request = request
        if inquiry.began is None:
            inquiry.began = inquiry.sent
        if not inquiry.needs_fresh_connection:
            inquiry.connection = self._transport.start(inquiry.question.path)
        return 0.0

    def connect(self, inquiry: Inquiry) -> Connection | None:
        """Open a connection for an attempt that `start` has found none for.

        Returns:
            The connection, whose `look` says when `step` may follow; None if that may wait.
        """
        if inquiry.unclear is None and not inquiry.needs_fresh_connection:
            try:
                inquiry.connection = self._transport.open(inquiry.question.path)
            except AttemptFailed as failure:
                inquiry.failure = failure
        return inquiry.connection

    def _fetch(self, inquiry: Inquiry, stop: threading.Event) -> Answer | None:
        while inquiry.unclear is not None or self._throttle.acquire(stop):
            inquiry.began = inquiry.began or self._clock()
            if (answer := self.step(inquiry)) is not None:
                return answer
            self.room.leave()
            self.pass_on()
            if stop.wait(inquiry.delay):
                break
        return None

    def pass_on(self) -> None:
        """Leave this thread's place to another: it asks for nothing more, or not at once."""
        self._throttle.pass_on()

    def step(self, inquiry: Inquiry) -> Answer | None:
        """Make the attempt whose turn it is; None if another one follows, after `inquiry.delay`.

        Raises:
            RunStopped: As `fetch`.
        """
        if inquiry.unclear is not None:
            attempt = self._witness.cleared_up(inquiry, inquiry.unclear)
            if inquiry.later is None:
                return self._answer(inquiry, attempt)
            inquiry.unclear, inquiry.delay = None, inquiry.later
            return None
        attempt = self._attempt(inquiry)
        inquiry.attempts += 1
        inquiry.is_stale = attempt.is_stale
        inquiry.stale += attempt.is_stale
        inquiry.status = attempt.http_status or inquiry.status
        outcome = attempt.verdict.outcome
        if outcome is Outcome.OTHER_TASK:
            inquiry.others.append(attempt.verdict.other_ids)
        if outcome is Outcome.GENERATION:
            inquiry.delay = None
            self._witness.let_in(inquiry)
        else:
            inquiry.delay = self._delay(inquiry, attempt)
        if inquiry.delay is None:
            return self._answer(inquiry, attempt)
        name, number = inquiry.question.name, inquiry.attempts
        logger.debug("%r: attempt %d: %s", name, number, attempt.message)
        return None

    def _delay(self, inquiry: Inquiry, attempt: Attempt) -> float | None:
        """Seconds until the next step; None if the attempt was the last, and it is clear."""
        now, witness = self._clock(), self._witness
        if attempt.verdict.concerns is not Concern.UNCLEAR:
            return self._policy.delay(inquiry, attempt, now)
        inquiry.note_unclear(now)
        delay = self._policy.delay(inquiry, attempt, now, witness.most_attempts(inquiry, attempt))
        if witness.can_tell(inquiry, attempt, is_last=delay is None):
            inquiry.unclear, inquiry.later, delay = attempt, delay, 0.0
        return delay

    def _ask_witness(self, task_id: str) -> tuple[Inquiry, Answer]:
        inquiry = Inquiry(self._question(task_id), is_probe=True)
        answer = self._fetch(inquiry, Event())
        if answer is None:  # pragma: no cover  nobody sets the event
            raise AssertionError
        return inquiry, answer

    def _answer(self, inquiry: Inquiry, attempt: Attempt) -> Answer:
        now, verdict = self._clock(), attempt.verdict
        return Answer(
            task_id=inquiry.question.name,
            outcome=verdict.outcome,
            http_status=inquiry.status,
            attempts=inquiry.attempts,
            elapsed_seconds=now - (inquiry.began or now),
            fetched_at=self._now(),
            body=attempt.body,
            message=verdict.message,
            status=verdict.status,
            concerns=verdict.concerns,
            base_url=self._base_url,
            api=self._api,
            mixed_up=self._mixed_up(attempt, inquiry.others) if inquiry.others else 0,
        )

    def _mixed_up(self, attempt: Attempt, others: list[tuple[str, ...]]) -> int:
        """How many of the answers that were not kept are about another task than the kept one."""
        is_kept = attempt.outcome is Outcome.GENERATION
        kept = attempt.verdict.other_ids if is_kept else None
        count = sum(ids != kept for ids in others)
        self._owners.note_mixed_up(count)
        return count

    def observe(self, answer: Answer) -> None:
        """Count an answer, whichever batch it belongs to.

        Raises:
            GatewayDown: Only failures have come for too long.
            WrongGateway: The first answers are all refusals, and the base URL is not known to work.
        """
        if answer.concerns is None:
            self._witness.remember(answer.task_id)
        self._patience.observe(answer, self._clock())
        if self._doubt.observe(answer):
            raise WrongGateway(
                f"the first {self._doubt.count} answers from {self._base_url} are all the same"
                f" refusal: {answer.message}. This base URL has never given a generation."
                f" {self.probe()} No task is given up: set `base_url` or LUMA_BASE_URL and start"
                " again."
            )

    def probe(self) -> str:
        """Request a made-up task ID once, and say whether the base URL may be wrong."""
        self._throttle.acquire(Event())
        with self.room.visit():
            inquiry = Inquiry(self._question(str(uuid4())), is_probe=True)
            verdict = self._attempt(inquiry).verdict
        return describe(self._base_url, verdict.outcome, verdict.concerns, verdict.message)

    def _attempt(self, inquiry: Inquiry) -> Attempt:
        """Make one request, and tell the throttle and the outage how it went."""
        request = inquiry.request
        if request is None:
            inquiry.sent = self._clock()
        sent = inquiry.sent
        sample = None
        try:
            attempt = self._exchange.make(inquiry)
            now = self._clock()
            sample = Sample(
                attempt.kind,
                now - sent,
                attempt.retry_after,
                attempt.is_out,
                attempt.announced,
                inquiry.refusals,
                now - inquiry.refused_at,
                attempt.http_status is not None,
            )
            inquiry.refusals = inquiry.refusals + 1 if sample.kind == "refused" else 0
            inquiry.refused_at = now
        finally:
            inquiry.request = inquiry.connection = inquiry.failure = None
            sample = sample or Sample("failed", 0.0, has_status=False)
            if request is None:
                self._throttle.release(sample)
            else:
                self._throttle.end(request, sample)
        outcome = attempt.verdict.outcome
        if self._on_attempt is not None:
            self._on_attempt(outcome.value, sample.latency)
        self._policy.observe(outcome, self._clock())
        return attempt
