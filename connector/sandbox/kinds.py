"""Kinds of bad answers, and what they know about the request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from connector.sandbox import generations
from connector.sandbox.replies import JSON, Reply, Script, encode_json
from connector.sandbox.tasks import Phase, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connector.sandbox.replies import Headers, Step
    from connector.sandbox.settings import SandboxSettings


class Group(StrEnum):
    """The part of an answer that is bad."""

    STATUS = "status"
    BODY = "body"
    WIRE = "wire"
    VALUES = "values"


@dataclass(frozen=True)
class Case:
    """A request that gets a bad answer.

    Attributes:
        task_id: As requested.
        url: URL of the request, without a query.
        elsewhere_url: The same on another port, which counts requests.
        is_redirected: Whether this request follows `redirect-same-host`.
        now: Seconds since the epoch.
        settings: The sandbox's.
    """

    task_id: str
    url: str
    elsewhere_url: str
    is_redirected: bool
    now: float
    settings: SandboxSettings

    @cached_property
    def generation(self) -> dict[str, Any]:
        """A completed generation in the documented shape, with the requested ID."""
        task = replace(describe(self.task_id, self.settings), failure_reason=None)
        return generations.gateway_body(task, Phase.COMPLETED, task.signed_at, is_vip=True)

    @property
    def body(self) -> bytes:
        """That generation as JSON."""
        return encode_json(self.generation)

    def body_with(self, field: str, value: bytes) -> bytes:
        """That generation with the bytes of `value`, JSON or not, as a field's value."""
        fields = {**self.generation, field: "\0"}
        return encode_json(fields).replace(b'"\\u0000"', value)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of answer that clients must be ready for.

    Attributes:
        name: In a task ID, `bad-<name>-<anything>`.
        group: The part that is bad.
        about: What it does, in a few words.
        status: The status that the client sees, if any.
        answer: Builds the answer.
        is_generation: Whether a careful client gets a generation from it; None if both accepting
            and refusing it is sound.
        ends: Whether the answer ends by itself; otherwise the client's limits must end it.
    """

    name: str
    group: Group
    about: str
    status: int | None
    answer: Callable[[Case], Reply | Script]
    is_generation: bool | None = False
    ends: bool = True


Fields: TypeAlias = "dict[str, Any]"


def good(*kinds: Kind) -> tuple[Kind, ...]:
    """Kinds from which a careful client gets a generation."""
    return tuple(replace(kind, is_generation=True) for kind in kinds)


def either(*kinds: Kind) -> tuple[Kind, ...]:
    """Kinds that a careful client may accept or refuse."""
    return tuple(replace(kind, is_generation=None) for kind in kinds)


def fixed(group: Group, name: str, about: str, reply: Reply) -> Kind:
    """A kind with the same answer for every ID."""
    return Kind(name, group, about, reply.status, lambda _: reply)


def body(name: str, about: str, make: Callable[[Case], bytes], headers: Headers = JSON) -> Kind:
    """A kind that answers 200 with an odd body."""
    return Kind(name, Group.BODY, about, 200, lambda case: Reply(200, make(case), headers))


def wire(
    name: str,
    about: str,
    play: Callable[[Case], Iterable[Step]],
    *,
    status: int | None = 200,
    ends: bool = True,
) -> Kind:
    """A kind that sends odd bytes."""

    def answer(case: Case) -> Script:
        return Script(status, iter(play(case)))

    return Kind(name, Group.WIRE, about, status, answer, ends=ends)


def values(name: str, about: str, change: Callable[[Fields], Fields]) -> Kind:
    """A kind that answers a well-formed generation with odd values."""

    def answer(case: Case) -> Reply:
        return Reply(200, encode_json(change(case.generation)))

    return Kind(name, Group.VALUES, about, 200, answer, is_generation=True)
