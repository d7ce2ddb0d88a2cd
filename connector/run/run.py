"""The state of a run: its plan, its answers on their way to the tables, and its summary."""

from __future__ import annotations

import itertools
import time
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connector.errors import ConnectorError, Interrupted, NothingFetched, RunStopped, StorageFailed
from connector.metrics.meters import Meters
from connector.run.clock import Clock
from connector.run.poll import Polls
from connector.run.save import AnswersLost, save_answers
from connector.run.selection import given_up_in, make_plan, settled_in
from connector.run.tally import Tally, counts_of
from connector.run.watcher import Watcher
from connector.summary import Summary
from connector.version import VERSION
from connector.warehouse import walks
from connector.warehouse.gathered import Gathered
from connector.warehouse.runs import record_run
from connector.warehouse.sequence import run_id_of
from connector.warehouse.tables import Committed
from connector.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from connector.record.answer import Answer
    from connector.run.discover import Discovery
    from connector.run.selection import Given
    from connector.settings import Settings
    from connector.warehouse.warehouse import Warehouse

# During a run, a commit waits until the inbox holds a quarter of the tables' rows: a backfill of
# any length rewrites each row about four times, and readers still see it grow.
COMMIT_ANSWERS: Final = 10_000
COMMIT_SHARE: Final = 4


class Run:
    """One run over one warehouse.

    Args:
        given: The task IDs to request, if they are not settled.
        settings: The run's settings.
        warehouse: Opened to write.
        meters: Count requests, commits and the end.
        watcher: Receives progress, and may stop the run.

    Attributes:
        plan: What to request; for a listing it grows.
        tally: The answers so far.
        polls: The unfinished generations, if the run waits for them.
        proof: A task that the gateway gave a generation for before this run; None without one.

    Raises:
        SourceError: The task IDs cannot be read, or there are none.
        StorageFailed: What came with the IDs cannot be kept.
    """

    def __init__(
        self,
        given: Given,
        settings: Settings,
        warehouse: Warehouse,
        meters: Meters | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self.clock = Clock(warehouse.latest)
        self.run_id = run_id_of(warehouse.next_sequence())
        self.selection = given.selection
        self.settings = settings
        self.meters = meters or Meters()
        self.watcher = watcher or Watcher()
        with Gathered(warehouse.storage) as gathered:
            self.plan = make_plan(given, settings, warehouse, gathered.add)
            if settings.keep:
                # Before the first request: a run that ends early has kept what came with the IDs.
                warehouse.keep(gathered)
        self.tally = Tally()
        self.polls = Polls(settings.poll_first, settings.poll_longest)
        self.proof = warehouse.generations.task_of(settings.base_url)
        self._warehouse = warehouse
        self._committed = Committed()
        self._batches = itertools.count(1)

    @property
    def has_requests(self) -> bool:
        """Whether there is anything to ask the gateway."""
        return self.selection.is_listing or len(self.plan.task_ids) > 0

    def discovery(self) -> Discovery:
        """What reads the gateway's list, down to what an earlier run has read."""
        from connector.run.discover import Discovery  # noqa: PLC0415  see `connector.run.resources`

        warehouse, selection, settings = self._warehouse, self.selection, self.settings
        is_repeated = selection.refresh or selection.retry_rejected
        covered = [] if is_repeated else walks.read_walk(warehouse.storage, settings.base_url)
        return Discovery(
            settled_in(warehouse, selection, settings),
            warehouse.unfinished(settings.give_up_after),
            covered,
            limit=selection.limit,
            given_up=given_up_in(warehouse, selection, settings),
            is_forgotten=warehouse.forgotten().mask,
        )

    def note_walk(self, newest: list[str]) -> None:
        """Remember that all below these task IDs of the list is saved."""
        walks.write_walk(self._warehouse.storage, self.settings.base_url, newest)

    def count(self, answer: Answer) -> None:
        """Count the first answer for a task ID."""
        self.tally.add(answer)
        if self.settings.wait:
            self.polls.note(answer, time.monotonic())
        self.watcher.progress(self.plan, self.tally)

    def take(self, answers: Generator[Answer]) -> None:
        """Count first answers as they come."""
        with closing(answers):
            for answer in answers:
                self.count(answer)

    def save(self, answers: list[Answer]) -> None:
        """Make first answers durable, and commit if enough answers wait.

        Raises:
            StorageFailed: They cannot be saved, and count as not reached.
        """
        try:
            self._save(answers)
        except AnswersLost:
            self.tally.discount(answers)
            raise
        self.commit_if_due()

    def save_polls(self, answers: list[Answer]) -> None:
        """Make later answers durable, and count each in place of the one before.

        Raises:
            StorageFailed: They cannot be saved; the earlier answers still count.
        """
        self._save(answers)
        for answer in answers:
            self.tally.add_poll(answer, self.polls.end_of(answer.task_id))
            self.polls.note(answer, time.monotonic())

    def _save(self, answers: list[Answer]) -> None:
        batch = f"{self.run_id}-{next(self._batches):06}"
        save_answers(self._warehouse, batch, answers, self.run_id, self.watcher.stop)

    def commit(self, but: tuple[str, ...] = ()) -> None:
        """Merge the inbox into the tables, except batches with these prefixes."""
        committed = self._warehouse.commit(but)
        # A polled task was counted as new or updated with its first answer.
        self._committed += committed._replace(updated=0) if self.tally.polls else committed
        self.meters.count_rows(committed.new, committed.updated)

    def commit_if_due(self, but: tuple[str, ...] = ()) -> None:
        """Commit if enough answers wait."""
        waiting = self.tally.received - self._committed.answers
        if waiting >= max(COMMIT_ANSWERS, self._warehouse.generations.rows() // COMMIT_SHARE):
            self.commit(but)

    def finish(self, stopped: RunStopped | None = None) -> Summary:
        """Commit the rest, refresh the marts, and record the run if it had anything to request.

        Args:
            stopped: Why the run stopped early, if it did.

        Raises:
            RunStopped: `stopped`, or a failure on the way; its `summary` is set.
        """
        if stopped is None and self.watcher.stop.is_set():
            stopped = Interrupted("interrupted; the next run goes on from here")
        failed = _failure_of(self.commit)
        if self.settings.marts and not failed:
            least = self.settings.term_prompts
            failed = _failure_of(lambda: self._warehouse.refresh_marts(least))
        stopped = stopped or failed or self._nothing_fetched()
        summary = self._summary(stopped)
        if len(self.plan.task_ids):
            failed = _failure_of(lambda: record_run(self._warehouse.storage, summary.to_dict()))
            if failed and not stopped:
                stopped, summary = failed, self._summary(failed)
        self.meters.count_run(summary)
        if stopped:
            stopped.summary = summary
            raise stopped
        return summary

    def _nothing_fetched(self) -> NothingFetched | None:
        """The failure of a run whose every answer was a refusal that may pass; else None."""
        tally, base_url = self.tally, self.settings.base_url
        has_given_up = self.proof and tally.of_tasks
        if tally.fetched or tally.is_early or has_given_up or not tally.rejected:
            return None
        hint = "Start again later."
        if self.proof is None:
            hint = (
                f"{base_url} has never given a generation: `luma-to-parquet check` says whether the"
                " base URL is right."
            )
        return NothingFetched(
            f"{base_url} gave no generation for any of {plural(tally.answers, 'task ID')}"
            f" ({tally.refusal}). No task is given up. {hint}"
        )

    def _counts(self) -> dict[str, int]:
        """Counts of the summary; of the unfinished, those that are too old count as given up."""
        counts = counts_of(self.plan, self.tally)
        old = 0
        if counts["unfinished"]:
            # Where the storage has failed, the account must not fail too.
            with suppress(ConnectorError, OSError):
                given_up = self._warehouse.given_up(self.settings.give_up_after)
                old = self._warehouse.fetched_by(self.run_id, given_up) if len(given_up) else 0
        # Answers that no commit has merged yet are not among them.
        old = min(old, counts["unfinished"])
        return {**counts, "unfinished": counts["unfinished"] - old, "given_up": old}

    def _summary(self, stopped: RunStopped | None) -> Summary:
        return Summary(
            run_id=self.run_id,
            outcome="stopped" if stopped else "done",
            message=str(stopped) if stopped else None,
            started_at=self.clock.started_at,
            finished_at=self.clock.started_at + timedelta(seconds=self.clock.seconds),
            base_url=self.settings.base_url,
            warehouse=self.settings.warehouse,
            new=self._committed.new,
            updated=self._committed.updated,
            reasons=dict(+self.tally.reasons),
            invalid_examples=self.plan.invalid_examples,
            version=VERSION,
            note="; ".join(self.clock.notes(self._committed.ahead)) or None,
            **self._counts(),
        )


def _failure_of(write: Callable[[], None]) -> StorageFailed | None:
    """Try to write something, and return why it failed."""
    try:
        write()
    except StorageFailed as failed:
        return failed
    return None
