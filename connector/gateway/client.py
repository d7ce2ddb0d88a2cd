"""Requests one task ID from the gateway, with retries, and returns the answer."""

from __future__ import annotations

import logging
import random
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit
from uuid import uuid4

from connector.errors import AccountRefused, KeyRefused, WaitTooLong, WrongGateway
from connector.gateway.apis import PATHS, key_hint
from connector.gateway.attempt import DOWN, Attempt, about_another, from_failure
from connector.gateway.batch import Batches, body_bytes
from connector.gateway.bounds import Bounds
from connector.gateway.credentials import checked_base_url, checked_key
from connector.gateway.doubt import Doubt, describe
from connector.gateway.failure import AttemptFailed
from connector.gateway.inquiry import Inquiry
from connector.gateway.pace.announced import read_announced
from connector.gateway.pace.throttle import Sample
from connector.gateway.patience import Patience
from connector.gateway.question import BatchQuestion, Question
from connector.gateway.redact import Redactor
from connector.gateway.retry import Backoff, FailureStreak
from connector.gateway.room import Room
from connector.gateway.transport import LISTEN_SECONDS, Transport, as_target
from connector.gateway.whose import MOST_ASKED, Owners
from connector.record.answer import Answer, Concern, Outcome
from connector.version import VERSION

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

    from pydantic import SecretStr

    from connector.gateway.pace.throttle import Throttle
    from connector.gateway.transport import Sent

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]+")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """How to ask one gateway.

    Attributes:
        base_url: Scheme and host, perhaps with a path in front of `/dream-machine`.
        key: Sent as a bearer token, to this host only.
        connect_timeout: Seconds to connect to one address of the host.
        read_timeout: Seconds without a byte after which an attempt fails.
        total_timeout: Seconds from a request to the end of its answer.
        max_body_bytes: Limit of a decompressed body; a larger one is rejected.
        max_attempts: Attempts at one task ID, the first included.
        backoff_base: Seconds; see `Backoff`.
        backoff_cap: Seconds; see `Backoff`.
        max_wait: A Retry-After of more seconds than this stops the run.
        max_outage: After so many seconds without a good answer nothing is tried twice any more.
        max_failures_in_row: So many task IDs that fail in a row stop the run; see `Patience`.
        max_downtime: Seconds of that which stop it too.
        max_connections: Kept open for the next request: as many as there are threads.
        ids_per_request: Task IDs that are asked for at once, if the gateway takes so many.
        api: `dream-machine` or `agents`.
        key_place: Where a person sets the key, for messages.
        user_agent: As the gateway is told.
    """

    base_url: str
    key: SecretStr
    connect_timeout: float
    read_timeout: float
    total_timeout: float
    max_body_bytes: int
    max_attempts: int
    backoff_base: float = 0.5
    backoff_cap: float = 30.0
    max_wait: float
    max_outage: float = 60.0
    max_failures_in_row: int = 50
    max_downtime: float = 120.0
    max_connections: int
    ids_per_request: int = 1
    api: str = "dream-machine"
    key_place: str = "LUMAAI_API_KEY"
    user_agent: str = f"luma-to-parquet/{VERSION}"


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
        self._settings = settings
        self._base_url = checked_base_url(settings.base_url)
        self._path = as_target(urlsplit(self._base_url).path) + PATHS[settings.api]
        self.room = Room()
        bounds = _bounds(settings, self.room)
        self._transport = Transport(
            self._base_url, _headers(key, settings), bounds, settings.max_connections
        )
        self.batches = Batches(self._base_url, settings.ids_per_request)
        self._batch_transport = _batch_transport(self._base_url, key, settings, bounds)
        self._backoff = Backoff(
            settings.backoff_base, settings.backoff_cap, settings.max_attempts, draw
        )
        self._redactor = Redactor(key)
        self._key_place = settings.key_place
        self._key_hint = key_hint(key, settings.api)
        self._throttle = throttle
        self._outage = FailureStreak()
        self._patience = Patience(settings.max_failures_in_row, settings.max_downtime)
        self._doubt = Doubt()
        self._owners = Owners()
        self._is_first_attempt = True
        self._clock = clock
        self._now = now
        self._on_attempt = on_attempt

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def trust(self) -> None:
        """Trust the base URL: it has given a generation before."""
        self._doubt.dispel()

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
        return self._fetch(self._question(task_id), stop)

    def fetch_batch(self, task_ids: Sequence[str], stop: threading.Event) -> Answer | None:
        """Ask for many task IDs in one request, as persistently as for one.

        Returns:
            The whole answer, for `connector.gateway.batch` to read; a generation if it holds a
            list of them. None as from `fetch`.

        Raises:
            RunStopped: As `fetch`.
        """
        if self._batch_transport is None:
            raise ValueError("the client was not made to ask for many at once")
        path = as_target(urlsplit(self._base_url).path)
        return self._fetch(BatchQuestion.of(task_ids, self._batch_transport, path), stop)

    def fetch_listing(self, limit: int, offset: int, stop: threading.Event) -> Answer | None:
        """Request a page of the gateway's list of generations, with the retries of `fetch`.

        Args:
            limit: Generations on the page.
            offset: Generations before the page.
            stop: As for `fetch`.

        Returns:
            The answer, whose body is the page if all is well; None as from `fetch`.

        Raises:
            RunStopped: As for `fetch`.
        """
        path = f"{self._path}?limit={limit}&offset={offset}"
        name = f"the list from {offset:,} on"
        question = Question(self._transport, path, name, is_list=True)
        with self.room.visit():
            return self._fetch(question, stop)

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
        Without a connection, it opens one.

        Returns:
            0 if it has started, else the seconds after which to try again.
        """
        request = self._throttle.begin()
        if isinstance(request, float):
            return request
        inquiry.sent = self._clock()
        inquiry.request = request
        if inquiry.began is None:
            inquiry.began = inquiry.sent
        # In doubt about whose an answer is, no connection is used twice.
        if not inquiry.others and not inquiry.is_stale:
            inquiry.connection = self._transport.start(inquiry.question.path)
        return 0.0

    def _fetch(self, question: Question, stop: threading.Event) -> Answer | None:
        inquiry = Inquiry(question)
        while self._throttle.acquire(stop):
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
        else:
            counted = inquiry.attempts - inquiry.stale
            inquiry.delay = self._delay(counted, attempt, len(inquiry.others))
        if inquiry.delay is None:
            return self._answer(inquiry, attempt)
        name, number = inquiry.question.name, inquiry.attempts
        logger.debug("%r: attempt %d: %s", name, number, attempt.message)
        return None

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
            api=self._settings.api,
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
        self._patience.observe(answer, self._clock())
        if self._doubt.observe(answer):
            raise WrongGateway(
                f"the first {self._doubt.count} answers from {self._base_url} are all the same"
                f" refusal: {answer.message}. This base URL has never given a generation."
                f" {self.probe()} No task is given up: set LUMA_BASE_URL or --base-url and start"
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
        sent = self._clock() if request is None else inquiry.sent
        sample = None
        try:
            attempt = self._ask(inquiry)
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
            inquiry.request = inquiry.connection = None
            sample = sample or Sample("failed", 0.0, has_status=False)
            if request is None:
                self._throttle.release(sample)
            else:
                self._throttle.end(request, sample)
        outcome = attempt.verdict.outcome
        if self._on_attempt is not None:
            self._on_attempt(outcome.value, sample.latency)
        self._outage.add(failed=outcome in DOWN, now=self._clock())
        return attempt

    def _ask(self, inquiry: Inquiry) -> Attempt:
        question, others = inquiry.question, inquiry.others
        try:
            sent = question.send(
                is_fresh=bool(others) or inquiry.is_stale, started=inquiry.connection
            )
        except AttemptFailed as failure:
            attempt = from_failure(failure)
        else:
            now = self._now()
            with self.room.turn(len(sent.reply.body)):
                reply = self._redactor.reply(sent.reply)
                attempt = question.read(reply, now)
            if announced := read_announced(reply.headers, now):
                attempt = replace(attempt, announced=announced)
            if not inquiry.is_probe and not self._is_its_own(question, attempt, others, sent):
                attempt = about_another(attempt)
                sent.connection.close()
            elif self._owners.are_confused:
                sent.connection.close()
            else:
                sent.connection.has_given |= attempt.verdict.outcome is Outcome.GENERATION
                question.transport.keep(sent)
        if (message := attempt.verdict.message) is not None:
            message = self._redactor.message(message)
            attempt = replace(attempt, verdict=replace(attempt.verdict, message=message))
        if self._is_first_attempt:
            self._hint(attempt)
        return attempt

    def _is_its_own(
        self, question: Question, attempt: Attempt, others: list[tuple[str, ...]], sent: Sent
    ) -> bool:
        """Whether an answer is about what was asked, for all that is known."""
        if ids := attempt.verdict.other_ids:
            connection = sent.connection
            # What came first over a connection may still be followed by the answer.
            is_first = not connection.has_given and self._owners.are_unknown
            is_first = is_first and connection.is_silent(LISTEN_SECONDS)
            return self._owners.owns(question.name, ids, others, is_first=is_first)
        if attempt.verdict.outcome is Outcome.GENERATION:
            self._owners.has_matched = True
        return True

    def _hint(self, attempt: Attempt) -> None:
        """Warn at once of a wrong host or certificate, while attempts continue."""
        if attempt.http_status is None:
            logger.warning("%s", attempt.message)
        self._is_first_attempt = False

    def _delay(self, number: int, attempt: Attempt, others: int) -> float | None:
        """Seconds until the next attempt; None if there is none.

        What may be another task's, or was not seen by the gateway, is asked for again at once,
        however few attempts there may be.
        """
        if attempt.is_stale:
            return 0.0
        self._stop_if_hopeless(attempt)
        if attempt.retry_after is not None and attempt.retry_after > self._settings.max_wait:
            raise self._wait_too_long(attempt.retry_after, attempt)
        if not attempt.is_worth_retrying or self._is_down():
            return None
        if attempt.outcome is Outcome.OTHER_TASK and others <= MOST_ASKED:
            return 0.0
        number -= min(others, MOST_ASKED)
        return self._backoff.delay(max(1, number), attempt.retry_after)

    def _stop_if_hopeless(self, attempt: Attempt) -> None:
        """Stop the run at an answer that every task would get."""
        concerns = attempt.verdict.concerns
        if concerns is Concern.KEY:
            raise KeyRefused(
                f"{self._base_url} refused the key ({attempt.message}). Set"
                f" {self._key_place} to a valid one and start again; what was fetched is kept."
                f"{self._key_hint}"
            )
        if concerns is Concern.ACCOUNT:
            raise AccountRefused(
                f"{self._base_url} refuses the account for every task ({attempt.message}). Top up"
                " or unblock the account, or ask the gateway's operator to let this program in, and"
                " start again; no task is given up, and what was fetched is kept."
            )

    def _is_down(self) -> bool:
        """Whether no good answer has come for too long to retry."""
        return (
            self._outage.length >= self._settings.max_attempts
            and self._outage.seconds(self._clock()) > self._settings.max_outage
        )

    def _wait_too_long(self, seconds: float, attempt: Attempt) -> WaitTooLong:
        resume = self._now() + timedelta(seconds=seconds)
        return WaitTooLong(
            f"{self._base_url} asks to wait {seconds:,.0f} s ({attempt.message}); a run waits "
            f"at most {self._settings.max_wait:,.0f} s (--max-wait). Start again after "
            f"{resume.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC; what was fetched is kept."
        )


def _headers(key: str, settings: ClientSettings) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}",
        "Accept": "application/json",
        # The coding that `body` decompresses within a bound.
        "Accept-Encoding": "gzip",
        "User-Agent": settings.user_agent,
    }


def _batch_transport(
    base_url: str, key: str, settings: ClientSettings, bounds: Bounds
) -> Transport | None:
    """Connections of their own, whose answers may be as large as many together."""
    if settings.ids_per_request == 1:
        return None
    most = body_bytes(settings.max_body_bytes, settings.ids_per_request)
    headers = {**_headers(key, settings), "Content-Type": "application/json"}
    bounds = replace(bounds, body_bytes=most)
    return Transport(base_url, headers, bounds, settings.max_connections)


def _bounds(settings: ClientSettings, room: Room) -> Bounds:
    return Bounds(
        connect_seconds=settings.connect_timeout,
        silent_seconds=settings.read_timeout,
        total_seconds=settings.total_timeout,
        body_bytes=settings.max_body_bytes,
        room=room,
    )
