"""What a kind of bad answer is, and what it gets to know of the request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from connector.sandbox import generations
from connector.sandbox.replies import JSON, Reply, Script, encode_json
from connector.sandbox.tasks import Phase, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.sandbox.replies import Headers, Step
    from connector.sandbox.settings import SandboxSettings


class Group(StrEnum):
    """Where an answer goes wrong."""

    STATUS = "status"
    BODY = "body"
    WIRE = "wire"
    VALUES = "values"


@dataclass(frozen=True)
class Case:
    """A request that gets a bad answer.

    Attributes:
        task_id: As it was asked for.
        url: Of this request, with scheme and host, without a query.
        elsewhere_url: The same on another port, where a request that arrives is counted.
        is_redirected: Whether this is the request after `redirect-same-host`.
        now: Seconds since the epoch.
        settings: Of the sandbox.
    """

    task_id: str
    url: str
    elsewhere_url: str
    is_redirected: bool
    now: float
    settings: SandboxSettings

    @cached_property
    def generation(self) -> dict[str, Any]:
        """A completed generation in the documented shape, under the ID that was asked for."""
        task = replace(describe(self.task_id, self.settings), failure_reason=None)
        return generations.gateway(task, Phase.COMPLETED, task.signed_at, is_vip=True)

    @property
    def body(self) -> bytes:
        """That generation in JSON."""
        return encode_json(self.generation)

    def body_with(self, field: str, value: bytes) -> bytes:
        """That generation with the bytes of `value` as a field's value, be they JSON or not."""
        fields = {**self.generation, field: "\0"}
        return encode_json(fields).replace(b'"\\u0000"', value)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of answer to be prepared for.

    Attributes:
        name: In a task ID, `bad-<name>-<anything>`.
        group: Where it goes wrong.
        about: What it does, in a few words.
        status: That the client gets to see; None if it sees none.
        answer: Makes the answer.
        is_generation: Whether a careful client gets a generation from it; None where both reading
            it and refusing it is sound.
        ends: Whether the answer ends by itself; if not, a client ends it by its own limits.
    """

    name: str
    group: Group
    about: str
    status: int | None
    answer: Callable[[Case], Reply | Script]
    is_generation: bool | None = False
    ends: bool = True


Fields: TypeAlias = "dict[str, Any]"


def fixed(
    group: Group,
    name: str,
    about: str,
    reply: Reply,
    *,
    is_generation: bool | None = False,
) -> Kind:
    """A kind that answers the same to every ID."""
    return Kind(name, group, about, reply.status, lambda _: reply, is_generation)


def body(
    name: str,
    about: str,
    make: Callable[[Case], bytes],
    *,
    headers: Headers = JSON,
    is_generation: bool | None = False,
) -> Kind:
    """A kind that answers 200 with an odd body."""
    return Kind(
        name,
        Group.BODY,
        about,
        200,
        lambda case: Reply(200, make(case), headers),
        is_generation,
    )


def wire(
    name: str,
    about: str,
    play: Callable[[Case], Iterator[Step]],
    *,
    status: int | None = 200,
    is_generation: bool | None = False,
    ends: bool = True,
) -> Kind:
    """A kind that plays odd bytes."""
    return Kind(
        name,
        Group.WIRE,
        about,
        status,
        lambda case: Script(status, play(case)),
        is_generation,
        ends,
    )


def values(
    name: str,
    about: str,
    change: Callable[[Fields], Fields],
    *,
    is_generation: bool | None = True,
) -> Kind:
    """A kind that answers a well-formed generation with odd values."""

    def answer(case: Case) -> Reply:
        return Reply(200, encode_json(change(case.generation)))

    return Kind(name, Group.VALUES, about, 200, answer, is_generation)
