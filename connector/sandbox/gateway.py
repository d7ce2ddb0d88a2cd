"""The API itself, without a socket: a request in, an answer and its delay out."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

import orjson

from connector.sandbox import faults, generations
from connector.sandbox.counters import Counters
from connector.sandbox.draws import Draws, pick
from connector.sandbox.kinds import Case
from connector.sandbox.limits import TokenBucket, Workers
from connector.sandbox.replies import Pause, Reply, Script, html_reply, http_date, json_reply
from connector.sandbox.tasks import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.sandbox.incoming import Request
    from connector.sandbox.kinds import Kind
    from connector.sandbox.settings import SandboxSettings
    from connector.sandbox.tasks import Phase, Task

ROOT = "/dream-machine/v1/generations"

_LISTING_LIMIT = 10
_LISTING_LIMIT_MOST = 100
_FAULTS_IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send, after how many seconds, and whom to tell when it is out or its client gone."""

    reply: Reply | Script
    delay: float = 0.0
    on_end: Callable[[], None] | None = None


class Gateway:
    """Answers as the settings say, and counts.

    The settings may be replaced at any time. Both clocks return seconds: a steady one, and one
    since the epoch.
    """

    def __init__(
        self,
        settings: SandboxSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.counters = Counters()
        # Known once a server listens.
        self.url = self.elsewhere_url = ""
        self._clock = clock
        self._wall_clock = wall_clock
        self._initial = settings
        self.reset()

    def change(self, settings: SandboxSettings) -> None:
        """Take new settings; rate limit and queue start afresh, no ID starts over."""
        self.settings = settings
        self._bucket = TokenBucket(settings.rate_limit, settings.burst)
        self._workers = Workers(settings.workers)
        self._listed: list[Task] | None = None

    def reset(self) -> None:
        """Be as at the start: in settings, counts and what is known of each ID."""
        self.change(self._initial)
        self.counters.reset()
        self._attempts: defaultdict[str, int] = defaultdict(int)
        self._polls: defaultdict[str, int] = defaultdict(int)
        self._first_asked_at: dict[str, float] = {}

    def answer(self, request: Request) -> Answer:
        """Answer a request to the API."""
        now = self._clock()
        self.counters.started(now)
        task_id = _task_id(request.path)
        if task_id is not None and self.settings.count_task_ids:
            self.counters.by_task_id[task_id] += 1
        reply: Reply | Script | None = self._refusal(request, now)
        delay = 0.0
        if reply is None:
            reply, delay = self._serve(request, task_id, now)
        self.counters.answered(reply.status)
        return Answer(reply, delay, self.counters.ended)

    def answer_elsewhere(self, request: Request) -> Answer:
        """Answer on the other port, where no request should arrive and no key ever."""
        self.counters.elsewhere += 1
        self.counters.elsewhere_with_key += "authorization" in request.headers
        task_id = _task_id(request.path)
        return Answer(html_reply(404, "404") if task_id is None else self._generation(task_id, 0.0))

    def _refusal(self, request: Request, now: float) -> Reply | None:
        settings = self.settings
        if not (request.path == ROOT or request.path.startswith(ROOT + "/")):
            return html_reply(404, "404 Not Found")
        if request.method != "GET":
            return json_reply(405, {"detail": "Method Not Allowed"}, ("Allow", "GET"))
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key or settings.key not in ("", key):
            return json_reply(401, {"detail": "Not authenticated"})
        if settings.max_concurrent and self.counters.in_flight > settings.max_concurrent:
            return self._come_back(settings.overload_status, 1)
        wait = self._bucket.take(now)
        return self._come_back(429, wait) if wait else None

    def _come_back(self, status: int, wait: float) -> Reply:
        """Refuse for now; Retry-After has whole seconds, so it rounds up."""
        if self.settings.retry_after == "none":
            return Reply(status, b"", ())
        value = str(math.ceil(wait))
        if self.settings.retry_after == "date":
            value = http_date(math.ceil(self._wall_clock() + wait))
        return json_reply(status, {"detail": "Too many requests"}, ("Retry-After", value))

    def _serve(
        self, request: Request, task_id: str | None, now: float
    ) -> tuple[Reply | Script, float]:
        if request.path == ROOT:
            return self._listing(request.query, now), self._delay("", 0, now)
        if task_id is None:
            return html_reply(404, "404 Not Found"), 0.0
        self._attempts[task_id] += 1
        attempt = self._attempts[task_id]
        return self._one(request, task_id, attempt, now), self._delay(task_id, attempt, now)

    def _one(self, request: Request, task_id: str, attempt: int, now: float) -> Reply | Script:
        if task_id in self.settings.fixtures:
            return Reply(200, self.settings.fixtures[task_id])
        order = faults.order(task_id)
        if isinstance(order, Reply):
            return order
        if order:
            return self._bad(order.kind_at(attempt), task_id, request)
        kind = self._transient(task_id, attempt)
        if kind and kind is not faults.SLOW:
            return self._bad(kind, task_id, request)
        reply = self._generation(task_id, now)
        return self._slowly(reply) if kind else reply

    def _delay(self, task_id: str, attempt: int, now: float) -> float:
        settings = self.settings
        if not settings.latency:
            return 0.0
        share = Draws(settings.seed, task_id).shares(f"latency {attempt}")[0]
        return self._workers.delay(now, settings.latency * (1 + settings.jitter * (2 * share - 1)))

    def _transient(self, task_id: str, attempt: int) -> Kind | None:
        share = self.settings.fault_share
        if not share or attempt % (_FAULTS_IN_A_ROW + 1) == 0:
            return None
        is_faulty, kind, *_ = Draws(self.settings.seed, task_id).shares(f"fault {attempt}")
        return pick(faults.TRANSIENT, kind) if is_faulty < share else None

    def _slowly(self, reply: Reply) -> Script:
        """The very answer that the ID would have got, late."""
        self.counters.faults[faults.SLOW.name] += 1
        return Script(reply.status, iter((Pause(self.settings.slow_seconds), reply.encode())))

    def _bad(self, kind: Kind, task_id: str, request: Request) -> Reply | Script:
        if kind is not faults.GOOD:
            self.counters.faults[kind.name] += 1
        return kind.answer(
            Case(
                task_id=task_id,
                url=self.url + request.path,
                elsewhere_url=self.elsewhere_url + request.path,
                is_redirected=request.query == "redirected",
                now=self._wall_clock(),
                settings=self.settings,
            )
        )

    def _generation(self, task_id: str, now: float) -> Reply:
        settings = self.settings
        task = describe(task_id, settings)
        if task.is_missing:
            return json_reply(404, {"detail": "Generation not found"})
        phase = self._phase(task, now)
        if task.is_unfinished:
            self._polls[task_id] += 1
        signed_at = task.signed_at
        if settings.resign:
            signed_at = datetime.fromtimestamp(self._wall_clock(), UTC)
        body = generations.render(task, phase, settings, signed_at)
        # Not encode_json(): a quarter of the time that a good answer takes is saved here.
        return Reply(200, orjson.dumps(body))

    def _phase(self, task: Task, now: float) -> Phase:
        if self.settings.finish_after:
            first = self._first_asked_at.setdefault(task.task_id, now)
            return task.phase_after_seconds(now - first)
        return task.phase_after_polls(self._polls.get(task.task_id, 0))

    def _listing(self, query: str, now: float) -> Reply:
        """The official listing, newest first; being listed is no poll."""
        try:
            limit, offset = _page(query)
        except ValueError as exc:
            return json_reply(422, {"detail": str(exc)})
        if self._listed is None:
            tasks = [describe(task_id, self.settings) for task_id in self.settings.listing]
            self._listed = sorted(tasks, key=lambda task: task.created_at, reverse=True)
        page = self._listed[offset : offset + limit]
        listed = {
            "generations": [generations.official(task, self._phase(task, now)) for task in page],
            "count": len(page),
            "has_more": offset + limit < len(self._listed),
            "limit": limit,
            "offset": offset,
        }
        return json_reply(200, listed)


def _page(query: str) -> tuple[int, int]:
    asked = dict(parse_qsl(query))
    limit, offset = int(asked.get("limit", _LISTING_LIMIT)), int(asked.get("offset", 0))
    if not (1 <= limit <= _LISTING_LIMIT_MOST and offset >= 0):
        raise ValueError(f"limit is from 1 to {_LISTING_LIMIT_MOST}, offset from 0")
    return limit, offset


def _task_id(path: str) -> str | None:
    """The ID in a path; None if the path has none, or one that is not UTF-8."""
    encoded = path.removeprefix(ROOT + "/")
    if encoded in ("", path) or "/" in encoded:
        return None
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        return None
