"""From the gateway to the inbox: answers as they come, saved a batch at a time."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from connector.gateway.fetch import fetch
from connector.record.signatures import strip_signatures

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable

    from connector.gateway.client import Client
    from connector.record.answer import Answer
    from connector.settings import Settings

    Save = Callable[[list[Answer]], None]

# A batch is saved early when it is large or old: what is not saved would be asked for again.
BATCH_BYTES: Final = 32 * 1024 * 1024
BATCH_SECONDS: Final = 10.0


def receive(
    task_ids: Iterable[str],
    client: Client,
    settings: Settings,
    stop: threading.Event,
    save: Save,
) -> Generator[Answer]:
    """Fetch task IDs; yield each answer, and then save it with others, a batch at a time.

    However the iteration ends, all that was yielded is saved.

    Args:
        task_ids: May be endless.
        client: Of the gateway.
        settings: Of the run.
        stop: When set, no request starts any more, and the iteration ends.
        save: Makes a batch durable.

    Raises:
        RunStopped: Going on is pointless.
    """
    batch = Batch(settings, save)
    # A gateway that asks for a pause must not keep what has come in memory until it is over.
    answers = fetch(
        task_ids,
        client,
        threads=settings.max_concurrency,
        stop=stop,
        on_idle=batch.save_if_full,
    )
    with closing(answers):
        yield from collect(answers, batch)


def collect(answers: Iterable[Answer], batch: Batch) -> Generator[Answer]:
    """Yield answers, and put each into the batch once it is counted; at the end, save the rest."""
    try:
        for answer in answers:
            try:
                yield answer
            finally:
                batch.add(answer)
    finally:
        batch.save_all()


class Batch:
    """Answers on their way to the inbox.

    Args:
        settings: Of the run.
        save: Makes them durable when they are many, large or old enough.
    """

    def __init__(self, settings: Settings, save: Save) -> None:
        self._settings = settings
        self._save = save
        self._answers: list[Answer] = []
        self._bytes = 0
        self._since = 0.0

    def add(self, answer: Answer) -> None:
        """Take an answer in, and save all if that fills the batch."""
        if not self._answers:
            self._since = time.monotonic()
        self._answers.append(
            _without_signatures(answer) if self._settings.redact_signatures else answer
        )
        self._bytes += len(answer.body or b"")
        self.save_if_full()

    def save_if_full(self) -> None:
        """Save all if it is large or old enough."""
        if (
            len(self._answers) >= self._settings.batch_size
            or self._bytes >= BATCH_BYTES
            or (self._answers and time.monotonic() - self._since >= BATCH_SECONDS)
        ):
            self.save_all()

    def save_all(self) -> None:
        """Save what there is."""
        answers, self._answers, self._bytes = self._answers, [], 0
        if answers:
            self._save(answers)


def _without_signatures(answer: Answer) -> Answer:
    return replace(answer, body=answer.body and strip_signatures(answer.body))
