"""A request as the throttle sees it: its start and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from connector.gateway.pace.announced import Announced

Kind: TypeAlias = Literal["good", "refused", "failed"]


class Request(NamedTuple):
    """A request in flight.

    Attributes:
        number: From 1, in order of start.
        sent_at: Seconds of the throttle's clock.
        in_flight: Requests in flight when it started, itself included.
        in_place: Requests in flight without the strays.
    """

    number: int
    sent_at: float
    in_flight: int
    in_place: int


class Sample(NamedTuple):
    """What one request says about the gateway's state.

    Attributes:
        kind: `good` (any answer of a working gateway, a 404 too), `refused` (429 or 503),
            `failed` (other 5xx, a timeout, a broken connection).
        latency: Seconds from sending to the end of the answer.
        retry_after: Seconds the gateway asked to wait; None if it did not.
        is_out: Whether a refusal is the gateway's state, and its `retry_after` holds for all.
        announced: What the answer says of a rate limit.
        refusals: How often the same task was refused before, in a row.
        refused_for: Seconds since the last of those refusals.
        has_status: Whether an answer began to arrive: no limit held back a request that failed so.
    """

    kind: Kind
    latency: float
    retry_after: float | None = None
    is_out: bool = False
    announced: Announced | None = None
    refusals: int = 0
    refused_for: float = 0.0
    has_status: bool = True
