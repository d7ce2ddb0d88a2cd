"""A batch of task IDs as a Prefect task, and a bounded number of them under way."""

from __future__ import annotations

import itertools
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed

from connector import pipeline
from connector.errors import ConnectorError, StorageFailed
from connector.polling import Polls, is_unfinished
from connector.receiving import receive
from connector.tally import Tally, end_of
from connector.warehouse.warehouse import Warehouse
from flows.account import in_words
from flows.gateway import Access, Gateway, shared
from flows.saving import save_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.futures import PrefectFuture

    from connector.pipeline import Run
    from connector.record.answer import Answer

AT_ONCE: Final = 4
"""Batches that run at once: while one waits for its last answers, the others use its connections.
The throttle, which they share, decides how many requests are in flight."""

UNDER_WAY: Final = 2 * AT_ONCE
"""Batches that run or wait to: a list of a million IDs must not become a heap of futures."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a batch.

    Attributes:
        unfinished: What to wait for, if the run waits: task IDs, and what their answers came to.
        failure: Why it ended before its list did, if it did.
    """

    tally: Tally
    unfinished: dict[str, str]
    failure: ConnectorError | None = None


# Requests are retried by the client, and saving by `saving`: a batch needs no retries as a whole.
@task(
    name="fetch batch",
    task_run_name="batch {number}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=0,
)
def fetch_batch(number: int, task_ids: list[str], access: Access) -> State[Received]:
    """Fetch a batch into the inbox; repeated, it replaces its own files there.

    Returns:
        Completed, or Cancelled if it ended before its list did. A reason to stop is part of the
        result, not raised: each batch would log a traceback.
    """
    gateway, tally, parts = shared(access), Tally(), itertools.count(1)
    unfinished: dict[str, str] = {}
    failure: ConnectorError | None = None
    warehouse = Warehouse.existing(access.settings.warehouse)

    def count(answer: Answer) -> None:
        tally.add(answer)
        if access.settings.wait and is_unfinished(answer):
            unfinished[answer.task_id] = end_of(answer)

    def save(answers: list[Answer]) -> None:
        name = f"{access.run_id}-b{number:06}-{next(parts):04}"
        once = partial(warehouse.save, name, answers, access.run_id)
        try:
            once()
        except StorageFailed:
            if not save_again(number, once):
                pipeline.save(warehouse, name, answers, access.run_id, tally)

    try:
        receive(
            task_ids,
            gateway.client,
            access.settings,
            stop=gateway.stop,
            count=count,
            save=save,
        )
    except ConnectorError as error:
        gateway.stop.set()
        failure = error
    received, missing = Received(tally, unfinished, failure), len(task_ids) - tally.answers
    if missing:
        return Cancelled(message=f"{in_words(tally)}; {missing:,} not reached", data=received)
    return Completed(message=in_words(tally), data=received)


class Batches:
    """The batches of a run.

    Attributes:
        polls: What is unfinished of them, if the run waits for that.
    """

    def __init__(
        self, run: Run, access: Access, gateway: Gateway, on_progress: Callable[[], None]
    ) -> None:
        self._run = run
        self._access = access
        self._gateway = gateway
        self._on_progress = on_progress
        self.polls = Polls(access.settings.poll_first, access.settings.poll_longest)
        self._under_way: deque[PrefectFuture[Any]] = deque()
        self._failure: BaseException | None = None

    def fetch(self) -> None:
        """Fetch all task IDs of the plan. However this ends, the run's tally has all that came.

        Raises:
            RunStopped: Going on is pointless.
            WarehouseError: An answer could not be saved.
        """
        try:
            for number, task_ids in enumerate(self._slices(), 1):
                if len(self._under_way) == UNDER_WAY:
                    self._collect_oldest()
                    self._run.commit_if_due()
                if self._gateway.stop.is_set():
                    break
                self._under_way.append(fetch_batch.submit(number, task_ids, self._access))
            self._collect_all()
        except BaseException:
            self._gateway.stop.set()
            self._collect_all()
            raise
        if self._failure:
            raise self._failure

    def _slices(self) -> Iterator[list[str]]:
        size = self._access.settings.batch_size
        for start in range(0, len(self._run.plan.task_ids), size):
            yield self._run.plan.task_ids.slice(start, size).to_pylist()

    def _collect_all(self) -> None:
        while self._under_way:
            self._collect_oldest()

    def _collect_oldest(self) -> None:
        # Still in the queue while it is waited for: a signal may come in the meantime.
        received = self._under_way[0].result(raise_on_failure=False)
        self._under_way.popleft()
        if isinstance(received, Received):
            self._run.tally += received.tally
            for task_id, end in received.unfinished.items():
                self.polls.open(task_id, end, time.monotonic())
            failure: BaseException | None = received.failure
        else:
            failure = received
        if failure:
            self._gateway.stop.set()
            self._failure = self._failure or failure
        self._on_progress()
