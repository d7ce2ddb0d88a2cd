"""A batch of task IDs as a Prefect task, and the submission of a bounded number of them."""

from __future__ import annotations

import itertools
import math
import secrets
import threading
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed

from connector.errors import ConnectorError
from connector.run.poll import is_unfinished
from connector.run.receive import receive
from connector.run.save import AnswersLost, save_answers
from connector.run.tally import Tally
from connector.warehouse.warehouse import Warehouse
from flows import run_log
from flows.access import Access, Gateway, batch_gateway
from flows.account import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.futures import PrefectFuture

    from connector.record.answer import Answer
    from connector.run.run import Run
    from flows.runners import Runner


# Fewest task IDs of a batch: Prefect takes tens of milliseconds of CPU for each task run.
SMALL: Final = 500

# Fewest batches of a run, unless they would be small, so that the progress bar moves.
PARTS: Final = 32


@dataclass(frozen=True, slots=True)
class Received:
    """The result of a batch.

    Attributes:
        tally: Its answers.
        unfinished: `Answer.end` of unfinished task IDs, if the run waits for them.
        ids_per_request: How many task IDs the gateway takes at once, as far as the batch found out.
        failure: Why the batch ended early, if it did.
    """

    tally: Tally
    unfinished: dict[str, str]
    ids_per_request: int
    failure: ConnectorError | None = None


# The client retries requests and `run.save` retries saving, so a batch needs no retries.
@task(
    name="fetch batch",
    task_run_name="batch {number}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=0,
)
def fetch_batch(number: int, task_ids: list[str], access: Access) -> State[Received]:
    """Fetch a batch into the inbox.

    Repeated after its process died, it requests only what the first attempt has not saved.

    Returns:
        Completed, or Cancelled if the batch ended early. The reason to stop is part of the result,
        not raised, as each batch would log a traceback.
    """
    batch = _Batch(number, access)
    # In a process of its own, nobody else hands on what the connector logs.
    log = run_log.forwarding_to(get_run_logger()) if access.is_apart else nullcontext()
    with log, batch_gateway(access) as gateway:
        failure = batch.fetch(task_ids, gateway)
        size = gateway.client.batches.size
    received = Received(batch.tally, batch.unfinished, size, failure)
    missing = len(task_ids) - batch.tally.answers
    if missing:
        message = f"{in_words(batch.tally)}; {missing:,} not reached"
        return Cancelled(message=message, data=received)
    return Completed(message=in_words(batch.tally), data=received)


def size_of_batch(count: int, most: int) -> int:
    """Batch size for this many task IDs: large ones cost least, small ones show progress."""
    return min(most, max(SMALL, math.ceil(count / PARTS)))


def name_of(run_id: str, number: int) -> str:
    """Return the prefix of a batch's files."""
    return f"{run_id}-b{number:06}-"


class _Batch:
    """A batch in progress; what an earlier attempt saved counts and is not requested again.

    Raises:
        WarehouseError: The warehouse cannot be read.
    """

    def __init__(self, number: int, access: Access) -> None:
        self.tally = Tally()
        self.unfinished: dict[str, str] = {}
        self._access = access
        self._warehouse = Warehouse.existing(access.settings.warehouse, look_at=())
        self._name = name_of(access.run_id, number)
        self._known: set[str] = set()
        many = set()
        for answer in self._warehouse.saved(self._name):
            self._count(answer)
            self._known.add(answer.task_id)
            # Answers of one request for many share its times, and have no attempts of their own.
            if not answer.attempts:
                many.add((answer.fetched_at, answer.elapsed_seconds))
        for _ in many:
            self.tally.add_requests(1)
        if access.is_apart or self._known:
            # An attempt taken for dead may still write, so this one writes to other files.
            self._name += f"{secrets.token_hex(3)}-"
        self._parts = itertools.count(1)
        self._stop = threading.Event()

    def fetch(self, task_ids: list[str], gateway: Gateway) -> ConnectorError | None:
        """Fetch, save and count; return why the batch ended early, if it did."""
        self._stop = gateway.stop
        gateway.client.expect(task_ids)
        missing = (one for one in task_ids if one not in self._known)
        settings, stop, count = self._access.settings, gateway.stop, self.tally.add_requests
        answers = receive(missing, gateway.client, settings, stop, self._save, on_request=count)
        try:
            with closing(answers):
                for answer in answers:
                    self._count(answer)
        except ConnectorError as error:
            gateway.stop.set()
            return error
        return None

    def _count(self, answer: Answer) -> None:
        self.tally.add(answer)
        if self._access.settings.wait and is_unfinished(answer):
            self.unfinished[answer.task_id] = answer.end

    def _save(self, answers: list[Answer]) -> None:
        name = f"{self._name}{next(self._parts):04}"
        try:
            run_id, stop = self._access.run_id, self._stop
            save_answers(self._warehouse, name, answers, run_id, stop, is_writer=False)
        except AnswersLost:
            self.tally.discount(answers)
            raise


class Batches:
    """The batches of a run."""

    def __init__(
        self, run: Run, access: Access, runner: Runner, on_progress: Callable[[], None]
    ) -> None:
        self._run = run
        self._access = access.share(runner.at_once) if runner.is_apart else access
        self._runner = runner
        self._on_progress = on_progress
        self._under_way: dict[PrefectFuture[Any], int] = {}
        self._failure: BaseException | None = None

    def fetch(self) -> None:
        """Fetch all task IDs of the plan. However it ends, the run's tally has every saved answer.

        Raises:
            RunStopped: Going on is pointless, or an answer could not be saved.
            WarehouseError: A batch cannot read the warehouse.
        """
        try:
            for number, task_ids in enumerate(self._slices(), 1):
                if len(self._under_way) == self._runner.under_way:
                    self._collect_one()
                    self._run.commit_if_due(but=self._names_under_way())
                if self._runner.stop.is_set():
                    break
                self._submit(number, task_ids)
            self._collect_all()
        except BaseException:
            self._runner.stop.set()
            self._collect_all()
            raise
        if self._failure:
            raise self._failure

    def _slices(self) -> Iterator[list[str]]:
        size = size_of_batch(len(self._run.plan.task_ids), self._access.settings.batch_size)
        for start in range(0, len(self._run.plan.task_ids), size):
            yield self._run.plan.task_ids.slice(start, size).to_pylist()

    def _submit(self, number: int, task_ids: list[str]) -> None:
        future = self._runner.submit(
            fetch_batch, number=number, task_ids=task_ids, access=self._access
        )
        self._under_way[future] = number

    def _names_under_way(self) -> tuple[str, ...]:
        """Prefixes of running batches' files, which a repeated batch looks for."""
        return tuple(name_of(self._access.run_id, number) for number in self._under_way.values())

    def _collect_all(self) -> None:
        while self._under_way:
            self._collect_one()

    def _collect_one(self) -> None:
        # Removed only after the wait, which a signal may interrupt.
        future = self._runner.done(list(self._under_way))
        received = future.result(raise_on_failure=False)
        del self._under_way[future]
        if isinstance(received, Received):
            self._run.tally += received.tally
            # A batch that has its own client need not find this out for itself.
            self._access = self._access.asking_for(received.ids_per_request)
            for task_id, end in received.unfinished.items():
                self._run.polls.schedule(task_id, end, time.monotonic())
            failure: BaseException | None = received.failure
        else:
            failure = received
        if failure:
            self._runner.stop.set()
            self._failure = self._failure or failure
        self._on_progress()
