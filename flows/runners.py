"""Where batches run: in threads of the flow's process, in processes, or on a Dask cluster.

Processes are the workers of a local cluster that lives as long as the run. Workers and flow share
only the warehouse's storage, where each batch saves its files in the inbox, and the Prefect server.
The flow alone plans, commits and writes the summary.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from flows import dask_cluster

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from prefect import Task
    from prefect.futures import PrefectFuture

    from flows.access import Access

    Future = PrefectFuture[Any]

# Batches that run at once: while one waits for its last answers, the others use its connections.
# The throttle, which they share, decides how many requests are in flight.
THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Where:
    """Where batches run.

    Attributes:
        kind: The kind of runner.
        processes: Number of processes; None for one per core.
        scheduler: Address of a Dask scheduler; None for the one in Dask's own settings.
    """

    kind: Literal["threads", "processes", "dask"]
    processes: int | None = None
    scheduler: str | None = None


class Runner(Protocol):
    """Runs batches.

    Attributes:
        at_once: Most batches that run at the same time.
        under_way: Most batches submitted and not collected.
        is_apart: Whether each batch has its own client, with a share of the limits.
        stop: Ends all running batches when set.
    """

    at_once: int
    under_way: int
    is_apart: bool
    stop: dask_cluster.Stop

    def submit(self, task: Task[..., Any], **parameters: Any) -> Future:
        """Start or queue a batch."""

    def done(self, futures: Sequence[Future]) -> Future:
        """Return the future to collect next, for which the caller waits.

        Raises:
            RunStopped: No worker is left to finish one.
        """


class Threads:
    """The flow's own task runner."""

    at_once = THREADS
    # A list of a million IDs must not become a heap of futures.
    under_way = 2 * THREADS
    is_apart = False

    def __init__(self, stop: threading.Event) -> None:
        self.stop: dask_cluster.Stop = stop

    def submit(self, task: Task[..., Any], **parameters: Any) -> Future:
        """Start a batch, or have it wait for its turn."""
        future: Future = task.submit(**parameters)
        return future

    def done(self, futures: Sequence[Future]) -> Future:
        """Return the oldest future; the others run on while the caller waits for it."""
        return futures[0]


@contextmanager
def open_runner(where: Where, access: Access, stop: threading.Event) -> Iterator[Runner]:
    """Open a runner for the block.

    Args:
        where: Where the batches run.
        access: How they reach their gateway.
        stop: Ends batches that run in this process.

    Raises:
        SettingsError: Dask is not installed, or no cluster is found.
    """
    most = access.settings.max_concurrency
    if where.kind == "dask":
        with dask_cluster.open_cluster(where.scheduler, access.run_id, most) as cluster:
            yield cluster
    elif where.kind == "processes":
        with dask_cluster.open_local_cluster(where.processes, access.run_id, most) as cluster:
            yield cluster
    else:
        yield Threads(stop)
