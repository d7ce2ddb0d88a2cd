"""Random bodies through the real pipeline: judged, saved, committed, read.

The bodies are the documented examples and the sandbox's odd ones with bytes flipped, or with pieces
cut out, repeated or inserted.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builders import example
from chaos.hostile import ends_in
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from connector.gateway.attempt import from_reply
from connector.gateway.transport import Reply
from connector.record.answer import Answer
from connector.record.judge import judge
from connector.record.signatures import strip_signatures
from connector.sandbox.faults import KINDS
from connector.sandbox.kinds import Case
from connector.sandbox.replies import Reply as SandboxReply
from connector.sandbox.settings import SandboxSettings
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON: Final = datetime(2026, 1, 2, 12, tzinfo=UTC)
LONGEST: Final = 20_000
STATUSES: Final = (200, 200, 200, 200, 201, 400, 404, 429, 500)
TOKENS: Final = (
    b"null true false NaN -Infinity 1e999 -0 0.1e-9999 9223372036854775808 {} [] [[[[ }}}} , :"
    b' "" "\\ud800" "\\u0000" "0001-01-01T00:00:00Z" "9999-12-31T23:59:60.999999999+14:00"'
    b' "created_at":1e300 "state":{"a":1} "video":{"width":1e40,"url":7} "id":[]'
    b' "data":{"id":"x"} "extra":"" "X-Amz-Date=99999999T999999Z&X-Amz-Expires=1e9"'
).split(b" ")


@cache
def bases() -> tuple[bytes, ...]:
    """Bodies to start from."""
    case = Case("t", "http://a/t", "http://b/t", is_redirected=True, now=0, settings=_SETTINGS)
    replies = [kind.answer(case) for kind in KINDS.values() if kind.is_generation is not False]
    odd = [reply.body for reply in replies if isinstance(reply, SandboxReply)]
    documented = [example(name) for name in ("completed", "failed", "official", "pending")]
    return (*documented, *(body for body in odd if 0 < len(body) <= LONGEST))


_SETTINGS: Final = SandboxSettings()


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A damaged body."""
    body = bytearray(draw(st.sampled_from(bases())))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        end = at + draw(st.integers(0, 60))
        match draw(st.sampled_from(["flip", "cut", "repeat", "token", "splice", "end"])):
            case "flip" if at < len(body):
                body[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del body[at:end]
            case "repeat":
                body[at:at] = body[at:end]
            case "token":
                body[at:end] = draw(st.sampled_from(TOKENS))
            case "splice":
                body[at:end] = draw(st.sampled_from(bases()))[at : at + 200]
            case "end":
                del body[at:]
    return bytes(body)


def fuzz(examples: int, chosen: int = 0) -> int:
    """Try this many lots of bodies, chosen by a seed; return the number of bodies.

    Raises:
        AssertionError: A body ended nowhere, or in two places.
    """
    tried = 0

    @seed(chosen)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(st.tuples(bodies(), st.sampled_from(STATUSES)), min_size=10, max_size=40))
    def each_ends_in_one_place(lot: list[tuple[bytes, int]]) -> None:
        nonlocal tried
        tried += len(lot)
        with tempfile.TemporaryDirectory() as folder:
            swallow(Path(folder, "warehouse"), lot)

    each_ends_in_one_place()
    return tried


def swallow(root: Path, lot: Sequence[tuple[bytes, int]]) -> None:
    """Ingest bodies like a run, and check that each ends in one place."""
    answers = [_answered(f"t{number}", *one) for number, one in enumerate(lot)]
    for answer in answers:
        judge(200, answer.body or b"")
        strip_signatures(answer.body or b"")
    with Warehouse.writing(root) as warehouse:
        warehouse.save("batch", answers, "run")
        assert warehouse.commit().answers == len(answers)
    ends = ends_in(root)
    assert {task_id: len(found) for task_id, found in ends.items()} == {
        answer.task_id: 1 for answer in answers
    }


def _answered(task_id: str, body: bytes, status: int) -> Answer:
    reply = Reply(status, {}, body, is_whole=True, has_known_end=True)
    attempt = from_reply(reply, NOON)
    return Answer(
        task_id=task_id,
        outcome=attempt.outcome,
        http_status=attempt.http_status,
        attempts=1,
        elapsed_seconds=0.1,
        fetched_at=NOON + timedelta(seconds=1),
        body=attempt.body,
        message=attempt.message,
    )
