"""Header fields that announce a rate limit, as gateways write them, and two that lie."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from connector.sandbox.replies import http_date

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connector.sandbox.choices import RateHeaders
    from connector.sandbox.limits import Standing
    from connector.sandbox.replies import Headers

_BILLION = "1000000000"


def rate_fields(form: RateHeaders, standing: Standing, epoch: float) -> Headers:
    """The fields for an answer that is sent at `epoch`, in seconds."""
    return _FORMS[form](standing, epoch)


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
