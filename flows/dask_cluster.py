"""Runs batches on a Dask cluster: an existing one, or a local one."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from prefect import get_run_logger

from connector.errors import RunStopped, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client
    from prefect import Task
    from prefect.futures import PrefectFuture
    from prefect_dask.task_runners import DaskTaskRunner

CONNECT_SECONDS: Final = 60.0

# How long a cluster may have no worker: the last one may be restarting.
WORKERS_SECONDS: Final = 300.0

# While one batch waits for its last answers or for the flow, the other uses the core.
BATCHES_PER_PROCESS: Final = 2

# Hundreds on two cores were seen to keep the machine busy for minutes with their start alone.
PROCESSES_PER_CORE: Final = 16

_LOOK_UP_SECONDS = 5.0


class Stop(Protocol):
    """An event of this process or of a cluster."""

    def set(self) -> object:
        """Ask the running batches to end within seconds."""

    def is_set(self) -> bool:
        """Whether `set` was called."""


class Cluster:
    """Runs batches on a cluster; see `runners.Runner`.

    At most as many batches run as the cluster had threads at the start, so that their shares add up
    to the limits while workers come and go. No worker joins a cluster that is `ours`: there, as
    many batches again wait in the cluster, so that no thread idles while the flow commits.
    """

    is_apart = True

    def __init__(self, runner: DaskTaskRunner, run_id: str, most: int, *, ours: bool) -> None:
        self._runner = runner
        self._client: Client = runner.client
        threads = _threads(self._client)
        self.at_once = max(1, min(most, threads))
        self.under_way = 2 * self.at_once if ours and most >= threads else self.at_once
        self.stop = _stop(run_id, self._client)

    def submit(self, task: Task[..., Any], **parameters: Any) -> PrefectFuture[Any]:
        """Submit a batch to the cluster; if its worker dies, another one repeats it."""
        future: PrefectFuture[Any] = self._runner.submit(task, parameters)
        return future

    def done(self, futures: Sequence[Any]) -> PrefectFuture[Any]:
        """Wait for the first future that is done, and return it.

        Raises:
            RunStopped: The cluster has had no worker for too long.
        """
        seen_at = time.monotonic()
        while True:
            for future in futures:
                if future.wrapped_future.done():
                    found: PrefectFuture[Any] = future
                    return found
            if _threads(self._client):
                seen_at = time.monotonic()
            elif time.monotonic() - seen_at > WORKERS_SECONDS:
                raise RunStopped(
                    f"the Dask cluster has had no worker for {WORKERS_SECONDS:.0f} s; what was"
                    " received is kept, and the next run goes on from here"
                )
            _wait_for_one([future.wrapped_future for future in futures], self._client)


@contextmanager
def open_local_cluster(processes: int | None, run_id: str, most: int) -> Iterator[Cluster]:
    """Run a cluster of worker processes for the block; they always end with this process.

    Args:
        processes: Number of processes; None for one per core.
        run_id: As for `open_cluster`.
        most: As for `open_cluster`.

    Raises:
        SettingsError: Dask is not installed, or the machine could hardly start so many processes.
    """
    _require_dask()
    from dask.system import CPU_COUNT  # noqa: PLC0415  slow to import

    allowed = PROCESSES_PER_CORE * CPU_COUNT
    if (processes or 0) > allowed:
        raise SettingsError(
            f"processes: {processes:,} are too many for this machine, which takes {allowed} at most"
        )
    distributed = _distributed()
    # The start and the end of the cluster do not belong in the run's log.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    cluster = distributed.LocalCluster(
        n_workers=processes or CPU_COUNT,
        threads_per_worker=BATCHES_PER_PROCESS,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # None would mean port 8787 for every run on the machine
        memory_limit=0,  # batches have their own bounds
    )
    with cluster, open_cluster(cluster.scheduler_address, run_id, most, ours=True) as found:
        yield found


@contextmanager
def open_cluster(
    scheduler: str | None, run_id: str, most: int, *, ours: bool = False
) -> Iterator[Cluster]:
    """Use a cluster for the block.

    Args:
        scheduler: Address of the scheduler; None for the one in Dask's own settings.
        run_id: Identifies the event that stops the batches.
        most: Most batches at once, as each needs at least one request in flight.
        ours: Whether nobody else uses the cluster, and no worker joins it.

    Raises:
        SettingsError: Dask is not installed, or no cluster is found.
    """
    runner_of = _require_dask()
    address = scheduler or _configured()
    with runner_of(address=address, client_kwargs={"timeout": CONNECT_SECONDS}) as runner:
        try:
            runner.client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"no Dask cluster with a worker at {address}: {str(error).rstrip('.')}"
            ) from error
        cluster = Cluster(runner, run_id, most, ours=ours)
        where = "processes of this machine" if ours else f"the Dask cluster at {address}"
        get_run_logger().info("running %s batches at once in %s", cluster.at_once, where)
        yield cluster


def _require_dask() -> type[DaskTaskRunner]:
    # An extra, and slow to import.
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415  see above
    except ImportError:
        raise SettingsError("Dask is not installed: pip install 'luma-to-parquet[dask]'") from None
    return DaskTaskRunner


def _configured() -> str:
    import dask  # noqa: PLC0415  as above

    address: str | None = dask.config.get("scheduler-address", None)
    if not address:
        raise SettingsError(
            "the Dask runner needs a scheduler: set the parameter dask_scheduler, or"
            " DASK_SCHEDULER_ADDRESS"
        )
    return address


def stop_of(run_id: str) -> Stop:
    """Return the event by which a run stops the batch of this worker."""
    return _stop(run_id, _distributed().get_client())


def _stop(run_id: str, client: Any) -> Stop:
    event: Stop = _distributed().Event(f"luma-stop-{run_id}", client=client)
    return event


def _threads(client: Any) -> int:
    return sum(client.nthreads().values())


def _wait_for_one(futures: Sequence[Any], client: Any) -> None:
    with client.as_current(), suppress(_distributed().TimeoutError):
        _distributed().wait(futures, timeout=_LOOK_UP_SECONDS, return_when="FIRST_COMPLETED")


def _distributed() -> Any:
    """Import Dask's package without types: its hints are incomplete."""
    import distributed  # noqa: PLC0415  as above

    return distributed
