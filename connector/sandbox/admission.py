"""Refusals before a request is served: because of its address, its key, the account or a limit."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from connector.sandbox.addresses import Paths, wrong_path
from connector.sandbox.limits import make_limit
from connector.sandbox.rate_fields import rate_fields
from connector.sandbox.refusals import refuse
from connector.sandbox.replies import Reply, http_date, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.sandbox.counters import Counters
    from connector.sandbox.incoming import Request
    from connector.sandbox.settings import SandboxSettings

# Statuses of refusals because of a limit.
COME_BACK = (429, 503)


class Admission:
    """Lets requests in, or refuses them. `wall_clock` returns seconds since the epoch."""

    def __init__(
        self,
        settings: SandboxSettings,
        paths: Paths,
        counters: Counters,
        wall_clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._counters = counters
        self._wall_clock = wall_clock
        self._before_refusal = settings.refusal_after
        self._limit = make_limit(settings)

    def refusal(self, request: Request, now: float) -> Reply | None:
        """The refusal of a request; None if it may be served. `now` is in seconds."""
        settings, path = self._settings, request.path
        is_many = path == self._paths.many and settings.batch != "no-path"
        if not (is_many or path == self._paths.listing or self._paths.is_one(path)):
            return wrong_path(settings.wrong_path, request.method, path)
        allowed = "POST" if is_many and settings.batch != "405" else "GET"
        if request.method != allowed:
            return json_reply(405, {"detail": "Method Not Allowed"}, ("Allow", allowed))
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key or settings.key not in ("", key):
            return json_reply(401, {"detail": "Not authenticated"})
        if reply := self._account_refusal():
            return reply
        if settings.max_concurrent and self._counters.in_flight > settings.max_concurrent:
            return self._come_back(settings.overload_status, 1)
        wait = self._limit.take(now)
        return self._come_back(429, wait) if wait else None

    def announced(self, reply: Reply, now: float) -> Reply:
        """A reply with the fields that announce the rate limit, if they are asked for."""
        form = self._settings.rate_headers
        if form == "none" or not self._settings.rate_limit:
            return reply
        fields = rate_fields(form, self._limit.standing(now), self._wall_clock())
        return replace(reply, headers=(*reply.headers, *fields))

    def _account_refusal(self) -> Reply | None:
        refusal = self._settings.refusal
        if refusal == "none":
            return None
        if self._before_refusal:
            self._before_refusal -= 1
            return None
        self._counters.faults[f"refusal {refusal}"] += 1
        return refuse(refusal, self._settings.refusal_wording)

    def _come_back(self, status: int, wait: float) -> Reply:
        """Refuse for now; Retry-After has whole seconds, so round up."""
        if self._settings.retry_after == "none":
            return Reply(status, b"", ())
        value = "0" if self._settings.retry_after == "zero" else str(math.ceil(wait))
        if self._settings.retry_after == "date":
            value = http_date(math.ceil(self._wall_clock() + wait))
        return json_reply(status, {"detail": "Too many requests"}, ("Retry-After", value))
