"""A request as the throttle sees it: how it started, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["good", "refused", "failed"]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A request under way; equal to itself alone.

    Attributes:
        number: From 1, in the order of starting.
        sent_at: Seconds of the throttle's clock.
        in_flight: Requests under way when it started, itself included.
        in_place: Those of them that are no strays.
    """

    number: int
    sent_at: float
    in_flight: int
    in_place: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What one request told of the gateway's state.

    Attributes:
        kind: `good` (any answer that shows the gateway at ease, a 404 too), `refused` (429 or 503),
            `failed` (other 5xx, a timeout, a broken connection).
        latency: Seconds from sending to the end of the answer.
        retry_after: Seconds that the gateway asked to wait, if it did.
    """

    kind: Kind
    latency: float
    retry_after: float | None = None
