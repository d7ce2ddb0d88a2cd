"""Where batches run: in threads of the flow's process, in processes, or on a Dask cluster.

Processes of this machine are workers of a cluster that lives as long as the run.

Workers share nothing with the flow but the warehouse's storage, where each batch leaves its files
in the inbox, and the Prefect server. The flow alone plans, commits and keeps the account.
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
    """Where batches shall run.

    Attributes:
        processes: How many; None is one a core.
        scheduler: Address of Dask's; None is what Dask's own settings name.
    """

    kind: Literal["threads", "processes", "dask"]
    processes: int | None = None
    scheduler: str | None = None


class Runner(Protocol):
    """Runs batches.

    Attributes:
        at_once: How many run at the same time.
        under_way: How many may run or wait to.
        is_apart: Whether each batch runs by itself, with its share of the ceilings.
    """

    at_once: int
    under_way: int
    is_apart: bool
    stop: dask_cluster.Stop

    def submit(self, task: Task[..., Any], **parameters: Any) -> Future:
        """Start a batch, or have it wait for its turn."""

    def done(self, futures: Sequence[Future]) -> Future:
        """Wait for one of these to end, and return it.

        Raises:
            RunStopped: There is nobody left who could end one.
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
        """Return the oldest, which its user waits for: the others go on meanwhile."""
        return futures[0]


@contextmanager
def open_runner(where: Where, access: Access, stop: threading.Event) -> Iterator[Runner]:
    """Have a runner for as long as the block lasts.

    Args:
        where: It runs the batches.
        access: How they come to their gateway.
        stop: Ends those that run in this process.

    Raises:
        SettingsError: Dask is not installed, or there is no cluster to be found.
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
