"""Many task IDs in one request: how many at once, and what an answer settles.

Only what an answer holds is settled by it. A task ID that it leaves out is asked for singly, on the
documented path, and so is all of a batch that fails. Where the gateway takes fewer at once, batches
get smaller; where it has no such path, there are none for the rest of the run.

::

    work.Work.take -> Part -> Client.fetch, or Client.fetch_batch
              <- Batches.read: answers, and further parts
"""

from __future__ import annotations

import logging
import math
import re
import threading
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from connector.gateway.question import ABSENT, NEVER
from connector.gateway.records import read_records
from connector.record.answer import Answer, Concern, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# An answer of more bytes is rejected, however many task IDs were asked for: many may be under way.
LARGEST_BODY: Final = 8 * 1024 * 1024

# Batches in a row whose attempts run out: the path is broken, though single requests may work.
MOST_FAILED: Final = 3

# Refusals in a row, after others had passed: it is not one task ID here and there that spoils them.
MOST_SPOILT: Final = 30

# As many task IDs that the gateway does not know on this path are worth a warning.
SUSPICIOUS: Final = 100

TOO_MANY: Final = re.compile(
    r"too many (task.?)?(ids?|items|tasks|elements|entries|values)\b"
    r"|(at most|maximum|max\.?|no more than|up to|limit(ed)?( is| of| to)?|exceeds?|fewer than"
    r"|less than)\W+(\w+\W+){0,4}(ids?|items|tasks|elements|entries)\b"
    r"|\b(ids?|items|tasks)\W+(\w+\W+){0,5}(at most|maximum|exceed|no more than|limit|too long"
    r"|too large|too many)"
    r"|\b(more than|only|max\.?|maximum( of)?) \d+ (\w+ )?(ids?|items|tasks)\b"
    r"|\bbatch( ?size| limit)\b|(ids?|items|tasks) per (batch|call|request)\b"
    r"|too_many_(ids|items|tasks)|too_long"
    # In Chinese: of a batch, or "at most N", unless it is N times a minute.
    r"|批量|数量超|(最多|不能超过|不得超过|不超过)\D{0,6}\d+(?![\d\s]*次)",
    re.IGNORECASE,
)

# A smaller batch may end otherwise: one of the IDs, or their number, is to blame.
SPLITTABLE: Final = frozenset(
    {
        Outcome.BAD_REQUEST,
        Outcome.FORBIDDEN,
        Outcome.NOT_FOUND,
        Outcome.TOO_LARGE,
        Outcome.TIMEOUT,
    }
)

# With a status of success. Of none of the tasks there need be a record: all may be unknown.
NO_REFUSAL: Final = frozenset(
    {Outcome.GENERATION, Outcome.NOT_FOUND, Outcome.NOT_A_GENERATION, Outcome.NOT_READY}
)


logger = logging.getLogger(__name__)


def body_bytes(of_one: int, task_ids: int) -> int:
    """The largest body for an answer about this many, given that for one."""
    return max(of_one, min(of_one * task_ids, LARGEST_BODY))


@dataclass(frozen=True, slots=True)
class Part:
    """Task IDs to be asked for in one request.

    Attributes:
        is_late: Whether the same took too long before.
    """

    task_ids: tuple[str, ...]
    is_late: bool = False

    @property
    def is_single(self) -> bool:
        """Whether it is for the documented path."""
        return len(self.task_ids) == 1


class Batches:
    """How many task IDs to ask for at once, as a run learns it; safe to share between threads.

    A batch may be refused for its size or for a task ID in it, and gateways do not always say
    which. So its halves are asked for, and new batches are smaller, until one passes that is not.

    Attributes:
        size: 1 where only the documented path is left.
    """

    def __init__(self, base_url: str, size: int) -> None:
        self.size = size
        self._most = size
        self._passed = 0
        self._failed = 0
        self._spoilt = 0
        self._unknown = 0.0  # minus infinity once it knew one, or it is said
        self._base_url = base_url
        self._lock = threading.Lock()

    def read(self, part: Part, answer: Answer) -> tuple[list[Answer], list[Part]]:
        """What an answer of `Client.fetch_batch` settles, and what is still to be asked for."""
        if not is_answered(answer):
            with self._lock:
                return [], self._refused(part, answer)
        with self._lock:
            self._failed = self._spoilt = 0
            self._passed = max(self._passed, len(part.task_ids))
            if self.size > 1:
                self.size = max(self.size, min(self._passed, self._most))
        answers = list(_answers(part.task_ids, answer))
        if answers:  # counted once
            answers[0] = answers[0]._replace(mixed_up=answer.mixed_up)
        settled = {one.task_id for one in answers}
        self._note_unknown(len(part.task_ids), len(settled))
        return answers, _singles(one for one in part.task_ids if one not in settled)

    def _note_unknown(self, asked: int, settled: int) -> None:
        """Say once that the gateway seems to know no task on this path: requests are wasted."""
        with self._lock:
            self._unknown += asked if not settled else -math.inf
            if self._unknown < SUSPICIOUS:
                return
            unknown, self._unknown = self._unknown, -math.inf
        logger.warning(
            "%s knew none of the first %d task IDs when asked for many at once; each is asked for "
            "singly. If it stays so, leave out `ids_per_request`.",
            self._base_url,
            unknown,
        )

    def _refused(self, part: Part, answer: Answer) -> list[Part]:
        """What to ask for instead."""
        half = len(part.task_ids) // 2
        if says_too_many(answer):
            self._most = min(self._most, half)
            self._shrink(half)
            return slices(part.task_ids, max(1, half))
        # Once a batch has passed, it is what was asked for, or the minute, that this one fails for.
        if is_absent(answer) and (not self._passed or answer.http_status in NEVER):
            self._end(f"does not answer requests for many task IDs at once ({answer.message})")
            return _singles(part.task_ids)
        if answer.outcome is Outcome.TIMEOUT and not part.is_late:
            return [replace(part, is_late=True)]
        if answer.outcome in SPLITTABLE and answer.concerns is not Concern.GATEWAY:
            if len(part.task_ids) > self._passed:
                self._shrink(half)
            self._spoilt += 1
            if self._spoilt >= MOST_SPOILT and self._passed:
                self._end(f"refuses many task IDs at once ({answer.message})")
            return [Part(part.task_ids[:half]), Part(part.task_ids[half:])]
        self._failed += 1
        if self._failed == MOST_FAILED:
            self._end(f"fails to answer for many task IDs at once ({answer.message})")
        return _singles(part.task_ids)

    def _shrink(self, size: int) -> None:
        if size <= 1:
            self._end("does not take two task IDs at once")
        elif size < self.size:
            self.size = size
            logger.info("%s takes fewer task IDs at once: %d from now on", self._base_url, size)

    def _end(self, why: str) -> None:
        if self.size > 1:
            self.size = 1
            logger.warning("%s %s: each is asked for singly from now on.", self._base_url, why)


def says_too_many(answer: Answer) -> bool:
    """Whether a gateway refuses a batch for how many task IDs are in it."""
    if answer.http_status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return True
    statuses = (*range(200, 300), HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
    return answer.http_status in statuses and bool(TOO_MANY.search(answer.message or ""))


def is_absent(answer: Answer) -> bool:
    """Whether a gateway has no path for many task IDs, or does not let this key use it."""
    if answer.http_status in ABSENT or answer.concerns is Concern.GATEWAY:
        return True
    return answer.outcome is Outcome.FORBIDDEN


def is_answered(answer: Answer) -> bool:
    """Whether a gateway answers for many, be it that it knows none of them."""
    if answer.http_status not in range(200, 300) or says_too_many(answer):
        return False
    return answer.outcome in NO_REFUSAL


def _answers(task_ids: Sequence[str], answer: Answer) -> Iterator[Answer]:
    """An answer for each task that has a generation, as if it had been asked for.

    With 0 attempts: the request is nobody's own.
    """
    for record in read_records(answer.body or b"null", task_ids):
        if record.status is not None:
            # Not by `replace`, which takes three times as long.
            yield Answer(
                task_id=record.task_id,
                outcome=Outcome.GENERATION,
                http_status=answer.http_status,
                attempts=0,
                elapsed_seconds=answer.elapsed_seconds,
                fetched_at=answer.fetched_at,
                body=record.body,
                status=record.status,
                base_url=answer.base_url,
                api=answer.api,
                sequence=answer.sequence,
            )


def _singles(task_ids: Iterable[str]) -> list[Part]:
    return [Part((task_id,)) for task_id in task_ids]


def slices(task_ids: Sequence[str], size: int) -> list[Part]:
    """Parts of about the same size, none larger than that."""
    count = -(-len(task_ids) // size)
    bounds = [number * len(task_ids) // count for number in range(count + 1)]
    return [Part(tuple(task_ids[start:end])) for start, end in pairwise(bounds)]
