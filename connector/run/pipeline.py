"""The pipeline: task IDs -> plan -> fetch -> inbox -> tables.

::

    selection -> Run.plan -> fetch, or read_list   one answer for each task ID
                          -> Run.save              the inbox: durable from here on
                          -> poll                  unfinished generations, until they finish
                          -> Run.commit            generations, rejects; then the log
                          -> Run.finish            marts, the summary
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing
from typing import TYPE_CHECKING, Final

from connector.errors import RunStopped
from connector.metrics.meters import open_metrics
from connector.run.poll import LAST, Until, due
from connector.run.resources import check_access, open_client, open_warehouse
from connector.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from threading import Event

    import pyarrow as pa

    from connector.gateway.client import Client
    from connector.record.answer import Answer
    from connector.run.receive import Save
    from connector.run.selection import Selection
    from connector.run.watcher import Watcher
    from connector.settings import Settings
    from connector.summary import Summary

# Task IDs that become Python's own at once.
CONVERTED: Final = 1_000


def ingest(selection: Selection, settings: Settings, watcher: Watcher | None = None) -> Summary:
    """Fetch new and unfinished generations into the warehouse.

    Args:
        selection: Which task IDs to request.
        settings: Settings with a key.
        watcher: Receives progress, and may stop the run.

    Raises:
        UsageError: The run could not start.
        RunStopped: The run ended early; its `summary` says how far it got.
    """
    check_access(settings)
    given = selection.open(settings)
    with (
        open_metrics(settings.metrics_file) as meters,
        open_warehouse(settings, given) as warehouse,
    ):
        run = Run(given, settings, warehouse, meters, watcher)
        run.watcher.progress(run.plan, run.tally)
        if not run.has_requests:
            return run.finish()
        with open_client(settings, meters, proof=run.proof) as client:
            try:
                fetch(run, client)
                poll(run, client)
            except RunStopped as stopped:
                return run.finish(stopped)
            return run.finish()


def fetch(run: Run, client: Client) -> None:
    """Request all task IDs of a run, and save the answers.

    Raises:
        SourceError: The gateway has no list.
        RunStopped: Going on is pointless.
    """
    if run.selection.is_listing:
        read_list(run, client)
    elif len(run.plan.task_ids):
        client.expect(_texts(run.plan.task_ids))
        run.take(_receive(_texts(run.plan.task_ids), client, run, run.save))


def read_list(run: Run, client: Client) -> None:
    """Read the gateway's list, then request the unfinished task IDs that it did not show.

    Raises:
        SourceError: The gateway has no list.
        RunStopped: Going on is pointless, or the list cannot be read to its end.
    """
    from connector.run.receive import Batch, collect  # noqa: PLC0415  see `connector.run.resources`

    found, stop = run.discovery(), run.watcher.stop

    def listed() -> Iterator[Answer]:
        for answer in found.answers(client, stop, run.tally.add_requests):
            run.plan = found.plan
            yield answer

    try:
        run.take(collect(listed(), Batch(run.settings, run.save)))
        if found.newest is not None:
            run.note_walk(found.newest)
        others = _texts(found.add_others())
        run.plan = found.plan
        run.take(_receive(others, client, run, run.save))
    finally:
        run.plan = found.plan
    if found.broken:
        raise found.broken


def poll(run: Run, client: Client) -> None:
    """Request unfinished generations until they are finished or the wait is over.

    Raises:
        RunStopped: Going on is pointless.
    """
    if not run.settings.wait or not len(run.polls) or run.watcher.stop.is_set():
        return
    run.commit()
    seconds = run.settings.wait.total_seconds()
    stop = Until(run.watcher.stop, time.monotonic() + seconds + LAST)
    for task_ids in due(run.polls, seconds, run.watcher):
        unfinished = len(run.polls)
        answers = _receive(task_ids, client, run, run.save_polls, stop)
        with closing(answers):
            # An answer counts once it is saved; until then, the previous one does.
            deque(answers, maxlen=0)
        if len(run.polls) < unfinished:
            run.commit()


def _texts(task_ids: pa.StringArray | pa.ChunkedArray) -> Iterator[str]:
    """The values one by one, converted many at a time: that takes a tenth of the time."""
    for start in range(0, len(task_ids), CONVERTED):
        yield from task_ids.slice(start, CONVERTED).to_numpy(zero_copy_only=False).tolist()


def _receive(
    task_ids: Iterable[str], client: Client, run: Run, save: Save, stop: Event | None = None
) -> Generator[Answer]:
    from connector.run.receive import receive  # noqa: PLC0415  see `connector.run.resources`

    stop, count = stop or run.watcher.stop, run.tally.add_requests
    return receive(task_ids, client, run.settings, stop, save, on_request=count)
