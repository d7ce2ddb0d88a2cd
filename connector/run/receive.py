"""From the gateway to the inbox: answers as they come, saved a batch at a time."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from connector.gateway.fetch import fetch
from connector.record.signatures import strip_signatures

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from connector.gateway.client import Client
    from connector.record.answer import Answer
    from connector.settings import Settings

BATCH_BYTES: Final = 32 * 1024 * 1024
BATCH_SECONDS: Final = 10.0
"""A batch is saved early when it is large or old: what is not saved would be asked for again."""


def receive(
    task_ids: Iterable[str],
    client: Client,
    settings: Settings,
    *,
    stop: threading.Event,
    count: Callable[[Answer], None],
    save: Callable[[list[Answer]], None],
) -> None:
    """Fetch task IDs and save their answers, a batch at a time; however it ends, all are saved.

    Raises:
        RunStopped: Going on is pointless.
    """
    batch = Batch(settings, count, save)
    # A gateway that asks for a pause must not keep what has come in memory until it is over.
    answers = fetch(
        task_ids,
        client,
        threads=settings.max_concurrency,
        stop=stop,
        on_idle=batch.save_if_full,
    )
    with closing(answers), batch:
        for answer in answers:
            batch.add(answer)


class Batch(AbstractContextManager["Batch"]):
    """Answers on their way to the inbox; at the end of its block, all are saved.

    Args:
        settings: Of the run.
        count: Called with each answer.
        save: Called with the answers of a batch that is large or old enough.
    """

    def __init__(
        self,
        settings: Settings,
        count: Callable[[Answer], None],
        save: Callable[[list[Answer]], None],
    ) -> None:
        self._settings = settings
        self._count = count
        self._save = save
        self._answers: list[Answer] = []
        self._bytes = 0
        self._since = 0.0

    def add(self, answer: Answer) -> None:
        """Take an answer in, and save all if that fills the batch."""
        self._count(answer)
        if not self._answers:
            self._since = time.monotonic()
        self._answers.append(
            _without_signatures(answer) if self._settings.redact_signatures else answer
        )
        self._bytes += len(answer.body or b"")
        self.save_if_full()

    def save_if_full(self) -> None:
        """Save all if it is much, or long ago that the first came."""
        if self._answers and (
            len(self._answers) >= self._settings.batch_size
            or self._bytes >= BATCH_BYTES
            or time.monotonic() - self._since >= BATCH_SECONDS
        ):
            self._save_all()

    def __exit__(self, *_: object) -> None:
        if self._answers:
            self._save_all()

    def _save_all(self) -> None:
        answers, self._answers, self._bytes = self._answers, [], 0
        self._save(answers)


def _without_signatures(answer: Answer) -> Answer:
    return replace(answer, body=answer.body and strip_signatures(answer.body))
