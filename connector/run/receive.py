"""From the gateway to the inbox: answers saved in batches as they arrive."""

from __future__ import annotations

import time
from contextlib import closing
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

# A batch is saved early when it is large or old: after a crash, unsaved answers cost new requests.
# Nor is an answer added to an old one. Its place in the log is that of its latest answer, and while
# this process was frozen, another may have fetched the older ones again.
BATCH_BYTES: Final = 32 * 1024 * 1024
BATCH_SECONDS: Final = 10.0


def receive(
    task_ids: Iterable[str],
    client: Client,
    settings: Settings,
    stop: threading.Event,
    save: Save,
    *,
    on_request: Callable[[int], None] = lambda _: None,
) -> Generator[Answer]:
    """Fetch task IDs; yield each answer, then save it in a batch.

    However the iteration ends, every yielded answer is saved.

    Args:
        task_ids: May be endless.
        client: The gateway's client.
        settings: The run's settings.
        stop: When set, no further request starts, and the iteration ends.
        save: Makes a batch durable.
        on_request: Told of attempts that no answer counts, as `fetch` says.

    Raises:
        RunStopped: Going on is pointless.
    """
    batch = Batch(settings, save)
    # `on_idle`: during a pause that the gateway asks for, answers must not stay in memory.
    answers = fetch(
        task_ids,
        client,
        threads=settings.max_concurrency,
        stop=stop,
        on_idle=batch.save_if_full,
        on_request=on_request,
    )
    with closing(answers):
        yield from collect(answers, batch)


def collect(answers: Iterable[Answer], batch: Batch) -> Generator[Answer]:
    """Yield answers, add each to the batch once the consumer has counted it, and save the rest."""
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
        settings: The run's settings.
        save: Makes a batch durable, once it is large or old enough.
    """

    def __init__(self, settings: Settings, save: Save) -> None:
        self._settings = settings
        self._save = save
        self._answers: list[Answer] = []
        self._bytes = 0
        self._since = 0.0

    def add(self, answer: Answer) -> None:
        """Add an answer, and save the batch if it is full; an old one before that."""
        if self._answers and _seconds_between(self._answers[0], answer) >= BATCH_SECONDS:
            self.save_all()
        if not self._answers:
            self._since = time.monotonic()
        self._answers.append(
            _without_signatures(answer) if self._settings.redact_signatures else answer
        )
        self._bytes += len(answer.body or b"")
        self.save_if_full()

    def save_if_full(self) -> None:
        """Save the batch if it is large or old enough."""
        if not self._answers:
            return
        count, age = len(self._answers), time.monotonic() - self._since
        is_large = count >= self._settings.batch_size or self._bytes >= BATCH_BYTES
        if is_large or age >= BATCH_SECONDS:
            self.save_all()

    def save_all(self) -> None:
        """Save the batch, full or not."""
        answers, self._answers, self._bytes = self._answers, [], 0
        if answers:
            self._save(answers)


def _seconds_between(first: Answer, last: Answer) -> float:
    """By the clock of the day, which goes on while the machine sleeps."""
    return (last.fetched_at - first.fetched_at).total_seconds()


def _without_signatures(answer: Answer) -> Answer:
    message = answer.message and strip_signatures(answer.message.encode()).decode()
    return answer._replace(body=answer.body and strip_signatures(answer.body), message=message)
