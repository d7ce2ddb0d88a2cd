"""The pipeline: task IDs -> plan -> fetch -> inbox -> tables. Composes; decides little."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from connector import task_ids as source
from connector.errors import Interrupted, NothingFetched, RunStopped, SourceError, StorageFailed
from connector.gateway import listing
from connector.gateway.client import Client, ClientSettings
from connector.gateway.pace.throttle import Throttle
from connector.metrics import meters as metrics
from connector.metrics.meters import Meters
from connector.run.discover import Discovery
from connector.run.plan import NOTHING, Plan, plan
from connector.run.poll import Polls, watch
from connector.run.receive import Batch, receive
from connector.run.tally import Summary, Tally, counts_of
from connector.warehouse import walks
from connector.warehouse.warehouse import Committed, Warehouse
from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from connector.record.answer import Answer
    from connector.settings import Settings

COMMIT_ANSWERS: Final = 10_000
COMMIT_SHARE: Final = 4
"""A commit in mid-run waits until the inbox holds a quarter of what the tables do: so a backfill
rewrites each row about four times, however long it is, and readers still see it grow."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which task IDs to ask for.

    Attributes:
        sources: Files, globs, `-`, SQLAlchemy URLs, or iterables of task IDs; or `luma:list` alone.
        column: Where the IDs are, if not in a column that is found by itself (docs/task-ids.md).
        query: What to ask a SQLAlchemy URL for.
        limit: Ask for no more than this many.
        refresh: Ask again for finished ones.
        retry_rejected: Ask again for finally rejected and given-up ones.
    """

    sources: Sequence[source.Source]
    column: str | None = None
    query: str | None = None
    limit: int | None = None
    refresh: bool = False
    retry_rejected: bool = False

    @property
    def is_listing(self) -> bool:
        """Whether the gateway is to say which there are."""
        return listing.SOURCE in (source for source in self.sources if isinstance(source, str))


class Run:
    """A run while it lasts: what was planned, what came of it, and the account at its end."""

    def __init__(
        self, settings: Settings, warehouse: Warehouse, planned: Plan, meters: Meters | None = None
    ) -> None:
        self.started_at = datetime.now(UTC)
        self.run_id = f"{self.started_at:%Y%m%dT%H%M%S%f}Z-{secrets.token_hex(3)}"
        self.plan = planned
        self.tally = Tally()
        self.is_proven = warehouse.has_generation_from(settings.base_url)
        self._settings = settings
        self._warehouse = warehouse
        self._meters = meters or Meters()
        self._committed = Committed()
        self._batches = itertools.count(1)

    def settled(self, selection: Selection) -> pa.ChunkedArray:
        """Task IDs that a selection need not ask for."""
        return settled_in(self._warehouse, selection, self._settings)

    def unfinished(self) -> pa.ChunkedArray:
        """Task IDs that are known, not finished, and not given up."""
        return self._warehouse.unfinished(self._settings.give_up_after)

    def covered(self) -> list[str]:
        """Task IDs of the gateway's list below which all is in the warehouse."""
        return walks.read_walk(self._warehouse.storage, self._settings.base_url)

    def note_walk(self, newest: list[str]) -> None:
        """Remember that this is so from these task IDs on; all answers must be saved before."""
        walks.write_walk(self._warehouse.storage, self._settings.base_url, newest)

    def name_batch(self) -> str:
        """A name for the next batch of answers."""
        return f"{self.run_id}-{next(self._batches):06}"

    def save(self, batch: str, answers: list[Answer]) -> None:
        """Make a batch of answers durable; see `save`."""
        save(self._warehouse, batch, answers, self.run_id, self.tally)

    def save_polls(self, batch: str, answers: list[Answer], polls: Polls) -> None:
        """Make later answers durable, and count each in place of the one before.

        Raises:
            StorageFailed: As for `save`; the earlier answers then count still.
        """
        save(self._warehouse, batch, answers, self.run_id, Tally())
        for answer in answers:
            self.tally.add_poll(answer, polls.end_of(answer.task_id))
            polls.note(answer, time.monotonic())

    def commit(self, but: tuple[str, ...] = ()) -> None:
        """Bring what is in the inbox into the tables, but for batches whose names begin so."""
        committed = self._warehouse.commit(but)
        # Whom a poll is for has been counted, as new or as updated, with its first answer.
        self._committed += committed._replace(updated=0) if self.tally.polls else committed
        self._meters.committed(committed.new, committed.updated)

    def commit_if_due(self, but: tuple[str, ...] = ()) -> None:
        """Do so if enough has gathered."""
        waiting = self.tally.received - self._committed.answers
        if waiting >= max(COMMIT_ANSWERS, self._warehouse.generations.rows() // COMMIT_SHARE):
            self.commit(but)

    def finish(self, stopped: RunStopped | None = None) -> Summary:
        """Commit the rest, draw up the account, and record it if the gateway was to be asked.

        Raises:
            RunStopped: The one given, or that the warehouse can be written no longer; with the
                summary on it.
        """
        failed = _failure_of(self.commit)
        if self._settings.marts and not failed:
            failed = _failure_of(self._warehouse.refresh_marts)
        stopped = stopped or failed or self._nothing_fetched()
        summary = self._summary(stopped)
        if len(self.plan.task_ids):
            failed = _failure_of(lambda: self._warehouse.record_run(summary.to_dict()))
            if failed and not stopped:
                stopped, summary = failed, self._summary(failed)
        self._meters.finish(summary)
        if stopped:
            stopped.summary = summary
            raise stopped
        return summary

    def _nothing_fetched(self) -> NothingFetched | None:
        """Say so if not one answer is worth keeping."""
        tally, base_url = self.tally, self._settings.base_url
        passing = tally.rejected - (tally.of_tasks if self.is_proven else 0)
        if not tally.has_only_passing_rejects or passing < tally.rejected:
            return None
        hint = (
            "Start again later."
            if self.is_proven
            else f"{base_url} has never given a generation: `luma-to-parquet check` says whether"
            " the base URL is right."
        )
        return NothingFetched(
            f"{base_url} gave no generation for any of {plural(tally.answers, 'task ID')}"
            f" ({tally.refusal}). None is given up. {hint}"
        )

    def _summary(self, stopped: RunStopped | None) -> Summary:
        return Summary(
            run_id=self.run_id,
            outcome="stopped" if stopped else "done",
            message=str(stopped) if stopped else None,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            base_url=self._settings.base_url,
            warehouse=self._settings.warehouse,
            new=self._committed.new,
            updated=self._committed.updated,
            reasons=dict(+self.tally.reasons),
            invalid_examples=self.plan.invalid_examples,
            version=version("luma-to-parquet"),
            **counts_of(self.plan, self.tally),
        )


def _failure_of(write: Callable[[], None]) -> StorageFailed | None:
    """Try to write something, and return why it could not be."""
    try:
        write()
    except StorageFailed as failed:
        return failed
    return None


def ingest(
    selection: Selection,
    settings: Settings,
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[Plan, Tally], None] = lambda _plan, _tally: None,
    on_wait: Callable[[int, float], None] = lambda _unfinished, _seconds: None,
) -> Summary:
    """Fetch what is new or unfinished, and bring it into the warehouse.

    Args:
        selection: Which task IDs to ask for.
        settings: With a key.
        stop: When set, the run ends within seconds, and keeps all that it received.
        on_progress: Called after the plan and after each answer.
        on_wait: Told before each wait for a poll how many generations are unfinished, and in how
            many seconds the poll is.

    Raises:
        UsageError: Nothing could be started.
        RunStopped: The run ended early; its `summary` tells how far it came.
    """
    stop = stop or threading.Event()
    with (
        metrics.opened(settings.metrics_file) as meters,
        open_client(settings, meters) as client,
        open_warehouse(settings) as warehouse,
    ):
        run = Run(settings, warehouse, make_plan(selection, settings, warehouse), meters)
        if run.is_proven:
            client.trust()
        on_progress(run.plan, run.tally)
        stopped: RunStopped | None = None
        try:
            ask(run, selection, client, settings, stop, on_progress, on_wait)
        except RunStopped as error:
            stopped = error
        if stop.is_set():
            stopped = Interrupted("interrupted; the next run goes on from here")
        return run.finish(stopped)


def ask(  # noqa: PLR0917  a run is all of this
    run: Run,
    selection: Selection,
    client: Client,
    settings: Settings,
    stop: threading.Event,
    on_progress: Callable[[Plan, Tally], None],
    on_wait: Callable[[int, float], None],
) -> None:
    """Ask the gateway for all of a run, wait for unfinished ones if asked to, and save all.

    Raises:
        SourceError: It is to list its generations, and has no list.
        RunStopped: Going on is pointless.
    """
    polls = Polls(settings.poll_first, settings.poll_longest)

    def count(answer: Answer) -> None:
        run.tally.add(answer)
        if settings.wait:
            polls.note(answer, time.monotonic())
        on_progress(run.plan, run.tally)

    def save(answers: list[Answer]) -> None:
        run.save(run.name_batch(), answers)
        run.commit_if_due()

    if selection.is_listing:
        discover(run, selection, client, settings, stop=stop, count=count, save=save)
    elif len(run.plan.task_ids):
        task_ids = (task_id.as_py() for task_id in run.plan.task_ids)
        receive(task_ids, client, settings, stop=stop, count=count, save=save)
    if settings.wait and len(polls) and not stop.is_set():
        seconds = settings.wait.total_seconds()
        poll(run, polls, client, settings, seconds=seconds, stop=stop, on_wait=on_wait)


def discover(
    run: Run,
    selection: Selection,
    client: Client,
    settings: Settings,
    *,
    stop: threading.Event,
    count: Callable[[Answer], None],
    save: Callable[[list[Answer]], None],
) -> None:
    """Take in what the gateway lists and is news, then ask for unfinished ones it did not list.

    Raises:
        SourceError: The gateway has no list.
        RunStopped: Going on is pointless, or the list cannot be read to its end.
    """
    # Whoever wants all again means all of the list.
    is_whole = selection.refresh or selection.retry_rejected
    covered = [] if is_whole else run.covered()
    found = Discovery(run.settled(selection), run.unfinished(), covered, selection.limit)
    try:
        with Batch(settings, count, save) as batch:
            for answer in found.answers(client, stop, run.tally.add_requests):
                run.plan = found.plan
                batch.add(answer)
        if found.newest is not None:
            run.note_walk(found.newest)
        others = found.add_others()
        run.plan = found.plan
        task_ids = (task_id.as_py() for task_id in others)
        receive(task_ids, client, settings, stop=stop, count=count, save=save)
    finally:
        run.plan = found.plan
    if found.broken:
        raise found.broken


def poll(
    run: Run,
    polls: Polls,
    client: Client,
    settings: Settings,
    *,
    seconds: float,
    stop: threading.Event,
    on_wait: Callable[[int, float], None],
) -> None:
    """Ask for unfinished generations until they are finished, or so many seconds are over.

    Raises:
        RunStopped: Going on is pointless.
    """

    def save(answers: list[Answer]) -> None:
        run.save_polls(run.name_batch(), answers, polls)

    def ask(task_ids: list[str]) -> None:
        unfinished = len(polls)
        receive(task_ids, client, settings, stop=stop, count=_wait_for_save, save=save)
        if len(polls) < unfinished:
            run.commit()

    run.commit()
    watch(polls, seconds, stop, ask=ask, on_wait=on_wait)


def _wait_for_save(_answer: Answer) -> None:
    """A poll's answer counts once it is saved: until then, the one before does."""


def open_warehouse(settings: Settings) -> AbstractContextManager[Warehouse]:
    """The warehouse of the settings, as its only writer."""
    return Warehouse.writing(settings.warehouse, settings.partition_by, settings.lock_timeout)


def open_client(settings: Settings, meters: Meters | None = None) -> Client:
    """A client for the gateway of the settings; it opens no connection yet.

    Args:
        settings: With a key.
        meters: Told of each attempt, if there are any.

    Raises:
        SettingsError: The key or the base URL cannot be used.
    """
    throttle = Throttle(settings.max_concurrency, settings.requests_per_second)
    if meters:
        meters.watch(lambda: throttle.state().in_flight)
    return Client(
        ClientSettings(
            base_url=settings.base_url,
            key=settings.ready(),
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            total_timeout=settings.total_timeout,
            max_body_bytes=settings.max_body_bytes,
            max_attempts=settings.max_attempts,
            max_wait=settings.max_wait,
            max_connections=settings.max_concurrency,
        ),
        throttle,
        on_attempt=meters.attempt if meters else None,
    )


def make_plan(selection: Selection, settings: Settings, warehouse: Warehouse | None) -> Plan:
    """Decide which task IDs to ask for, given what the warehouse holds; None holds nothing.

    Of a listing nothing is known before it is read: its plan grows with the run.

    Raises:
        SourceError: The task IDs cannot be read, or there are none.
    """
    if selection.is_listing:
        _check_listing(selection)
        return NOTHING
    values = source.read(selection.sources, column=selection.column, query=selection.query)
    settled = warehouse and settled_in(warehouse, selection, settings)
    return plan(values, settled, selection.limit)


def _check_listing(selection: Selection) -> None:
    if len(selection.sources) > 1 or selection.column or selection.query:
        raise SourceError(
            f"{listing.SOURCE} stands alone: no other source, column or query goes with it"
        )


def settled_in(warehouse: Warehouse, selection: Selection, settings: Settings) -> pa.ChunkedArray:
    """Task IDs that a selection need not ask for."""
    return warehouse.settled(
        base_url=settings.base_url,
        refresh=selection.refresh,
        retry_rejected=selection.retry_rejected,
        give_up_after=settings.give_up_after,
    )


def preview(selection: Selection, settings: Settings) -> Plan:
    """Plan a run, asking and changing nothing.

    Raises:
        UsageError: The task IDs or the warehouse cannot be read.
    """
    if selection.is_listing:
        raise SourceError(f"{listing.SOURCE} cannot be told without asking: leave out --dry-run")
    has_warehouse = Warehouse.exists(settings.warehouse)
    warehouse = Warehouse.existing(settings.warehouse) if has_warehouse else None
    return make_plan(selection, settings, warehouse)


def save(
    warehouse: Warehouse, batch: str, answers: list[Answer], run_id: str, tally: Tally
) -> None:
    """Make a batch of answers durable; if that fails, they do not count as received.

    Raises:
        StorageFailed: The disk is full, or not writable.
    """
    try:
        warehouse.save(batch, answers, run_id)
    except StorageFailed:
        # It may be there all the same, if what failed was the last step: then it will be committed.
        if not warehouse.has(batch):
            tally.discount(answers)
        raise
