"""Refusals before a request is served: because of its address, its key, the account or a limit."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from connector.sandbox.addresses import Paths, wrong_path
from connector.sandbox.limits import make_limit
from connector.sandbox.refusals import refuse
from connector.sandbox.replies import Reply, http_date, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.sandbox.choices import RateHeaders
    from connector.sandbox.counters import Counters
    from connector.sandbox.incoming import Request
    from connector.sandbox.limits import Standing
    from connector.sandbox.replies import Headers
    from connector.sandbox.settings import SandboxSettings

# Statuses of refusals because of a limit.
COME_BACK = (429, 503)
_BILLION = "1000000000"


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
        fields = _FORMS[form](self._limit.standing(now), self._wall_clock())
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


def _x(limit: object, remaining: object, reset: object) -> Headers:
    values = {"Limit": limit, "Remaining": remaining, "Reset": reset}
    return tuple((f"X-RateLimit-{name}", str(value)) for name, value in values.items())


def _draft_03(standing: Standing, _epoch: float) -> Headers:
    return (
        ("RateLimit-Limit", f"{standing.most}, {standing.most};w={_window(standing)}"),
        ("RateLimit-Remaining", str(standing.left)),
        ("RateLimit-Reset", str(_reset(standing))),
    )


def _draft_07(standing: Standing, _epoch: float) -> Headers:
    value = f"limit={standing.most}, remaining={standing.left}, reset={_reset(standing)}"
    return (("RateLimit-Policy", f"{standing.most};w={_window(standing)}"), ("RateLimit", value))


def _draft_10(standing: Standing, _epoch: float) -> Headers:
    return (
        ("RateLimit-Policy", f'"default";q={standing.most};w={_window(standing)}'),
        ("RateLimit", f'"default";r={standing.left};t={_reset(standing)}'),
    )


def _window(standing: Standing) -> int:
    return max(1, math.ceil(standing.window))


def _reset(standing: Standing) -> int:
    return math.ceil(standing.reset)


# Header fields that announce a rate limit, as gateways write them; the last two lie.
_FORMS: Mapping[RateHeaders, Callable[[Standing, float], Headers]] = {
    "none": lambda _standing, _epoch: (),
    "x-seconds": lambda s, _epoch: _x(s.most, s.left, _reset(s)),
    "x-epoch": lambda s, epoch: _x(s.most, s.left, math.ceil(epoch + s.reset)),
    "x-epoch-ms": lambda s, epoch: _x(s.most, s.left, math.ceil(1e3 * (epoch + s.reset))),
    "x-date": lambda s, epoch: _x(s.most, s.left, http_date(math.ceil(epoch + s.reset))),
    "draft-03": _draft_03,
    "draft-07": _draft_07,
    "draft-10": _draft_10,
    "always-empty": lambda s, _epoch: _x(s.most, 0, 60),
    "endless": lambda _standing, _epoch: _x(_BILLION, _BILLION, _BILLION),
}
