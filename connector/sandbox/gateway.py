"""The API without sockets: takes a request, returns an answer and its delay."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from connector.sandbox import agents, dialects, faults, many
from connector.sandbox.addresses import MANY, Paths, missing_task, wrong_path
from connector.sandbox.admission import COME_BACK, Admission
from connector.sandbox.counters import Counters
from connector.sandbox.dialects import View
from connector.sandbox.draws import Draws, pick
from connector.sandbox.kinds import Case
from connector.sandbox.limits import Workers
from connector.sandbox.listing import list_page
from connector.sandbox.progress import Now, Progress
from connector.sandbox.refusals import not_now
from connector.sandbox.replies import Pause, Reply, Script, error_reply
from connector.sandbox.spellings import spelling
from connector.sandbox.tasks import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from connector.sandbox.incoming import Request
    from connector.sandbox.kinds import Kind
    from connector.sandbox.settings import SandboxSettings
    from connector.sandbox.tasks import Phase, Task

_FAULTS_IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send after `delay` seconds; `on_end` runs when it is sent or the client gone."""

    reply: Reply | Script
    delay: float = 0.0
    on_end: Callable[[], None] | None = None


class Gateway:
    """Answers requests according to its settings, and counts them.

    The settings can change at any time. `clock` is steady, `wall_clock` counts from the epoch; both
    return seconds.
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
        """Take new settings; this restarts the rate limit and the queue, but no task."""
        self.settings = settings
        self._paths = Paths(settings.base_path)
        self._admission = Admission(settings, self._paths, self.counters, self._wall_clock)
        self._workers = Workers(settings.workers)
        self._listed: list[str] | None = None

    def reset(self) -> None:
        """Restore the initial settings; forget all counts and the progress of all tasks."""
        self.change(self._initial)
        self.counters.reset()
        self._progress = Progress()

    def answer(self, request: Request) -> Answer:
        """Answer a request to the API."""
        now = self._clock()
        self.counters.started(now)
        task_id = self._paths.task_id(request.path)
        if task_id is not None and self.settings.count_task_ids:
            self.counters.by_task_id[task_id] += 1
        reply: Reply | Script | None = self._admission.refusal(request, now)
        delay = 0.0
        if reply is None:
            reply, delay = self._serve(request, task_id, now)
        elif self.settings.refusals_take and reply.status in COME_BACK:
            delay = self._delay(request.path, self.counters.requests, now)
        if isinstance(reply, Reply):
            reply = self._admission.announced(reply, now)
        self.counters.answered(reply.status)
        return Answer(reply, delay, self.counters.ended)

    def answer_elsewhere(self, request: Request) -> Answer:
        """Answer on the other port, where no request should arrive, least of all with a key."""
        self.counters.elsewhere += 1
        self.counters.elsewhere_with_key += "authorization" in request.headers
        task_id = self._paths.task_id(request.path)
        if task_id is None:
            return Answer(wrong_path(self.settings.wrong_path, request.method, request.path))
        return Answer(self._generation(task_id, self._clock()))

    def truth(self, task_id: str) -> dict[str, Any]:
        """The facts about a task, whatever its answers say; asking changes nothing."""
        return self._progress.truth(task_id, self.settings, self._now(self._clock()))

    def _serve(
        self, request: Request, task_id: str | None, now: float
    ) -> tuple[Reply | Script, float]:
        if request.path == self._paths.many:
            attempt = self._progress.begin_attempt(MANY)
            reply = self._about_many(request, attempt, now)
            return reply, self._delay(MANY, attempt, now)
        if request.path == self._paths.listing:
            return self._listing(request.query, now), self._delay("", 0, now)
        if task_id is None:
            return wrong_path(self.settings.wrong_path, request.method, request.path), 0.0
        attempt = self._progress.begin_attempt(task_id)
        return self._one(request, task_id, attempt, now), self._delay(task_id, attempt, now)

    def _one(self, request: Request, task_id: str, attempt: int, now: float) -> Reply | Script:
        if task_id in self.settings.fixtures:
            return Reply(200, self.settings.fixtures[task_id])
        order = faults.order(task_id)
        if isinstance(order, Reply):
            return order
        if order:
            return self._bad(order.kind_at(attempt), task_id, request)
        if postponed := not_now(task_id, attempt, self.settings):
            name, reply = postponed
            self.counters.faults[f"not-now {name}"] += 1
            return reply
        kind = self._transient(task_id, attempt)
        if kind and kind is not faults.SLOW:
            return self._bad(kind, task_id, request)
        reply = self._generation(task_id, now, is_agents=self._paths.is_agents(request.path))
        return self._slowly(reply) if kind else reply

    def _about_many(self, request: Request, attempt: int, now: float) -> Reply | Script:
        settings = self.settings
        if settings.batch == "500":
            return error_reply(500, "internal error", "server", None)
        task_ids = many.ids_of(request.body)
        if task_ids is None:
            return many.invalid()
        if settings.count_task_ids:
            self.counters.by_task_id.update(task_ids)
        if 0 < settings.batch_most < len(task_ids):
            return many.too_many(settings)
        kind = self._transient(MANY, attempt)
        if kind and kind is not faults.SLOW:
            return self._bad(kind, MANY, request)
        reply = many.render_many(self._known(dict.fromkeys(task_ids), now), settings)
        return self._slowly(reply) if kind else reply

    def _known(self, task_ids: Iterable[str], now: float) -> list[View]:
        """Tasks that an answer about many holds."""
        settings, moment = self.settings, self._now(now)
        known = []
        for task_id in task_ids:
            is_odd = task_id in settings.fixtures or faults.order(task_id)
            is_later = settings.not_now != "none"
            if is_odd or is_later or many.is_left_out(task_id, settings):
                continue
            task = self._progress.task(task_id, settings, moment)
            if not task.is_missing:
                known.append(self._poll(task, moment))
        return known

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
        """The ID's regular answer, but late."""
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

    def _now(self, now: float) -> Now:
        return Now(now, self._wall_clock())

    def _generation(self, task_id: str, now: float, *, is_agents: bool = False) -> Reply:
        settings, moment = self.settings, self._now(now)
        task = self._progress.task(task_id, settings, moment)
        if task.is_missing:
            return missing_task(settings.missing_as, task)
        view = self._poll(task, moment)
        body = agents.agents_body(view) if is_agents else dialects.render_body(view)
        # Not encode_json(): this saves a quarter of the time of a good answer.
        return Reply(200, orjson.dumps(body))

    def _poll(self, task: Task, moment: Now) -> View:
        phase = self._progress.phase(task, self.settings, moment)
        self._progress.count_poll(task)
        resigned_at = datetime.fromtimestamp(moment.wall, UTC) if self.settings.resign else None
        return View(task, phase, self.settings, resigned_at or task.signed_at)

    def _listing(self, query: str, now: float) -> Reply:
        settings, moment = self.settings, self._now(now)
        if self._listed is None:
            tasks = [describe(task_id, settings) for task_id in settings.listing]
            tasks.sort(key=lambda task: task.created_at, reverse=True)
            self._listed = [task.task_id for task in tasks]

        def look(task_id: str) -> tuple[Task, Phase]:
            task = self._progress.task(task_id, settings, moment)
            return task, self._progress.phase(task, settings, moment)

        return list_page(
            self._listed, query, look, spelling(settings), settings.listing_fails_after
        )
